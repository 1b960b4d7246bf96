//! Pages: what stands at one address.

pub mod directives;
pub mod extract;
