//! Holders that vanish: counted, on both kinds of queues, and not mixed up with those that give back.

use std::time::Duration;

use celeriac_broker::{AmqpOptions, Broker as _, Settle, Settled};
use celeriac_peers::shared::rabbitmq_corner;

use super::support::{Corner, LEASE, fetch, message, requeue, settle, wait_for};

async fn check_lost_holders_are_counted(options: AmqpOptions) {
    let corner = Corner::at(options).await;
    corner.publish(message("a")).await;
    for lost in 0..3 {
        let process = corner.another().await;
        let held = wait_for(&process, "celery").await;
        assert_eq!((held.delivery, held.attempt, held.lost), (lost + 1, lost + 1, lost));
        // It ends with the message in its hands.
    }
    let held = wait_for(&corner.broker, "celery").await;
    assert_eq!((held.delivery, held.lost), (4, 3));
    settle(&corner.broker, held, requeue(None, true)).await;
    let held = wait_for(&corner.broker, "celery").await;
    assert_eq!((held.delivery, held.attempt, held.lost), (5, 5, 0));
    assert_eq!(settle(&corner.broker, held, Settle::Ack).await, Settled::Done);
    assert!(fetch(&corner.broker, "celery", 5).await.deliveries.is_empty());
}

#[tokio::test]
async fn lost_holders_are_counted_on_a_classic_queue() {
    check_lost_holders_are_counted(AmqpOptions::at(rabbitmq_corner().unwrap())).await;
}

#[tokio::test]
async fn lost_holders_are_counted_on_a_quorum_queue() {
    let options = AmqpOptions { quorum: true, ..AmqpOptions::at(rabbitmq_corner().unwrap()) };
    check_lost_holders_are_counted(options).await;
}

/// What lies in a buffer is nobody's; whoever leaves gives it back, and that is no loss.
#[tokio::test]
async fn what_a_leaving_worker_has_not_begun_goes_back_uncharged() {
    let corner = Corner::open().await;
    let leaving = corner.another().await;
    // Room for three, of which one is taken.
    assert!(fetch(&leaving, "celery", 3).await.deliveries.is_empty());
    for id in ["a", "b", "c"] {
        corner.publish(message(id)).await;
    }
    let begun = wait_for(&leaving, "celery").await;
    leaving.leave(&["celery".to_owned()], "w").await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let delivery = wait_for(&corner.broker, "celery").await;
        assert_eq!((delivery.delivery, delivery.attempt, delivery.lost), (1, 1, 0));
        seen.push(delivery.envelope.id.to_string());
    }
    seen.sort();
    assert_eq!((begun.envelope.id.as_str(), seen), ("a", vec!["b".to_owned(), "c".to_owned()]));
    // What it has begun is still its own.
    assert_eq!(leaving.renew(&[begun.tag], LEASE).await.unwrap().len(), 1);
    assert_eq!(settle(&leaving, begun, Settle::Ack).await, Settled::Done);
}

/// One queue's messages fill the slots, and those of another wait in a buffer: others may have them.
#[tokio::test]
async fn what_nobody_asks_for_goes_back_by_itself() {
    let corner = Corner::open().await;
    let busy = corner.another().await;
    assert!(fetch(&busy, "celery", 2).await.deliveries.is_empty());
    for id in ["a", "b"] {
        corner.publish(message(id)).await;
    }
    let begun = wait_for(&busy, "celery").await;
    let other = wait_for(&corner.broker, "celery").await;
    assert_eq!((begun.envelope.id.as_str(), other.envelope.id.as_str()), ("a", "b"));
    assert_eq!((other.delivery, other.lost), (1, 0));
}

/// What is pushed for a busy worker waits for it where nobody else takes from its queue, and keeps its place.
#[tokio::test]
async fn what_nobody_else_would_take_keeps_its_place() {
    let corner = Corner::open().await;
    assert!(fetch(&corner.broker, "celery", 2).await.deliveries.is_empty());
    for id in ["a", "b", "c"] {
        corner.publish(message(id)).await;
    }
    let begun = wait_for(&corner.broker, "celery").await;
    // Longer than a buffer may lie where others wait for what is in it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut seen = vec![begun.envelope.id.to_string()];
    settle(&corner.broker, begun, Settle::Ack).await;
    for _ in 0..2 {
        let delivery = wait_for(&corner.broker, "celery").await;
        seen.push(delivery.envelope.id.to_string());
        settle(&corner.broker, delivery, Settle::Ack).await;
    }
    assert_eq!(seen, ["a", "b", "c"]);
}

/// What a worker holds takes no room of what it asks for after it gave the rest back.
#[tokio::test]
async fn worker_that_gave_back_is_pushed_no_more_than_it_asks_for() {
    let corner = Corner::open().await;
    let busy = corner.another().await;
    assert!(fetch(&busy, "celery", 3).await.deliveries.is_empty());
    for id in ["a", "b", "c"] {
        corner.publish(message(id)).await;
    }
    let held = [wait_for(&busy, "celery").await, wait_for(&busy, "celery").await];
    busy.leave(&["celery".to_owned()], "w").await.unwrap();
    // "c" is in the queue again, and of these four one is pushed to whoever asks for one.
    for id in ["d", "e", "f"] {
        corner.publish(message(id)).await;
    }
    let next = wait_for(&busy, "celery").await;
    assert_eq!(next.envelope.id.as_str(), "c");
    let left = corner.admin().depths().await.unwrap();
    assert_eq!(left.iter().map(|depth| depth.ready).sum::<u64>(), 3);
    for delivery in held.into_iter().chain([next]) {
        assert_eq!(settle(&busy, delivery, Settle::Ack).await, Settled::Done);
    }
}
