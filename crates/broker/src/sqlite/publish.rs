//! Putting messages into the queue, and what to say of those already there.

use celeriac_db::rusqlite::params;
use celeriac_db::{DbError, DirectTx};
use celeriac_protocol::{Content, Envelope, JobId, Timestamp};

use super::rows::job_id;
use crate::Publication;

const INSERT: &str = "INSERT OR IGNORE INTO celeriac_queue \
    (id, queue, priority, state, at, ready_at, said_priority, due_at, unique_key) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// In place of what stood there, where a message goes back with another content.
const CONTENT: &str = "INSERT OR REPLACE INTO celeriac_queue_content \
    (seq, headers, properties, content_type, content_encoding, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const IS_PRESENT: &str = "SELECT 1 FROM celeriac_queue WHERE id = ?1";
const HOLDER_OF_KEY: &str = "SELECT id FROM celeriac_queue WHERE unique_key = ?1";

/// Stores messages and returns one answer for each in the given order.
pub(super) fn publish(
    tx: &DirectTx<'_>,
    envelopes: &[Envelope],
    now: Timestamp,
) -> Result<Vec<Publication>, DbError> {
    let mut answers = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        answers.push(publish_one(tx, envelope, now)?);
    }
    Ok(answers)
}

/// Writes a content under the number of its message.
pub(super) fn put_content(tx: &DirectTx<'_>, seq: i64, content: &Content) -> Result<(), DbError> {
    let Content { headers, properties, content_type, content_encoding, body } = content;
    tx.execute(CONTENT, params![seq, headers, properties, content_type, content_encoding, body])?;
    Ok(())
}

fn publish_one(tx: &DirectTx<'_>, envelope: &Envelope, now: Timestamp) -> Result<Publication, DbError> {
    let delayed_until = envelope.due_at.filter(|due| *due > now).map(Timestamp::as_micros);
    let values = params![
        envelope.id.as_str(),
        envelope.queue,
        envelope.effective_priority(),
        delayed_until.is_some(),
        delayed_until,
        delayed_until.unwrap_or(now.as_micros()),
        envelope.priority,
        envelope.due_at.map(Timestamp::as_micros),
        envelope.unique_key,
    ];
    if tx.execute(INSERT, values)? == 0 {
        return Ok(Publication::Duplicate(occupant(tx, envelope)?));
    }
    put_content(tx, tx.last_insert_id(), &envelope.content)?;
    Ok(Publication::Accepted)
}

/// Returns whose message stands in the way: that of the same job, or else that of the same key.
fn occupant(tx: &DirectTx<'_>, envelope: &Envelope) -> Result<JobId, DbError> {
    if tx.query_first(IS_PRESENT, [envelope.id.as_str()], |_| Ok(()))?.is_some() {
        return Ok(envelope.id.clone());
    }
    let holder = tx.query_first(HOLDER_OF_KEY, [&envelope.unique_key], |row| job_id(row, 0))?;
    Ok(holder.unwrap_or_else(|| envelope.id.clone()))
}
