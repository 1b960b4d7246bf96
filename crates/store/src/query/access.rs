//! Tokens, users, sessions, and the log of what was done with them.

mod audit;
mod rows;
mod scope;
mod secret;
mod sessions;
mod tokens;
mod users;

pub use audit::{AuditEntry, AuditFilter, AuditOutcome, AuditPage, AuditRecord, MAX_DETAIL_BYTES};
pub use audit::{add as add_audit, list as audit, prune as prune_audit};
pub use rows::{MAX_LISTED, MAX_NAME_CHARS, is_untouched, lock};
pub use scope::{Scope, UnknownWord, Via};
pub use secret::StoredSecret;
pub use sessions::{
    Bearer, NewSession, SessionRecord, SessionsOf, add as add_session, end as end_session,
    end_all as end_sessions, find as find_sessions, list as sessions, prune as prune_sessions,
    touch as touch_session,
};
pub use tokens::{
    NewToken, TokenRecord, add as add_token, by_id as token_by_id, find as find_tokens, list as tokens,
    revoke as revoke_token, touch as touch_token,
};
pub use users::{
    NewUser, UserChange, UserRecord, add as add_user, by_id as user_by_id, change as change_user,
    find as find_user, list as users, note_login,
};
