//! Getting bytes from the web, politely and safely. The only place of this crate that uses the network.

mod robots;

pub use robots::{CRAWL_DELAY_MAX, ROBOTS_BYTES_MAX, ROBOTS_SITEMAPS_MAX, Robots, RobotsVerdict};
