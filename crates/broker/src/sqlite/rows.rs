//! Reading messages out of rows.

use celeriac_db::rusqlite;
use celeriac_protocol::{Content, Envelope, JobId, Timestamp};
use sea_orm::{DbErr, QueryResult};

use super::statement::column;
use crate::{DeadLetter, Found, MessageState};

/// The columns of [`envelope`], of a message `q` and its content `c`.
pub(super) const ENVELOPE: &str = "q.id, q.queue, q.said_priority, q.due_at, q.unique_key, \
    c.headers, c.properties, c.content_type, c.content_encoding, c.body";

/// How many columns [`ENVELOPE`] has.
pub(super) const ENVELOPE_COLUMNS: usize = 10;

/// The columns of [`found`]: those of [`ENVELOPE`] and then where it stands.
pub(super) const STANDING: &str = "q.seq, q.state, q.at, q.holder, q.delivery, q.attempt";

/// Message states, as the column holds them.
pub(super) const DELAYED: i64 = 1;
/// See [`DELAYED`].
pub(super) const HELD: i64 = 2;

/// A row as either way to SQLite gives it.
pub(super) trait Columns {
    /// Why a column can't be read.
    type Error;

    fn text(&self, place: usize) -> Result<String, Self::Error>;
    fn text_or_null(&self, place: usize) -> Result<Option<String>, Self::Error>;
    fn int_or_null(&self, place: usize) -> Result<Option<i64>, Self::Error>;
    fn bytes(&self, place: usize) -> Result<Vec<u8>, Self::Error>;

    /// Says that what stands in a column makes no sense.
    fn nonsense(place: usize, said: String) -> Self::Error;
}

impl Columns for QueryResult {
    type Error = DbErr;

    fn text(&self, place: usize) -> Result<String, DbErr> {
        column(self, place)
    }

    fn text_or_null(&self, place: usize) -> Result<Option<String>, DbErr> {
        column(self, place)
    }

    fn int_or_null(&self, place: usize) -> Result<Option<i64>, DbErr> {
        column(self, place)
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>, DbErr> {
        column(self, place)
    }

    fn nonsense(_: usize, said: String) -> DbErr {
        DbErr::Type(said)
    }
}

impl Columns for rusqlite::Row<'_> {
    type Error = rusqlite::Error;

    fn text(&self, place: usize) -> rusqlite::Result<String> {
        self.get(place)
    }

    fn text_or_null(&self, place: usize) -> rusqlite::Result<Option<String>> {
        self.get(place)
    }

    fn int_or_null(&self, place: usize) -> rusqlite::Result<Option<i64>> {
        self.get(place)
    }

    fn bytes(&self, place: usize) -> rusqlite::Result<Vec<u8>> {
        self.get(place)
    }

    fn nonsense(place: usize, said: String) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(place, rusqlite::types::Type::Text, said.into())
    }
}

/// Reads an envelope from the columns of [`ENVELOPE`].
pub(super) fn envelope<R: Columns>(row: &R) -> Result<Envelope, R::Error> {
    Ok(Envelope {
        id: job_id(row, 0)?,
        queue: row.text(1)?,
        priority: row.int_or_null(2)?.map(|said| u8::try_from(said).unwrap_or(u8::MAX)),
        due_at: row.int_or_null(3)?.map(Timestamp::from_micros),
        unique_key: row.text_or_null(4)?,
        content: Content {
            headers: row.text(5)?,
            properties: row.text(6)?,
            content_type: row.text(7)?,
            content_encoding: row.text(8)?,
            body: row.bytes(9)?,
        },
    })
}

/// Reads a message and where it stands from the columns of [`ENVELOPE`] and [`STANDING`].
pub(super) fn found(row: &QueryResult, now: Timestamp) -> Result<(i64, Found), DbErr> {
    let at = |index| instant(row, index);
    let state = match column::<i64>(row, 11)? {
        HELD => MessageState::Held {
            holder: column::<Option<String>>(row, 13)?.unwrap_or_default(),
            until: at(12)?,
        },
        DELAYED if at(12)? > now => MessageState::Delayed { until: at(12)? },
        _ => MessageState::Ready,
    };
    let found =
        Found { envelope: envelope(row)?, state, delivery: count(row, 14)?, attempt: count(row, 15)? };
    Ok((column(row, 10)?, found))
}

/// Reads a dead letter: [`ENVELOPE`]'s columns, then key, reason, detail, counts and time.
pub(super) fn dead_letter(row: &QueryResult) -> Result<DeadLetter, DbErr> {
    Ok(DeadLetter {
        envelope: envelope(row)?,
        key: column(row, 10)?,
        reason: column(row, 11)?,
        detail: column(row, 12)?,
        delivery: count(row, 13)?,
        attempt: count(row, 14)?,
        died_at: instant(row, 15)?,
    })
}

/// Reads a job's id.
pub(super) fn job_id<R: Columns>(row: &R, place: usize) -> Result<JobId, R::Error> {
    let text = row.text(place)?;
    JobId::parse(&text).map_err(|error| R::nonsense(place, format!("read job id {text:?}: {error}")))
}

/// Reads an instant.
pub(super) fn instant(row: &QueryResult, index: usize) -> Result<Timestamp, DbErr> {
    Ok(Timestamp::from_micros(column::<Option<i64>>(row, index)?.unwrap_or_default()))
}

/// Reads a count.
pub(super) fn count<R: Columns>(row: &R, place: usize) -> Result<u32, R::Error> {
    Ok(u32::try_from(row.int_or_null(place)?.unwrap_or_default()).unwrap_or(u32::MAX))
}

/// Converts a length or limit for SQLite.
pub(super) fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Writes numbers as a JSON array.
pub(super) fn numbers(keys: impl IntoIterator<Item = i64>) -> String {
    serde_json::Value::from_iter(keys).to_string()
}
