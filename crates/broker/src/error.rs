//! What can go wrong with a transport, by what the caller can do about it.

use celeriac_db::DbError;

/// A transport could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The database behind a SQL transport failed.
    #[error("{action}")]
    Database {
        /// What was being done, to be read after "failed to".
        action: &'static str,
        /// The failure.
        #[source]
        source: DbError,
    },
    /// The server behind the transport could not be reached, did not answer in time, or could not do
    /// it just now. What was asked may have been done all the same.
    #[error("reach {product}")]
    Unavailable {
        /// The server's product (`Redis`).
        product: &'static str,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// The server behind the transport said no, and will say so again.
    #[error("ask {product}")]
    Refused {
        /// The server's product (`Redis`).
        product: &'static str,
        /// What it said.
        #[source]
        source: Cause,
    },
}

/// What a client library says, whose types are no part of ours.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl BrokerError {
    /// Says whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database { source, .. } => source.is_retryable(),
            Self::Unavailable { .. } => true,
            Self::Refused { .. } => false,
        }
    }
}

impl From<DbError> for BrokerError {
    fn from(source: DbError) -> Self {
        Self::Database { action: "use the queue's tables", source }
    }
}
