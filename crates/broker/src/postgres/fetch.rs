//! Handing messages out, and lengthening their leases.

use std::collections::HashMap;
use std::time::Duration;

use celeriac_db::postgres::PgRow;
use celeriac_protocol::Timestamp;
use sea_orm::sqlx;

use super::Time;
use super::rows::{delivery, instant};
use super::statement::{Values, Via, column, failed};
use crate::{BrokerError, Fetched, LeaseTag, Renewal};

const FETCH: &str = "SELECT seq, at, ready_at, due_at, delivery, attempt, lost, said_priority, id, queue, unique_key, \
    cancel_reason, content_type, content_encoding, properties, headers, body \
    FROM celeriac_queue_fetch($1, $2, $3, $4, $5, $6)";

const RENEW: &str = "SELECT place, cancel_reason FROM celeriac_queue_renew($1, $2, $3, $4)";

/// What a worker asks for, in the order in which its queues are asked this time.
pub(super) struct Claim<'c> {
    pub(super) queues: Vec<&'c str>,
    pub(super) max: usize,
    pub(super) lease: Duration,
    pub(super) holder: &'c str,
}

impl Claim<'_> {
    /// Leases messages and returns them.
    ///
    /// One that cannot be read is left to its lease, so that it stands in nobody's way; it was not
    /// written by us.
    pub(super) async fn run(&self, via: &Via<'_>, time: &Time) -> Result<Fetched, BrokerError> {
        const ACTION: &str = "fetch messages";
        let (asked_at, fence) = (time.clock.now(), fresh_fence());
        let values = Values::default()
            .with(&self.queues)
            .with(i32::try_from(self.max).unwrap_or(i32::MAX))
            .with(micros(self.lease))
            .with(fence)
            .with(self.holder)
            .with(time.told());
        let rows = via.query(ACTION, FETCH, values).await?;
        let mut fetched = Fetched::default();
        for row in &rows {
            match column::<Option<i64>, _>(row, 0).map_err(failed(ACTION))? {
                Some(key) => match delivery(row, LeaseTag { key, fence }, asked_at + self.lease) {
                    Ok(delivery) => fetched.deliveries.push(delivery),
                    Err(error) => tracing::error!(%error, key, "message in the queue cannot be read"),
                },
                None => fetched.next_due_at = next_due(row, asked_at).map_err(failed(ACTION))?,
            }
        }
        Ok(fetched)
    }
}

/// Lengthens leases and returns one answer for each in the given order.
pub(super) async fn renew(
    via: &Via<'_>,
    tags: &[LeaseTag],
    lease: Duration,
    time: &Time,
) -> Result<Vec<Renewal>, BrokerError> {
    const ACTION: &str = "renew leases";
    let (keys, fences) = lists(tags);
    let values = Values::default().with(keys).with(fences).with(micros(lease)).with(time.told());
    let rows = via.query(ACTION, RENEW, values).await?;
    let held = rows.iter().map(|row| {
        let tag = tags.get(place(column(row, 0)?)).ok_or(sqlx::Error::RowNotFound)?;
        Ok((*tag, column(row, 1)?))
    });
    let held: HashMap<LeaseTag, Option<String>> = held.collect::<Result<_, _>>().map_err(failed(ACTION))?;
    let renewal = |tag: &LeaseTag| {
        held.get(tag).map_or(Renewal::Lost, |reason| Renewal::Held { cancel_requested: reason.clone() })
    };
    Ok(tags.iter().map(renewal).collect())
}

/// Parts tags into a list of keys and one of fences.
pub(super) fn lists(tags: &[LeaseTag]) -> (Vec<i64>, Vec<i64>) {
    tags.iter().map(|tag| (tag.key, tag.fence)).unzip()
}

/// Reads a place in a list, which PostgreSQL counts from one.
pub(super) fn place(counted: i64) -> usize {
    usize::try_from(counted).ok().and_then(|counted| counted.checked_sub(1)).unwrap_or(usize::MAX)
}

/// Tells by this node's clock when the next message falls due by the server's.
fn next_due(row: &PgRow, asked_at: Timestamp) -> Result<Option<Timestamp>, sqlx::Error> {
    let (due, now) = (instant(row, "at")?, instant(row, "ready_at")?);
    let left = |due: Timestamp| due.as_micros().saturating_sub(now.map_or(0, Timestamp::as_micros));
    Ok(due.map(|due| Timestamp::from_micros(asked_at.as_micros().saturating_add(left(due)))))
}

/// Makes a fence that no other fetch of any process has: random and above zero.
fn fresh_fence() -> i64 {
    ((rand::random::<u64>() >> 1) | 1).cast_signed()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}
