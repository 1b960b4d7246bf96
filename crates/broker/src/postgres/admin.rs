//! What operators ask: look up, cancel, count, purge, pause; and dead letters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use celeriac_db::postgres::PgRow;
use celeriac_protocol::{JobId, Timestamp, without_nul};
use sea_orm::sqlx;

use super::rows::{MESSAGE, dead_letter, found, instant, is_held};
use super::statement::{Values, Via, column, failed};
use crate::{BrokerError, Cancellation, DeadLetter, DeadLetterPage, Found, QueueDepth};

static FIND: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {MESSAGE} FROM celeriac_queue WHERE id = $1"));

static CANCEL: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {MESSAGE} FROM celeriac_queue_cancel($1, $2)"));

static PURGE: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {MESSAGE} FROM celeriac_queue_purge($1, $2)"));

static WAITING: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {MESSAGE} FROM celeriac_queue WHERE queue = $1 AND state < 2 LIMIT $2"));

/// Every queue's ready messages by priority, from the index alone, and since when the first of each waits.
const READY: &str = "WITH ready AS ( \
        SELECT queue, priority, count(*) AS messages, min(seq) AS first \
        FROM celeriac_queue WHERE state = 0 GROUP BY queue, priority) \
    SELECT r.queue, r.messages, q.ready_at FROM ready AS r JOIN celeriac_queue AS q ON q.seq = r.first";

/// Every queue's delayed and held messages; those whose time has come count as ready.
const TIMED: &str = "SELECT queue, (CASE WHEN at <= $1 THEN 0 ELSE state END)::smallint AS standing, \
        count(*) AS messages, min(at) AS at \
    FROM celeriac_queue WHERE state > 0 GROUP BY queue, standing";

/// The queues with ready messages, found by a leap through the index from one to the next, and those of the messages
/// that the next fetch makes ready.
const OPEN: &str = "WITH RECURSIVE open (queue) AS ( \
        (SELECT queue FROM celeriac_queue WHERE state = 0 ORDER BY queue LIMIT 1) \
        UNION ALL SELECT (SELECT q.queue FROM celeriac_queue AS q \
            WHERE q.state = 0 AND q.queue > open.queue ORDER BY q.queue LIMIT 1) FROM open WHERE open.queue IS NOT NULL) \
    SELECT queue FROM open WHERE queue IS NOT NULL \
    UNION SELECT due.queue FROM (SELECT queue FROM celeriac_queue \
        WHERE state > 0 AND at <= $1 ORDER BY at LIMIT 1000) AS due";

const PAUSED: &str = "SELECT queue, paused_at FROM celeriac_queue_pause";

const PAUSE: &str =
    "INSERT INTO celeriac_queue_pause (queue, paused_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const RESUME: &str = "DELETE FROM celeriac_queue_pause WHERE queue = $1";

const LETTERS: &str = "SELECT * FROM celeriac_queue_dead WHERE key < $1 ORDER BY key DESC LIMIT $2";

const LETTER: &str = "SELECT * FROM celeriac_queue_dead WHERE id = $1 ORDER BY key DESC LIMIT 1";

const DROP: &str = "WITH gone AS (DELETE FROM celeriac_queue_dead WHERE key = ANY ($1) RETURNING key) \
    SELECT count(*) FROM gone";

/// Finds the message of a job.
pub(super) async fn find(via: &Via<'_>, id: &JobId, now: Timestamp) -> Result<Option<Found>, BrokerError> {
    const ACTION: &str = "find message";
    let rows = via.query(ACTION, &FIND, Values::default().with(id.as_str())).await?;
    rows.first().map(|row| found(row, now)).transpose().map_err(failed(ACTION))
}

/// Takes a waiting message out, or marks a held one.
pub(super) async fn cancel(
    via: &Via<'_>,
    id: &JobId,
    reason: &str,
    now: Timestamp,
) -> Result<Cancellation, BrokerError> {
    const ACTION: &str = "cancel message";
    let rows = via
        .query(ACTION, &CANCEL, Values::default().with(id.as_str()).with(without_nul(reason.to_owned())))
        .await?;
    let Some(row) = rows.first() else { return Ok(Cancellation::NotFound) };
    let cancellation = match is_held(row) {
        Ok(true) => Ok(Cancellation::Requested),
        Ok(false) => found(row, now).map(|found| Cancellation::Removed(Box::new(found))),
        Err(error) => Err(error),
    };
    cancellation.map_err(failed(ACTION))
}

/// Removes waiting messages of a queue and returns them.
pub(super) async fn purge(
    via: &Via<'_>,
    queue: &str,
    max: usize,
    now: Timestamp,
) -> Result<Vec<Found>, BrokerError> {
    const ACTION: &str = "purge queue";
    let values = Values::default().with(queue).with(i32::try_from(max).unwrap_or(i32::MAX));
    let rows = via.query(ACTION, &PURGE, values).await?;
    rows.iter().map(|row| found(row, now)).collect::<Result<_, _>>().map_err(failed(ACTION))
}

