//! Along redirects, and not past the guard.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap as SentHeaders, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response as Reply};
use axum::routing::get as route;
use celeriac_protocol::ManualClock;
use tokio::sync::mpsc;

use super::super::*;
use super::server::*;
use crate::fetch::guard::GuardError;
use crate::fetch::robots::Robots;

fn to(status: u16, location: impl Into<String>) -> Reply {
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, location.into())], "moved").into_response()
}

/// A server whose one answer is a redirect to `location`.
async fn redirecting(location: impl Into<String>) -> TestServer {
    let location = location.into();
    TestServer::start(Router::new().fallback(|| async move { to(302, location) })).await
}

/// A server that reports each request that it gets.
async fn reporting() -> (TestServer, mpsc::UnboundedReceiver<SentHeaders>) {
    let (report, reports) = mpsc::unbounded_channel();
    let answer = |headers: SentHeaders| async move {
        report.send(headers).unwrap();
        "reached"
    };
    (TestServer::start(Router::new().fallback(answer)).await, reports)
}

#[tokio::test]
async fn each_kind_of_redirect_is_followed_and_kept_in_the_chain() {
    let answer = |uri: Uri| async move {
        match uri.to_string().as_str() {
            "/a/start" => to(301, "next?x=1"),
            "/a/next?x=1" => to(302, "/b#part"),
            "/b" => to(303, "?c"),
            "/b?c" => to(307, "/d"),
            "/d" => to(308, "./caf\u{e9} bar"),
            "/caf%C3%A9%20bar" => "here".into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    };
    let server = TestServer::start(Router::new().fallback(answer)).await;
    let fetched = get(server.url("/a/start")).await.unwrap();
    assert_eq!(fetched.body, "here");
    assert_eq!(fetched.head.requested, server.url("/a/start"));
    assert_eq!(fetched.head.url, server.url("/caf%C3%A9%20bar"));
    let expected = [(301, "/a/start"), (302, "/a/next?x=1"), (303, "/b"), (307, "/b?c"), (308, "/d")];
    let expected = expected.map(|(status, path)| Hop { url: server.url(path), status });
    assert_eq!(fetched.head.chain, expected);
}

#[tokio::test]
async fn ten_redirects_are_followed_and_eleven_are_not() {
    let countdown = |Path(left): Path<u32>| async move {
        if left == 0 { "end".into_response() } else { to(302, format!("/{}", left - 1)) }
    };
    let server = TestServer::start(Router::new().route("/{left}", route(countdown))).await;
    assert_eq!(get(server.url("/10")).await.unwrap().head.chain.len(), 10);
    let error = get(server.url("/11")).await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyRedirects { limit: 10, .. }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn circles_are_recognised() {
    let answer = |uri: Uri| async move { to(302, if uri.path() == "/a" { "/b" } else { "/a#again" }) };
    let server = TestServer::start(Router::new().fallback(answer)).await;
    for path in ["/a", "/b", "/c"] {
        let error = get(server.url(path)).await.unwrap_err();
        assert!(matches!(error, FetchError::RedirectLoop { .. }), "{path}: {error}");
    }
    let itself = redirecting("").await;
    assert!(matches!(get(itself.url("/")).await, Err(FetchError::RedirectNowhere { status: 302, .. })));
    let itself = redirecting("/x").await;
    assert!(matches!(get(itself.url("/x")).await, Err(FetchError::RedirectLoop { .. })));
}

#[tokio::test]
async fn redirects_to_inner_addresses_are_refused_in_every_spelling() {
    let (inner, mut reports) = reporting().await;
    let port = inner.address.port();
    for host in [
        "127.0.0.2",
        "127.2",
        "0x7f000002",
        "2130706434",
        "017700000002",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[64:ff9b::7f00:2]",
        "[2002:7f00:2::]",
        "[::]",
        "0.0.0.0",
        "0",
        "localhost",
        "user:pw@localhost",
    ] {
        for location in
            [format!("http://{host}:{port}/"), format!("//{host}:{port}/"), format!("\\\\{host}:{port}")]
        {
            let outer = redirecting(location.clone()).await;
            // Only the outer server's own socket is open.
            let guard = GuardPolicy::default().allow_ports(1..=u16::MAX).allow_socket(outer.address);
            let fetcher = fetcher(FetchConfig { guard, ..FetchConfig::default() });
            let error = fetcher.fetch(FetchRequest::new(outer.url("/"))).await.unwrap_err();
            assert!(
                matches!(error, FetchError::Refused { source: GuardError::Address { .. }, .. }),
                "{location}: {error}"
            );
            assert!(!error.is_retryable());
        }
    }
    assert!(reports.try_recv().is_err(), "nothing may have reached the inner server");
}

#[tokio::test]
async fn redirects_to_other_schemes_ports_and_nonsense_are_refused() {
    let metadata = redirecting("http://169.254.169.254/latest/meta-data/").await;
    let error = get(metadata.url("/")).await.unwrap_err();
    assert!(error.to_string().contains("169.254.169.254, which is a link-local address"), "{error}");

    for location in
        ["file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ftp://127.0.0.1/", "javascript:alert(1)"]
    {
        let error = get(redirecting(location).await.url("/")).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Refused { source: GuardError::Scheme { .. }, .. }),
            "{location}: {error}"
        );
    }
    let server = redirecting("http://127.0.0.1:6379/").await;
    let guard =
        GuardPolicy::default().allow_socket(server.address).allow_network("127.0.0.0/8".parse().unwrap());
    let fetcher = fetcher(FetchConfig { guard, ..FetchConfig::default() });
    let error = fetcher.fetch(FetchRequest::new(server.url("/"))).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Refused { source: GuardError::Port { port: 6379, .. }, .. }),
        "{error}"
    );
    let error = get(redirecting("http://[nonsense").await.url("/")).await.unwrap_err();
    assert!(matches!(error, FetchError::BadUrl { .. }), "{error}");
    let error = get(redirecting(format!("/{}", "x".repeat(9_000))).await.url("/")).await.unwrap_err();
    assert!(matches!(error, FetchError::UrlTooLong { .. }), "{error}");
}

