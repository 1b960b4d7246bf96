//! Holding messages: leases, their renewal, and late holders.

use std::time::Duration;

use celeriac_protocol::Clock;

use super::{Fixture, LEASE, Outcome, QUEUE, ack, ids_of, job, reject, requeue, take, twin};
use crate::{FetchRequest, LeaseTag, Renewal, Settle, Settled};

/// A worker that dies says nothing; the end of its lease says it.
pub async fn message_of_a_silent_holder_goes_to_another(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    drop(on.fetch_one().await?);
    on.pass(29);
    assert!(on.fetch(5).await?.is_empty());
    on.pass(1);
    let again = take(&*on.other, &[QUEUE], 5).await?.deliveries.pop().expect("the lease has ended");
    assert_eq!((again.delivery, again.attempt, again.lost), (2, 2, 1));
    Ok(())
}

/// A worker that renews in time keeps its message as long as it likes.
pub async fn renewed_lease_holds(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    for _ in 0..5 {
        on.pass(20);
        let renewed = on.broker.renew(&[held.tag], LEASE).await?;
        assert_eq!(renewed, [Renewal::Held { cancel_requested: None }]);
        assert!(on.fetch(5).await?.is_empty());
    }
    assert_eq!(on.settle(held, Settle::Ack).await?, Settled::Done);
    Ok(())
}

/// Messages are held each for itself, though they were fetched together.
pub async fn renewal_lengthens_no_other_lease_of_its_fetch(on: Fixture) -> Outcome {
    on.publish(&["a", "b", "c", "d"]).await?;
    let mut held = on.fetch(4).await?;
    let (d, b) = (held.remove(3), held.remove(1));
    on.pass(20);
    assert_eq!(on.broker.renew(&[b.tag], LEASE).await?, [Renewal::Held { cancel_requested: None }]);
    assert_eq!(on.settle(d, Settle::Ack).await?, Settled::Done);
    on.pass(10);
    assert_eq!(on.fetch_ids(5).await?, ["a", "c"]);
    on.pass(20);
    assert_eq!(on.fetch_ids(5).await?, ["b"]);
    on.pass(10);
    assert_eq!(on.fetch_ids(5).await?, ["a", "c"]);
    Ok(())
}

/// The fetch says how long, each for itself.
pub async fn lease_is_as_long_as_asked_for(on: Fixture) -> Outcome {
    on.publish(&["short", "long"]).await?;
    let queues = [QUEUE.to_owned()];
    for (holder, seconds) in [("one", 5), ("two", 500)] {
        let lease = Duration::from_secs(seconds);
        on.broker.fetch(&FetchRequest { queues: &queues, max: 1, lease, holder }).await?;
    }
    on.pass(5);
    assert_eq!(on.fetch_ids(5).await?, ["short"]);
    on.pass(490);
    assert_eq!(on.fetch_ids(5).await?, ["short"]);
    on.pass(5);
    assert_eq!(on.fetch_ids(5).await?, ["long"]);
    Ok(())
}

/// Whoever comes back after its message was handed on can do nothing to it.
pub async fn late_holder_changes_nothing(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let late = on.fetch_one().await?;
    on.pass(30);
    let holder = on.fetch_one().await?;
    assert_eq!(on.broker.renew(&[late.tag], LEASE).await?, [Renewal::Lost]);
    for settle in [Settle::Ack, reject("late"), requeue(None, true), requeue(Some(on.in_seconds(1)), false)] {
        assert_eq!(on.settle(twin(&late), settle).await?, Settled::LeaseLost);
    }
    assert!(on.fetch(5).await?.is_empty());
    assert!(on.broker.admin().dead_letter(&job("a")).await?.is_none());
    assert_eq!(on.settle(holder, Settle::Ack).await?, Settled::Done);
    Ok(())
}

/// The same when the message was taken back and waits.
pub async fn late_holder_changes_nothing_while_nobody_holds(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let late = on.fetch_one().await?;
    on.pass(30);
    // A fetch of another queue takes back what was let go by.
    take(&*on.broker, &["other"], 1).await?;
    assert_eq!(on.settle(twin(&late), Settle::Ack).await?, Settled::LeaseLost);
    assert_eq!(on.broker.renew(&[late.tag], LEASE).await?, [Renewal::Lost]);
    assert_eq!(on.fetch_ids(5).await?, ["a"]);
    Ok(())
}

/// Late, but nobody has noticed: the work was done, so it counts.
pub async fn lease_that_ended_unnoticed_can_still_be_settled(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    on.pass(3_600);
    assert_eq!(on.settle(held, Settle::Ack).await?, Settled::Done);
    assert!(on.fetch(5).await?.is_empty());
    Ok(())
}

/// The same for a renewal.
pub async fn lease_that_ended_unnoticed_can_still_be_renewed(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    on.pass(31);
    let renewed = on.broker.renew(&[held.tag], LEASE).await?;
    assert_eq!(renewed, [Renewal::Held { cancel_requested: None }]);
    assert!(on.fetch(5).await?.is_empty());
    Ok(())
}

/// The worker judges by it whether a message kills workers; one that comes back ends the row.
pub async fn lost_holders_are_counted_in_a_row(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    for lost in 0..3 {
        assert_eq!(on.fetch_one().await?.lost, lost);
        on.pass(30);
    }
    let held = on.fetch_one().await?;
    assert_eq!((held.lost, held.delivery), (3, 4));
    on.settle(held, requeue(None, true)).await?;
    let held = on.fetch_one().await?;
    assert_eq!((held.lost, held.delivery, held.attempt), (0, 5, 5));
    Ok(())
}

/// A tag is never used twice, not even where the transport uses a number again.
pub async fn every_hand_out_has_a_tag_of_its_own(on: Fixture) -> Outcome {
    let mut tags: Vec<LeaseTag> = Vec::new();
    for round in 0..10 {
        on.publish(&["a", "b"]).await?;
        for delivery in on.fetch(2).await? {
            assert!(!tags.contains(&delivery.tag), "round {round}");
            tags.push(delivery.tag);
            on.settle(delivery, Settle::Ack).await?;
        }
    }
    assert_eq!(tags.len(), 20);
    Ok(())
}

/// One answer for each tag, also among those that are lost or never were.
pub async fn renewals_are_answered_in_order(on: Fixture) -> Outcome {
    assert!(on.broker.renew(&[], LEASE).await?.is_empty());
    on.publish(&["a", "b", "c"]).await?;
    let mut held = on.fetch(3).await?;
    assert_eq!(ids_of(&held), ["a", "b", "c"]);
    let never = LeaseTag { key: 99_999, fence: 1 };
    let tags = [held[2].tag, never, held[1].tag, held[0].tag];
    on.broker.settle(&[ack(held.remove(1))]).await?;
    let here = Renewal::Held { cancel_requested: None };
    assert_eq!(on.broker.renew(&tags, LEASE).await?, [here.clone(), Renewal::Lost, Renewal::Lost, here]);
    assert_eq!(on.clock.now() + LEASE, held[0].leased_until);
    Ok(())
}
