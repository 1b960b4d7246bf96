//! What is asked for.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::answer::{FetchedHead, shortened};
use super::hops::HopGate;
use crate::fetch::error::FetchError;

const ACCEPT_PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const ACCEPT_PACKED: HeaderValue = HeaderValue::from_static("gzip, deflate, br");

/// One GET request. Whatever is not said here is as in [`FetchConfig`](super::FetchConfig).
#[derive(Clone)]
pub struct FetchRequest {
    pub(super) url: Url,
    accept: &'static str,
    media_types: Option<&'static [&'static str]>,
    pub(super) credentials: HeaderMap,
    pub(super) body_bytes_max: Option<u64>,
    pub(super) total_timeout: Option<Duration>,
    pub(super) gate: Option<Arc<dyn HopGate>>,
}

impl FetchRequest {
    /// Asks for a URL. User name, password and fragment in it are not sent.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            accept: ACCEPT_PAGES,
            media_types: None,
            credentials: HeaderMap::new(),
            body_bytes_max: None,
            total_timeout: None,
            gate: None,
        }
    }

    /// Asks for a URL that is still text.
    ///
    /// # Errors
    /// [`FetchError::BadUrl`] if it is no absolute URL.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let url = Url::parse(text).map_err(|source| FetchError::BadUrl { text: shortened(text), source })?;
        Ok(Self::new(url))
    }

    /// Says which media types are welcome, as the Accept header has it.
    #[must_use]
    pub fn accept(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// Refuses every answer whose Content-Type names another media type, before its body is read. An
    /// answer without Content-Type passes.
    #[must_use]
    pub fn only_media_types(mut self, media_types: &'static [&'static str]) -> Self {
        self.media_types = Some(media_types);
        self
    }

    /// Sends a header to the URL's own origin. It is gone for good once a redirect leaves that origin.
    ///
    /// # Errors
    /// [`FetchError::BadHeader`] if name or value can't stand in a header.
    pub fn credential(mut self, name: &str, value: &str) -> Result<Self, FetchError> {
        let bad = || FetchError::BadHeader { name: shortened(name) };
        let header_name: HeaderName = name.parse().map_err(|_| bad())?;
        let mut header_value = HeaderValue::from_str(value).map_err(|_| bad())?;
        header_value.set_sensitive(true);
        self.credentials.insert(header_name, header_value);
        Ok(self)
    }

    /// Accepts a body of up to so many bytes after decompression.
    #[must_use]
    pub fn body_bytes_max(mut self, limit: u64) -> Self {
        self.body_bytes_max = Some(limit);
        self
    }

    /// Lets the fetch take so long, with redirects, the body, and whatever the reader of a stream does
    /// between two pieces.
    #[must_use]
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// Lets this gate decide about each redirect. Without one, all that the guard lets pass are followed.
    #[must_use]
    pub fn gate(mut self, gate: Arc<dyn HopGate>) -> Self {
        self.gate = Some(gate);
        self
    }

    pub(super) fn add_plain_headers(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        headers.insert(ACCEPT_ENCODING, ACCEPT_PACKED);
    }

    pub(super) fn check_content(&self, head: &FetchedHead) -> Result<(), FetchError> {
        let (Some(welcome), Some(media_type)) = (self.media_types, head.media_type()) else {
            return Ok(());
        };
        if welcome.contains(&media_type.as_str()) {
            return Ok(());
        }
        Err(FetchError::UnsupportedContent {
            url: head.url.to_string(),
            content_type: shortened(&media_type),
        })
    }
}
