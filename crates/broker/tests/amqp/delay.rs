//! Waiting for a time, in the server's own queues.

use celeriac_broker::Broker as _;
use celeriac_protocol::{Clock as _, Envelope};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::support::{Corner, RealClock, fetch, in_millis, message, of_queue, requeue, settle, wait_for};

/// Whole seconds are waited for in the server, the rest by whoever has it.
#[tokio::test]
async fn delayed_message_comes_at_its_time_and_not_before() {
    let corner = Corner::open().await;
    let due = in_millis(2_300);
    corner.publish(Envelope { due_at: Some(due), ..message("later") }).await;
    assert!(fetch(&corner.broker, "celery", 5).await.deliveries.is_empty());
    let delivery = wait_for(&corner.broker, "celery").await;
    let late = RealClock.now().since(due);
    assert!(RealClock.now() >= due && late.as_millis() < 1_500, "{late:?}");
    assert_eq!(delivery.envelope, Envelope { due_at: Some(due), ..message("later") });
    assert_eq!((delivery.delivery, delivery.attempt, delivery.lost), (1, 1, 0));
}

/// A retry is a message that waits.
#[tokio::test]
async fn message_given_back_for_later_waits_and_keeps_its_counts() {
    let corner = Corner::open().await;
    corner.publish(message("a")).await;
    let held = wait_for(&corner.broker, "celery").await;
    let due = in_millis(1_200);
    settle(&corner.broker, held, requeue(Some(due), true)).await;
    let again = wait_for(&corner.broker, "celery").await;
    assert!(RealClock.now() >= due);
    assert_eq!((again.delivery, again.attempt, again.lost), (2, 2, 0));
    assert_eq!(again.envelope.due_at, Some(due));
}

/// Python's senders put a message with a time into its queue at once.
#[tokio::test]
async fn message_that_comes_before_its_time_is_not_held_for_it() {
    let corner = Corner::open().await;
    fetch(&corner.broker, "celery", 1).await;
    let due = in_millis(2_400);
    let mut headers = FieldTable::default();
    for (name, text) in [("id", "early".to_owned()), ("task", "t".to_owned()), ("eta", due.to_string())] {
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
    }
    corner.push("celery", BasicProperties::default().with_headers(headers), b"[[],{},{}]").await;
    corner.publish(message("now")).await;
    // One slot, and the early message does not fill it.
    let now = wait_for(&corner.broker, "celery").await;
    assert_eq!(now.envelope.id.as_str(), "now");
    settle(&corner.broker, now, celeriac_broker::Settle::Ack).await;
    let early = wait_for(&corner.broker, "celery").await;
    assert_eq!((early.envelope.id.as_str(), early.envelope.due_at), ("early", Some(due)));
    assert!(RealClock.now() >= due);
    assert_eq!((early.delivery, early.lost), (1, 0));
}

/// A queue's name may end like another's.
#[tokio::test]
async fn delayed_message_reaches_its_queue_alone() {
    let corner = Corner::open().await;
    for queue in ["b", "a.b"] {
        let due_at = Some(in_millis(1_100));
        corner.publish(Envelope { due_at, ..of_queue(queue, queue) }).await;
    }
    for queue in ["a.b", "b"] {
        let delivery = wait_for(&corner.broker, queue).await;
        assert_eq!((delivery.envelope.id.as_str(), delivery.envelope.queue.as_str()), (queue, queue));
        assert!(fetch(&corner.broker, queue, 5).await.deliveries.is_empty());
    }
}

/// Many at one instant, in a small buffer.
#[tokio::test]
async fn many_fall_due_at_once_and_none_is_forgotten() {
    let corner = Corner::open().await;
    let due_at = Some(in_millis(1_700));
    let messages = (0..300).map(|number| Envelope { due_at, ..message(&format!("m{number:03}")) });
    corner.broker.publish(messages.collect()).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < 300 {
        let delivery = wait_for(&corner.broker, "celery").await;
        assert!(Some(RealClock.now()) >= due_at);
        ids.push(delivery.envelope.id.to_string());
        settle(&corner.broker, delivery, celeriac_broker::Settle::Ack).await;
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}
