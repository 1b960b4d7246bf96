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
    /// Of the messages that were to be published some are such as the server behind the transport never takes: too
    /// large for it, or for a place that it does not have. Waiting does not help them, and harms no others.
    #[error("hand messages to {product}")]
    NotTaken {
        /// The server's product (`RabbitMQ`).
        product: &'static str,
        /// Which of the messages it has taken all the same, in the order in which they were given; those that it does
        /// not reach were not.
        taken: Vec<bool>,
        /// What is wrong with the first of the others.
        #[source]
        source: Cause,
    },
}

/// What a client library says, whose types are no part of ours.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The server that answers is not the one that is meant, or does not let us in.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct NotLetIn {
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// What the client library says.
    #[source]
    pub(crate) source: Cause,
}

impl NotLetIn {
    /// Says what is wrong and what to do about it.
    pub(crate) fn new(what: impl Into<String>, advice: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self { what: what.into(), advice: advice.into(), source: source.into() }
    }
}

impl BrokerError {
    /// Returns what to do about it, where the server is not the one that is meant, or does not let us in.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Database { .. } => None,
            Self::Unavailable { source, .. }
            | Self::Refused { source, .. }
            | Self::NotTaken { source, .. } => {
                source.downcast_ref::<NotLetIn>().map(|not_let_in| not_let_in.advice.as_str())
            }
        }
    }

    /// Says whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database { source, .. } => source.is_retryable(),
            Self::Unavailable { .. } => true,
            Self::Refused { .. } | Self::NotTaken { .. } => false,
        }
    }

    /// Says whether the server said no, to whom asks or to what he brings.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NotTaken { .. })
    }

    /// Says whether a message is known to be in its queue though publishing it with others failed; `index` is its place
    /// among them.
    pub fn has_taken(&self, index: usize) -> bool {
        match self {
            Self::NotTaken { taken, .. } => taken.get(index).copied().unwrap_or(false),
            _ => false,
        }
    }
}

impl From<DbError> for BrokerError {
    fn from(source: DbError) -> Self {
        Self::Database { action: "use the queue's tables", source }
    }
}
