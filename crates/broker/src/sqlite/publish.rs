//! Putting messages into the queue: chunks of rows, and what to say of those already there.

use std::collections::HashMap;

use celeriac_db::DbTx;
use celeriac_protocol::{Content, Envelope, JobId, Timestamp};
use sea_orm::{DbErr, Value};

use super::rows::{int, job_id};
use super::statement::{chunks, column, execute, failed, query, with_rows};
use crate::{BrokerError, Publication};

const INSERT: &str = "INSERT OR IGNORE INTO celeriac_queue \
    (id, queue, priority, state, at, ready_at, said_priority, due_at, unique_key) VALUES ";
const INSERT_COLUMNS: usize = 9;

const CONTENT: &str = "INSERT INTO celeriac_queue_content \
    (seq, headers, properties, content_type, content_encoding, body) VALUES ";
const REPLACE_CONTENT: &str = "INSERT OR REPLACE INTO celeriac_queue_content \
    (seq, headers, properties, content_type, content_encoding, body) VALUES ";
const CONTENT_COLUMNS: usize = 6;

/// One message in one hop: its content follows only where the message was taken.
const INSERT_ONE: &str = "INSERT OR IGNORE INTO celeriac_queue \
    (id, queue, priority, state, at, ready_at, said_priority, due_at, unique_key) VALUES (?,?,?,?,?,?,?,?,?); \
    INSERT INTO celeriac_queue_content (seq, headers, properties, content_type, content_encoding, body) \
    SELECT last_insert_rowid(), ?, ?, ?, ?, ? WHERE changes() = 1";

/// What is there already, by id and by unique key.
const OCCUPANTS: &str = "SELECT id, unique_key FROM celeriac_queue WHERE id IN (SELECT value FROM json_each(?1)) \
    UNION ALL \
    SELECT id, unique_key FROM celeriac_queue WHERE unique_key IN (SELECT value FROM json_each(?2))";

/// Stores messages and returns one answer for each in the given order.
pub(super) async fn publish(
    tx: &DbTx,
    envelopes: Vec<Envelope>,
    now: Timestamp,
) -> Result<Vec<Publication>, BrokerError> {
    let mut publications = Vec::with_capacity(envelopes.len());
    let mut rest = envelopes.into_iter();
    for size in chunks(rest.len()) {
        let chunk: Vec<Envelope> = rest.by_ref().take(size).collect();
        let answers =
            if size == 1 { publish_one(tx, chunk, now).await } else { publish_chunk(tx, chunk, now).await };
        publications.extend(answers.map_err(failed("publish messages"))?);
    }
    Ok(publications)
}

/// Writes contents under the numbers of their messages, in place of what stood there.
pub(super) async fn replace_contents(tx: &DbTx, contents: Vec<(i64, Content)>) -> Result<(), DbErr> {
    insert_contents(tx, REPLACE_CONTENT, contents).await
}

async fn publish_one(tx: &DbTx, chunk: Vec<Envelope>, now: Timestamp) -> Result<Vec<Publication>, DbErr> {
    let names = names_of(&chunk);
    let mut values = Vec::with_capacity(INSERT_COLUMNS + CONTENT_COLUMNS);
    for envelope in chunk {
        let content = push_message(&mut values, envelope, now);
        push_content(&mut values, content);
    }
    let stored = execute(tx, INSERT_ONE, values).await?.rows_affected();
    if stored > 0 {
        Ok(vec![Publication::Accepted])
    } else {
        name_duplicates(tx, &names, &mut HashMap::new()).await
    }
}

async fn publish_chunk(tx: &DbTx, chunk: Vec<Envelope>, now: Timestamp) -> Result<Vec<Publication>, DbErr> {
    let names = names_of(&chunk);
    let mut values = Vec::with_capacity(INSERT_COLUMNS * chunk.len());
    let mut contents = Vec::with_capacity(chunk.len());
    for envelope in chunk {
        contents.push(push_message(&mut values, envelope, now));
    }
    let inserted = execute(tx, with_rows(INSERT, INSERT_COLUMNS, names.len()), values).await?;
    let (last, stored) = (inserted.last_insert_id().cast_signed(), inserted.rows_affected() as usize);
    if stored == names.len() {
        // One statement numbers its rows one after another.
        let contents = (last - int(stored) + 1..).zip(contents).collect();
        insert_contents(tx, CONTENT, contents).await?;
        return Ok(vec![Publication::Accepted; stored]);
    }
    if stored == 0 {
        // The last rowid is then some earlier insert's, perhaps into another table.
        return name_duplicates(tx, &names, &mut HashMap::new()).await;
    }
    let mut accepted = accepted_since(tx, last - int(stored)).await?;
    let kept =
        names.iter().zip(contents).filter_map(|((id, _), content)| Some((*accepted.get(id)?, content)));
    insert_contents(tx, CONTENT, first_of_each(kept)).await?;
    name_duplicates(tx, &names, &mut accepted).await
}

