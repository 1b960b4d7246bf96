//! Wake-ups: they may be lost, but not as a habit.

use std::time::Duration;

use celeriac_protocol::JobId;

use super::{Fixture, Outcome, QUEUE, job, requeue};
use crate::{Notice, Notices};

/// How long a notice is waited for before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every process hears, the sender's own included.
pub async fn notice_reaches_both_processes(on: Fixture) -> Outcome {
    let (mut ours, mut theirs) = (on.broker.notifier().listen(), on.other.notifier().listen());
    let long = JobId::parse(&"x".repeat(155)).expect("155 characters are allowed");
    for notice in [
        Notice::Queue("ünïcode queue".into()),
        Notice::Cancel(long.clone()),
        Notice::Stop { id: long, reason: "nobody waits for it".into() },
        Notice::Loop("beat".into()),
    ] {
        for sender in [&on.broker, &on.other] {
            sender.notifier().notify(notice.clone());
            assert_eq!(next(&mut ours).await, notice);
            assert_eq!(next(&mut theirs).await, notice);
        }
    }
    Ok(())
}

/// Publishing through one process wakes workers of another, which then find the message.
pub async fn publishing_wakes_listeners(on: Fixture) -> Outcome {
    let (mut ours, mut theirs) = (on.broker.notifier().listen(), on.other.notifier().listen());
    on.publish(&["a", "b"]).await?;
    for notices in [&mut ours, &mut theirs] {
        assert_eq!(next(notices).await, Notice::Queue(QUEUE.into()));
    }
    assert_eq!(on.fetch_ids(5).await?, ["a", "b"]);
    Ok(())
}

/// Whatever makes a message ready, or known for later, is told.
pub async fn giving_back_and_resuming_wake_listeners(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let held = on.fetch_one().await?;
    let mut notices = on.other.notifier().listen();
    on.settle(held, requeue(None, false)).await?;
    assert_eq!(next(&mut notices).await, Notice::Queue(QUEUE.into()));
    on.broker.admin().pause("paused").await?;
    on.broker.admin().resume("paused").await?;
    while next(&mut notices).await != Notice::Queue("paused".into()) {}
    Ok(())
}

/// The holder need not wait for its next renewal.
pub async fn cancelling_a_held_message_tells_its_holder(on: Fixture) -> Outcome {
    on.publish(&["a"]).await?;
    let _held = on.fetch_one().await?;
    let mut notices = on.broker.notifier().listen();
    on.other.admin().cancel(&job("a"), "why not").await?;
    while next(&mut notices).await != Notice::Cancel(job("a")) {}
    Ok(())
}

pub(super) async fn next(notices: &mut Notices) -> Notice {
    let heard = tokio::time::timeout(PATIENCE, notices.recv()).await;
    heard.expect("a notice comes within ten seconds").expect("the line stays open and is read in time")
}
