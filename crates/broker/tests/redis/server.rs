//! What a server and its workers go through: kills, restarts, freezes, a full memory.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, BrokerError, FetchRequest, Notice, RedisBroker, RedisOptions, Renewal};
use celeriac_peers::Redis;
use celeriac_peers::shared::redis_corner;
use celeriac_protocol::ManualClock;

use super::support::{Corner, LEASE, ack, fetch, ids, message};

/// How long anything may take to come back.
const PATIENCE: Duration = Duration::from_secs(10);

async fn open(options: RedisOptions) -> RedisBroker {
    RedisBroker::open(options, Arc::new(ManualClock::default())).await.unwrap()
}

/// Starts a test of this binary as a process of its own, tells it the server, and hears what it says.
fn start(test: &str, url: &str) -> (Child, impl Iterator<Item = String>) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(process.stdin.take().unwrap(), "{url}").unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    (process, lines)
}

#[tokio::test]
async fn messages_of_a_worker_that_was_killed_go_to_another() {
    let url = redis_corner().unwrap();
    let on = Corner::at(RedisOptions { server_time: false, ..RedisOptions::at(&url) }).await;
    on.broker.publish(["a", "b", "c"].map(message).to_vec()).await.unwrap();
    let (mut worker, mut lines) = start("own::server::holds_two_messages", &url);
    assert!(lines.any(|line| line.contains("holding [\"a\", \"b\"]")));
    worker.kill().unwrap();
    worker.wait().unwrap();
    let mine = on.fetch(5).await;
    assert_eq!(ids(&mine), ["c"]);
    on.broker.settle(&mine.into_iter().flat_map(ack).collect::<Vec<_>>()).await.unwrap();
    on.clock.advance(LEASE);
    let again = on.fetch(5).await;
    assert_eq!(ids(&again), ["a", "b"]);
    assert!(again.iter().all(|one| (one.delivery, one.lost) == (2, 1)));
}

#[tokio::test]
#[ignore = "is a process that another test starts and kills"]
async fn holds_two_messages() {
    let mut url = String::new();
    std::io::stdin().read_line(&mut url).unwrap();
    if url.trim().is_empty() {
        return;
    }
    let broker = open(RedisOptions { server_time: false, ..RedisOptions::at(url.trim()) }).await;
    let held = fetch(&broker, 2).await;
    println!("holding {:?}", ids(&held));
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn consumer_goes_on_within_seconds_of_the_servers_return() {
    let mut server = Redis::start().unwrap();
    let (worker, client) =
        (open(RedisOptions::at(server.url(0))).await, open(RedisOptions::at(server.url(0))).await);
    client.publish(vec![message("before")]).await.unwrap();
    let held = fetch(&worker, 1).await;
    assert!(fetch(&worker, 1).await.is_empty());
    let mut notices = worker.notifier().listen();
    server.kill();
    let away = worker.renew(&[held[0].tag], LEASE).await.unwrap_err();
    assert!(away.is_retryable(), "{away:?}");
    server.restart().unwrap();
    let back = tokio::time::timeout(PATIENCE, async {
        // Who waits is told to look once the line is open again; the lease has outlived the crash.
        while !matches!(notices.recv().await, Ok(Notice::Queue(_)) | Err(_)) {}
        while worker.settle(&[]).await.is_err() || client.publish(vec![message("after")]).await.is_err() {}
        loop {
            if let Ok(renewed) = worker.renew(&[held[0].tag], LEASE).await {
                break renewed;
            }
        }
    });
    let renewed = back.await.expect("everything is back in time");
    assert_eq!(renewed, [Renewal::Held { cancel_requested: None }]);
    assert_eq!(ids(&fetch(&worker, 5).await), ["after"]);
}

#[tokio::test]
async fn calls_on_a_frozen_server_end_by_their_deadline_and_may_be_tried_again() {
    let server = Redis::start().unwrap();
    let deadline = Duration::from_millis(400);
    let broker = open(RedisOptions { deadline, ..RedisOptions::at(server.url(0)) }).await;
    broker.publish(vec![message("a")]).await.unwrap();
    server.freeze();
    for _ in 0..2 {
        let calls = async {
            let (publish, depths) = tokio::join!(broker.publish(vec![message("b")]), broker.admin().depths());
            [publish.map(drop).unwrap_err(), depths.map(drop).unwrap_err()]
        };
        let errors = tokio::time::timeout(deadline * 4, calls).await.expect("no call waits for ever");
        for error in errors {
            assert!(error.is_retryable() && matches!(error, BrokerError::Unavailable { .. }), "{error:?}");
        }
    }
    server.thaw();
    let back = async { while broker.admin().depths().await.is_err() {} };
    tokio::time::timeout(PATIENCE, back).await.expect("it answers again");
    assert!(ids(&fetch(&broker, 1).await).contains(&"a"));
}

#[tokio::test]
async fn server_that_is_away_is_a_passing_error_and_a_wrong_password_is_not() {
    let mut server = Redis::start().unwrap();
    let url = server.url(0);
    let options = RedisOptions { deadline: Duration::from_millis(300), ..RedisOptions::at(&url) };
    let clock = || Arc::new(ManualClock::default());
    let wrong = RedisOptions { url: url.replace("redis://", "redis://who:what@"), ..options.clone() };
    assert!(!RedisBroker::open(wrong, clock()).await.unwrap_err().is_retryable());
    let nowhere = RedisOptions { url: url.replace("/0", "/99999"), ..options.clone() };
    assert!(!RedisBroker::open(nowhere, clock()).await.unwrap_err().is_retryable());
    server.kill();
    assert!(RedisBroker::open(options, clock()).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn server_without_memory_loses_nothing_and_says_so() {
    let server = Redis::start().unwrap();
    let on = Corner::at(RedisOptions::at(server.url(0))).await;
    on.broker.publish(["a", "b"].map(message).to_vec()).await.unwrap();
    let held = on.fetch_one().await;
    on.say::<String>("CONFIG", &["SET", "maxmemory", "1"]).await;
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 5, lease: LEASE, holder: "w" };
    let full = on.broker.fetch(&request).await.unwrap_err();
    assert!(full.is_retryable(), "{full:?}");
    assert!(on.broker.publish(vec![message("c")]).await.unwrap_err().is_retryable());
    // What is done can be let go of all the same.
    on.broker.settle(&ack(held)).await.unwrap();
    on.say::<String>("CONFIG", &["SET", "maxmemory", "0"]).await;
    assert_eq!(ids(&on.fetch(5).await), ["b"]);
}
