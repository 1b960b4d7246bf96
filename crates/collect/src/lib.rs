#![doc = include_str!("../README.md")]

pub mod domain;
mod feed;
pub mod fetch;
mod hex;
mod html;
pub mod page;
pub mod sitemap;
pub mod url;
