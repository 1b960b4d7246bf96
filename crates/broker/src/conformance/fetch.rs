//! Taking messages out.

use celeriac_protocol::{Clock, Envelope};

use super::{Fixture, LEASE, Outcome, QUEUE, ack, ids_of, message, requeue, take};

/// Free slots are the limit, whatever waits.
pub async fn gives_no_more_than_was_asked_for(on: Fixture) -> Outcome {
    on.publish(&["a", "b", "c"]).await?;
    assert!(on.fetch(0).await?.is_empty());
    assert_eq!(on.fetch_ids(2).await?, ["a", "b"]);
    assert_eq!(on.fetch_ids(2).await?, ["c"]);
    Ok(())
}

/// A queue that was not named is left alone.
pub async fn asks_only_the_queues_that_were_named(on: Fixture) -> Outcome {
    on.broker.publish(vec![of_queue("left", "x"), of_queue("right", "y")]).await?;
    assert_eq!(ids_of(&take(&*on.broker, &["right"], 5).await?.deliveries), ["y"]);
    assert!(take(&*on.broker, &["nobody's"], 5).await?.deliveries.is_empty());
    assert!(take(&*on.broker, &[], 5).await?.deliveries.is_empty());
    assert_eq!(ids_of(&take(&*on.broker, &["left"], 5).await?.deliveries), ["x"]);
    Ok(())
}

/// When one queue has too little, the next one is asked for the rest.
pub async fn fills_free_slots_from_several_queues(on: Fixture) -> Outcome {
    for (queue, id) in [("left", "l1"), ("left", "l2"), ("right", "r1"), ("right", "r2"), ("right", "r3")] {
        on.broker.publish(vec![of_queue(queue, id)]).await?;
    }
    let mut ids = ids_of(&take(&*on.broker, &["left", "empty", "right"], 4).await?.deliveries);
    ids.extend(ids_of(&take(&*on.broker, &["left", "empty", "right"], 4).await?.deliveries));
    ids.sort();
    assert_eq!(ids, ["l1", "l2", "r1", "r2", "r3"]);
    Ok(())
}

/// A full queue does not starve the one beside it.
pub async fn queues_take_turns(on: Fixture) -> Outcome {
    let full = (0..20).map(|number| of_queue("full", &format!("f{number}")));
    on.broker.publish(full.chain([of_queue("beside", "b")]).collect()).await?;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.extend(ids_of(&take(&*on.broker, &["full", "beside"], 1).await?.deliveries));
    }
    assert_eq!(ids.len(), 4);
    assert!(ids.contains(&"b".to_owned()), "{ids:?}");
    Ok(())
}

/// What one worker holds no other gets.
pub async fn held_messages_are_not_given_twice(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    assert!(on.fetch(5).await?.is_empty());
    assert!(take(&*on.other, &[QUEUE], 5).await?.deliveries.is_empty());
    on.broker.settle(&[ack(held)]).await?;
    assert!(on.fetch(5).await?.is_empty());
    Ok(())
}

/// A worker that got less than it asked for knows when something will change by itself.
pub async fn says_when_it_is_worth_asking_again(on: Fixture) -> Outcome {
    assert_eq!(take(&*on.broker, &[QUEUE], 5).await?.next_due_at, None);
    let due = on.in_seconds(100);
    on.broker.publish(vec![Envelope { due_at: Some(due), ..message("later") }]).await?;
    assert_eq!(take(&*on.broker, &[QUEUE], 5).await?.next_due_at, Some(due));
    on.publish(&["now"]).await?;
    let fetched = take(&*on.broker, &[QUEUE], 5).await?;
    assert_eq!(fetched.next_due_at, Some(on.clock.now() + LEASE));
    let sooner = on.in_seconds(10);
    for delivery in fetched.deliveries {
        on.settle(delivery, requeue(Some(sooner), true)).await?;
    }
    assert_eq!(take(&*on.broker, &[QUEUE], 5).await?.next_due_at, Some(sooner));
    Ok(())
}

/// The first hand-out is number one, of either kind.
pub async fn counts_deliveries_and_attempts_from_one(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let first = on.fetch_one().await?;
    assert_eq!((first.delivery, first.attempt, first.lost), (1, 1, 0));
    assert_eq!(first.leased_until, on.clock.now() + LEASE);
    assert_eq!(first.cancel_requested, None);
    on.settle(first, requeue(None, true)).await?;
    let second = on.fetch_one().await?;
    assert_eq!((second.delivery, second.attempt, second.lost), (2, 2, 0));
    Ok(())
}

fn of_queue(queue: &str, id: &str) -> Envelope {
    Envelope { queue: queue.into(), ..message(id) }
}
