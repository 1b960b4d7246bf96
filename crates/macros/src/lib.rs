#![doc = include_str!("../README.md")]

use proc_macro::TokenStream;

mod expand;
mod options;
mod schedule;
mod signature;

/// Turns a function into a task; the crate's page has the options.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = syn::parse_macro_input!(options as options::Options);
    let function = syn::parse_macro_input!(item as syn::ItemFn);
    match signature::Function::read(function) {
        Ok(function) => expand::task(&options, &function).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
