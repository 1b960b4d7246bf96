//! Finding and cancelling one message.

use celeriac_protocol::{Clock, Envelope};

use super::{Fixture, LEASE, Outcome, job, message};
use crate::{Cancellation, MessageState, Renewal, Settle, Settled};

/// Ready, delayed, held: it is there, with its envelope.
pub async fn message_is_found_wherever_it_stands(on: Fixture) -> Outcome {
    let due = on.in_seconds(60);
    let delayed = Envelope { due_at: Some(due), priority: Some(9), ..message("a") };
    on.broker.publish(vec![delayed.clone()]).await?;
    let found = on.broker.admin().find(&job("a")).await?.expect("it was published");
    assert_eq!((found.envelope, found.state), (delayed, MessageState::Delayed { until: due }));
    assert_eq!((found.delivery, found.attempt), (0, 0));
    on.pass(60);
    let found = on.other.admin().find(&job("a")).await?.expect("it was published");
    assert_eq!(found.state, MessageState::Ready);
    let held = on.fetch_one().await?;
    let found = on.broker.admin().find(&job("a")).await?.expect("it is held");
    let until = on.clock.now() + LEASE;
    assert_eq!(found.state, MessageState::Held { holder: "worker-1".into(), until });
    assert_eq!((found.delivery, found.attempt), (1, 1));
    on.settle(held, Settle::Ack).await?;
    assert!(on.broker.admin().find(&job("a")).await?.is_none());
    Ok(())
}

/// A message that nobody has begun is simply taken out.
pub async fn waiting_message_is_cancelled_by_taking_it_out(on: Fixture) -> Outcome {
    let due_at = Some(on.in_seconds(60));
    on.broker.publish(vec![message("ready"), Envelope { due_at, ..message("delayed") }]).await?;
    for id in ["ready", "delayed"] {
        match on.broker.admin().cancel(&job(id), "why not").await? {
            Cancellation::Removed(found) => assert_eq!(found.envelope.id, job(id)),
            other => assert_eq!(other, Cancellation::NotFound, "{id} was waiting"),
        }
        assert!(on.broker.admin().find(&job(id)).await?.is_none());
    }
    on.pass(60);
    assert!(on.fetch(5).await?.is_empty());
    Ok(())
}

/// A held one goes on until its holder looks.
pub async fn held_message_is_marked_and_its_holder_hears_of_it(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    for reason in ["too late", "too long"] {
        assert_eq!(on.other.admin().cancel(&job("a"), reason).await?, Cancellation::Requested);
    }
    let renewed = on.broker.renew(&[held.tag], LEASE).await?;
    assert_eq!(renewed, [Renewal::Held { cancel_requested: Some("too late".into()) }]);
    assert_eq!(on.settle(held, Settle::Ack).await?, Settled::Done);
    Ok(())
}

/// A holder that dies before it hears leaves the mark to the next.
pub async fn mark_stays_for_the_next_holder(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    drop(on.fetch_one().await?);
    on.broker.admin().cancel(&job("a"), "too late").await?;
    on.pass(30);
    let next = on.fetch_one().await?;
    assert_eq!(next.cancel_requested.as_deref(), Some("too late"));
    on.settle(next, super::requeue(None, false)).await?;
    assert_eq!(on.fetch_one().await?.cancel_requested.as_deref(), Some("too late"));
    Ok(())
}

/// What is not there is not found.
pub async fn unknown_message_is_not_found(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    assert!(on.broker.admin().find(&job("b")).await?.is_none());
    assert_eq!(on.broker.admin().cancel(&job("b"), "why not").await?, Cancellation::NotFound);
    assert_eq!(on.fetch_ids(5).await?, ["a"]);
    Ok(())
}
