//! Settling deliveries: removed, buried among the dead letters, or put back.

use celeriac_db::rusqlite::params;
use celeriac_db::{DbError, DirectTx};
use celeriac_protocol::Timestamp;

use super::publish::put_content;
use crate::{LeaseTag, Settle, Settled, Settlement};

/// Removes a message still held under the lease.
const REMOVE: &str = "DELETE FROM celeriac_queue WHERE seq = ?1 AND fence = ?2";
const REMOVE_CONTENT: &str = "DELETE FROM celeriac_queue_content WHERE seq = ?1";

/// Copies a message still held to the dead letters.
const BURY: &str = "INSERT INTO celeriac_queue_dead (id, queue, said_priority, due_at, unique_key, \
        headers, properties, content_type, content_encoding, body, reason, detail, delivery, attempt, died_at) \
    SELECT q.id, q.queue, q.said_priority, q.due_at, q.unique_key, \
        c.headers, c.properties, c.content_type, c.content_encoding, c.body, \
        ?3, ?4, q.delivery, q.attempt, ?5 \
    FROM celeriac_queue AS q JOIN celeriac_queue_content AS c ON c.seq = q.seq \
    WHERE q.seq = ?1 AND q.fence = ?2";

/// Puts a message still held back: `?3` is now, `?4` when it is due or null, `?5` 1 for uncharged.
const REQUEUE: &str = "UPDATE celeriac_queue SET \
        state = coalesce(?4 > ?3, 0), \
        at = iif(?4 > ?3, ?4, NULL), \
        ready_at = iif(?4 IS NULL, ready_at, max(?4, ?3)), \
        due_at = coalesce(?4, due_at), \
        fence = 0, holder = NULL, lost = 0, attempt = attempt - ?5 \
    WHERE seq = ?1 AND fence = ?2";

/// Returns the statements, for a look at their plans.
#[cfg(test)]
pub(super) fn statements() -> [&'static str; 4] {
    [REMOVE, REMOVE_CONTENT, BURY, REQUEUE]
}

/// One settlement, without the delivery's bytes.
pub(super) struct Order {
    tag: LeaseTag,
    /// Named only where the message goes back to it.
    queue: Option<String>,
    settle: Settle,
}

impl Order {
    pub(super) fn of(settlement: &Settlement) -> Self {
        let Settlement { delivery, settle } = settlement;
        let goes_back = matches!(settle, Settle::Requeue { .. });
        let queue = goes_back.then(|| delivery.envelope.queue.clone());
        Self { tag: delivery.tag, queue, settle: settle.clone() }
    }

    pub(super) fn queue_it_goes_back_to(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// Does what is ordered and returns whether the lease still held.
    fn run(&self, tx: &DirectTx<'_>, now: Timestamp) -> Result<bool, DbError> {
        let LeaseTag { key, fence } = self.tag;
        match &self.settle {
            Settle::Ack => remove(tx, self.tag),
            Settle::Reject { reason, detail } => {
                tx.execute(BURY, params![key, fence, reason, detail, now.as_micros()])?;
                remove(tx, self.tag)
            }
            Settle::Requeue { content, due_at, charged } => {
                let due_at = due_at.map(Timestamp::as_micros);
                let held = tx.execute(REQUEUE, params![key, fence, now.as_micros(), due_at, !charged])? > 0;
                if let Some(content) = content.as_ref().filter(|_| held) {
                    put_content(tx, key, content)?;
                }
                Ok(held)
            }
        }
    }
}

/// Settles deliveries and returns one answer for each in the given order.
pub(super) fn settle(tx: &DirectTx<'_>, orders: &[Order], now: Timestamp) -> Result<Vec<Settled>, DbError> {
    let mut answers = Vec::with_capacity(orders.len());
    for order in orders {
        let held = order.run(tx, now)?;
        answers.push(if held { Settled::Done } else { Settled::LeaseLost });
    }
    Ok(answers)
}

fn remove(tx: &DirectTx<'_>, tag: LeaseTag) -> Result<bool, DbError> {
    let held = tx.execute(REMOVE, [tag.key, tag.fence])? > 0;
    if held {
        tx.execute(REMOVE_CONTENT, [tag.key])?;
    }
    Ok(held)
}
