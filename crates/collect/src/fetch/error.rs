//! Why a fetch came to nothing, told by what the caller can do about it.

use std::error::Error as StdError;
use std::time::Duration;

use thiserror::Error;

use super::guard::GuardError;

/// A cause below, kept for logs.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Says why there is no answer to work with.
///
/// [`is_retryable`](Self::is_retryable) parts the passing from the permanent; each text is a sentence that
/// can stand beside a row. URLs in it carry no user name and password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The text is no URL, or the redirect's target is none.
    #[error("\"{text}\" is not a web address")]
    BadUrl {
        /// The text that could not be read, shortened.
        text: String,
        /// What the parser says.
        #[source]
        source: url::ParseError,
    },
    /// The URL is longer than any that is requested.
    #[error("{url} is longer than the limit of {limit} bytes")]
    UrlTooLong {
        /// The beginning of the address.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// A header of the caller's can't be sent.
    #[error("the header \"{name}\" can't be sent: its name or value has characters that headers can't have")]
    BadHeader {
        /// Its name.
        name: String,
    },
    /// The guard keeps this address from being asked.
    #[error("{url} may not be fetched: {source}")]
    Refused {
        /// The address, perhaps the target of a redirect.
        url: String,
        /// What was refused.
        source: GuardError,
    },
    /// robots.txt disallows the address.
    #[error("robots.txt of {url} disallows it: {rule}")]
    Disallowed {
        /// The address, perhaps the target of a redirect.
        url: String,
        /// The line that says so, or why everything is disallowed.
        rule: String,
    },
    /// robots.txt can't be had at the moment, so nothing of the site may be asked for.
    #[error("{url} must wait until robots.txt can be read: {reason}")]
    RobotsUnreachable {
        /// The address that must wait.
        url: String,
        /// Why robots.txt can't be had.
        reason: String,
        /// How long the server asks to wait, at most [`RETRY_AFTER_MAX`](super::RETRY_AFTER_MAX).
        retry_after: Option<Duration>,
    },
    /// The server answered with a status that another try will not change.
    #[error("the server answered {status}{} for {url}", reason(*status))]
    Rejected {
        /// The address that answered.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The address redirects to one that is to be collected on its own.
    #[error("{url} redirects to {to}, which stands for itself")]
    Redirected {
        /// The address that redirects.
        url: String,
        /// The HTTP status by which it does.
        status: u16,
        /// Where to.
        to: String,
    },
    /// The redirects did not come to an end.
    #[error("{url} redirects more than {limit} times")]
    TooManyRedirects {
        /// Where it began.
        url: String,
        /// How many are followed.
        limit: usize,
    },
    /// The redirects came back to where they had been.
    #[error("{url} redirects in a circle")]
    RedirectLoop {
        /// The address that was met twice.
        url: String,
    },
    /// A redirect did not say where to.
    #[error("{url} answered {status} without saying where to go")]
    RedirectNowhere {
        /// The address that answered.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The body is of a kind that the caller did not ask for.
    #[error("{url} is {content_type}, which is not what is collected here")]
    UnsupportedContent {
        /// The address that answered.
        url: String,
        /// What its Content-Type says.
        content_type: String,
    },
    /// The body is compressed in a way that we did not offer.
    #[error("{url} is compressed as \"{encoding}\", which is not understood")]
    UnsupportedEncoding {
        /// The address that answered.
        url: String,
        /// What its Content-Encoding says.
        encoding: String,
    },
    /// The body is larger than the limit.
    #[error("{url} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The address that answered.
        url: String,
        /// The limit, in bytes after decompression.
        limit: u64,
    },
    /// The head of the answer is larger than the limit.
    #[error("{url} sent more header lines than are read")]
    HeadersTooLarge {
        /// The address that answered.
        url: String,
    },
    /// The body unpacks to far more than any real document does.
    #[error("{url} unpacks to more than {ratio} times its size, as a decompression bomb does")]
    Bomb {
        /// The address that answered.
        url: String,
        /// The greatest ratio that is accepted.
        ratio: u64,
    },
    /// The compressed body is broken.
    #[error("{url} could not be unpacked: its compressed data is damaged")]
    Damaged {
        /// The address that answered.
        url: String,
        /// What the decompressor says.
        #[source]
        source: std::io::Error,
    },
    /// The server's certificate does not prove that it is the server.
    #[error("the certificate of {url} is not valid: {reason}")]
    Certificate {
        /// The address that was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server asks to come back later, or is in trouble.
    #[error("the server answered {status}{} for {url}", reason(*status))]
    Unavailable {
        /// The address that answered.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait, at most [`RETRY_AFTER_MAX`](super::RETRY_AFTER_MAX).
        retry_after: Option<Duration>,
    },
    /// Something took longer than it may.
    #[error("{url}: {phase} took longer than {} s", limit.as_secs_f64())]
    Timeout {
        /// The address that was asked.
        url: String,
        /// What took so long.
        phase: TimeoutPhase,
        /// How long it may take.
        limit: Duration,
    },
    /// The name could not be resolved.
    #[error("no address was found for the host of {url}")]
    Lookup {
        /// The address that was asked.
        url: String,
        /// What the resolver says.
        #[source]
        source: Cause,
    },
    /// No connection came about.
    #[error("no connection to {url}")]
    Connect {
        /// The address that was asked.
        url: String,
        /// What the system says.
        #[source]
        source: Cause,
    },
    /// The connection ended in the middle of the answer.
    #[error("{url}: the connection broke before the answer was complete")]
    Interrupted {
        /// The address that was asked.
        url: String,
        /// What the connection says.
        #[source]
        source: Cause,
    },
}

/// The part of a fetch that a time limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutPhase {
    /// Resolving the name, connecting and agreeing on encryption.
    Connect,
    /// From sending the request to the first byte of the answer.
    FirstByte,
    /// All of it, with redirects and the body.
    Total,
}

impl std::fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::FirstByte => "waiting for the first byte",
            Self::Total => "the whole answer",
        })
    }
}

impl FetchError {
    /// Returns whether another try, later, may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::RobotsUnreachable { .. }
                | Self::Timeout { .. }
                | Self::Lookup { .. }
                | Self::Connect { .. }
                | Self::Interrupted { .. }
        )
    }

    /// Returns how long the server asks to wait, at most [`RETRY_AFTER_MAX`](super::RETRY_AFTER_MAX).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::RobotsUnreachable { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Returns the HTTP status, if the server gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Rejected { status, .. }
            | Self::Redirected { status, .. }
            | Self::Unavailable { status, .. }
            | Self::RedirectNowhere { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Makes the error for a status that is no success.
    ///
    /// 408, 425, 429 and everything from 500 pass with time; the rest does not.
    pub(super) fn for_status(url: &url::Url, status: u16, retry_after: Option<Duration>) -> Self {
        let url = url.to_string();
        match status {
            408 | 425 | 429 | 500.. => Self::Unavailable { url, status, retry_after },
            _ => Self::Rejected { url, status },
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        401 => " (it wants a login)",
        403 => " (forbidden)",
        404 => " (not found)",
        408 => " (it got tired of waiting)",
        410 => " (gone for good)",
        429 => " (too many requests)",
        451 => " (withheld for legal reasons)",
        500 => " (an error on its side)",
        502 | 504 => " (the server behind it does not answer)",
        503 => " (not available now)",
        _ => "",
    }
}
