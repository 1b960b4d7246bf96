//! Pauses, cancellations and wake-ups between processes.

use celeriac_broker::{Broker as _, Cancellation, Notice, Renewal, Settle};

use super::support::{Corner, LEASE, fetch, hear, job, message, settle, wait_for};

#[tokio::test]
async fn paused_queue_gives_nothing_until_resumed_also_after_a_restart() {
    let corner = Corner::open().await;
    let other = corner.another().await;
    // It has room for two, and what comes into it goes back.
    assert!(fetch(&other, "celery", 2).await.deliveries.is_empty());
    corner.publish(message("a")).await;
    corner.admin().pause("celery").await.unwrap();
    let since = corner.admin().depths().await.unwrap()[0].paused_at;
    assert!(since.is_some());
    corner.admin().pause("celery").await.unwrap();
    corner.publish(message("b")).await;
    let late = corner.another().await;
    for broker in [&corner.broker, &other, &late] {
        assert!(fetch(broker, "celery", 2).await.deliveries.is_empty());
        assert_eq!(broker.admin().depths().await.unwrap()[0].paused_at, since);
    }
    assert_eq!(corner.admin().depths().await.unwrap()[0].ready, 2);
    let mut notices = late.notifier().listen();
    other.admin().resume("celery").await.unwrap();
    hear(&mut notices, |notice| *notice == Notice::Queue("celery".into())).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let delivery = wait_for(&late, "celery").await;
        assert_eq!((delivery.delivery, delivery.lost), (1, 0));
        ids.push(delivery.envelope.id.to_string());
    }
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
    assert!(other.admin().depths().await.unwrap().is_empty());
}

#[tokio::test]
async fn cancellation_reaches_the_holder_in_another_process() {
    let corner = Corner::open().await;
    let holder = corner.another().await;
    corner.publish(message("a")).await;
    let held = wait_for(&holder, "celery").await;
    let mut notices = holder.notifier().listen();
    for reason in ["first", "second"] {
        assert_eq!(corner.admin().cancel(&job("a"), reason).await.unwrap(), Cancellation::Requested);
    }
    hear(&mut notices, |notice| *notice == Notice::Cancel(job("a"))).await;
    let renewed = holder.renew(&[held.tag], LEASE).await.unwrap();
    assert_eq!(renewed, [Renewal::Held { cancel_requested: Some("first".into()) }]);
    settle(&holder, held, Settle::Ack).await;
    let refused = corner.admin().cancel(&job("a"), "too late").await.unwrap_err();
    assert!(!refused.is_retryable(), "{refused:?}");
}

/// Whoever asked in vain is woken by what comes, wherever it was published.
#[tokio::test]
async fn idle_worker_of_another_process_is_woken() {
    let corner = Corner::open().await;
    let idle = corner.another().await;
    assert!(fetch(&idle, "celery", 1).await.deliveries.is_empty());
    let mut notices = idle.notifier().listen();
    corner.publish(message("a")).await;
    hear(&mut notices, |notice| *notice == Notice::Queue("celery".into())).await;
    assert_eq!(fetch(&idle, "celery", 1).await.deliveries.len(), 1);
}
