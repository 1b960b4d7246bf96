//! Which message comes next.

use std::time::Duration;

use celeriac_protocol::{Clock, Envelope};

use super::{Fixture, Outcome, message, numbered};

/// Higher runs first on every transport.
pub async fn higher_priority_comes_first_and_older_within(on: Fixture) -> Outcome {
    for (id, priority) in [("low1", 0), ("high1", 9), ("low2", 0), ("mid", 4), ("high2", 9)] {
        on.broker.publish(vec![with_priority(id, Some(priority))]).await?;
    }
    assert_eq!(on.fetch_ids(3).await?, ["high1", "high2", "mid"]);
    assert_eq!(on.fetch_ids(5).await?, ["low1", "low2"]);
    Ok(())
}

/// Unset is not 0, and what is above the highest is the highest.
pub async fn unset_priority_stands_in_the_middle(on: Fixture) -> Outcome {
    for (id, priority) in [("lowest", Some(0)), ("unset", None), ("beyond", Some(200)), ("highest", Some(9))]
    {
        on.broker.publish(vec![with_priority(id, priority)]).await?;
    }
    assert_eq!(on.fetch_ids(9).await?, ["beyond", "highest", "unset", "lowest"]);
    Ok(())
}

/// Not before its time, and then at once.
pub async fn delayed_message_waits_for_its_due_time(on: Fixture) -> Outcome {
    let due = on.in_seconds(60);
    on.broker.publish(vec![Envelope { due_at: Some(due), ..message("later") }]).await?;
    assert!(on.fetch(5).await?.is_empty());
    on.pass(59);
    assert!(on.fetch(5).await?.is_empty());
    on.pass(1);
    let delivery = on.fetch_one().await?;
    assert_eq!(delivery.envelope.due_at, Some(due));
    assert_eq!((delivery.delivery, delivery.lost), (1, 0));
    Ok(())
}

/// A delay does not send a message to the end of the line.
pub async fn due_message_takes_the_place_of_its_priority_and_age(on: Fixture) -> Outcome {
    let due_at = Some(on.in_seconds(10));
    on.broker.publish(vec![Envelope { due_at, ..with_priority("urgent later", Some(8)) }]).await?;
    on.broker.publish(vec![Envelope { due_at, ..message("early later") }]).await?;
    on.publish(&["now"]).await?;
    on.pass(10);
    assert_eq!(on.fetch_ids(5).await?, ["urgent later", "early later", "now"]);
    Ok(())
}

/// What was due before it was published is not delayed.
pub async fn due_time_in_the_past_is_now(on: Fixture) -> Outcome {
    let past = on.clock.now() - Duration::from_secs(3_600);
    on.broker.publish(vec![Envelope { due_at: Some(past), ..message("overdue") }]).await?;
    assert_eq!(on.fetch_ids(5).await?, ["overdue"]);
    Ok(())
}

/// A clock that is set back delays what is delayed and nothing else.
pub async fn clock_that_goes_back_hides_nothing_that_is_ready(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    on.clock.set(on.clock.now() - Duration::from_secs(3_600));
    on.publish(&["b"]).await?;
    assert_eq!(on.fetch_ids(5).await?, ["a", "b"]);
    Ok(())
}

/// A flood at one instant is handed out whole, in slices.
pub async fn many_fall_due_at_once_and_none_is_forgotten(on: Fixture) -> Outcome {
    let (ids, due_at) = (numbered(2_500), Some(on.in_seconds(5)));
    on.broker.publish(ids.iter().map(|id| Envelope { due_at, ..message(id) }).collect()).await?;
    on.pass(5);
    let mut out = Vec::new();
    loop {
        let fetched = on.fetch_ids(700).await?;
        if fetched.is_empty() {
            break;
        }
        out.extend(fetched);
    }
    out.sort();
    assert_eq!(out, ids);
    Ok(())
}

pub(super) fn with_priority(id: &str, priority: Option<u8>) -> Envelope {
    Envelope { priority, ..message(id) }
}
