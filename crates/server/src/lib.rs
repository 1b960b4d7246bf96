#![doc = include_str!("../README.md")]

mod code;
pub mod demo_site;
mod exit;
mod failure;
pub mod views;

pub use code::{Code, Kind};
pub use exit::Exit;
pub use failure::{Failure, Object};
