//! Runs everything that is due, one after the other, in the caller's own task: for eager mode and tests.

use std::sync::Arc;

use celeriac_broker::{BrokerError, FetchRequest};
use celeriac_protocol::Timestamp;

use super::{Shared, executor, settler};

/// What a drain came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    /// How many attempts were run or refused.
    pub(crate) attempts: usize,
    /// When the next delayed message falls due, if one waits.
    pub(crate) next_due_at: Option<Timestamp>,
}

/// Runs what is due until nothing is, at most `limit` attempts, through the same executor, judge
/// and settler as a worker's. A worker without queues takes from all that there are.
pub(crate) async fn drain(shared: &Arc<Shared>, limit: usize) -> Result<Drained, BrokerError> {
    let mut drained = Drained::default();
    let options = &shared.options;
    while drained.attempts < limit {
        let every = if options.queues.is_empty() { every_queue(shared).await? } else { Vec::new() };
        let queues = if options.queues.is_empty() { &every } else { &options.queues };
        let request = FetchRequest { queues, max: 1, lease: options.lease, holder: &shared.name };
        let fetched = shared.client.broker().fetch(&request).await?;
        drained.next_due_at = fetched.next_due_at;
        if fetched.deliveries.is_empty() {
            break;
        }
        for delivery in fetched.deliveries {
            let stop = shared.held.hold(delivery.tag, delivery.envelope.id.clone());
            let finished = executor::run(shared, delivery, stop).await;
            settler::settle_at_once(shared, vec![finished]).await;
            drained.attempts += 1;
        }
    }
    Ok(drained)
}

async fn every_queue(shared: &Shared) -> Result<Vec<String>, BrokerError> {
    let depths = shared.client.broker().admin().depths().await?;
    Ok(depths.into_iter().map(|depth| depth.queue).collect())
}
