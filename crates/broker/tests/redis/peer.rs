//! Sharing queues with Python: what lies in Redis is what Celery writes and reads.

use std::collections::HashMap;
use std::time::Duration;

use celeriac_broker::{
    Broker, Cancellation, FetchRequest, MessageState, Notice, Publication, RedisOptions, Renewal, Settle,
    Settled,
};
use celeriac_peers::shared::redis_corner;
use celeriac_protocol::{Clock, Content, Envelope, Timestamp};

use super::support::{CAPTURED, CAPTURED_ID, Corner, LEASE, ack, ids, job, message};

/// What Celery's own fields say of the captured message.
fn captured() -> Envelope {
    let part = |from: &str, to: &str| {
        let begin = CAPTURED.find(from).unwrap() + from.len();
        CAPTURED[begin..begin + CAPTURED[begin..].find(to).unwrap()].to_owned()
    };
    Envelope {
        content: Content {
            headers: part("\"headers\": ", ", \"properties\""),
            properties: format!("{{{}}}", part("\"properties\": {", ", \"delivery_info\"")),
            body: br#"[[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]"#
                .to_vec(),
            ..message("x").content
        },
        ..message(CAPTURED_ID)
    }
}

/// Replaces the one thing that is new each time.
fn without_tag(raw: &str) -> String {
    let begin = raw.find("\"delivery_tag\": \"").unwrap() + 17;
    format!("{}{}", &raw[..begin], &raw[begin + 36..])
}

#[tokio::test]
async fn published_message_is_celerys_byte_for_byte() {
    let on = Corner::open().await;
    on.publish(captured()).await;
    let lying: Vec<String> = on.say("LRANGE", &["celery", "0", "-1"]).await;
    assert_eq!(lying.len(), 1);
    assert_eq!(without_tag(&lying[0]), without_tag(CAPTURED));
}

#[tokio::test]
async fn queue_is_declared_in_both_tables_of_bindings() {
    let on = Corner::open().await;
    on.publish(Envelope { queue: "q2".into(), ..message("a") }).await;
    for table in ["_kombu.binding.q2", "_kombu.binding_permanent.q2"] {
        assert_eq!(on.say::<Vec<String>>("SMEMBERS", &[table]).await, ["q2\x06\x16\x06\x16q2"]);
    }
}

#[tokio::test]
async fn priorities_lie_in_celerys_lists() {
    let on = Corner::open().await;
    for (id, priority) in [("a", Some(9)), ("b", Some(6)), ("c", None), ("d", Some(3)), ("e", Some(0))] {
        on.publish(Envelope { priority, ..message(id) }).await;
    }
    for (list, length) in
        [("celery", 2), ("celery\x06\x163", 1), ("celery\x06\x166", 1), ("celery\x06\x169", 1)]
    {
        assert_eq!(on.say::<i64>("LLEN", &[list]).await, length, "{list:?}");
    }
}

#[tokio::test]
async fn message_pushed_by_python_is_run_and_acknowledged() {
    let on = Corner::open().await;
    on.say::<i64>("LPUSH", &["celery", CAPTURED]).await;
    let held = on.fetch_one().await;
    let mut expected = captured();
    expected.content.properties.retain(|character| character != ' ');
    assert_eq!(held.envelope, expected);
    assert_eq!((held.delivery, held.attempt, held.lost), (1, 1, 0));
    let unacked: HashMap<String, String> = on.say("HGETALL", &["unacked"]).await;
    assert_eq!(unacked.values().collect::<Vec<_>>(), [&format!("[{CAPTURED}, \"\", \"celery\"]")]);
    let index: Vec<(String, f64)> = on.say("ZRANGE", &["unacked_index", "0", "-1", "WITHSCORES"]).await;
    assert!(unacked.contains_key(&index[0].0));
    let score = Timestamp::from_micros((index[0].1 * 1e6).round() as i64);
    assert!(score.since(on.clock.now()) < Duration::from_millis(1), "{score}");
    assert_eq!(on.broker.settle(&ack(held)).await.unwrap(), [Settled::Done]);
    // Nothing is left but what outlives every message, once the lease would have ended.
    on.clock.advance(LEASE);
    assert!(on.fetch(5).await.is_empty());
    let mut left: Vec<String> = on.say("KEYS", &["*"]).await;
    left.sort();
    let bindings = ["_kombu.binding.celery", "_kombu.binding_permanent.celery"];
    assert_eq!(
        left,
        [&bindings[..], &["celeriac:last", "celeriac:queues", "celeriac:served:celery"]].concat()
    );
}

