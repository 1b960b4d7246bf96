//! Taking part in the caller's own transaction.

use std::sync::Arc;

use celeriac_db::DbTx;
use tokio::sync::broadcast::error::TryRecvError;

use super::notify::next;
use super::{Fixture, Outcome, QUEUE, ack, job, message, reject};
use crate::{Broker, BrokerError, Cancellation, Notice, Publication, Settled, SqlBroker};

/// Nobody sees a message before the transaction that it belongs to is committed.
pub async fn message_is_there_after_the_commit_only(on: Fixture) -> Outcome {
    write(&on, async |sql, tx| {
        let answers = sql.publish_in(tx, vec![message("a"), message("b")]).await?;
        assert_eq!(answers, vec![Publication::Accepted; 2]);
        assert_eq!(sql.publish_in(tx, vec![message("a")]).await?, [Publication::Duplicate(job("a"))]);
        Ok(())
    })
    .await?;
    assert_eq!(on.fetch_ids(5).await?, ["a", "b"]);
    Ok(())
}

/// A transaction that fails takes its messages with it.
pub async fn message_of_a_failed_transaction_never_was(on: Fixture) -> Outcome {
    let failed = write(&on, async |sql, tx| {
        sql.publish_in(tx, vec![message("a")]).await?;
        Err(on_purpose())
    });
    assert!(failed.await.is_err());
    assert!(on.fetch(5).await?.is_empty());
    assert_eq!(on.broker.publish(vec![message("a")]).await?, [Publication::Accepted]);
    Ok(())
}

/// A settlement that is undone leaves the message held under the same lease.
pub async fn settlement_of_a_failed_transaction_never_was(on: Fixture) -> Outcome {
    on.publish(&["a", "b"]).await?;
    let held = Arc::new(on.fetch(2).await?.into_iter().map(ack).collect::<Vec<_>>());
    let orders = Arc::clone(&held);
    let failed = write(&on, async move |sql, tx| {
        assert_eq!(sql.settle_in(tx, &orders).await?, vec![Settled::Done; 2]);
        Err(on_purpose())
    });
    assert!(failed.await.is_err());
    assert!(on.broker.admin().find(&job("a")).await?.is_some());
    let orders = Arc::clone(&held);
    write(&on, async move |sql, tx| {
        assert_eq!(sql.settle_in(tx, &orders).await?, vec![Settled::Done; 2]);
        Ok(())
    })
    .await?;
    assert!(on.broker.admin().find(&job("a")).await?.is_none());
    Ok(())
}

/// So do cancelling and reviving.
pub async fn cancellation_and_revival_take_part(on: Fixture) -> Outcome {
    on.publish(&["dead"]).await?;
    let held = on.fetch_one().await?;
    on.settle(held, reject("broken")).await?;
    let letter = on.broker.admin().dead_letter(&job("dead")).await?.expect("it was rejected");
    on.publish(&["waiting"]).await?;
    for fails in [true, false] {
        let letter = letter.clone();
        let done = write(&on, async move |sql, tx| {
            let cancelled = sql.cancel_in(tx, &job("waiting"), "why not").await?;
            assert!(matches!(cancelled, Cancellation::Removed(_)));
            let revived = sql.revive_in(tx, letter.key, letter.envelope).await?;
            assert_eq!(revived, Some(Publication::Accepted));
            if fails { Err(on_purpose()) } else { Ok(()) }
        });
        assert_eq!(done.await.is_err(), fails);
        assert_eq!(on.broker.admin().find(&job("waiting")).await?.is_some(), fails);
        assert_eq!(on.broker.admin().dead_letter(&job("dead")).await?.is_some(), fails);
    }
    assert_eq!(on.fetch_ids(5).await?, ["dead"]);
    Ok(())
}

/// A listener that is woken finds what it was woken for.
pub async fn listeners_are_woken_by_the_commit_only(on: Fixture) -> Outcome {
    let mut notices = on.broker.notifier().listen();
    let failed = write(&on, async |sql, tx| {
        sql.publish_in(tx, vec![message("a")]).await?;
        Err(on_purpose())
    });
    assert!(failed.await.is_err());
    assert!(matches!(notices.try_recv(), Err(TryRecvError::Empty)));
    write(&on, async |sql, tx| sql.publish_in(tx, vec![message("a")]).await.map(drop)).await?;
    assert_eq!(next(&mut notices).await, Notice::Queue(QUEUE.into()));
    assert_eq!(on.fetch_ids(5).await?, ["a"]);
    Ok(())
}

/// Runs `work` with the transport's transactional side in a transaction of its database.
async fn write<F>(on: &Fixture, work: F) -> Outcome
where
    F: AsyncFnOnce(&dyn SqlBroker, &DbTx) -> Outcome + Send + 'static,
{
    let broker: Arc<dyn Broker> = Arc::clone(&on.broker);
    let database = broker.sql().expect("the transport is transactional").database().clone();
    database
        .write("test", async move |tx| work(broker.sql().expect("the transport is transactional"), tx).await)
        .await
}

fn on_purpose() -> BrokerError {
    BrokerError::Refused { product: "the test", source: "on purpose".into() }
}
