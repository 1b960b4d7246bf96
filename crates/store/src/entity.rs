//! The platform's tables. Entities never leave this crate; [`crate::JobRecord`] and its like do.

pub(crate) mod attempt;
pub(crate) mod count;
pub(crate) mod job;
pub(crate) mod workflow;
pub(crate) mod workflow_slot;
