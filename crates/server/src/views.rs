//! Twins of what the floors below know, as JSON shows it: the API answers with them and `--json` prints them.
//!
//! Field names are stable. Instants are RFC 3339 in UTC with microseconds, spans in milliseconds end in `_ms`, and what
//! is not known is `null`.

mod access;
mod moment;

pub use access::{AuditView, FreshTokenView, SessionView, TokenView, UserView};
pub use moment::Moment;
