//! What goes wrong, and whether it passes.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::super::*;
use super::bodies::gzip;
use super::server::*;
use crate::fetch::guard::LookupAnswer;

/// For limits that must strike, whatever the machine does meanwhile.
const SHORT: Duration = Duration::from_millis(100);

/// For a limit that must let the first byte through on a busy machine, and then strike.
const LONGER: Duration = Duration::from_secs(2);

async fn answering(status: u16, retry_after: Option<&'static str>) -> FetchError {
    let server = TestServer::start(Router::new().fallback(move || async move {
        let mut reply = (StatusCode::from_u16(status).unwrap(), "no").into_response();
        if let Some(value) = retry_after {
            reply.headers_mut().insert("retry-after", value.parse().unwrap());
        }
        reply
    }))
    .await;
    get(server.url("/")).await.unwrap_err()
}

#[tokio::test]
async fn statuses_are_permanent_or_passing() {
    for status in [300, 304, 305, 400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 418, 421, 422, 451] {
        let error = answering(status, None).await;
        assert_eq!((error.is_retryable(), error.status()), (false, Some(status)), "{error}");
    }
    for status in [408, 425, 429, 500, 501, 502, 503, 504, 520, 529, 599] {
        let error = answering(status, None).await;
        assert_eq!((error.is_retryable(), error.status()), (true, Some(status)), "{error}");
    }
}

#[tokio::test]
async fn retry_after_is_handed_on_in_bounds() {
    // The clock of these tests stands at 2026-01-01T00:00:00Z.
    for (value, expected) in [
        ("120", Some(120)),
        ("Thu, 01 Jan 2026 00:01:00 GMT", Some(60)),
        ("Wed, 01 Jan 2025 00:00:00 GMT", Some(0)),
        ("315360000", Some(24 * 60 * 60)),
        ("later", None),
    ] {
        for status in [429, 503] {
            let error = answering(status, Some(value)).await;
            assert_eq!(error.retry_after(), expected.map(Duration::from_secs), "{value}");
        }
    }
    assert_eq!(answering(404, Some("120")).await.retry_after(), None);
}

#[tokio::test]
async fn errors_are_sentences() {
    let error = answering(404, None).await;
    assert!(
        error.to_string().starts_with("the server answered 404 (not found) for http://127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = TestServer::start(Router::new().fallback(std::future::pending::<&str>)).await;
    let fetcher = fetcher(FetchConfig { first_byte_timeout: SHORT, ..loopback() });
    let error = fetcher.fetch(FetchRequest::new(server.url("/"))).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { phase: TimeoutPhase::FirstByte, .. }), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let server = TestServer::start(Router::new().fallback(|| async {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
        Body::from_stream(first.chain(stream::pending()))
    }))
    .await;
    let fetcher = fetcher(loopback());
    let request = FetchRequest::new(server.url("/")).total_timeout(LONGER);
    let mut stream = fetcher.fetch_stream(request).await.unwrap();
    assert_eq!(stream.next_chunk().await.unwrap().unwrap(), "x");
    let error = stream.next_chunk().await.unwrap_err();
    assert!(
        matches!(error, FetchError::Timeout { phase: TimeoutPhase::Total, limit: LONGER, .. }),
        "{error}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn the_total_limit_covers_the_way_to_the_answer_too() {
    let server = TestServer::start(Router::new().fallback(std::future::pending::<&str>)).await;
    let request = FetchRequest::new(server.url("/")).total_timeout(SHORT);
    let error = fetcher(loopback()).fetch(request).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { phase: TimeoutPhase::Total, .. }), "{error}");
}

