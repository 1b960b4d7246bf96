//! Many at once, through both processes.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Fixture, LEASE, Outcome, QUEUE, ack, ids_of, message, take};
use crate::{Broker, BrokerError, Settled};

/// How many publish and how many work, each half through either process.
const PUBLISHERS: usize = 4;
const WORKERS: usize = 4;

/// How many messages each publisher puts in, by calls of seven.
const MESSAGES: usize = 105;

/// Nothing is lost and nothing is handed out twice, however many are at it.
pub async fn every_message_reaches_one_worker_once(on: Fixture) -> Outcome {
    let mut publishers = JoinSet::new();
    for number in 0..PUBLISHERS {
        publishers.spawn(publish_share(side(&on, number), number));
    }
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(side(&on, number), PUBLISHERS * MESSAGES / WORKERS));
    }
    let mut seen = Vec::new();
    for ids in workers.join_all().await {
        seen.extend(ids?);
    }
    publishers.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(seen.len(), PUBLISHERS * MESSAGES);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), PUBLISHERS * MESSAGES);
    Ok(())
}

/// Workers that take and vanish cost a lease, and nothing else.
pub async fn messages_of_workers_that_vanish_reach_others(on: Fixture) -> Outcome {
    publish_share(Arc::clone(&on.broker), 0).await?;
    let mut vanished = JoinSet::new();
    for number in 0..WORKERS {
        let broker = side(&on, number);
        vanished
            .spawn(async move { take(&*broker, &[QUEUE], 20).await.map(|taken| ids_of(&taken.deliveries)) });
    }
    let taken: Vec<String> = vanished.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    assert_eq!(taken.len(), WORKERS * 20);
    on.clock.advance(LEASE);
    let mut lost = 0;
    for number in 0..2 {
        let deliveries = take(&*side(&on, number), &[QUEUE], MESSAGES).await?.deliveries;
        lost += deliveries.iter().filter(|one| one.lost == 1).count();
        let settled = side(&on, number).settle(&deliveries.into_iter().map(ack).collect::<Vec<_>>()).await?;
        assert!(settled.iter().all(|one| *one == Settled::Done));
    }
    assert_eq!(lost, WORKERS * 20);
    assert!(on.broker.admin().depths().await?.is_empty());
    Ok(())
}

fn side(on: &Fixture, number: usize) -> Arc<dyn Broker> {
    Arc::clone(if number.is_multiple_of(2) { &on.broker } else { &on.other })
}

async fn publish_share(broker: Arc<dyn Broker>, publisher: usize) -> Outcome {
    let ids: Vec<String> = (0..MESSAGES).map(|number| format!("{publisher}/{number}")).collect();
    for call in ids.chunks(7) {
        broker.publish(call.iter().map(|id| message(id)).collect()).await?;
    }
    Ok(())
}

/// Takes `share` messages, acknowledges each and returns their ids.
async fn work(broker: Arc<dyn Broker>, share: usize) -> Result<Vec<String>, BrokerError> {
    let mut ids = Vec::new();
    while ids.len() < share {
        let max = (share - ids.len()).min(9);
        let deliveries = take(&*broker, &[QUEUE], max).await?.deliveries;
        ids.extend(ids_of(&deliveries));
        let settled = broker.settle(&deliveries.into_iter().map(ack).collect::<Vec<_>>()).await?;
        assert!(settled.iter().all(|one| *one == Settled::Done));
        tokio::task::yield_now().await;
    }
    Ok(ids)
}
