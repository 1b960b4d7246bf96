//! Handing messages out: what is due becomes ready, the first in line are leased, leases are renewed.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::{DbErr, QueryResult, Value};

use super::rows::{ENVELOPE, ENVELOPE_COLUMNS, count, envelope, int, leases};
use super::statement::{column, query};
use crate::{Delivery, Fetched, LeaseTag, Renewal};

/// What has fallen due becomes ready, and what a holder let go by is ready again and counted: a
/// thousand at most, so that a flood of them does not hold up other writes; the next fetch goes on.
pub(super) const PROMOTE: &str = "UPDATE celeriac_queue \
    SET state = 0, ready_at = at, at = NULL, fence = 0, holder = NULL, lost = lost + (state = 2) \
    WHERE seq IN (SELECT seq FROM celeriac_queue INDEXED BY celeriac_queue_timed \
        WHERE state > 0 AND at <= ?1 ORDER BY at LIMIT 1000)";

/// Reads the first in line of a queue with their contents, then leases the same ones.
static CLAIM: LazyLock<String> = LazyLock::new(|| {
    let read = first_in_line(
        &format!("{ENVELOPE}, q.seq, q.delivery, q.attempt, q.lost, q.cancel_requested, q.cancel_reason"),
        "CROSS JOIN celeriac_queue_content AS c ON c.seq = q.seq",
    );
    let lease = format!(
        "UPDATE celeriac_queue SET state = 2, at = ?4, fence = ?5, holder = ?6, \
            delivery = delivery + 1, attempt = attempt + 1 WHERE seq IN ({})",
        first_in_line("q.seq", "")
    );
    format!("{read}; {lease}")
});

static PROMOTE_AND_CLAIM: LazyLock<String> = LazyLock::new(|| format!("{PROMOTE}; {}", *CLAIM));

pub(super) const NEXT_DUE: &str =
    "SELECT min(at) FROM celeriac_queue INDEXED BY celeriac_queue_timed WHERE state > 0";

pub(super) const RENEW: &str = "UPDATE celeriac_queue SET at = ?2 FROM json_each(?1) AS s \
    WHERE celeriac_queue.seq = CAST(s.key AS INTEGER) AND celeriac_queue.fence = s.value \
    RETURNING seq, cancel_requested, cancel_reason";

/// Returns the parts of a claim, for a look at their plans.
#[cfg(test)]
pub(super) fn claim_statements() -> Vec<String> {
    CLAIM.split(';').map(str::to_owned).collect()
}

/// Selects from the first `?3` in line of queue `?2`; it names `?1` only to leave no number out.
///
/// A bare parameter as a limit would make SQLite plan the statement anew each time it is bound to
/// another number, which cost a sixth of a claim of one message; a sum is not looked into.
fn first_in_line(columns: &str, join: &str) -> String {
    format!(
        "SELECT {columns} FROM celeriac_queue AS q INDEXED BY celeriac_queue_ready {join} \
            WHERE ?1 IS NOT NULL AND q.state = 0 AND q.queue = ?2 \
            AND NOT EXISTS (SELECT 1 FROM celeriac_queue_pause WHERE queue = ?2) \
            ORDER BY q.priority DESC, q.seq LIMIT ?3 + 0"
    )
}

/// What a worker asks for, in the order in which its queues are asked this time.
pub(super) struct Claim {
    pub(super) queues: Vec<String>,
    pub(super) max: usize,
    pub(super) lease: Duration,
    pub(super) holder: String,
}

