//! What every request meets: problems, limits, headers, the stop.

use std::time::Duration;

use celeriac_engine::Registry;
use celeriac_server::{Login, Server, ServerError, ServerOptions};
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::House;

async fn house() -> House {
    House::new(Registry::default()).await
}

#[tokio::test]
async fn version_and_health_answer() {
    let house = house().await;
    let version = house.get("/api/v1/version").await.ok(200);
    assert_eq!((&version["app"], &version["version"]), (&"house".into(), &"1.2.3".into()));
    assert_eq!(house.get("/health/live").await.ok(200)["status"], "ok");
    assert_eq!(house.get("/health/ready").await.ok(200)["status"], "ok");
    house.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_an_instance_that_the_head_names_too() {
    let house = house().await;
    let answer = house.get("/api/v1/nothing").await;
    let problem = answer.refused(404, "not_found");
    assert_eq!(problem["type"], "/api#not_found");
    assert!(problem["detail"].as_str().unwrap().contains("/api/v1/nothing"));
    let id = answer.header("x-request-id");
    assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
    let answer = house.ask(Method::DELETE, "/api/v1/version", &[], "").await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
    house.stop().await;
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let house = house().await;
    for path in ["/api/v1/version", "/nothing"] {
        let answer = house.get(path).await;
        assert!(
            answer.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_callers_own_request_id_comes_back_where_it_is_plain() {
    let house = house().await;
    let of = async |id: &str| {
        let answer = house.ask(Method::GET, "/health/live", &[("x-request-id", id)], "").await;
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(of("abc-1").await, "abc-1");
    assert_ne!(of("a b").await, "a b");
    house.stop().await;
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_on_loopback() {
    let house = House::with(Registry::default(), |options| {
        options.public_url = "https://jobs.example.com".parse().ok();
    })
    .await;
    let of = async |host: &str| house.ask(Method::GET, "/api/v1/version", &[("host", host)], "").await;
    of("localhost").await.ok(200);
    of("jobs.example.com").await.ok(200);
    assert_eq!(of("evil.example:8470").await.refused(421, "foreign_host")["field"], "host");
    house.stop().await;
}

#[tokio::test]
async fn an_address_without_end_is_refused() {
    let house = house().await;
    let path = format!("/api/v1/version?{}", "a".repeat(9_000));
    house.get(&path).await.refused(414, "uri_too_long");
    house.stop().await;
}

#[tokio::test]
async fn who_never_finishes_a_head_is_let_go() {
    let house =
        House::with(Registry::default(), |options| options.header_timeout = Duration::from_secs(1)).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    house.stop().await;
}

#[tokio::test]
async fn a_connection_that_rests_does_not_hold_up_the_stop() {
    let house = house().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    stream.read_exact(&mut some).await.unwrap();
    house.begin_to_stop();
    let stopping = house.stop();
    tokio::time::timeout(Duration::from_secs(5), stopping).await.expect("nobody waits for it");
}

#[tokio::test]
async fn an_address_that_somebody_has_and_options_that_cant_be_are_refused() {
    let house = house().await;
    let refused = bind(ServerOptions { listen: house.address, ..ServerOptions::default() }).await;
    assert!(matches!(refused, ServerError::AddressInUse { address, .. } if address == house.address));
    let anywhere = "0.0.0.0:0".parse().unwrap();
    let open = ServerOptions { listen: anywhere, login: Login::OffLoopback, ..ServerOptions::default() };
    assert!(matches!(bind(open).await, ServerError::Option(_)));
    house.stop().await;
}

async fn bind(options: ServerOptions) -> ServerError {
    let (state, _folder) = House::state(Registry::default(), options).await;
    Server::bind(state).await.unwrap_err()
}
