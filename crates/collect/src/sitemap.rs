//! Sitemaps: lists of addresses that a site publishes.

pub(crate) mod entity;
pub mod extract;
pub(crate) mod findings;
pub(crate) mod found;
mod import;
pub mod scheduler;
pub mod status;
pub mod tasks;
pub mod workflow;

pub use scheduler::{process_pending_sitemaps, setup_sitemap_scheduler};
pub use tasks::add;
pub use workflow::SitemapWorkflow;