impl Claim {
    /// Leases messages and returns their rows, to be read outside of the transaction.
    pub(super) async fn run(self, tx: &DbTx, now: Timestamp) -> Result<Claimed, DbErr> {
        let (leased_until, fence) = (now + self.lease, fresh_fence());
        let mut rows = Vec::new();
        let mut sql: &str = &PROMOTE_AND_CLAIM;
        for queue in &self.queues {
            rows.extend(query(tx, sql, self.values(queue, now, leased_until, fence, rows.len())).await?);
            if rows.len() >= self.max {
                // Whoever got all that was asked for asks again anyway.
                return Ok(Claimed { rows, leased_until, fence, next_due_at: None });
            }
            sql = &CLAIM;
        }
        Ok(Claimed { rows, leased_until, fence, next_due_at: next_due(tx).await? })
    }

    fn values(&self, queue: &str, now: Timestamp, until: Timestamp, fence: i64, taken: usize) -> Vec<Value> {
        vec![
            now.as_micros().into(),
            queue.into(),
            int(self.max - taken).into(),
            until.as_micros().into(),
            fence.into(),
            self.holder.as_str().into(),
        ]
    }
}

/// Messages that were leased, as SQLite gave them.
pub(super) struct Claimed {
    rows: Vec<QueryResult>,
    leased_until: Timestamp,
    fence: i64,
    next_due_at: Option<Timestamp>,
}

impl Claimed {
    /// Reads the messages. One that cannot be read is left to its lease, so that it stands in
    /// nobody's way; it was not written by us.
    pub(super) fn read(self) -> Fetched {
        let Self { rows, leased_until, fence, next_due_at } = self;
        let read = rows.iter().filter_map(|row| {
            let delivery = delivery(row, fence, leased_until);
            delivery.inspect_err(|error| tracing::error!(%error, "message in the queue cannot be read")).ok()
        });
        Fetched { deliveries: read.collect(), next_due_at }
    }
}

/// Lengthens leases and returns one answer for each in the given order.
pub(super) async fn renew(tx: &DbTx, tags: &[LeaseTag], until: Timestamp) -> Result<Vec<Renewal>, DbErr> {
    let values = vec![leases(tags.iter().copied()).into(), until.as_micros().into()];
    let rows = query(tx, RENEW, values).await?;
    let mut held: HashMap<i64, Option<String>> = rows
        .iter()
        .map(|row| Ok((column(row, 0)?, cancel_requested(row, 1)?)))
        .collect::<Result<_, DbErr>>()?;
    let answer = |tag: &LeaseTag| match held.remove(&tag.key) {
        Some(cancel_requested) => Renewal::Held { cancel_requested },
        None => Renewal::Lost,
    };
    Ok(tags.iter().map(answer).collect())
}

/// Reads the mark of a cancelled message, and then why; the mark may be older than reasons are.
fn cancel_requested(row: &QueryResult, place: usize) -> Result<Option<String>, DbErr> {
    let is_marked = column::<i64>(row, place)? != 0;
    let reason = column::<Option<String>>(row, place + 1)?;
    Ok(is_marked.then(|| reason.unwrap_or_else(|| "cancelled".to_owned())))
}

async fn next_due(tx: &DbTx) -> Result<Option<Timestamp>, DbErr> {
    let rows = query(tx, NEXT_DUE, Vec::new()).await?;
    let next = rows.first().map(|row| column::<Option<i64>>(row, 0)).transpose()?.flatten();
    Ok(next.map(Timestamp::from_micros))
}

/// Makes a fence that no other fetch of any process has: random, above zero, exact in JSON.
fn fresh_fence() -> i64 {
    ((rand::random::<u64>() >> 1) | 1).cast_signed()
}

fn delivery(row: &QueryResult, fence: i64, leased_until: Timestamp) -> Result<Delivery, DbErr> {
    let at = |place: usize| ENVELOPE_COLUMNS + place;
    Ok(Delivery {
        envelope: envelope(row)?,
        tag: LeaseTag { key: column(row, at(0))?, fence },
        delivery: count(row, at(1))?.saturating_add(1),
        attempt: count(row, at(2))?.saturating_add(1),
        lost: count(row, at(3))?,
        leased_until,
        cancel_requested: cancel_requested(row, at(4))?,
    })
}
