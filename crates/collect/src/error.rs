//! Why a row could not be collected, and what the loop does about it.

use std::error::Error;
use std::time::Duration;

use celeriac_control::workflow::ItemError;
use celeriac_db::DbError;
use celeriac_protocol::{Clock, Timestamp, error_text};
use sea_orm::DbErr;
use thiserror::Error;

use crate::fetch::FetchError;
use crate::sitemap::extract::SitemapError;
use crate::url::UrlError;

/// The longest wait that a row's own server may ask for before the next try.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Why a row could not be collected.
#[derive(Debug, Error)]
pub(crate) enum RowError {
    /// The request brought nothing.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its address is none.
    #[error("\"{text}\" can't be collected: {source}")]
    Url {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// What came is no sitemap.
    #[error("{url} is no sitemap: {source}")]
    Sitemap {
        /// Its address.
        url: String,
        /// What is wrong with it.
        source: SitemapError,
    },
    /// Its host did not answer for too long.
    #[error("{0}")]
    GivenUp(String),
    /// It has to wait, and is not to blame.
    #[error("{reason}")]
    Postponed {
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// A host that it needs has no turn soon.
    #[error("{host} can't be asked before {until}")]
    NoTurn {
        /// The host.
        host: String,
        /// When it can.
        until: Timestamp,
    },
    /// It can't be collected, and trying again does not help.
    #[error("{0}")]
    Permanent(String),
    /// The database failed.
    #[error("the database failed: {}", error_text(.0))]
    Database(#[from] DbError),
    /// A reading of the database failed.
    #[error("the database failed: {}", error_text(.0))]
    Read(#[from] DbErr),
}

impl RowError {
    /// Says what is wrong for good.
    pub(crate) fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent(reason.into())
    }

    /// Turns it into what the loop understands.
    pub(crate) fn into_item_error(self, clock: &dyn Clock) -> ItemError {
        match &self {
            Self::Fetch(error) if error.is_retryable() => {
                let item = ItemError::transient(told(error));
                let asked = error.retry_after().map(|wait| clock.now() + wait.min(RETRY_AFTER_MAX));
                asked.into_iter().fold(item, ItemError::at)
            }
            Self::Fetch(error) => ItemError::permanent(told(error)),
            Self::Postponed { until, .. } => ItemError::postpone(*until, &self),
            Self::NoTurn { until, .. } => ItemError::transient(&self).at(*until),
            Self::Database(_) | Self::Read(_) => ItemError::transient(&self),
            Self::Url { .. } | Self::Sitemap { .. } | Self::GivenUp(_) | Self::Permanent(_) => {
                ItemError::permanent(&self)
            }
        }
    }
}

/// Tells an error with its innermost cause, which is what a person can act on; what lies between repeats
/// the address.
pub(crate) fn told(error: &FetchError) -> String {
    let mut innermost: Option<&(dyn Error + 'static)> = error.source();
    while let Some(deeper) = innermost.and_then(Error::source) {
        innermost = Some(deeper);
    }
    match innermost {
        // The refusal is part of the sentence.
        Some(_) if matches!(error, FetchError::Refused { .. }) => error.to_string(),
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
