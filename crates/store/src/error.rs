//! What can go wrong with the platform's tables, by what the caller can do about it.

use celeriac_db::DbError;
use sea_orm::DbErr;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("{action}")]
    Database {
        /// What was being done, to be read after "failed to".
        action: &'static str,
        /// The failure.
        #[source]
        source: DbError,
    },
    /// A row holds what this version can't read.
    #[error("read {column} of job \"{job}\": {reason}")]
    Corrupt {
        /// The job's id.
        job: String,
        /// The column.
        column: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else wrote the same jobs at the same time; nothing of this write may be kept.
    #[error("record {expected} jobs: {found} rows were as they had been read")]
    Raced {
        /// Rows that were to be written.
        expected: u64,
        /// Rows that were.
        found: u64,
    },
}

impl StoreError {
    /// Says whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database { source, .. } => source.is_retryable(),
            Self::Corrupt { .. } => false,
            Self::Raced { .. } => true,
        }
    }

    /// Names what was being done when a statement failed.
    pub(crate) fn doing(action: &'static str) -> impl FnOnce(DbErr) -> Self {
        move |source| Self::Database { action, source: source.into() }
    }
}

impl From<DbError> for StoreError {
    fn from(source: DbError) -> Self {
        Self::Database { action: "use the platform's tables", source }
    }
}
