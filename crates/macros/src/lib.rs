#![doc = include_str!("../README.md")]

use proc_macro::TokenStream;

/// Turns a function into a task.
#[proc_macro_attribute]
pub fn task(_options: TokenStream, item: TokenStream) -> TokenStream {
    item
}
