//! Domains: what a site says of itself on its home page.

pub mod extract;
