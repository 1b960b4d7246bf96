//! What operators ask: look up, cancel, count, purge, pause.

use std::collections::BTreeMap;

use celeriac_db::DbTx;
use celeriac_protocol::{JobId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::rows::{ENVELOPE, STANDING, found, instant, int, numbers};
use super::statement::{column, execute, query};
use crate::{Cancellation, Found, QueueDepth};

const REMOVE: &str = "DELETE FROM celeriac_queue_content WHERE seq IN (SELECT value FROM json_each(?1)); \
    DELETE FROM celeriac_queue WHERE seq IN (SELECT value FROM json_each(?1))";

const READY_OF_QUEUE: &str = "INDEXED BY celeriac_queue_ready \
    CROSS JOIN celeriac_queue_content AS c ON c.seq = q.seq \
    WHERE q.state = 0 AND q.queue = ?1 ORDER BY q.priority DESC, q.seq LIMIT ?2";

const DELAYED_OF_QUEUE: &str = "INDEXED BY celeriac_queue_timed \
    CROSS JOIN celeriac_queue_content AS c ON c.seq = q.seq \
    WHERE q.state > 0 AND q.state = 1 AND q.queue = ?1 ORDER BY q.at LIMIT ?2";

/// Every queue's ready messages by priority, from the index alone, and since when the first of each waits.
const READY: &str = "SELECT r.queue, r.messages, q.ready_at FROM ( \
        SELECT queue, priority, count(*) AS messages, min(seq) AS first \
        FROM celeriac_queue INDEXED BY celeriac_queue_ready WHERE state = 0 GROUP BY queue, priority) AS r \
    CROSS JOIN celeriac_queue AS q ON q.seq = r.first";

/// Every queue's delayed and held messages; those whose time has come count as ready.
const TIMED: &str = "SELECT queue, iif(at <= ?1, 0, state) AS standing, count(*), min(at) \
    FROM celeriac_queue INDEXED BY celeriac_queue_timed WHERE state > 0 GROUP BY queue, standing";

/// The queues with ready messages, found by a leap through the index from one to the next, and those of the messages
/// that the next fetch makes ready.
pub(super) const OPEN: &str = "WITH RECURSIVE open (queue) AS ( \
        SELECT min(queue) FROM celeriac_queue INDEXED BY celeriac_queue_ready WHERE state = 0 \
        UNION ALL SELECT (SELECT min(q.queue) FROM celeriac_queue AS q INDEXED BY celeriac_queue_ready \
            WHERE q.state = 0 AND q.queue > open.queue) FROM open WHERE open.queue IS NOT NULL) \
    SELECT queue FROM open WHERE queue IS NOT NULL \
    UNION SELECT queue FROM (SELECT queue FROM celeriac_queue INDEXED BY celeriac_queue_timed \
        WHERE state > 0 AND at <= ?1 ORDER BY at LIMIT 1000)";

const PAUSED: &str = "SELECT queue, paused_at FROM celeriac_queue_pause";

/// Finds the message of a job.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    id: &JobId,
    now: Timestamp,
) -> Result<Option<(i64, Found)>, DbErr> {
    let sql = select("CROSS JOIN celeriac_queue_content AS c ON c.seq = q.seq WHERE q.id = ?1");
    let rows = query(db, sql, vec![id.as_str().into()]).await?;
    rows.first().map(|row| found(row, now)).transpose()
}

/// Takes a waiting message out, or marks a held one.
pub(super) async fn cancel(
    tx: &DbTx,
    id: &JobId,
    reason: &str,
    now: Timestamp,
) -> Result<Cancellation, DbErr> {
    let mark = "UPDATE celeriac_queue SET cancel_requested = 1, cancel_reason = coalesce(cancel_reason, ?2) \
        WHERE id = ?1 AND state = 2";
    if execute(tx, mark, vec![id.as_str().into(), reason.into()]).await?.rows_affected() > 0 {
        return Ok(Cancellation::Requested);
    }
    let Some((seq, found)) = find(tx, id, now).await? else {
        return Ok(Cancellation::NotFound);
    };
    execute(tx, REMOVE, vec![numbers([seq]).into()]).await?;
    Ok(Cancellation::Removed(Box::new(found)))
}

