//! At most one message with a key waits or runs at a time.

use celeriac_protocol::Envelope;

use super::{Fixture, Outcome, QUEUE, job, message, reject, requeue};
use crate::{Publication, Settle, Settled};

/// The answer names the job that has the key.
pub async fn key_keeps_others_out_while_its_message_waits_or_is_held(on: Fixture) -> Outcome {
    let duplicate = [Publication::Duplicate(job("first"))];
    let due_at = Some(on.in_seconds(60));
    on.broker.publish(vec![Envelope { due_at, ..keyed("first", "k") }]).await?;
    assert_eq!(on.other.publish(vec![keyed("second", "k")]).await?, duplicate);
    on.pass(60);
    let held = on.fetch_one().await?;
    let elsewhere = Envelope { queue: "another".into(), ..keyed("third", "k") };
    assert_eq!(on.broker.publish(vec![elsewhere]).await?, duplicate);
    assert_eq!(on.broker.publish(vec![keyed("other", "K")]).await?, [Publication::Accepted]);
    assert_eq!(on.settle(held, Settle::Ack).await?, Settled::Done);
    assert_eq!(on.fetch_ids(5).await?, ["other"]);
    Ok(())
}

/// Done, dead, cancelled or purged: the key is free.
pub async fn key_is_free_once_its_message_is_gone(on: Fixture) -> Outcome {
    for (round, id) in ["acked", "rejected", "cancelled", "purged", "last"].into_iter().enumerate() {
        assert_eq!(on.broker.publish(vec![keyed(id, "k")]).await?, [Publication::Accepted], "{id}");
        match round {
            0 => drop(on.settle(on.fetch_one().await?, Settle::Ack).await?),
            1 => drop(on.settle(on.fetch_one().await?, reject("broken")).await?),
            2 => drop(on.broker.admin().cancel(&job(id), "why not").await?),
            3 => drop(on.broker.admin().purge(QUEUE, 9).await?),
            _ => {}
        }
    }
    Ok(())
}

/// The first of one call has it, and those without a key are none of its business.
pub async fn keys_within_one_call_are_told_apart(on: Fixture) -> Outcome {
    let messages =
        vec![keyed("a", "k"), message("b"), keyed("c", "k"), keyed("d", "l"), message("e"), keyed("f", "l")];
    let answers = on.broker.publish(messages).await?;
    let (taken, of) = (Publication::Accepted, |id| Publication::Duplicate(job(id)));
    assert_eq!(answers, [taken.clone(), taken.clone(), of("a"), taken.clone(), taken, of("d")]);
    assert_eq!(on.fetch_ids(9).await?, ["a", "b", "d", "e"]);
    Ok(())
}

/// A key is held through retries, however long they wait.
pub async fn retried_message_keeps_its_key(on: Fixture) -> Outcome {
    on.broker.publish(vec![keyed("a", "k")]).await?;
    let held = on.fetch_one().await?;
    on.settle(held, requeue(Some(on.in_seconds(60)), true)).await?;
    assert_eq!(on.broker.publish(vec![keyed("b", "k")]).await?, [Publication::Duplicate(job("a"))]);
    on.pass(60);
    assert_eq!(on.fetch_one().await?.envelope.unique_key.as_deref(), Some("k"));
    Ok(())
}

fn keyed(id: &str, key: &str) -> Envelope {
    Envelope { unique_key: Some(key.into()), ..message(id) }
}
