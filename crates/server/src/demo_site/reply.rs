//! One reply of the site, before it is put on the wire.

use axum::body::Body;
use axum::http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use celeriac_protocol::Timestamp;

use super::date;

/// HTML whose bytes are UTF-8.
pub(super) const HTML: &str = "text/html; charset=utf-8";
/// XML; its declaration says in which charset.
pub(super) const XML: &str = "application/xml";

/// A status, headers and a body; cloning shares the body's bytes.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    modified: Option<Timestamp>,
    body: Payload,
}

#[derive(Clone, Debug)]
enum Payload {
    Held(Bytes),
    /// A file that is too long to be held, and its length.
    Streamed(std::sync::Arc<std::fs::File>, u64),
}

impl Reply {
    /// Returns a reply with a body in memory.
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self { status, headers, modified: None, body: Payload::Held(body.into()) }
    }

    /// Returns a good reply with a body in memory.
    pub(super) fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, content_type, body)
    }

    /// Returns a reply in plain words.
    pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// Returns a reply that sends the reader to another address.
    pub(super) fn redirect(status: StatusCode, location: &str) -> Self {
        let body = format!(
            "<!doctype html>\n<html lang=\"en\"><title>Moved</title>\n<p>Moved to <a href=\"{location}\">{location}</a>.\n"
        );
        Self::new(status, HTML, body).with(LOCATION, location)
    }

    /// Returns the reply to a request that wants to do more than read.
    pub(super) fn method_not_allowed() -> Self {
        Self::text(StatusCode::METHOD_NOT_ALLOWED, "this site can only be read\n").with(ALLOW, "GET, HEAD")
    }

    /// Returns a reply that sends a file's content as it is read.
    pub(super) fn file(content_type: &'static str, file: std::fs::File, length: u64) -> Self {
        let mut reply = Self::ok(content_type, Bytes::new());
        reply.body = Payload::Streamed(std::sync::Arc::new(file), length);
        reply
    }

    /// Adds a header; a value that cannot stand in one is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// Adds what a reader can ask by whether its copy is still good.
    pub(super) fn validated_by(mut self, etag: &str, modified: Timestamp) -> Self {
        self.modified = Some(modified);
        self.with(ETAG, etag).with(LAST_MODIFIED, &date::http(modified))
    }

    /// Returns the status that the reader sees.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Turns a good reply into `304 Not Modified` if the reader holds it already (RFC 9110, section 13).
    pub(super) fn unless_unchanged(mut self, asked: &HeaderMap) -> Self {
        if self.status == StatusCode::OK && self.is_held_by(asked) {
            self.status = StatusCode::NOT_MODIFIED;
            self.body = Payload::Held(Bytes::new());
        }
        self
    }

    fn is_held_by(&self, asked: &HeaderMap) -> bool {
        let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if let Some(tags) = text(IF_NONE_MATCH) {
            let own = self.header(&ETAG);
            return own.is_some_and(|own| {
                tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == own)
            });
        }
        let since = text(IF_MODIFIED_SINCE).and_then(date::from_http);
        // The header counts in seconds, so what changed within that second is not newer.
        let seconds = |at: Timestamp| at.as_millis() / 1_000;
        matches!((self.modified, since), (Some(modified), Some(since)) if seconds(modified) <= seconds(since))
    }

    /// Returns a header's value, if it is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.to_str().ok())
    }

    /// Returns the body if it is in memory.
    #[cfg(test)]
    pub(super) fn body(&self) -> &[u8] {
        match &self.body {
            Payload::Held(bytes) => bytes,
            Payload::Streamed(..) => panic!("the body is not in memory"),
        }
    }

    /// Puts the reply into axum's form. A body that answers HEAD is cut off by the connection, its length stays.
    pub(super) fn into_response(self) -> Response {
        let (body, length) = match self.body {
            Payload::Held(bytes) => (Body::from(bytes), None),
            Payload::Streamed(file, length) => (streamed(&file, length), Some(length)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

/// How much of a file is held in memory at a time.
const CHUNK_BYTES: usize = 64 * 1024;

fn streamed(file: &std::sync::Arc<std::fs::File>, length: u64) -> Body {
    use tokio::io::AsyncReadExt;
    let opened = file.try_clone().map(|file| tokio::fs::File::from_std(file).take(length));
    let chunks = futures_util::stream::try_unfold(opened, |opened| async move {
        let mut file = opened?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), Ok(file))))
    });
    Body::from_stream(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        Reply::ok(HTML, "x")
            .validated_by("\"1-2\"", "2026-01-02T03:04:05.678Z".parse().expect("this is ISO 8601"))
    }

    #[track_caller]
    fn check(name: HeaderName, value: &str, expected: StatusCode) {
        let asked = HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("this is text"))]);
        assert_eq!(reply().unless_unchanged(&asked).status(), expected, "{value}");
    }

    #[test]
    fn a_reader_that_holds_the_page_is_told_so() {
        check(IF_NONE_MATCH, "\"1-2\"", StatusCode::NOT_MODIFIED);
        check(IF_NONE_MATCH, "\"9\", \"1-2\"", StatusCode::NOT_MODIFIED);
        check(IF_NONE_MATCH, "*", StatusCode::NOT_MODIFIED);
        check(IF_NONE_MATCH, "\"9\"", StatusCode::OK);
        check(IF_MODIFIED_SINCE, "Fri, 02 Jan 2026 03:04:05 GMT", StatusCode::NOT_MODIFIED);
        check(IF_MODIFIED_SINCE, "Fri, 02 Jan 2026 03:04:04 GMT", StatusCode::OK);
        check(IF_MODIFIED_SINCE, "soon", StatusCode::OK);
    }

    #[test]
    fn only_a_good_reply_can_be_unchanged() {
        let asked = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
        let gone = Reply::text(StatusCode::GONE, "x").with(ETAG, "\"1\"");
        assert_eq!(gone.unless_unchanged(&asked).status(), StatusCode::GONE);
    }
}
