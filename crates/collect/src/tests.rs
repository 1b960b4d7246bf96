//! The workflows against a site on loopback, and what their tables promise.

mod bad_input;
mod chain;
mod large;
mod migrations;
mod politeness;
pub(crate) mod rig;
mod schedulers;
pub(crate) mod site;
