//! Who calls, as handlers see it.

use celeriac_protocol::Timestamp;
use celeriac_store::query::access::{Bearer, Scope, Via};

/// Who calls, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token or the user, or of who sits at the machine.
    pub name: String,
    /// What they may do.
    pub scope: Scope,
    /// By which way they came in.
    pub via: Via,
}

impl Caller {
    /// Makes the caller who has the database itself in hand, and may do everything.
    pub fn cli(operator: impl Into<String>) -> Self {
        Self { name: operator.into(), scope: Scope::Admin, via: Via::Cli }
    }

    /// Makes the caller who is on this machine, where that was said to be enough.
    pub fn loopback(scope: Scope) -> Self {
        Self { name: "loopback".to_owned(), scope, via: Via::Loopback }
    }
}

/// A caller whose token or session was looked up and found in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who it is.
    pub caller: Caller,
    /// The token or user behind it.
    pub bearer: Bearer,
    /// The session's number, where it is one.
    pub session: Option<i64>,
    /// When it ends at the latest.
    pub expires_at: Option<Timestamp>,
}
