#![doc = include_str!("../README.md")]

mod collector;
pub mod domain;
mod error;
mod feed;
pub mod fetch;
mod hex;
mod host;
mod html;
pub mod inventory;
mod migration;
mod module;
pub mod page;
mod settings;
pub mod sitemap;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod url;

pub use collector::{Collector, CollectorError, CollectorParts};
pub use migration::MIGRATIONS;
pub use module::module;
pub use settings::{CollectSettings, CollectSettingsError, CrawlScope};
