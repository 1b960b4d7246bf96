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
    /// The transport can't do this at all.
    #[error("{action}: the {transport} transport can't do that")]
    Unsupported {
        /// What was asked.
        action: &'static str,
        /// Which transport.
        transport: &'static str,
    },
    /// The transport was closed.
    #[error("reach the {0} transport: it is closed")]
    Closed(&'static str),
    /// What is stored can't be read back.
    #[error("read message {id} of queue \"{queue}\": {reason}")]
    Corrupt {
        /// The job's id as far as it is known.
        id: String,
        /// The queue.
        queue: String,
        /// What is wrong.
        reason: String,
    },
    /// More than the transport takes at a time.
    #[error("accept {what}: {size} is above the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

impl BrokerError {
    /// Says whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database { source, .. } => source.is_retryable(),
            Self::Unsupported { .. } | Self::Closed(_) | Self::Corrupt { .. } | Self::TooLarge { .. } => {
                false
            }
        }
    }
}

impl From<DbError> for BrokerError {
    fn from(source: DbError) -> Self {
        Self::Database { action: "use the queue's tables", source }
    }
}
