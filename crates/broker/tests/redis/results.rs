//! Results under Celery's keys.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{
    KeptResult, RedisOptions, RedisReplies, RedisResults, ReplyOptions, ResultStore, SLICE_BYTES,
};
use celeriac_peers::Redis;
use celeriac_protocol::ReplyTo;
use tokio::sync::mpsc;

use super::support::{Corner, job};

const SUCCESS: &str = r#"{"status": "SUCCESS", "result": 5}"#;

fn kept(id: &str, text: &str) -> KeptResult {
    KeptResult { id: job(id), body: text.into(), keep: Some(Duration::from_secs(60)), reply_to: None }
}

async fn open(on: &Corner, prefix: &str) -> RedisResults {
    RedisResults::open(&RedisOptions { key_prefix: prefix.to_owned(), ..RedisOptions::at(&on.url) })
        .await
        .unwrap()
}

#[tokio::test]
async fn result_is_kept_for_its_time_and_read_back() {
    let on = Corner::open().await;
    let results = open(&on, "").await;
    let forever = KeptResult { keep: None, ..kept("b", "2") };
    results.put(&[kept("a", "1"), forever]).await.unwrap();
    assert_eq!(on.say::<String>("GET", &["celery-task-meta-a"]).await, "1");
    assert!((50..=60).contains(&on.say::<i64>("TTL", &["celery-task-meta-a"]).await));
    assert_eq!(on.say::<i64>("TTL", &["celery-task-meta-b"]).await, -1);
    let found = results.get(&[job("a"), job("none"), job("b")]).await.unwrap();
    assert_eq!(found, [Some(b"1".to_vec()), None, Some(b"2".to_vec())]);
}

#[tokio::test]
async fn success_is_kept_whatever_comes_later() {
    let on = Corner::open().await;
    let results = open(&on, "").await;
    for success in [SUCCESS, r#"{"status":"SUCCESS","result":5}"#] {
        results.put(&[kept("a", r#"{"status": "STARTED"}"#), kept("a", success)]).await.unwrap();
        results.put(&[kept("a", r#"{"status": "RETRY"}"#)]).await.unwrap();
        assert_eq!(results.get(&[job("a")]).await.unwrap(), [Some(success.as_bytes().to_vec())]);
        on.say::<i64>("DEL", &["celery-task-meta-a"]).await;
    }
    // A failure is not the last word: the job may be revived.
    results.put(&[kept("a", r#"{"status": "FAILURE"}"#), kept("a", SUCCESS)]).await.unwrap();
    assert_eq!(results.get(&[job("a")]).await.unwrap(), [Some(SUCCESS.as_bytes().to_vec())]);
}

#[tokio::test]
async fn forgotten_success_makes_room_for_the_result_of_the_next_run() {
    let on = Corner::open().await;
    let results = open(&on, "app").await;
    results.put(&[kept("a", SUCCESS), kept("b", SUCCESS)]).await.unwrap();
    results.forget(&[job("a"), job("none")]).await.unwrap();
    results.forget(&[]).await.unwrap();
    results.put(&["a", "b"].map(|id| kept(id, "next"))).await.unwrap();
    let found = results.get(&[job("a"), job("b")]).await.unwrap();
    assert_eq!(found, [Some(b"next".to_vec()), Some(SUCCESS.into())]);
}

/// Counts the calls of scripts since this was last asked.
async fn calls(on: &Corner) -> usize {
    let stats: String = on.say("INFO", &["commandstats"]).await;
    on.say::<String>("CONFIG", &["RESETSTAT"]).await;
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap_or("0");
    line.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn large_results_and_answers_go_in_several_calls() {
    let server = Redis::start().unwrap();
    let on = Corner::at(RedisOptions::at(server.url(0))).await;
    let options = RedisOptions::at(server.url(0));
    let clock = Arc::new(on.clock.clone());
    let replies = RedisReplies::open(&options, ReplyOptions::default(), clock).await.unwrap();
    let reply_to = Some(ReplyTo { queue: "client".to_owned(), correlation: None });
    let stores: [Box<dyn ResultStore>; 2] = [Box::new(open(&on, "").await), Box::new(replies)];
    for store in stores {
        let of = |size: usize, ids: &[&str]| -> Vec<KeptResult> {
            let large = |id: &&str| KeptResult { reply_to: reply_to.clone(), ..kept(id, &"x".repeat(size)) };
            ids.iter().map(large).collect()
        };
        // The first call tells the server the script.
        store.put(&of(1, &["a"])).await.unwrap();
        calls(&on).await;
        store.put(&of(1, &["a", "b", "c"])).await.unwrap();
        assert_eq!(calls(&on).await, 1);
        store.put(&of(SLICE_BYTES / 3, &["a", "b", "c", "d"])).await.unwrap();
        assert_eq!(calls(&on).await, 2);
        store.put(&of(SLICE_BYTES, &["a", "b"])).await.unwrap();
        assert_eq!(calls(&on).await, 2);
    }
    assert_eq!(on.say::<i64>("STRLEN", &["celery-task-meta-b"]).await, SLICE_BYTES as i64);
    assert_eq!(on.say::<i64>("LLEN", &["client"]).await, 10);
}

#[tokio::test]
async fn server_that_lets_nobody_in_any_more_may_be_asked_again() {
    let server = Redis::start().unwrap();
    let on = Corner::at(RedisOptions::at(server.url(0))).await;
    on.say::<String>("ACL", &["SETUSER", "us", "on", ">old", "~*", "&*", "+@all"]).await;
    let url = server.url(0).replace("redis://", "redis://us:old@");
    let results = RedisResults::open(&RedisOptions::at(&url)).await.unwrap();
    results.put(&[kept("a", "1")]).await.unwrap();
    let rights: [&[&str]; 5] = [
        &["resetchannels"],
        &["allchannels", "-publish"],
        &["+publish", "-eval", "-evalsha"],
        &["+@all", "resetkeys"],
        // This ends the connection, and there is none again.
        &["~*", "off"],
    ];
    for right in rights {
        on.say::<String>("ACL", &[&["SETUSER", "us"], right].concat()).await;
        if right.contains(&"off") {
            on.say::<i64>("CLIENT", &["KILL", "USER", "us"]).await;
        }
        // The first one may find the connection closed.
        for _ in 0..2 {
            let error = results.put(&[kept("a", "2")]).await.unwrap_err();
            assert!(error.is_retryable(), "{right:?}: {error:?}");
        }
    }
    assert!(!RedisResults::open(&RedisOptions::at(&url)).await.unwrap_err().is_retryable());
    on.say::<String>("ACL", &["SETUSER", "us", "on"]).await;
    results.put(&[kept("a", "3")]).await.unwrap();
    assert_eq!(results.get(&[job("a")]).await.unwrap(), [Some(b"3".to_vec())]);
}

#[tokio::test]
async fn whoever_waits_for_a_result_is_told_it() {
    let on = Corner::open().await;
    let results = open(&on, "app").await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
    let client = redis::Client::open(format!("{}?protocol=resp3", on.url)).unwrap();
    let mut waiter = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    // The number makes it this test's own: channels belong to no database.
    let id = format!("wait-{}", on.url.rsplit('/').next().unwrap());
    waiter.subscribe(format!("app_celery-task-meta-{id}")).await.unwrap();
    results.put(&[kept(&id, SUCCESS)]).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let push: redis::PushInfo = heard.recv().await.unwrap();
            if push.kind == redis::PushKind::Message {
                break push.data;
            }
        }
    });
    let told = told.await.expect("it is told");
    assert_eq!(told.last(), Some(&redis::Value::BulkString(SUCCESS.into())));
}
