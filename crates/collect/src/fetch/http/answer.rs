//! What a fetch brings home.

use std::time::Duration;

use bytes::Bytes;
use celeriac_protocol::Timestamp;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, LINK, RETRY_AFTER};
use url::Url;

use crate::fetch::error::FetchError;
use crate::fetch::retry_after::{parse_http_date, parse_retry_after};

/// How much of somebody else's text is shown in an error, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// A whole answer of 2xx.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Everything but the body.
    pub head: FetchedHead,
    /// The body, unpacked.
    pub body: Bytes,
    /// How many bytes of body came over the wire.
    pub wire_bytes: u64,
    /// How long it took, with redirects.
    pub elapsed: Duration,
}

/// What stands above the body of an answer of 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedHead {
    /// The address that was asked for.
    pub requested: Url,
    /// The address that answered: the last of the redirects.
    pub url: Url,
    /// What redirected on the way, in order; empty for a direct answer.
    pub chain: Vec<Hop>,
    /// The HTTP status.
    pub status: u16,
    /// Content-Type as sent.
    pub content_type: Option<String>,
    /// Each Link line as sent (RFC 8288).
    pub link: Vec<String>,
    /// Each X-Robots-Tag line as sent.
    pub x_robots_tag: Vec<String>,
    /// Last-Modified, if it is a date.
    pub last_modified: Option<Timestamp>,
    /// ETag as sent, with its quotes.
    pub etag: Option<String>,
    /// Retry-After, at most [`RETRY_AFTER_MAX`](crate::fetch::RETRY_AFTER_MAX).
    pub retry_after: Option<Duration>,
}

/// A redirect on the way to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The address that redirected.
    pub url: Url,
    /// Its HTTP status: 301, 302, 303, 307 or 308.
    pub status: u16,
}

impl Hop {
    /// Makes the error that says that the redirect is not followed.
    pub(crate) fn elsewhere(&self, to: &Url) -> FetchError {
        FetchError::Redirected { url: shown(&self.url), status: self.status, to: to.to_string() }
    }
}

impl FetchedHead {
    /// Returns the media type of Content-Type in lower case, without parameters: `text/html`.
    pub fn media_type(&self) -> Option<String> {
        let essence = self.content_type.as_deref()?.split(';').next()?.trim();
        (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
    }

    pub(super) fn read(
        requested: &Url,
        url: Url,
        chain: Vec<Hop>,
        response: &Response,
        now: Timestamp,
    ) -> Self {
        let headers = response.headers();
        Self {
            requested: requested.clone(),
            url,
            chain,
            status: response.status().as_u16(),
            content_type: first(headers, &CONTENT_TYPE),
            link: all(headers, &LINK),
            x_robots_tag: all(headers, &HeaderName::from_static("x-robots-tag")),
            last_modified: first(headers, &LAST_MODIFIED).and_then(|date| parse_http_date(&date)),
            etag: first(headers, &ETAG),
            retry_after: retry_after(headers, now),
        }
    }
}

pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    parse_retry_after(&first(headers, &RETRY_AFTER)?, now)
}

/// Returns a URL as it may stand in a message: without password, and not endless.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither can fail for a URL with a host, and one without has no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    shortened(url.as_str())
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn first(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

fn all(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).collect()
}
