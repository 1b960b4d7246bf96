//! Reading messages out of rows.

use celeriac_db::postgres::PgRow;
use celeriac_protocol::{Content, Envelope, JobId, Timestamp};
use sea_orm::sqlx;

use super::statement::column;
use crate::{DeadLetter, Delivery, Found, LeaseTag, MessageState};

/// The columns of a message, for `SELECT`s from what returns whole rows of the queue.
pub(super) const MESSAGE: &str = "seq, at, ready_at, fence, due_at, delivery, attempt, lost, state, \
    said_priority, id, queue, unique_key, holder, cancel_reason, content_type, content_encoding, \
    properties, headers, body";

/// Message states, as the column holds them.
const DELAYED: i16 = 1;
/// See [`DELAYED`].
const HELD: i16 = 2;

/// Reads an envelope.
pub(super) fn envelope(row: &PgRow) -> Result<Envelope, sqlx::Error> {
    Ok(Envelope {
        id: job_id(column(row, "id")?)?,
        queue: column(row, "queue")?,
        priority: column::<Option<i16>, _>(row, "said_priority")?
            .map(|said| u8::try_from(said).unwrap_or(u8::MAX)),
        due_at: instant(row, "due_at")?,
        unique_key: column(row, "unique_key")?,
        content: Content {
            headers: column(row, "headers")?,
            properties: column(row, "properties")?,
            content_type: column(row, "content_type")?,
            content_encoding: column(row, "content_encoding")?,
            body: column(row, "body")?,
        },
    })
}

/// Reads a message that has just been leased, until an instant of this node's clock.
pub(super) fn delivery(row: &PgRow, tag: LeaseTag, leased_until: Timestamp) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        envelope: envelope(row)?,
        tag,
        delivery: count(row, "delivery")?,
        attempt: count(row, "attempt")?,
        lost: count(row, "lost")?,
        leased_until,
        cancel_requested: column(row, "cancel_reason")?,
    })
}

/// Reads a message and where it stands.
pub(super) fn found(row: &PgRow, now: Timestamp) -> Result<Found, sqlx::Error> {
    let at = instant(row, "at")?.unwrap_or(now);
    let state = match column::<i16, _>(row, "state")? {
        HELD => MessageState::Held {
            holder: column::<Option<String>, _>(row, "holder")?.unwrap_or_default(),
            until: at,
        },
        DELAYED if at > now => MessageState::Delayed { until: at },
        _ => MessageState::Ready,
    };
    Ok(Found {
        envelope: envelope(row)?,
        state,
        delivery: count(row, "delivery")?,
        attempt: count(row, "attempt")?,
    })
}

/// Returns whether a message is held.
pub(super) fn is_held(row: &PgRow) -> Result<bool, sqlx::Error> {
    Ok(column::<i16, _>(row, "state")? == HELD)
}

/// Reads a dead letter.
pub(super) fn dead_letter(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    Ok(DeadLetter {
        envelope: envelope(row)?,
        key: column(row, "key")?,
        reason: column(row, "reason")?,
        detail: column(row, "detail")?,
        delivery: count(row, "delivery")?,
        attempt: count(row, "attempt")?,
        died_at: Timestamp::from_micros(column(row, "died_at")?),
    })
}

/// Reads a job's id.
pub(super) fn job_id(text: &str) -> Result<JobId, sqlx::Error> {
    JobId::parse(text).map_err(|error| sqlx::Error::Decode(format!("read job id {text:?}: {error}").into()))
}

/// Reads an instant, where there is one.
pub(super) fn instant(row: &PgRow, name: &'static str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(column::<Option<i64>, _>(row, name)?.map(Timestamp::from_micros))
}

fn count(row: &PgRow, name: &'static str) -> Result<u32, sqlx::Error> {
    Ok(u32::try_from(column::<i32, _>(row, name)?).unwrap_or(0))
}