/// Two messages of one id within a chunk: the first one's content is the one that was taken.
fn first_of_each(contents: impl Iterator<Item = (i64, Content)>) -> Vec<(i64, Content)> {
    let mut kept: Vec<(i64, Content)> = Vec::new();
    for (seq, content) in contents {
        if kept.iter().all(|(other, _)| *other != seq) {
            kept.push((seq, content));
        }
    }
    kept
}

async fn insert_contents(tx: &DbTx, head: &str, contents: Vec<(i64, Content)>) -> Result<(), DbErr> {
    let mut rest = contents.into_iter();
    for size in chunks(rest.len()) {
        let mut values = Vec::with_capacity(size * CONTENT_COLUMNS);
        for (seq, content) in rest.by_ref().take(size) {
            values.push(seq.into());
            push_content(&mut values, content);
        }
        execute(tx, with_rows(head, CONTENT_COLUMNS, size), values).await?;
    }
    Ok(())
}

/// What is needed to say why a message was not taken.
type Name = (JobId, Option<String>);

fn names_of(chunk: &[Envelope]) -> Vec<Name> {
    chunk.iter().map(|envelope| (envelope.id.clone(), envelope.unique_key.clone())).collect()
}

/// Pushes the columns of a message and returns its content.
fn push_message(values: &mut Vec<Value>, envelope: Envelope, now: Timestamp) -> Content {
    let priority = envelope.effective_priority();
    let delayed_until = envelope.due_at.filter(|due| *due > now).map(Timestamp::as_micros);
    values.extend([
        envelope.id.as_str().into(),
        envelope.queue.into(),
        i64::from(priority).into(),
        i64::from(delayed_until.is_some()).into(),
        delayed_until.into(),
        delayed_until.unwrap_or(now.as_micros()).into(),
        envelope.priority.map(i64::from).into(),
        envelope.due_at.map(Timestamp::as_micros).into(),
        envelope.unique_key.into(),
    ]);
    envelope.content
}

fn push_content(values: &mut Vec<Value>, content: Content) {
    values.extend([
        content.headers.into(),
        content.properties.into(),
        content.content_type.into(),
        content.content_encoding.into(),
        content.body.into(),
    ]);
}

/// Returns the numbers of messages that were just taken.
async fn accepted_since(tx: &DbTx, seq: i64) -> Result<HashMap<JobId, i64>, DbErr> {
    let rows = query(tx, "SELECT id, seq FROM celeriac_queue WHERE seq > ?1", vec![seq.into()]).await?;
    rows.iter().map(|row| Ok((job_id(row, 0)?, column(row, 1)?))).collect()
}

/// Answers for a chunk of which some were taken; `accepted` is used up.
async fn name_duplicates(
    tx: &DbTx,
    names: &[Name],
    accepted: &mut HashMap<JobId, i64>,
) -> Result<Vec<Publication>, DbErr> {
    let ids = json_texts(names.iter().map(|(id, _)| id.as_str()));
    let keys = json_texts(names.iter().filter_map(|(_, key)| key.as_deref()));
    let rows = query(tx, OCCUPANTS, vec![ids.into(), keys.into()]).await?;
    let mut by_key: HashMap<String, JobId> = HashMap::new();
    let mut present: Vec<JobId> = Vec::new();
    for row in &rows {
        let id = job_id(row, 0)?;
        if let Some(key) = column::<Option<String>>(row, 1)? {
            by_key.insert(key, id.clone());
        }
        present.push(id);
    }
    Ok(names
        .iter()
        .map(|(id, key)| {
            if accepted.remove(id).is_some() {
                return Publication::Accepted;
            }
            let holder = key.as_ref().filter(|_| !present.contains(id)).and_then(|key| by_key.get(key));
            Publication::Duplicate(holder.unwrap_or(id).clone())
        })
        .collect())
}

fn json_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}
