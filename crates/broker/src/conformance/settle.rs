//! Letting go of messages.

use celeriac_protocol::Clock;

use super::{Fixture, Outcome, ack, content, ids_of, job, message, numbered, reject, requeue, twin};
use crate::{Settle, Settled, Settlement};

/// Done is done.
pub async fn acknowledged_message_is_gone(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    assert_eq!(on.settle(held, Settle::Ack).await?, Settled::Done);
    on.pass(3_600);
    assert!(on.fetch(5).await?.is_empty());
    assert!(on.broker.admin().depths().await?.iter().all(|depth| depth.ready + depth.held == 0));
    Ok(())
}

/// Given back at once it is first again.
pub async fn message_given_back_at_once_keeps_its_place(on: Fixture) -> Outcome {
    on.publish(&["a", "b", "c"]).await?;
    let mut held = on.fetch(2).await?;
    on.settle(held.remove(0), requeue(None, false)).await?;
    assert_eq!(on.fetch_ids(5).await?, ["a", "c"]);
    Ok(())
}

/// A retry waits for its time, and its due time is the new one.
pub async fn message_given_back_for_later_waits(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let (held, due) = (on.fetch_one().await?, on.in_seconds(90));
    assert_eq!(on.settle(held, requeue(Some(due), true)).await?, Settled::Done);
    on.pass(89);
    assert!(on.fetch(5).await?.is_empty());
    on.pass(1);
    let held = on.fetch_one().await?;
    assert_eq!((held.delivery, held.attempt, held.lost), (2, 2, 0));
    assert_eq!(held.envelope.due_at, Some(due));
    let past = on.clock.now();
    on.settle(held, requeue(Some(past), true)).await?;
    assert_eq!(on.fetch_ids(5).await?, ["a"]);
    Ok(())
}

/// What was given back untouched is charged to nobody.
pub async fn uncharged_hand_out_is_no_attempt(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    for delivery in 1..5 {
        let held = on.fetch_one().await?;
        assert_eq!((held.delivery, held.attempt), (delivery, 1));
        on.settle(held, requeue(None, false)).await?;
    }
    Ok(())
}

/// A retry counts up in its headers; what is not said stays.
pub async fn new_content_replaces_the_old(on: Fixture) -> Outcome {
    on.publish(&["a", "b"]).await?;
    let mut held = on.fetch(2).await?;
    let mut new = content("new");
    new.body = vec![0, 255, 1];
    let settle = Settle::Requeue { content: Some(new.clone()), due_at: None, charged: true };
    on.settle(held.remove(0), settle).await?;
    on.settle(held.remove(0), requeue(None, true)).await?;
    let held = on.fetch(2).await?;
    assert_eq!(held[0].envelope.content, new);
    assert_eq!(held[0].envelope.id, job("a"));
    assert_eq!(held[1].envelope, message("b"));
    Ok(())
}

/// Mixed settlements, some of them late, are answered each in its place.
pub async fn answers_come_in_the_order_of_the_question(on: Fixture) -> Outcome {
    on.publish(&["a", "b", "c", "d", "e"]).await?;
    let mut held = on.fetch(5).await?;
    let early = on.broker.settle(&[ack(twin(&held[1])), ack(twin(&held[3]))]).await?;
    assert_eq!(early, [Settled::Done, Settled::Done]);
    let orders = [reject("broken"), Settle::Ack, requeue(None, true), reject("late"), Settle::Ack];
    let batch: Vec<Settlement> =
        held.drain(..).zip(orders).map(|(delivery, settle)| Settlement { delivery, settle }).collect();
    let (done, lost) = (Settled::Done, Settled::LeaseLost);
    assert_eq!(on.broker.settle(&batch).await?, [done, lost, done, lost, done]);
    assert_eq!(on.fetch_ids(5).await?, ["c"]);
    assert!(on.broker.admin().dead_letter(&job("a")).await?.is_some());
    assert!(on.broker.admin().dead_letter(&job("d")).await?.is_none());
    Ok(())
}

/// One lease is settled once, within a batch as well as after it.
pub async fn second_settlement_of_one_lease_is_refused(on: Fixture) -> Outcome {
    on.publish(&["a", "b"]).await?;
    let mut held = on.fetch(2).await?;
    let (b, a) = (held.remove(1), held.remove(0));
    let again = twin(&a);
    let back = Settlement { delivery: twin(&b), settle: requeue(None, true) };
    let answers = on.broker.settle(&[ack(twin(&a)), ack(a), back, ack(b)]).await?;
    assert_eq!(answers, [Settled::Done, Settled::LeaseLost, Settled::Done, Settled::LeaseLost]);
    assert_eq!(on.settle(again, Settle::Ack).await?, Settled::LeaseLost);
    assert_eq!(on.fetch_ids(5).await?, ["b"]);
    Ok(())
}

/// A worker that got its own message back may settle both leases at once.
pub async fn old_and_new_lease_in_one_batch_are_told_apart(on: Fixture) -> Outcome {
    for new_first in [true, false] {
        on.publish(&["a"]).await?;
        let old = on.fetch_one().await?;
        on.pass(30);
        let new = on.fetch_one().await?;
        let (old, new) = (Settlement { delivery: old, settle: reject("old") }, ack(new));
        let (batch, expected) = if new_first {
            ([new, old], [Settled::Done, Settled::LeaseLost])
        } else {
            ([old, new], [Settled::LeaseLost, Settled::Done])
        };
        assert_eq!(on.broker.settle(&batch).await?, expected);
        assert!(on.broker.admin().dead_letter(&job("a")).await?.is_none());
        assert!(on.fetch(5).await?.is_empty());
    }
    Ok(())
}

/// Hundreds at once, of every kind.
pub async fn large_mixed_batch_is_settled_whole(on: Fixture) -> Outcome {
    let ids = numbered(400);
    on.broker.publish(ids.iter().map(|id| message(id)).collect()).await?;
    let held = on.fetch(400).await?;
    let order = |place: usize| match place % 4 {
        0 => reject("fourth"),
        1 => Settle::Requeue { content: Some(content("again")), due_at: None, charged: true },
        _ => Settle::Ack,
    };
    let batch = held.into_iter().enumerate();
    let batch: Vec<Settlement> =
        batch.map(|(place, delivery)| Settlement { delivery, settle: order(place) }).collect();
    assert_eq!(on.broker.settle(&batch).await?, vec![Settled::Done; 400]);
    let again = on.fetch(400).await?;
    let expected: Vec<String> = ids.iter().skip(1).step_by(4).cloned().collect();
    assert_eq!(ids_of(&again), expected);
    assert!(again.iter().all(|one| one.envelope.content == content("again")));
    assert_eq!(on.broker.admin().dead_letters(None, 500).await?.letters.len(), 100);
    Ok(())
}

/// An empty batch is no error.
pub async fn nothing_settled_is_nothing(on: Fixture) -> Outcome {
    assert!(on.broker.settle(&[]).await?.is_empty());
    Ok(())
}