#[tokio::test]
async fn renewal_keeps_celerys_sweep_away() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    let held = on.fetch_one().await;
    on.clock.advance(Duration::from_secs(20));
    on.broker.renew(&[held.tag], LEASE).await.unwrap();
    let index: Vec<(String, f64)> = on.say("ZRANGE", &["unacked_index", "0", "-1", "WITHSCORES"]).await;
    assert_eq!((index[0].1 * 1e6).round() as i64, on.clock.now().as_micros());
}

#[tokio::test]
async fn message_that_a_python_peer_restored_belongs_to_its_next_holder() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    let late = on.fetch_one().await;
    // What kombu does to a tag that is over its visibility timeout, whosever it is.
    let unacked: HashMap<String, String> = on.say("HGETALL", &["unacked"]).await;
    let (tag, value) = unacked.into_iter().next().unwrap();
    let mut parts: Vec<serde_json::Value> = serde_json::from_str(&value).unwrap();
    parts[0]["headers"]["redelivered"] = true.into();
    parts[0]["properties"]["delivery_info"]["redelivered"] = true.into();
    on.say::<i64>("ZREM", &["unacked_index", &tag]).await;
    on.say::<i64>("HDEL", &["unacked", &tag]).await;
    on.say::<i64>("RPUSH", &["celery", &parts[0].to_string()]).await;
    assert_eq!(on.broker.renew(&[late.tag], LEASE).await.unwrap(), [Renewal::Lost]);
    let next = on.fetch_one().await;
    assert_eq!((next.envelope.id.as_str(), next.delivery, next.attempt), ("a", 2, 2));
    assert_eq!(on.broker.settle(&ack(late)).await.unwrap(), [Settled::LeaseLost]);
    assert_eq!(on.broker.settle(&ack(next)).await.unwrap(), [Settled::Done]);
    assert!(on.fetch(5).await.is_empty());
}

/// Puts messages into the hands of Python workers, as kombu does.
async fn hold_as_python_does(on: &Corner, held: &[(&str, &str, &str, &str)]) {
    let now = format!("{:.6}", on.clock.now().as_micros() as f64 / 1e6);
    for (tag, raw, exchange, key) in held {
        on.say::<i64>("HSET", &["unacked", *tag, &format!("[{raw}, \"{exchange}\", \"{key}\"]")]).await;
        on.say::<i64>("ZADD", &["unacked_index", now.as_str(), *tag]).await;
    }
}

