//! The schedule: its entries, where each stands, and what came of their due times.
//!
//! Whoever changes an entry, its state or its firings locks its state first ([`take_due`], [`lock`]); so people's edits
//! and the beat's passes follow one another for each entry, and never wait for other entries'.

mod bulk;
mod edit;
mod entry;
mod fire;
mod list;
mod prune;
mod rows;
#[cfg(test)]
mod tests;

pub use bulk::add_many;
pub use edit::{add, change, firings_between, lock, remove, save_state};
pub use entry::{
    CatchUp, DEFAULT_CATCH_UP, Disabled, DisabledReason, Firing, FiringOutcome, MAX_CATCH_UP, MAX_NAME_CHARS,
    Origin, Overlap, ScheduleEntry, ScheduleRecord, ScheduleState, UnknownWord, Unreadable,
};
pub use fire::{
    Cancels, LockedEntry, OpenJob, add_firings, close_firings, disable, fail_firings, forget_cancels,
    next_wake, open_jobs, pending_cancels, replace_firings, save_states, server_time, take_due,
    wake_from_future,
};
pub use list::{FiringPage, ScheduleFilter, SchedulePage, ScheduleSummary, declared, find, firings, list};
pub use prune::{FiringCursor, PrunedFiringsStep, prune_firings};
