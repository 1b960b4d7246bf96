//! Handing messages out: what is due becomes ready, the first in line are leased, leases are renewed.

use std::sync::LazyLock;
use std::time::Duration;

use celeriac_db::rusqlite::{self, Row, params};
use celeriac_db::{DbError, DirectTx};
use celeriac_protocol::Timestamp;

use super::rows::{ENVELOPE, ENVELOPE_COLUMNS, count, envelope, int};
use crate::{Delivery, Fetched, LeaseTag, Renewal};

/// What has fallen due becomes ready, and what a holder let go by is ready again and counted: a
/// thousand at most, so that a flood of them does not hold up other writes; the next fetch goes on.
pub(super) const PROMOTE: &str = "UPDATE celeriac_queue \
    SET state = 0, ready_at = at, at = NULL, fence = 0, holder = NULL, lost = lost + (state = 2) \
    WHERE seq IN (SELECT seq FROM celeriac_queue INDEXED BY celeriac_queue_timed \
        WHERE state > 0 AND at <= ?1 ORDER BY at LIMIT 1000)";

/// Reads the first `?2` in line of queue `?1` with their contents.
///
/// A bare parameter as a limit would make SQLite plan the statement anew each time it is bound to
/// another number, which cost a sixth of a claim of one message; a sum is not looked into.
static FIRST_IN_LINE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENVELOPE}, q.seq, q.delivery, q.attempt, q.lost, q.cancel_requested, q.cancel_reason \
            FROM celeriac_queue AS q INDEXED BY celeriac_queue_ready \
            CROSS JOIN celeriac_queue_content AS c ON c.seq = q.seq \
            WHERE q.state = 0 AND q.queue = ?1 \
            AND NOT EXISTS (SELECT 1 FROM celeriac_queue_pause WHERE queue = ?1) \
            ORDER BY q.priority DESC, q.seq LIMIT ?2 + 0"
    )
});

const LEASE: &str = "UPDATE celeriac_queue SET state = 2, at = ?2, fence = ?3, holder = ?4, \
    delivery = delivery + 1, attempt = attempt + 1 WHERE seq = ?1";

pub(super) const NEXT_DUE: &str =
    "SELECT min(at) FROM celeriac_queue INDEXED BY celeriac_queue_timed WHERE state > 0";

const RENEW: &str = "UPDATE celeriac_queue SET at = ?3 WHERE seq = ?1 AND fence = ?2 \
    RETURNING cancel_requested, cancel_reason";

/// Returns the statement that walks the queue, for a look at its plan.
#[cfg(test)]
pub(super) fn first_in_line() -> &'static str {
    &FIRST_IN_LINE
}

/// Returns the statements that go by a message's number, for a look at their plans.
#[cfg(test)]
pub(super) fn statements() -> [&'static str; 2] {
    [LEASE, RENEW]
}

/// What a worker asks for, in the order in which its queues are asked this time.
pub(super) struct Claim {
    pub(super) queues: Vec<String>,
    pub(super) max: usize,
    pub(super) lease: Duration,
    pub(super) holder: String,
}

impl Claim {
    /// Leases messages and returns them.
    ///
    /// One that cannot be read is left to its lease, so that it stands in nobody's way; it was not
    /// written by us.
    pub(super) fn run(self, tx: &DirectTx<'_>, now: Timestamp) -> Result<Fetched, DbError> {
        let (until, fence) = (now + self.lease, fresh_fence());
        tx.execute(PROMOTE, [now.as_micros()])?;
        let (mut deliveries, mut leased) = (Vec::new(), 0);
        for queue in &self.queues {
            let values = params![queue, int(self.max - leased)];
            let first = tx.query(&FIRST_IN_LINE, values, |row| read_claimed(row, fence, until))?;
            for (seq, delivery) in first {
                tx.execute(LEASE, params![seq, until.as_micros(), fence, self.holder])?;
                leased += 1;
                deliveries.extend(delivery.inspect_err(|error| {
                    tracing::error!(%error, seq, "message in the queue cannot be read");
                }));
            }
            if leased >= self.max {
                // Whoever got all that was asked for asks again anyway.
                return Ok(Fetched { deliveries, next_due_at: None });
            }
        }
        let next_due_at = tx.query_first(NEXT_DUE, [], |row| row.get::<_, Option<i64>>(0))?.flatten();
        Ok(Fetched { deliveries, next_due_at: next_due_at.map(Timestamp::from_micros) })
    }
}

/// Lengthens leases and returns one answer for each in the given order.
pub(super) fn renew(tx: &DirectTx<'_>, tags: &[LeaseTag], until: Timestamp) -> Result<Vec<Renewal>, DbError> {
    let mut answers = Vec::with_capacity(tags.len());
    for tag in tags {
        let values = [tag.key, tag.fence, until.as_micros()];
        let held = tx.query_first(RENEW, values, |row| cancel_requested(row, 0))?;
        answers.push(held.map_or(Renewal::Lost, |cancel_requested| Renewal::Held { cancel_requested }));
    }
    Ok(answers)
}

/// Reads the mark of a cancelled message, and then why; the mark may be older than reasons are.
fn cancel_requested(row: &Row<'_>, place: usize) -> rusqlite::Result<Option<String>> {
    let (is_marked, reason) = (row.get::<_, bool>(place)?, row.get::<_, Option<String>>(place + 1)?);
    Ok(is_marked.then(|| reason.unwrap_or_else(|| "cancelled".to_owned())))
}

/// Makes a fence that no other fetch of any process has: random and above zero.
fn fresh_fence() -> i64 {
    ((rand::random::<u64>() >> 1) | 1).cast_signed()
}

/// Reads a message's number, and the message as far as it can be read.
fn read_claimed(
    row: &Row<'_>,
    fence: i64,
    leased_until: Timestamp,
) -> rusqlite::Result<(i64, rusqlite::Result<Delivery>)> {
    let seq = row.get(ENVELOPE_COLUMNS)?;
    Ok((seq, read_delivery(row, LeaseTag { key: seq, fence }, leased_until)))
}

fn read_delivery(row: &Row<'_>, tag: LeaseTag, leased_until: Timestamp) -> rusqlite::Result<Delivery> {
    let at = |place: usize| ENVELOPE_COLUMNS + place;
    Ok(Delivery {
        envelope: envelope(row)?,
        tag,
        delivery: count(row, at(1))?.saturating_add(1),
        attempt: count(row, at(2))?.saturating_add(1),
        lost: count(row, at(3))?,
        leased_until,
        cancel_requested: cancel_requested(row, at(4))?,
    })
}
