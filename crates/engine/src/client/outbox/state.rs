//! What waits in the outbox, and why, for whoever looks after it.

use celeriac_broker::{Broker, BrokerError, Found};
use celeriac_protocol::Timestamp;

use super::PREFIX;
use super::refusal::Refusals;

/// How many messages of each queue are looked at for the refusals that they met.
const LOOKED_AT: usize = 1_000;

/// What waits in an outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// Messages that could be handed on now, or are in the hands of a relay.
    pub waiting: u64,
    /// Since when the first of them waits.
    pub oldest_at: Option<Timestamp>,
    /// What was refused and is tried again later, if anything was.
    pub refused: Option<RefusedState>,
}

/// What of an outbox was refused, of the first thousand messages of each queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedState {
    /// How many messages.
    pub messages: u64,
    /// When the first refusal was met that one of them met.
    pub since: Timestamp,
    /// The words of that message's last refusal.
    pub error: String,
}

impl OutboxState {
    /// Looks into the outbox that `outbox`, the queue of a database, holds beside other queues. The server that
    /// messages are for is not asked.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn of(outbox: &dyn Broker) -> Result<Self, BrokerError> {
        let mut state = Self::default();
        for depth in outbox.admin().depths().await? {
            if !depth.queue.starts_with(PREFIX) {
                continue;
            }
            state.waiting += depth.ready + depth.held;
            state.oldest_at = state.oldest_at.into_iter().chain(depth.oldest_ready_at).min();
            let Some(sql) = outbox.sql() else { continue };
            for found in sql.waiting(&depth.queue, LOOKED_AT).await? {
                state.look_at(found);
            }
        }
        Ok(state)
    }

    fn look_at(&mut self, mut found: Found) {
        let Some(refusals) = Refusals::take(&mut found.envelope.content) else { return };
        let (since, error) = (refusals.first_at(), refusals.error);
        match &mut self.refused {
            Some(refused) => {
                refused.messages += 1;
                if since < refused.since {
                    (refused.since, refused.error) = (since, error);
                }
            }
            none => *none = Some(RefusedState { messages: 1, since, error }),
        }
    }
}
