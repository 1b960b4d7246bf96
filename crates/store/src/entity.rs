//! The platform's tables. Entities never leave this crate; [`crate::JobRecord`] and its like do.

pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod count;
pub(crate) mod firing;
pub(crate) mod job;
pub(crate) mod schedule;
pub(crate) mod schedule_state;
pub(crate) mod session;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod worker;
pub(crate) mod workflow;
pub(crate) mod workflow_slot;