#[tokio::test]
async fn what_a_dead_python_worker_held_is_put_back_as_python_does() {
    let on = Corner::open().await;
    let named = |id: &str| CAPTURED.replace(CAPTURED_ID, id);
    on.say::<i64>("SADD", &["_kombu.binding.ex", "rk\x06\x16\x06\x16celery"]).await;
    let low = named("low").replace("\"priority\": 0", "\"priority\": 7");
    let bare = named("bare").replace("\"stamps\": {}}", "\"stamps\": {}, \"empty\": []}");
    hold_as_python_does(
        &on,
        &[("one", &named("plain"), "", "celery"), ("two", &low, "", "celery"), ("three", &bare, "ex", "rk")],
    )
    .await;
    on.say::<i64>("ZADD", &["unacked_index", "1", "acknowledged"]).await;
    on.publish(message("ours")).await;
    let ours = on.fetch_one().await;
    on.clock.advance(Duration::from_secs(3_599));
    on.broker.renew(&[ours.tag], Duration::from_hours(9)).await.unwrap();
    assert!(on.fetch(9).await.is_empty());
    // A Python worker at the same work is left alone.
    on.say::<String>("SET", &["unacked_mutex", "theirs"]).await;
    on.clock.advance(Duration::from_secs(11));
    assert!(on.fetch(9).await.is_empty());
    on.say::<i64>("DEL", &["unacked_mutex"]).await;
    for _ in 0..9 {
        // It is not looked for at every fetch.
        on.clock.advance(Duration::from_secs(1));
        assert!(on.fetch(9).await.is_empty());
    }
    on.clock.advance(Duration::from_secs(1));
    let back = on.fetch(9).await;
    let mut found = ids(&back);
    assert_eq!(found.pop(), Some("low"));
    found.sort();
    assert_eq!(found, ["bare", "plain"]);
    for delivery in &back {
        let headers: serde_json::Value = serde_json::from_str(&delivery.envelope.content.headers).unwrap();
        assert_eq!(headers["redelivered"], true);
    }
    // Ours are not touched, nor is anything else of theirs left.
    assert_eq!(on.broker.settle(&ack(ours)).await.unwrap(), [Settled::Done]);
    assert_eq!(on.say::<i64>("HLEN", &["unacked"]).await, 3);
    assert_eq!(on.say::<i64>("ZCARD", &["unacked_index"]).await, 3);
}

#[tokio::test]
async fn what_a_dead_python_worker_held_goes_where_its_exchange_leads() {
    let on = Corner::open().await;
    let named = |id: &str| CAPTURED.replace(CAPTURED_ID, id);
    on.say::<i64>("SADD", &["_kombu.binding.news", "mail.*\x06\x16^mail\\..*?[^\\.]$\x06\x16letters"]).await;
    on.say::<i64>("SADD", &["_kombu.binding.news", "mail.#\x06\x16^mail\\..*?$\x06\x16archive"]).await;
    on.say::<i64>("SADD", &["_kombu.binding.news", "post.*\x06\x16^post\\..*?[^\\.]$\x06\x16parcels"]).await;
    // Python writes what is no ASCII as escapes.
    let escaped = r"\u043f\u043e\u0447\u0442\u0430";
    let halved = named("halved").replace("\"argsrepr\": \"(2, 3)\"", r#""argsrepr": "\ud83d""#);
    hold_as_python_does(
        &on,
        &[
            ("one", &named("topic"), "news", "mail.new"),
            ("two", &named("unbound"), "news", "fax.new"),
            ("three", &named("named"), "", escaped),
            ("four", &halved, "", "halves"),
        ],
    )
    .await;
    on.clock.advance(Duration::from_secs(3_611));
    assert!(on.fetch(9).await.is_empty());
    for (queue, length) in [("letters", 1), ("archive", 1), ("parcels", 0), ("почта", 1), ("halves", 1)]
    {
        assert_eq!(on.say::<i64>("LLEN", &[queue]).await, length, "{queue}");
    }
    let unbound = on.admin().dead_letter(&job("unbound")).await.unwrap().unwrap();
    assert!(unbound.detail.contains("no queue is bound"), "{}", unbound.detail);
    assert_eq!(on.say::<i64>("HLEN", &["unacked"]).await, 0);
}

#[tokio::test]
async fn delayed_message_is_handed_on_while_all_hands_are_full() {
    let on = Corner::open().await;
    on.publish(message("long")).await;
    let long = on.fetch_one().await;
    let due_at = Some(on.clock.now() + Duration::from_secs(5));
    on.publish(Envelope { due_at, ..message("soon") }).await;
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 0);
    on.clock.advance(Duration::from_secs(6));
    on.broker.renew(&[long.tag], LEASE).await.unwrap();
    // Whoever has a free hand finds it, a Python worker, too.
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 1);
}