#[tokio::test]
async fn connecting_that_takes_too_long_is_given_up_name_lookup_included() {
    struct NeverAnswers;
    impl Lookup for NeverAnswers {
        fn addresses(&self, _: &str) -> LookupAnswer {
            Box::pin(std::future::pending())
        }
    }
    let fetcher = fetcher_with(FetchConfig { connect_timeout: SHORT, ..loopback() }, NeverAnswers);
    let error = fetcher.fetch(FetchRequest::parse("http://slow.test/").unwrap()).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Timeout { phase: TimeoutPhase::Connect, limit: SHORT, .. }),
        "{error:?}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn names_and_ports_that_lead_nowhere_may_come_back() {
    let fetcher = fetcher_with(loopback(), lookup(&[("empty.test", &[&[]])]));
    for host in ["unknown.test", "empty.test"] {
        let request = FetchRequest::parse(&format!("http://{host}/")).unwrap();
        let error = fetcher.fetch(request).await.unwrap_err();
        assert!(matches!(error, FetchError::Lookup { .. }), "{host}: {error:?}");
        assert!(error.is_retryable());
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = get(Url::parse(&format!("http://{closed}/")).unwrap()).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn broken_answers_are_told_from_whole_ones() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ] {
        let server = TestServer::canned(answer).await;
        let error = get(server.url("/")).await.unwrap_err();
        assert!(matches!(error, FetchError::Interrupted { .. }), "{error:?}");
        assert!(error.is_retryable());
    }
    let until_closed = TestServer::canned("HTTP/1.0 200 OK\r\n\r\nall of it").await;
    assert_eq!(get(until_closed.url("/")).await.unwrap().body, "all of it");
}

async fn packed_error(body: Vec<u8>) -> FetchError {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
    let server = TestServer::canned([head.as_bytes(), &body].concat()).await;
    get(server.url("/")).await.unwrap_err()
}

#[tokio::test]
async fn cut_packed_bodies_may_come_back_and_damaged_ones_do_not() {
    let whole = gzip(&b"some text that is long enough to be cut, ".repeat(1_000));
    for length in [2, 5, 10, 20, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        let error = packed_error(whole[..length].to_vec()).await;
        assert!(matches!(error, FetchError::Interrupted { .. }), "{length}: {error:?}");
        assert!(error.is_retryable());
    }
    let mut damaged = whole.clone();
    damaged[15..60].fill(0xAA);
    let error = packed_error([damaged, vec![0; 100_000]].concat()).await;
    assert!(matches!(error, FetchError::Damaged { .. }), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let one_line = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(70_000));
    let many_lines = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(300));
    let endless_line = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2_000_000));
    for answer in [one_line, many_lines, endless_line] {
        let server = TestServer::canned(answer).await;
        let error = get(server.url("/")).await.unwrap_err();
        assert!(matches!(error, FetchError::HeadersTooLarge { .. }), "{error:?}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_refused_page_does_not_cost_its_connection() {
    let (report, mut peers) = mpsc::unbounded_channel();
    let server = TestServer::start(Router::new().fallback(
        move |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move {
            report.send(peer).unwrap();
            (StatusCode::NOT_FOUND, "no such page")
        },
    ))
    .await;
    let fetcher = fetcher(loopback());
    for _ in 0..3 {
        fetcher.fetch(FetchRequest::new(server.url("/"))).await.unwrap_err();
    }
    let first = peers.recv().await.unwrap();
    assert_eq!([peers.recv().await.unwrap(), peers.recv().await.unwrap()], [first, first]);
}

#[tokio::test]
async fn what_is_no_address_is_refused_before_anything_is_sent() {
    for text in ["", "example.com", "/path", "http://", "http://[::1", "http://a b/"] {
        let error = FetchRequest::parse(text).err().unwrap();
        assert!(matches!(error, FetchError::BadUrl { .. }), "{text:?}: {error}");
        assert!(!error.is_retryable());
    }
    for text in ["mailto:a@example.com", "file:///etc/passwd", "http://10.0.0.1/", "http://example.com:22/"] {
        let error =
            fetcher(FetchConfig::default()).fetch(FetchRequest::parse(text).unwrap()).await.unwrap_err();
        assert!(matches!(error, FetchError::Refused { .. }), "{text:?}: {error}");
    }
    let request = FetchRequest::parse("http://example.com/").unwrap();
    assert!(matches!(request.credential("X-Key", "a\r\nb"), Err(FetchError::BadHeader { .. })));
}
