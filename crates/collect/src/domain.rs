//! Domains: what a site says of itself on its home page.

pub(crate) mod entity;
pub mod extract;
pub(crate) mod findings;
pub mod scheduler;
pub(crate) mod scope;
pub mod status;
pub mod tasks;
pub mod workflow;

pub use scheduler::{process_pending_domains, setup_domain_scheduler};
pub use tasks::{AddedDomain, add};
pub use workflow::DomainWorkflow;
