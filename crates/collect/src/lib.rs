#![doc = include_str!("../README.md")]

pub mod domain;
pub mod fetch;
mod hex;
mod html;
pub mod page;
pub mod url;
