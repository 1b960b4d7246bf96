//! Sitemaps: lists of addresses that a site publishes.

pub mod extract;
