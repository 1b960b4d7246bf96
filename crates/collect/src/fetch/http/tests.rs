//! The client against real servers on loopback, well-behaved and not.

mod bodies;
mod failures;
mod redirects;
mod robots;
mod server;
mod tls;
