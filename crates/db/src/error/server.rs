//! What stands between us and a PostgreSQL server, read out of what it or the network says.

use std::fmt;

use sea_orm::{DbErr, sqlx};

use super::said_by_sqlx;

/// What a PostgreSQL server refused, or why it was not reached. Command lines make hints out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerFault {
    /// Nobody answers there, or the connection broke.
    Unreachable,
    /// Something answers there that does not speak PostgreSQL's protocol.
    NotPostgres,
    /// No encrypted connection came about as it was asked for.
    Tls,
    /// The user or the password is not accepted, or not from here.
    Login,
    /// There is no such database.
    DatabaseMissing,
    /// The user may not do this.
    Denied,
    /// All connections that the server allows are taken.
    TooManyConnections,
    /// The server is a standby, or the database allows reading only.
    ReadOnly,
    /// The server starts, stops or recovers.
    NotReady,
    /// A statement took longer than it may.
    StatementTimeout,
    /// Another transaction held a lock for too long.
    LockTimeout,
    /// Two transactions waited for each other, and this one was given up.
    Deadlock,
    /// What was read had been changed by another transaction.
    Serialization,
    /// The server's disk is full.
    DiskFull,
}

impl ServerFault {
    /// Returns whether it passes without anybody changing anything.
    pub fn passes(self) -> bool {
        match self {
            Self::Unreachable
            | Self::TooManyConnections
            // A standby is promoted, or its connection is routed to the new primary.
            | Self::ReadOnly
            | Self::NotReady
            | Self::LockTimeout
            | Self::Deadlock
            | Self::Serialization
            | Self::DiskFull => true,
            Self::NotPostgres
            | Self::Tls
            | Self::Login
            | Self::DatabaseMissing
            | Self::Denied
            | Self::StatementTimeout => false,
        }
    }

    /// Returns whether the connection on which it was said is of no more use.
    #[cfg(feature = "postgres")]
    pub(crate) fn ends_connection(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotPostgres | Self::Tls | Self::ReadOnly | Self::NotReady)
    }

    /// Reads it out of an error of SeaORM.
    pub(crate) fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::ConnectionAcquire(_) => Some(Self::Unreachable),
            other => Self::said_by(said_by_sqlx(other)?),
        }
    }

    /// Reads it out of an error of sqlx.
    pub(crate) fn said_by(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Some(Self::Unreachable),
            sqlx::Error::Tls(_) => Some(Self::Tls),
            sqlx::Error::Protocol(_) => Some(Self::NotPostgres),
            sqlx::Error::Database(said) => Self::of_state(&said.code()?),
            _ => None,
        }
    }

    /// Reads PostgreSQL's error code (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    fn of_state(state: &str) -> Option<Self> {
        match state {
            "28000" | "28P01" => Some(Self::Login),
            "3D000" => Some(Self::DatabaseMissing),
            "42501" => Some(Self::Denied),
            "53300" => Some(Self::TooManyConnections),
            "53100" => Some(Self::DiskFull),
            "25006" => Some(Self::ReadOnly),
            "57P01" | "57P02" | "57P03" | "25P03" | "57P05" => Some(Self::NotReady),
            "57014" => Some(Self::StatementTimeout),
            "55P03" => Some(Self::LockTimeout),
            "40P01" => Some(Self::Deadlock),
            "40001" => Some(Self::Serialization),
            other => other.starts_with("08").then_some(Self::Unreachable),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "the server cannot be reached",
            Self::NotPostgres => "what answers there is not PostgreSQL",
            Self::Tls => "no encrypted connection could be made",
            Self::Login => "the user or the password is not accepted",
            Self::DatabaseMissing => "there is no such database",
            Self::Denied => "permission denied",
            Self::TooManyConnections => "all connections of the server are taken",
            Self::ReadOnly => "the server allows reading only",
            Self::NotReady => "the server is starting or stopping",
            Self::StatementTimeout => "a statement took longer than it may",
            Self::LockTimeout => "another transaction held a lock for too long",
            Self::Deadlock => "given up because of a deadlock",
            Self::Serialization => "changed by another transaction meanwhile",
            Self::DiskFull => "no space left on the server's disk",
        }
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_by_what_can_be_done() {
        for (state, fault, passes) in [
            ("28P01", Some(ServerFault::Login), false),
            ("3D000", Some(ServerFault::DatabaseMissing), false),
            ("42501", Some(ServerFault::Denied), false),
            ("53300", Some(ServerFault::TooManyConnections), true),
            ("57P03", Some(ServerFault::NotReady), true),
            ("57014", Some(ServerFault::StatementTimeout), false),
            ("40001", Some(ServerFault::Serialization), true),
            ("40P01", Some(ServerFault::Deadlock), true),
            ("08006", Some(ServerFault::Unreachable), true),
            ("23505", None, false),
        ] {
            assert_eq!(ServerFault::of_state(state), fault, "{state}");
            assert_eq!(fault.is_some_and(ServerFault::passes), passes, "{state}");
        }
    }
}
