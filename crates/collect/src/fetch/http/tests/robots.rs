//! robots.txt over HTTP.

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response as Reply};
use bytes::Bytes;
use futures_util::stream;

use super::super::*;
use super::server::*;

async fn outcome_of(reply: impl Fn(Uri) -> Reply + Clone + Send + Sync + 'static) -> RobotsOutcome {
    let server = TestServer::start(Router::new().fallback(move |uri: Uri| {
        let reply = reply(uri);
        async move { reply }
    }))
    .await;
    fetcher(loopback()).fetch_robots(&server.url("/some/page?q=1")).await
}

fn page() -> Url {
    Url::parse("https://example.com/page").unwrap()
}

#[tokio::test]
async fn the_file_at_the_root_of_the_origin_is_asked_for() {
    let outcome = outcome_of(|uri| match uri.to_string().as_str() {
        "/robots.txt" => "User-agent: celeriac\nDisallow: /page\nCrawl-delay: 2".into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    assert!(!outcome.allows(&page()));
    assert_eq!(outcome.crawl_delay(), Some(Duration::from_secs(2)));
    let error = outcome.check(&page()).unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(error.to_string(), "robots.txt of https://example.com/page disallows it: Disallow: /page");
}

#[tokio::test]
async fn a_missing_file_forbids_nothing() {
    for status in [400, 401, 403, 404, 410, 451] {
        let outcome = outcome_of(move |_| StatusCode::from_u16(status).unwrap().into_response()).await;
        assert_eq!(outcome, RobotsOutcome::Unrestricted, "{status}");
    }
    let circle = outcome_of(|_| Redirect::to("/robots.txt").into_response()).await;
    assert_eq!(circle, RobotsOutcome::Unrestricted);
}

#[tokio::test]
async fn a_file_that_cannot_be_had_forbids_everything_for_now() {
    for status in [408, 429, 500, 503] {
        let outcome = outcome_of(move |_| {
            (StatusCode::from_u16(status).unwrap(), [("retry-after", "30")]).into_response()
        })
        .await;
        let error = outcome.check(&page()).unwrap_err();
        assert!(error.is_retryable(), "{status}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)), "{status}");
    }
    let refused = outcome_of(|_| Redirect::to("http://10.0.0.1/robots.txt").into_response()).await;
    assert!(!refused.allows(&page()));
    let silent = TestServer::start(Router::new().fallback(std::future::pending::<&str>)).await;
    let first_byte_timeout = Duration::from_millis(100);
    let fetcher = fetcher(FetchConfig { first_byte_timeout, ..loopback() });
    assert!(!fetcher.fetch_robots(&silent.url("/")).await.allows(&page()));
}

#[tokio::test]
async fn redirects_to_another_host_count_for_the_first() {
    let other =
        TestServer::start(Router::new().fallback(|| async { "User-agent: *\nDisallow: /page" })).await;
    let target = other.url("/their-robots.txt").to_string();
    let outcome = outcome_of(move |_| Redirect::permanent(&target).into_response()).await;
    assert!(!outcome.allows(&page()));
}

#[tokio::test]
async fn an_endless_file_is_read_up_to_the_limit() {
    let outcome = outcome_of(|_| {
        let first = stream::iter([Bytes::from_static(b"User-agent: *\nDisallow: /page\n")]);
        let rest = stream::repeat(Bytes::from_static(b"# and so on and so on\n"));
        let body = futures_util::StreamExt::map(
            futures_util::StreamExt::chain(first, rest),
            Ok::<_, std::io::Error>,
        );
        Body::from_stream(body).into_response()
    })
    .await;
    assert!(!outcome.allows(&page()));
}
