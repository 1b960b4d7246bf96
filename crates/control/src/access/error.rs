//! What can go wrong with who may do what, by who can do something about it.

use std::time::Duration;

use celeriac_store::StoreError;

/// Something about tokens, users or logins could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Somebody is not let in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There were too many attempts to log in.
    #[error("too many attempts to log in")]
    Throttled {
        /// How long to wait before the next.
        retry_after: Duration,
    },
    /// Too many passwords are being looked at already.
    #[error("too many people log in at the moment")]
    Busy,
    /// A name can't be.
    #[error("{what} \"{name}\": {reason}")]
    Name {
        /// Whose name it is to be.
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A password can't be.
    #[error("set the password: {reason}")]
    Password {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A token would have ended before it began.
    #[error("make token \"{name}\": its end lies in the past")]
    EndsInThePast {
        /// The token.
        name: String,
    },
    /// Another token in use has this name.
    #[error("there is a token \"{name}\" already")]
    TokenExists {
        /// The name.
        name: String,
    },
    /// Another user has this name.
    #[error("there is a user \"{name}\" already")]
    UserExists {
        /// The name.
        name: String,
    },
    /// No token in use has this name.
    #[error("there is no token \"{name}\" in use")]
    UnknownToken {
        /// The name.
        name: String,
    },
    /// No user has this name.
    #[error("there is no user \"{name}\"")]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// No session that goes on has this number.
    #[error("there is no session {id} that goes on")]
    UnknownSession {
        /// The number.
        id: i64,
    },
    /// A setting can't be.
    #[error("use {setting}: {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A password could not be hashed.
    #[error("hash a password: {reason}")]
    Hash {
        /// Why.
        reason: String,
    },
    /// The tables failed.
    #[error("look up who may do what")]
    Store(#[from] StoreError),
}

/// Why somebody is not let in. Only who holds the secret itself learns more than that it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing fits what was presented.
    #[error("nobody is known by that")]
    Unknown,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It was revoked, or the session was ended.
    #[error("it was revoked")]
    Revoked,
    /// Its user may not log in any more.
    #[error("its user is disabled")]
    Disabled,
    /// User and password do not fit, or the user may not log in.
    #[error("user or password is wrong")]
    WrongPassword,
}
