//! Letting go of held messages: by one statement for all that leave, and one for all that go back.

use std::collections::{HashMap, HashSet};

use celeriac_db::DbTx;
use celeriac_protocol::{Content, Timestamp};
use sea_orm::{DbErr, QueryResult};

use super::publish::replace_contents;
use super::rows::leases;
use super::statement::{column, execute, query};
use crate::{LeaseTag, Settle, Settled, Settlement};

/// Removes messages still held under the leases in `?1`, and returns which.
const REMOVE: &str = "DELETE FROM celeriac_queue_content WHERE seq IN ( \
        SELECT q.seq FROM json_each(?1) AS s CROSS JOIN celeriac_queue AS q \
        WHERE q.seq = CAST(s.key AS INTEGER) AND q.fence = s.value); \
    DELETE FROM celeriac_queue WHERE seq IN ( \
        SELECT q.seq FROM json_each(?1) AS s CROSS JOIN celeriac_queue AS q \
        WHERE q.seq = CAST(s.key AS INTEGER) AND q.fence = s.value) \
    RETURNING seq";

/// Copies messages still held to the dead letters; `?1` lists number, fence, reason, detail.
const BURY: &str = "INSERT INTO celeriac_queue_dead (id, queue, said_priority, due_at, unique_key, \
        headers, properties, content_type, content_encoding, body, reason, detail, delivery, attempt, died_at) \
    SELECT q.id, q.queue, q.said_priority, q.due_at, q.unique_key, \
        c.headers, c.properties, c.content_type, c.content_encoding, c.body, \
        s.value ->> 2, s.value ->> 3, q.delivery, q.attempt, ?2 \
    FROM json_each(?1) AS s \
    CROSS JOIN celeriac_queue AS q ON q.seq = s.value ->> 0 AND q.fence = s.value ->> 1 \
    CROSS JOIN celeriac_queue_content AS c ON c.seq = q.seq \
    ORDER BY s.key";

/// Puts messages still held back; `?1` lists number, fence, due time or null, and 1 for uncharged.
const REQUEUE: &str = "UPDATE celeriac_queue SET \
        state = coalesce(s.due > ?2, 0), \
        at = iif(s.due > ?2, s.due, NULL), \
        ready_at = iif(s.due IS NULL, ready_at, max(s.due, ?2)), \
        due_at = coalesce(s.due, due_at), \
        fence = 0, holder = NULL, lost = 0, attempt = attempt - s.uncharged \
    FROM (SELECT value ->> 0 AS seq, value ->> 1 AS fence, value ->> 2 AS due, value ->> 3 AS uncharged \
        FROM json_each(?1)) AS s \
    WHERE celeriac_queue.seq = s.seq AND celeriac_queue.fence = s.fence \
    RETURNING seq";

/// Returns the statements, for a look at their plans.
#[cfg(test)]
pub(super) fn statements() -> [&'static str; 3] {
    [REMOVE, BURY, REQUEUE]
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
}

/// Settles deliveries and returns one answer for each in the given order.
pub(super) async fn settle(tx: &DbTx, orders: &[Order], now: Timestamp) -> Result<Vec<Settled>, DbErr> {
    let mut answers = vec![Settled::LeaseLost; orders.len()];
    let mut rest: Vec<usize> = (0..orders.len()).collect();
    while !rest.is_empty() {
        let (round, later) = without_repeats(orders, &rest);
        let mut work = Round::default();
        round.iter().for_each(|index| work.add(&orders[*index]));
        let done = work.run(tx, now).await?;
        for index in round {
            if done.contains(&orders[index].tag.key) {
                answers[index] = Settled::Done;
            }
        }
        rest = later;
    }
    Ok(answers)
}

/// Splits off orders for a message that an earlier one of the same round settles.
fn without_repeats(orders: &[Order], indexes: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut seen = HashSet::with_capacity(indexes.len());
    indexes.iter().partition(|index| seen.insert(orders[**index].tag.key))
}

/// Settlements of different messages, by what is done.
#[derive(Default)]
struct Round<'s> {
    removed: Vec<LeaseTag>,
    buried: Vec<serde_json::Value>,
    requeued: Vec<serde_json::Value>,
    contents: HashMap<i64, &'s Content>,
}

impl<'s> Round<'s> {
    fn add(&mut self, order: &'s Order) {
        let tag = order.tag;
        match &order.settle {
            Settle::Ack => self.removed.push(tag),
            Settle::Reject { reason, detail } => {
                self.buried.push(serde_json::json!([tag.key, tag.fence, reason, detail]));
                self.removed.push(tag);
            }
            Settle::Requeue { content, due_at, charged } => {
                let due = due_at.map(Timestamp::as_micros);
                self.requeued.push(serde_json::json!([tag.key, tag.fence, due, i64::from(!charged)]));
                self.contents.extend(content.as_ref().map(|content| (tag.key, content)));
            }
        }
    }

    /// Returns the numbers of messages whose lease still held.
    async fn run(self, tx: &DbTx, now: Timestamp) -> Result<HashSet<i64>, DbErr> {
        let now = now.as_micros();
        let mut done = HashSet::with_capacity(self.removed.len() + self.requeued.len());
        if !self.buried.is_empty() {
            execute(tx, BURY, vec![serde_json::Value::from(self.buried).to_string().into(), now.into()])
                .await?;
        }
        if !self.removed.is_empty() {
            let rows = query(tx, REMOVE, vec![leases(self.removed).into()]).await?;
            collect_numbers(&rows, &mut done)?;
        }
        if !self.requeued.is_empty() {
            let list = serde_json::Value::from(self.requeued).to_string();
            let rows = query(tx, REQUEUE, vec![list.into(), now.into()]).await?;
            collect_numbers(&rows, &mut done)?;
        }
        let contents = self.contents.into_iter().filter(|(seq, _)| done.contains(seq));
        replace_contents(tx, contents.map(|(seq, content)| (seq, content.clone())).collect()).await?;
        Ok(done)
    }
}

fn collect_numbers(rows: &[QueryResult], numbers: &mut HashSet<i64>) -> Result<(), DbErr> {
    for row in rows {
        numbers.insert(column(row, 0)?);
    }
    Ok(())
}
