//! Whole queues: counting, purging, pausing.

use celeriac_protocol::{Clock, Envelope};

use super::{Fixture, Outcome, QUEUE, ids_of, job, message, numbered, take};
use crate::{BrokerError, Publication, QueueDepth, Settle, Settled};

/// Every queue with messages is counted, by where they stand.
pub async fn depths_count_every_standing(on: Fixture) -> Outcome {
    assert!(on.broker.admin().depths().await?.is_empty());
    let since = on.clock.now();
    on.publish(&["held", "r1", "r2"]).await?;
    on.pass(5);
    let high = Envelope { priority: Some(9), ..message("r3") };
    let delayed = Envelope { due_at: Some(on.in_seconds(60)), ..message("delayed") };
    let elsewhere = Envelope { queue: "another".into(), due_at: Some(on.in_seconds(60)), ..message("x") };
    on.broker.publish(vec![delayed, elsewhere]).await?;
    drop(on.fetch_one().await?);
    on.broker.publish(vec![high]).await?;
    let depths = on.other.admin().depths().await?;
    assert_eq!(depths[0], QueueDepth { delayed: 1, ..QueueDepth::empty("another".into()) });
    let expected = QueueDepth { ready: 3, delayed: 1, held: 1, ..QueueDepth::empty(QUEUE.into()) };
    assert_eq!(depths[1], QueueDepth { oldest_ready_at: Some(since), ..expected });
    assert_eq!(depths.len(), 2);
    Ok(())
}

/// What could be handed out now is ready, whether or not anybody has asked since.
pub async fn due_and_abandoned_messages_count_as_ready(on: Fixture) -> Outcome {
    on.publish(&["abandoned"]).await?;
    drop(on.fetch_one().await?);
    let due = on.in_seconds(20);
    on.broker.publish(vec![Envelope { due_at: Some(due), ..message("delayed") }]).await?;
    on.pass(30);
    let depths = on.broker.admin().depths().await?;
    let expected = QueueDepth { ready: 2, oldest_ready_at: Some(due), ..QueueDepth::empty(QUEUE.into()) };
    assert_eq!(depths, [expected]);
    Ok(())
}

/// Whoever takes from every queue learns their names, those of paused ones too, and no others.
pub async fn queues_that_have_something_to_hand_out_are_named(on: Fixture) -> Outcome {
    assert!(on.broker.admin().open_queues().await?.is_empty());
    on.publish(&["held"]).await?;
    drop(on.fetch_one().await?);
    let due_at = Some(on.in_seconds(20));
    let to = |queue: &str, id| Envelope { queue: queue.into(), ..message(id) };
    on.broker.publish(vec![to("b", "b1"), to("a", "a1"), to("b", "b2")]).await?;
    on.broker.publish(vec![Envelope { due_at, ..to("due", "d") }]).await?;
    let far = Some(on.in_seconds(60));
    on.broker.publish(vec![Envelope { due_at: far, ..to("later", "l") }]).await?;
    on.broker.admin().pause("a").await?;
    let open = async || {
        let mut queues = on.other.admin().open_queues().await?;
        queues.sort();
        Ok::<_, BrokerError>(queues)
    };
    assert_eq!(open().await?, ["a", "b"]);
    on.pass(20);
    assert_eq!(open().await?, ["a", "b", "due"]);
    Ok(())
}

/// Held messages stay with their holders, and other queues are left alone.
pub async fn purge_takes_waiting_messages_only(on: Fixture) -> Outcome {
    let due_at = Some(on.in_seconds(60));
    on.publish(&["held", "ready"]).await?;
    let held = on.fetch_one().await?;
    on.broker.publish(vec![Envelope { due_at, ..message("delayed") }]).await?;
    on.broker.publish(vec![Envelope { queue: "another".into(), ..message("kept") }]).await?;
    let mut purged = on.broker.admin().purge(QUEUE, 10).await?;
    purged.sort_by_key(|found| found.envelope.id.clone());
    assert_eq!(purged[0].envelope, Envelope { due_at, ..message("delayed") });
    assert_eq!(purged[1].envelope, message("ready"));
    assert_eq!(purged.len(), 2);
    assert!(on.broker.admin().purge(QUEUE, 10).await?.is_empty());
    on.pass(60);
    assert_eq!(on.settle(held, Settle::Ack).await?, Settled::Done);
    assert!(on.fetch(5).await?.is_empty());
    assert_eq!(ids_of(&take(&*on.broker, &["another"], 5).await?.deliveries), ["kept"]);
    Ok(())
}

/// A large queue is purged in slices, so that each can be recorded.
pub async fn purge_is_bounded(on: Fixture) -> Outcome {
    let ids = numbered(250);
    on.broker.publish(ids.iter().map(|id| message(id)).collect()).await?;
    let mut purged = Vec::new();
    for size in [100, 100, 50, 0] {
        let slice = on.broker.admin().purge(QUEUE, 100).await?;
        assert_eq!(slice.len(), size);
        purged.extend(slice.into_iter().map(|found| found.envelope.id.to_string()));
    }
    purged.sort();
    assert_eq!(purged, ids);
    assert_eq!(on.broker.publish(vec![message(&ids[0])]).await?, [Publication::Accepted]);
    Ok(())
}

/// A pause stops handing out, on every process, and nothing else.
pub async fn paused_queue_gives_nothing_until_resumed(on: Fixture) -> Outcome {
    on.publish(&["held", "a"]).await?;
    let held = on.fetch_one().await?;
    on.broker.admin().pause(QUEUE).await?;
    on.publish(&["b"]).await?;
    on.broker.publish(vec![Envelope { queue: "another".into(), ..message("x") }]).await?;
    assert!(on.fetch(5).await?.is_empty());
    let others = take(&*on.other, &[QUEUE, "another"], 5).await?.deliveries;
    assert_eq!(ids_of(&others), ["x"]);
    assert_eq!(on.settle(held, super::requeue(None, true)).await?, Settled::Done);
    assert!(on.fetch(5).await?.is_empty());
    on.other.admin().resume(QUEUE).await?;
    assert_eq!(on.fetch_ids(5).await?, ["held", "a", "b"]);
    Ok(())
}

/// A queue without messages is shown while it is paused, since the first time.
pub async fn pause_is_kept_once_and_shown(on: Fixture) -> Outcome {
    let since = on.clock.now();
    on.broker.admin().pause("empty").await?;
    on.pass(9);
    on.broker.admin().pause("empty").await?;
    let paused = QueueDepth { paused_at: Some(since), ..QueueDepth::empty("empty".into()) };
    assert_eq!(on.other.admin().depths().await?, [paused]);
    on.broker.admin().resume("empty").await?;
    on.broker.admin().resume("never paused").await?;
    assert!(on.broker.admin().depths().await?.is_empty());
    assert!(on.broker.admin().find(&job("a")).await?.is_none());
    Ok(())
}