#[tokio::test]
async fn what_is_no_list_is_named_and_nothing_is_taken_beside_it() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    on.say::<i64>("HSET", &["emails", "somebody", "else's"]).await;
    let queues = ["celery".to_owned(), "emails".to_owned()];
    for _ in 0..2 {
        let request = FetchRequest { queues: &queues, max: 5, lease: LEASE, holder: "w" };
        on.broker.fetch(&request).await.unwrap_err();
    }
    assert_eq!(on.say::<i64>("HLEN", &["unacked"]).await, 0);
    let both = vec![message("b"), Envelope { queue: "emails".into(), ..message("c") }];
    on.broker.publish(both).await.unwrap_err();
    assert_eq!(ids(&on.fetch(5).await), ["a"]);
}

#[tokio::test]
async fn what_falls_due_is_told_in_the_time_of_whoever_asks() {
    let on = Corner::at(RedisOptions::at(redis_corner().unwrap())).await;
    let server: (i64, i64) = on.say("TIME", &[""; 0]).await;
    let due_at = Some(Timestamp::from_micros((server.0 + 60) * 1_000_000));
    on.fetch(1).await;
    on.publish(Envelope { due_at, ..message("later") }).await;
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 5, lease: LEASE, holder: "w" };
    let next = on.broker.fetch(&request).await.unwrap().next_due_at.unwrap();
    let ahead = next.as_micros() - on.clock.now().as_micros();
    // This clock stands still at another time than the server's.
    assert!((50_000_000..=60_000_000).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn what_a_python_worker_holds_is_its_own_for_an_hour() {
    let on = Corner::open().await;
    let value = format!("[{CAPTURED}, \"\", \"celery\"]");
    hold_as_python_does(&on, &[("theirs", CAPTURED, "", "celery")]).await;
    on.clock.advance(Duration::from_mins(59));
    assert!(on.fetch(5).await.is_empty());
    assert_eq!(on.say::<String>("HGET", &["unacked", "theirs"]).await, value);
    let found = on.admin().find(&job(CAPTURED_ID)).await.unwrap();
    assert!(found.is_none(), "nothing is known of a job that nobody of ours has sent: {found:?}");
}

#[tokio::test]
async fn message_of_ours_is_found_in_the_hands_of_a_python_worker() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    let raw: Vec<String> = on.say("RPOP", &["celery", "1"]).await;
    assert!(on.admin().find(&job("a")).await.unwrap().is_none());
    on.say::<i64>("HSET", &["unacked", "theirs", &format!("[{}, \"\", \"celery\"]", raw[0])]).await;
    on.say::<i64>("ZADD", &["unacked_index", "1000", "theirs"]).await;
    let found = on.admin().find(&job("a")).await.unwrap().unwrap();
    let until = Timestamp::from_millis(4_600_000);
    assert_eq!(found.state, MessageState::Held { holder: "a worker of Celery".into(), until });
    assert_eq!(found.envelope, message("a"));
}

#[tokio::test]
async fn early_message_of_python_waits_where_no_worker_holds_it() {
    let on = Corner::open().await;
    let due = on.clock.now() + Duration::from_secs(90);
    for (id, eta) in
        [("a", due.to_string()), ("b", due.to_string().replace("00:01:30+00:00", "02:01:30+02:00"))]
    {
        let raw = CAPTURED.replace(CAPTURED_ID, id).replace("\"eta\": null", &format!("\"eta\": \"{eta}\""));
        on.say::<i64>("LPUSH", &["celery", &raw]).await;
    }
    assert!(on.fetch(5).await.is_empty());
    assert_eq!(on.say::<i64>("HLEN", &["unacked"]).await, 0);
    assert_eq!(on.admin().depths().await.unwrap()[0].delayed, 2);
    on.clock.advance(Duration::from_secs(90));
    let mut held = on.fetch(5).await;
    held.sort_by_key(|one| one.envelope.id.clone());
    assert_eq!(ids(&held), ["a", "b"]);
    assert!(held.iter().all(|one| (one.envelope.due_at, one.delivery) == (Some(due), 1)));
}

