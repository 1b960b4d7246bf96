//! Dead letters: read, dropped, put back.

use celeriac_db::{DbError, DbTx, DirectTx};
use celeriac_protocol::{Envelope, JobId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr};

use super::publish::publish;
use super::rows::{dead_letter, int, numbers};
use super::statement::{execute, query};
use crate::{DeadLetter, DeadLetterPage, Publication};

const SELECT: &str = "SELECT id, queue, said_priority, due_at, unique_key, \
    headers, properties, content_type, content_encoding, body, \
    key, reason, detail, delivery, attempt, died_at FROM celeriac_queue_dead";

/// Returns dead letters, newest first.
pub(super) async fn page(
    db: &impl ConnectionTrait,
    before: Option<i64>,
    limit: usize,
) -> Result<DeadLetterPage, DbErr> {
    let sql = format!("{SELECT} WHERE key < ?1 ORDER BY key DESC LIMIT ?2");
    // One more than asked for tells whether there is a next page.
    let values = vec![before.unwrap_or(i64::MAX).into(), int(limit.saturating_add(1)).into()];
    let rows = query(db, sql, values).await?;
    let letters: Vec<DeadLetter> = rows.iter().take(limit).map(dead_letter).collect::<Result<_, _>>()?;
    let next = letters.last().filter(|_| rows.len() > limit).map(|letter| letter.key);
    Ok(DeadLetterPage { letters, next })
}

/// Finds the newest dead letter of a job.
pub(super) async fn find(db: &impl ConnectionTrait, id: &JobId) -> Result<Option<DeadLetter>, DbErr> {
    let sql = format!("{SELECT} WHERE id = ?1 ORDER BY key DESC LIMIT 1");
    let rows = query(db, sql, vec![id.as_str().into()]).await?;
    rows.first().map(dead_letter).transpose()
}

/// Drops dead letters and returns how many there were.
pub(super) async fn remove(tx: &DbTx, keys: &[i64]) -> Result<u64, DbErr> {
    let sql = "DELETE FROM celeriac_queue_dead WHERE key IN (SELECT value FROM json_each(?1))";
    Ok(execute(tx, sql, vec![numbers(keys.iter().copied()).into()]).await?.rows_affected())
}

/// Puts a dead letter back as `envelope`; it stays where it is if its id or unique key is taken.
pub(super) fn revive(
    tx: &DirectTx<'_>,
    key: i64,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Option<Publication>, DbError> {
    let exists = tx.query_first("SELECT 1 FROM celeriac_queue_dead WHERE key = ?1", [key], |_| Ok(()))?;
    if exists.is_none() {
        return Ok(None);
    }
    let publication = publish(tx, std::slice::from_ref(envelope), now)?.pop();
    if publication == Some(Publication::Accepted) {
        tx.execute("DELETE FROM celeriac_queue_dead WHERE key = ?1", [key])?;
    }
    Ok(publication)
}