#[tokio::test]
async fn names_are_judged_by_their_addresses_at_each_connection() {
    let (server, mut reports) = reporting().await;
    let fetcher = fetcher_with(
        loopback(),
        lookup(&[
            ("good.test", &[&["127.0.0.1"]]),
            ("private.test", &[&["10.0.0.1"]]),
            ("metadata.test", &[&["169.254.169.254"]]),
            ("mapped.test", &[&["::ffff:127.0.0.2"]]),
            ("mixed.test", &[&["127.0.0.1", "192.168.0.1"]]),
        ]),
    );
    fetcher.fetch(FetchRequest::new(server.url_at("good.test", "/"))).await.unwrap();
    reports.try_recv().unwrap();
    for host in ["private.test", "metadata.test", "mapped.test", "mixed.test"] {
        let error = fetcher.fetch(FetchRequest::new(server.url_at(host, "/"))).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Refused { source: GuardError::Address { host: named, .. }, .. } if named == host),
            "{host}: {error:?}"
        );
    }
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_caught_when_it_does() {
    // Without keep-alive each request resolves the name again.
    let server =
        TestServer::canned("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    let answers: &[&[&str]] = &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"], &["::1"]];
    let fetcher = fetcher_with(loopback(), lookup(&[("rebind.test", answers)]));
    let mut reached = Vec::new();
    for _ in 0..4 {
        reached.push(fetcher.fetch(FetchRequest::new(server.url_at("rebind.test", "/"))).await.is_ok());
    }
    assert_eq!(reached, [true, false, true, false]);
}

#[tokio::test]
async fn a_redirect_to_a_name_that_is_private_is_refused() {
    let outer = redirecting("http://inner.test:8080/").await;
    let fetcher = fetcher_with(loopback(), lookup(&[("inner.test", &[&["10.1.2.3"]])]));
    let error = fetcher.fetch(FetchRequest::new(outer.url("/"))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "http://inner.test:8080/ may not be fetched: \"inner.test\" is at 10.1.2.3, which is a private address; guard.allow_networks opens it"
    );
}