#[tokio::test]
async fn what_is_no_message_goes_to_the_dead_letters_with_its_bytes() {
    let on = Corner::open().await;
    let (no_id, bad_body) = (
        CAPTURED.replace("\"id\":", "\"no\":").replace("correlation_id", "nothing"),
        CAPTURED.replace("W1sy", "%%%%"),
    );
    let junk: [&[u8]; 5] = [b"no json \xff\x00", b"[1, 2]", b"{}", no_id.as_bytes(), bad_body.as_bytes()];
    for raw in junk {
        on.say::<i64>("LPUSH", &[&b"celery"[..], raw]).await;
    }
    on.say::<i64>("LPUSH", &["celery", &CAPTURED.replace(CAPTURED_ID, "good")]).await;
    assert_eq!(ids(&on.fetch(9).await), ["good"]);
    let mut letters = on.admin().dead_letters(None, 9).await.unwrap().letters;
    assert!(letters.iter().all(|letter| letter.reason == "undecodable" && !letter.detail.is_empty()));
    letters.sort_by_key(|letter| letter.key);
    let bytes: Vec<&[u8]> = letters.iter().map(|letter| letter.envelope.content.body.as_slice()).collect();
    assert_eq!(bytes, junk);
    assert_eq!(letters[4].envelope.id, job(CAPTURED_ID));
}

#[tokio::test]
async fn push_of_a_python_client_wakes_who_waits() {
    let on = Corner::open().await;
    let mut notices = on.broker.notifier().listen();
    assert!(on.fetch(1).await.is_empty());
    for id in ["a", "b", "c"] {
        while notices.try_recv().is_ok() {}
        // The lists are looked at some milliseconds after the fetch; a push before that is found by it or told.
        let raw = CAPTURED.replace(CAPTURED_ID, id);
        let heard = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                on.say::<i64>("LPUSH", &["celery", &raw]).await;
                if tokio::time::timeout(Duration::from_millis(300), notices.recv()).await.is_ok() {
                    break;
                }
            }
        });
        heard.await.expect("a push is heard of");
    }
    assert!(matches!(notices.try_recv(), Err(_) | Ok(Notice::Queue(_))));
}

#[tokio::test]
async fn message_that_a_python_worker_took_does_not_keep_its_id() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    assert_eq!(on.say::<Vec<String>>("RPOP", &["celery", "1"]).await.len(), 1);
    assert_eq!(on.broker.publish(vec![message("a")]).await.unwrap(), [Publication::Accepted]);
}

#[tokio::test]
async fn message_that_a_python_worker_took_does_not_keep_its_unique_key() {
    let on = Corner::open().await;
    let keyed = |id: &str| Envelope { unique_key: Some("k".into()), ..message(id) };
    on.publish(keyed("a")).await;
    assert_eq!(on.broker.publish(vec![keyed("b")]).await.unwrap(), [Publication::Duplicate(job("a"))]);
    on.say::<Vec<String>>("RPOP", &["celery", "1"]).await;
    assert_eq!(on.broker.publish(vec![keyed("b")]).await.unwrap(), [Publication::Accepted]);
    assert_eq!(on.broker.publish(vec![keyed("c")]).await.unwrap(), [Publication::Duplicate(job("b"))]);
}

#[tokio::test]
async fn half_a_surrogate_pair_stops_nobody() {
    let on = Corner::open().await;
    let odd = CAPTURED.replace("(2, 3)", r"('\ud83d', '\udc00')");
    let due = on.clock.now() + Duration::from_secs(9);
    let later = odd.replace(CAPTURED_ID, "later").replace("\"eta\": null", &format!("\"eta\": \"{due}\""));
    for raw in [&odd, &later] {
        on.say::<i64>("LPUSH", &["celery", raw]).await;
    }
    assert_eq!(ids(&on.fetch(5).await), [CAPTURED_ID]);
    on.clock.advance(Duration::from_secs(9));
    assert_eq!(ids(&on.fetch(5).await), ["later"]);
}