/// Removes waiting messages of a queue, those first that would be handed out first, and returns them.
pub(super) async fn purge(tx: &DbTx, queue: &str, max: usize, now: Timestamp) -> Result<Vec<Found>, DbErr> {
    let messages = numbered(tx, queue, max, now).await?;
    execute(tx, REMOVE, vec![numbers(messages.iter().map(|(seq, _)| *seq)).into()]).await?;
    Ok(messages.into_iter().map(|(_, found)| found).collect())
}

/// Returns waiting messages of a queue, those first that would be handed out first.
pub(super) async fn waiting(
    db: &impl ConnectionTrait,
    queue: &str,
    max: usize,
    now: Timestamp,
) -> Result<Vec<Found>, DbErr> {
    Ok(numbered(db, queue, max, now).await?.into_iter().map(|(_, found)| found).collect())
}

async fn numbered(
    db: &impl ConnectionTrait,
    queue: &str,
    max: usize,
    now: Timestamp,
) -> Result<Vec<(i64, Found)>, DbErr> {
    let mut messages = Vec::new();
    for waiting in [READY_OF_QUEUE, DELAYED_OF_QUEUE] {
        let values = vec![queue.into(), int(max - messages.len()).into()];
        for row in query(db, select(waiting), values).await? {
            messages.push(found(&row, now)?);
        }
    }
    Ok(messages)
}

/// Counts the messages of every queue that has any or is paused.
pub(super) async fn depths(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<QueueDepth>, DbErr> {
    let mut depths = Depths::default();
    for row in query(db, PAUSED, Vec::new()).await? {
        depths.of(&row)?.paused_at = Some(instant(&row, 1)?);
    }
    for row in query(db, READY, Vec::new()).await? {
        let (messages, since) = (number(&row, 1)?, instant(&row, 2)?);
        depths.of(&row)?.add_ready(messages, since);
    }
    for row in query(db, TIMED, vec![now.as_micros().into()]).await? {
        let (standing, messages, since) = (column::<i64>(&row, 1)?, number(&row, 2)?, instant(&row, 3)?);
        let depth = depths.of(&row)?;
        match standing {
            0 => depth.add_ready(messages, since),
            1 => depth.delayed += messages,
            _ => depth.held += messages,
        }
    }
    Ok(depths.0.into_values().collect())
}

/// Names the queues that have something to hand out.
pub(super) async fn open_queues(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<String>, DbErr> {
    let rows = query(db, OPEN, vec![now.as_micros().into()]).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// Stops a queue from handing out; a second time changes nothing.
pub(super) async fn pause(tx: &DbTx, queue: &str, now: Timestamp) -> Result<(), DbErr> {
    let sql = "INSERT OR IGNORE INTO celeriac_queue_pause (queue, paused_at) VALUES (?1, ?2)";
    execute(tx, sql, vec![queue.into(), now.as_micros().into()]).await.map(drop)
}

/// Lets a queue hand out again.
pub(super) async fn resume(tx: &DbTx, queue: &str) -> Result<(), DbErr> {
    let sql = "DELETE FROM celeriac_queue_pause WHERE queue = ?1";
    execute(tx, sql, vec![queue.into()]).await.map(drop)
}

fn select(rest: &str) -> String {
    format!("SELECT {ENVELOPE}, {STANDING} FROM celeriac_queue AS q {rest}")
}

#[derive(Default)]
struct Depths(BTreeMap<String, QueueDepth>);

impl Depths {
    /// Returns the counts of the queue that a row begins with.
    fn of(&mut self, row: &QueryResult) -> Result<&mut QueueDepth, DbErr> {
        let queue: String = column(row, 0)?;
        Ok(self.0.entry(queue.clone()).or_insert_with(|| QueueDepth::empty(queue)))
    }
}

fn number(row: &QueryResult, index: usize) -> Result<u64, DbErr> {
    Ok(column::<i64>(row, index)?.unsigned_abs())
}