/// A server that redirects to what stands in the query, and otherwise reports the request.
async fn sending() -> (TestServer, mpsc::UnboundedReceiver<SentHeaders>) {
    let (report, reports) = mpsc::unbounded_channel();
    let answer = |uri: Uri, headers: SentHeaders| async move {
        match uri.query() {
            Some(target) => to(302, url::form_urlencoded::parse(target.as_bytes()).next().unwrap().0),
            None => {
                report.send(headers).unwrap();
                "reached".into_response()
            }
        }
    };
    (TestServer::start(Router::new().fallback(answer)).await, reports)
}

/// Returns the URL at which `server` redirects to `target`.
fn via(server: &TestServer, target: &Url) -> Url {
    let mut url = server.url("/");
    url.query_pairs_mut().append_key_only(target.as_str());
    url
}

#[tokio::test]
async fn credentials_stay_with_their_origin_and_do_not_come_back() {
    let (own, mut at_own) = sending().await;
    let (other, mut at_other) = sending().await;
    let end = own.url("/end");
    let fetcher = fetcher(loopback());
    let fetch = |url| fetcher.fetch(FetchRequest::new(url).credential("X-Api-Key", "secret").unwrap());

    for within in [end.clone(), via(&own, &end), via(&own, &via(&own, &end))] {
        fetch(within).await.unwrap();
        assert_eq!(at_own.recv().await.unwrap()["x-api-key"], "secret");
    }
    fetch(via(&own, &other.url("/end"))).await.unwrap();
    assert!(!at_other.recv().await.unwrap().contains_key("x-api-key"));
    fetch(via(&own, &via(&other, &end))).await.unwrap();
    assert!(!at_own.recv().await.unwrap().contains_key("x-api-key"));
}

#[tokio::test]
async fn requests_say_who_asks_and_nothing_else() {
    let (server, mut reports) = reporting().await;
    let target = server.url("/").to_string();
    let start = TestServer::start(Router::new().fallback(|| async move {
        let headers = [(header::LOCATION, target), (header::SET_COOKIE, "id=1; Path=/".to_owned())];
        (StatusCode::FOUND, headers)
    }))
    .await;
    let contact = Some("https://example.com/bot".to_owned());
    let fetcher = fetcher(FetchConfig { contact, ..loopback() });
    let mut url = start.url("/");
    url.set_username("user").unwrap();
    url.set_password(Some("secret")).unwrap();
    let fetched = fetcher.fetch(FetchRequest::new(url)).await.unwrap();
    assert_eq!(fetched.head.chain[0].url, start.url("/"));
    let headers = reports.recv().await.unwrap();
    let expected = concat!("Celeriac/", env!("CARGO_PKG_VERSION"), " (+https://example.com/bot)");
    assert_eq!(headers["user-agent"], expected);
    let mut names: Vec<_> = headers.keys().map(reqwest::header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
}

#[tokio::test]
async fn the_gate_is_asked_before_each_redirect() {
    let answer = |uri: Uri| async move {
        match uri.path() {
            "/moved" => to(301, "/here"),
            "/trap" => to(301, "/private/x"),
            "/away" => to(301, "http://elsewhere.test/"),
            _ => "here".into_response(),
        }
    };
    let server = TestServer::start(Router::new().fallback(answer)).await;
    let robots = RobotsOutcome::Rules(Robots::parse(b"User-agent: *\nDisallow: /private", PRODUCT_TOKEN));
    let gate = PoliteHops::new(Arc::new(robots), Duration::ZERO, Arc::new(ManualClock::default()));
    let gate: Arc<dyn HopGate> = Arc::new(gate);
    let fetcher = fetcher(loopback());
    let fetch = |path| fetcher.fetch(FetchRequest::new(server.url(path)).gate(gate.clone()));
    assert_eq!(fetch("/moved").await.unwrap().body, "here");
    let error = fetch("/trap").await.unwrap_err();
    assert!(matches!(&error, FetchError::Disallowed { rule, .. } if rule == "Disallow: /private"), "{error}");
    let error = fetch("/away").await.unwrap_err();
    assert!(matches!(&error, FetchError::Redirected { to, .. } if to == "http://elsewhere.test/"), "{error}");
}