#[tokio::test]
async fn key_prefix_stands_before_everything() {
    let corner = redis_corner().unwrap();
    let options = RedisOptions { key_prefix: "pfx:".into(), ..RedisOptions::at(corner) };
    let on = Corner::at(options).await;
    on.publish(message("a")).await;
    assert_eq!(ids(&on.fetch(5).await), ["a"]);
    let keys: Vec<String> = on.say("KEYS", &["*"]).await;
    assert!(keys.len() > 5 && keys.iter().all(|key| key.starts_with("pfx:")), "{keys:?}");
}

/// A message that is due later, as our client sends it: Celery's header tells its time.
fn later(id: &str, due: Timestamp) -> Envelope {
    let content = message(id).content;
    let headers = content.headers.replace('}', &format!(", \"eta\": \"{due}\"}}"));
    Envelope { due_at: Some(due), content: Content { headers, ..content }, ..message(id) }
}

#[tokio::test]
async fn delayed_message_goes_to_the_list_where_python_alone_takes_from() {
    let on = Corner::open().await;
    let due = on.clock.now() + Duration::from_secs(90);
    on.publish(later("a", due)).await;
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 1);
    let found = on.admin().find(&job("a")).await.unwrap().unwrap();
    assert_eq!(found.state, MessageState::Delayed { until: due });
    // The first worker of ours lets it wait, and from then on others go there at once.
    assert!(on.fetch(5).await.is_empty());
    on.publish(later("b", due + Duration::from_secs(1))).await;
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 0);
    on.clock.advance(Duration::from_secs(91));
    assert_eq!(ids(&on.fetch(5).await), ["a", "b"]);
}

#[tokio::test]
async fn last_worker_to_leave_puts_delayed_messages_where_python_finds_them() {
    let on = Corner::open().await;
    let queues = ["celery".to_owned()];
    let due = on.clock.now() + Duration::from_secs(90);
    for holder in ["one", "other"] {
        let request = FetchRequest { queues: &queues, max: 1, lease: LEASE, holder };
        on.broker.fetch(&request).await.unwrap();
    }
    on.publish(later("a", due)).await;
    on.publish(later("b", due + Duration::from_secs(1))).await;
    on.broker.leave(&queues, "one").await.unwrap();
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 0);
    on.broker.leave(&queues, "other").await.unwrap();
    let lying: Vec<String> = on.say("LRANGE", &["celery", "0", "-1"]).await;
    assert!(lying.len() == 2 && lying[1].contains("\"id\": \"a\""), "{lying:?}");
    assert!(on.fetch(5).await.is_empty());
    on.clock.advance(Duration::from_secs(91));
    assert_eq!(ids(&on.fetch(5).await), ["a", "b"]);
}

#[tokio::test]
async fn worker_that_was_killed_does_not_hold_delayed_messages_for_ever() {
    let on = Corner::open().await;
    assert!(on.fetch(1).await.is_empty());
    on.clock.advance(Duration::from_secs(61));
    on.publish(later("a", on.clock.now() + Duration::from_secs(90))).await;
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 1);
}

#[tokio::test]
async fn odd_message_takes_none_of_its_neighbours_with_it() {
    let on = Corner::open().await;
    let mark = |due: &str| {
        let raw = CAPTURED
            .replace("\"priority\": 0", &format!("\"priority\": 0, \"celeriac\": {{\"due_at\": {due}}}"));
        raw.replace(CAPTURED_ID, "odd")
    };
    for odd in [mark("Infinity"), mark("NaN"), mark("1e300"), mark("\"soon\"")] {
        on.say::<i64>("LPUSH", &["celery", &odd]).await;
    }
    on.say::<i64>("LPUSH", &["celery", &CAPTURED.replace(CAPTURED_ID, "good")]).await;
    assert!(ids(&on.fetch(9).await).contains(&"good"));
    assert_eq!(on.admin().dead_letters(None, 9).await.unwrap().letters.len(), 4);
    assert_eq!(on.say::<i64>("LLEN", &["celery"]).await, 0);
}

