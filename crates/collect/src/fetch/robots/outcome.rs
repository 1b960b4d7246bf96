//! What the attempt to fetch robots.txt means, whether or not there was a file.

use std::time::Duration;

use url::Url;

use super::{Robots, RobotsVerdict};
use crate::fetch::FetchError;

/// What a site lets us do, as far as the fetch of its robots.txt can tell (RFC 9309, 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RobotsOutcome {
    /// There is a file, and these are its rules.
    Rules(Robots),
    /// There is no file, so nothing is forbidden.
    Unrestricted,
    /// The file can't be had at the moment, so everything is forbidden until it can.
    Unreachable {
        /// Why not, for people to read.
        reason: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
}

impl RobotsOutcome {
    /// Judges what a fetch of `/robots.txt` came to.
    ///
    /// A 2xx answer has rules. 4xx (but 408, 425 and 429) and redirects that lead nowhere mean that there
    /// is no file. 408, 425, 429, 5xx, time-outs and whatever else went wrong on the way mean that
    /// everything is disallowed for now.
    pub fn from_fetch(result: Result<&[u8], &FetchError>, product_token: &str) -> Self {
        match result {
            Ok(body) => Self::Rules(Robots::parse(body, product_token)),
            Err(
                FetchError::Rejected { status: 400..=499, .. }
                | FetchError::TooManyRedirects { .. }
                | FetchError::RedirectLoop { .. }
                | FetchError::RedirectNowhere { .. },
            ) => Self::Unrestricted,
            Err(error) => Self::Unreachable { reason: error.to_string(), retry_after: error.retry_after() },
        }
    }

    /// Returns whether the crawler may ask for the URL.
    pub fn allows(&self, url: &Url) -> bool {
        self.check(url).is_ok()
    }

    /// Returns what forbids the URL as an error to keep: the rule, or that the file can't be had.
    ///
    /// # Errors
    /// [`FetchError::Disallowed`] where a rule says so, [`FetchError::RobotsUnreachable`] where the file
    /// can't be had, which passes with time.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        match self {
            Self::Unrestricted => Ok(()),
            Self::Rules(robots) => match robots.verdict(url) {
                RobotsVerdict::DisallowedBy(rule) => {
                    Err(FetchError::Disallowed { url: url.to_string(), rule })
                }
                _ => Ok(()),
            },
            Self::Unreachable { reason, retry_after } => Err(FetchError::RobotsUnreachable {
                url: url.to_string(),
                reason: reason.clone(),
                retry_after: *retry_after,
            }),
        }
    }

    /// Returns the pause that the site asks for between two requests.
    pub fn crawl_delay(&self) -> Option<Duration> {
        match self {
            Self::Rules(robots) => robots.crawl_delay(),
            _ => None,
        }
    }
}
