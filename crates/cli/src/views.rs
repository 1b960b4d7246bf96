//! What commands print, as people see it; as JSON it is [`celeriac_server::views`].

mod access;
mod dead;
mod job;
mod queue;

pub(crate) use access::{audit_table, sessions_table, tokens_table, users_table};
pub(crate) use dead::{letter_text, letters_table};
pub(crate) use job::{job_text, jobs_table, pretty};
pub(crate) use queue::queues_table;

use celeriac_protocol::Timestamp;

/// Writes an instant as JSON does.
pub(crate) fn instant(at: Timestamp) -> String {
    at.to_string()
}

/// Writes an instant that may be missing.
pub(crate) fn instant_or_none(at: Option<Timestamp>) -> Option<String> {
    at.map(instant)
}