#[tokio::test]
async fn body_that_looks_like_headers_fools_nobody() {
    let on = Corner::open().await;
    let head = CAPTURED.find("\", \"content-encoding").unwrap();
    let looks =
        CAPTURED[head..].replace(CAPTURED_ID, "other").replace("\"eta\": null", "\"eta\": \"2099-01-01\"");
    let body = looks.replace('"', "\\\"");
    on.say::<i64>("LPUSH", &["celery", &CAPTURED.replacen("W1sy", &body, 1)]).await;
    on.say::<i64>("LPUSH", &["celery", &CAPTURED.replace(CAPTURED_ID, "good")]).await;
    assert_eq!(ids(&on.fetch(5).await), ["good"]);
    // Its body is no base64, which whoever reads it finds; its own header says whose job it is.
    let letter = on.admin().dead_letter(&job(CAPTURED_ID)).await.unwrap().unwrap();
    assert_eq!(letter.reason, "undecodable");
    assert_eq!(on.say::<i64>("HLEN", &["unacked"]).await, 1);
    assert_eq!(on.say::<i64>("HLEN", &["celeriac:holding"]).await, 1);
}

#[tokio::test]
async fn message_that_fell_due_and_was_taken_by_python_does_not_keep_its_id() {
    let on = Corner::open().await;
    on.publish(message("long")).await;
    let long = on.fetch_one().await;
    let due_at = Some(on.clock.now() + Duration::from_secs(5));
    let delayed = || Envelope { due_at, ..message("soon") };
    on.publish(delayed()).await;
    assert_eq!(on.broker.publish(vec![delayed()]).await.unwrap(), [Publication::Duplicate(job("soon"))]);
    on.clock.advance(Duration::from_secs(6));
    on.broker.renew(&[long.tag], LEASE).await.unwrap();
    // It lies in the list, and is still known.
    assert_eq!(on.broker.publish(vec![delayed()]).await.unwrap(), [Publication::Duplicate(job("soon"))]);
    assert_eq!(on.admin().find(&job("soon")).await.unwrap().unwrap().state, MessageState::Ready);
    assert_eq!(on.say::<Vec<String>>("RPOP", &["celery", "1"]).await.len(), 1);
    assert_eq!(on.broker.publish(vec![delayed()]).await.unwrap(), [Publication::Accepted]);
}

#[tokio::test]
async fn message_of_ours_that_python_restored_can_be_cancelled() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    let late = on.fetch_one().await;
    let unacked: HashMap<String, String> = on.say("HGETALL", &["unacked"]).await;
    let (tag, value) = unacked.into_iter().next().unwrap();
    on.say::<i64>("ZREM", &["unacked_index", &tag]).await;
    on.say::<i64>("HDEL", &["unacked", &tag]).await;
    let raw = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(", \"\", \"celery\"]")).unwrap();
    on.say::<i64>("RPUSH", &["celery", raw]).await;
    let cancelled = on.admin().cancel(&job("a"), "nobody wants it").await.unwrap();
    assert!(matches!(cancelled, Cancellation::Removed(_)), "{cancelled:?}");
    assert_eq!(on.broker.settle(&ack(late)).await.unwrap(), [Settled::LeaseLost]);
    assert!(on.fetch(5).await.is_empty());
}

#[tokio::test]
async fn of_two_orders_for_one_lease_the_first_counts() {
    let on = Corner::open().await;
    on.publish(message("a")).await;
    let held = on.fetch_one().await;
    let [done] = ack(held);
    let again = done.otherwise(Settle::Requeue { content: None, due_at: None, charged: true });
    let settled = on.broker.settle(&[done, again]).await.unwrap();
    assert_eq!(settled, [Settled::Done, Settled::LeaseLost]);
    assert!(on.fetch(5).await.is_empty());
    // Nothing is known of it any more.
    assert_eq!(on.broker.publish(vec![message("a")]).await.unwrap(), [Publication::Accepted]);
    assert_eq!(ids(&on.fetch(5).await), ["a"]);
}
