//! Twins of what the floors below know, as JSON shows it: the API answers with them and `--json` prints them.
//!
//! Field names are stable. Instants are RFC 3339 in UTC with microseconds, spans in milliseconds end in `_ms`, and what
//! is not known is `null`.

mod access;
mod dead;
mod job;
mod moment;
mod page;
mod queue;
mod status;
mod task;

pub use access::{AuditView, FreshTokenView, SessionView, TokenView, UserView};
pub use dead::{DeadDetailView, DeadView};
pub use job::{AttemptView, JobDetailView, JobErrorView, JobView, MessageView, SnapshotView};
pub use moment::Moment;
pub use page::Page;
pub use queue::QueueView;
pub use status::StatusWord;
pub use task::TaskView;
