//! Who may do what: tokens for programs, users and their logins, and the log of what they did.

mod audit;
mod cache;
mod caller;
mod desk;
mod error;
mod name;
mod password;
mod secret;
mod sessions;
mod settings;
mod throttle;
mod tokens;
mod users;

pub use audit::Deed;
pub use caller::{Caller, Verified};
pub use desk::AccessDesk;
pub use error::{AccessError, Refusal};
pub use secret::TOKEN_PREFIX;
pub use sessions::{Login, OpenSession, Origin};
pub use settings::AccessSettings;
pub use tokens::FreshToken;

pub use celeriac_store::query::access::{
    AuditFilter, AuditOutcome, AuditPage, AuditRecord, Bearer, Scope, SessionRecord, SessionsOf, TokenRecord,
    UnknownWord, UserRecord, Via,
};

/// Text that neither prints itself nor stays in memory.
pub use secrecy::{ExposeSecret, SecretString};