/// Returns waiting messages of a queue.
pub(super) async fn waiting(
    via: &Via<'_>,
    queue: &str,
    max: usize,
    now: Timestamp,
) -> Result<Vec<Found>, BrokerError> {
    const ACTION: &str = "read messages";
    let values = Values::default().with(queue).with(i64::try_from(max).unwrap_or(i64::MAX));
    let rows = via.query(ACTION, &WAITING, values).await?;
    rows.iter().map(|row| found(row, now)).collect::<Result<_, _>>().map_err(failed(ACTION))
}

/// Counts the messages of every queue that has any or is paused; `now` is by the clock that leases go by.
pub(super) async fn depths(via: &Via<'_>, now: Timestamp) -> Result<Vec<QueueDepth>, BrokerError> {
    const ACTION: &str = "count messages";
    let paused = via.query(ACTION, PAUSED, Values::default()).await?;
    let ready = via.query(ACTION, READY, Values::default()).await?;
    let timed = via.query(ACTION, TIMED, Values::default().with(now.as_micros())).await?;
    let counted = Depths::default().counted(&paused, &ready, &timed);
    Ok(counted.map_err(failed(ACTION))?.0.into_values().collect())
}

/// Names the queues that have something to hand out; `now` is by the clock that leases go by.
pub(super) async fn open_queues(via: &Via<'_>, now: Timestamp) -> Result<Vec<String>, BrokerError> {
    const ACTION: &str = "name queues";
    let rows = via.query(ACTION, OPEN, Values::default().with(now.as_micros())).await?;
    rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>().map_err(failed(ACTION))
}

/// Stops a queue from handing out; a second time changes nothing.
pub(super) async fn pause(via: &Via<'_>, queue: &str, now: Timestamp) -> Result<(), BrokerError> {
    let values = Values::default().with(queue).with(now.as_micros());
    via.query("pause queue", PAUSE, values).await.map(drop)
}

/// Lets a queue hand out again.
pub(super) async fn resume(via: &Via<'_>, queue: &str) -> Result<(), BrokerError> {
    via.query("resume queue", RESUME, Values::default().with(queue)).await.map(drop)
}

/// Returns dead letters, newest first.
pub(super) async fn letters(
    via: &Via<'_>,
    before: Option<i64>,
    limit: usize,
) -> Result<DeadLetterPage, BrokerError> {
    const ACTION: &str = "read dead letters";
    // One more than asked for tells whether there is a next page.
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let values = Values::default().with(before.unwrap_or(i64::MAX)).with(most);
    let rows = via.query(ACTION, LETTERS, values).await?;
    let letters = rows.iter().take(limit).map(dead_letter).collect::<Result<Vec<_>, _>>();
    let letters = letters.map_err(failed(ACTION))?;
    let next = letters.last().filter(|_| rows.len() > limit).map(|letter| letter.key);
    Ok(DeadLetterPage { letters, next })
}

/// Finds the newest dead letter of a job.
pub(super) async fn letter(via: &Via<'_>, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
    const ACTION: &str = "find dead letter";
    let rows = via.query(ACTION, LETTER, Values::default().with(id.as_str())).await?;
    rows.first().map(dead_letter).transpose().map_err(failed(ACTION))
}

/// Drops dead letters and returns how many there were.
pub(super) async fn drop_letters(via: &Via<'_>, keys: &[i64]) -> Result<u64, BrokerError> {
    let values = Values::default().with(keys);
    let gone: i64 = via.query_one("drop dead letters", DROP, values, |row| column(row, 0)).await?;
    Ok(gone.unsigned_abs())
}

#[derive(Default)]
struct Depths(BTreeMap<String, QueueDepth>);

impl Depths {
    fn counted(mut self, paused: &[PgRow], ready: &[PgRow], timed: &[PgRow]) -> Result<Self, sqlx::Error> {
        for row in paused {
            self.of(row)?.paused_at = instant(row, "paused_at")?;
        }
        for row in ready {
            let (messages, since) = (messages(row)?, instant(row, "ready_at")?.unwrap_or_default());
            self.of(row)?.add_ready(messages, since);
        }
        for row in timed {
            let (messages, since) = (messages(row)?, instant(row, "at")?.unwrap_or_default());
            let depth = self.of(row)?;
            match column::<i16, _>(row, "standing")? {
                0 => depth.add_ready(messages, since),
                1 => depth.delayed += messages,
                _ => depth.held += messages,
            }
        }
        Ok(self)
    }

    /// Returns the counts of the queue that a row names.
    fn of(&mut self, row: &PgRow) -> Result<&mut QueueDepth, sqlx::Error> {
        let queue: String = column(row, "queue")?;
        Ok(self.0.entry(queue.clone()).or_insert_with(|| QueueDepth::empty(queue)))
    }
}

fn messages(row: &PgRow) -> Result<u64, sqlx::Error> {
    Ok(column::<i64, _>(row, "messages")?.unsigned_abs())
}
