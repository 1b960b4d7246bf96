//! Pages: what stands at one address.

pub(crate) mod content;
pub mod directives;
pub(crate) mod entity;
pub mod extract;
pub(crate) mod findings;
pub(crate) mod found;
pub(crate) mod known;
pub(crate) mod links;
pub mod scheduler;
pub mod status;
pub mod tasks;
pub mod workflow;

pub use scheduler::{process_pending_pages, setup_page_scheduler};
pub use tasks::add;
pub use workflow::PageWorkflow;
