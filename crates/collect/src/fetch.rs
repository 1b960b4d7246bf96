//! Getting bytes from the web, politely and safely. The only place of this crate that uses the network.

mod charset;
mod error;
mod guard;
mod http;
mod politeness;
mod retry_after;
mod robots;

pub use charset::{CharsetSource, Decoded, charset_of, decode};
pub use error::{Cause, FetchError, TimeoutPhase};
pub use guard::{
    GuardError, GuardPolicy, Lookup, LookupAnswer, Network, ParseHostError, ParseNetworkError, SystemLookup,
    parse_host,
};
pub use http::{
    FetchConfig, FetchConfigError, FetchRequest, FetchStream, Fetched, FetchedHead, Fetcher, HOP_WAIT_MAX,
    Hop, HopGate, PRODUCT_TOKEN, PoliteHops,
};
pub use politeness::{HostPolicy, HostPolicyError, HostSignal, HostState};
pub use retry_after::RETRY_AFTER_MAX;
pub use robots::{
    CRAWL_DELAY_MAX, ROBOTS_BYTES_MAX, ROBOTS_SITEMAPS_MAX, Robots, RobotsOutcome, RobotsVerdict,
};
