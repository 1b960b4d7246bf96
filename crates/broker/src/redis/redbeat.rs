//! The keys of redbeat, a scheduler of Celery's that keeps its entries in Redis. They are read and never written.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use super::RedisOptions;
use super::answer::list;
use super::link::Link;
use super::whereabouts::Whereabouts;
use crate::BrokerError;

/// How many entries one call reads at most; the server serves others in between.
const SLICE: usize = 500;

/// Redbeat has tens or hundreds of entries; with more than so many the rest is not read.
const MAX_ENTRIES: usize = 200_000;

/// One entry of redbeat's, as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedbeatEntry {
    /// The key: the prefix and the entry's name.
    pub key: String,
    /// What is to be sent when, as JSON. It is absent where the entry has been removed meanwhile.
    pub definition: Option<Vec<u8>>,
    /// When it was sent last, and how often, as JSON.
    pub meta: Option<Vec<u8>>,
}

/// Reads all entries of redbeat, ordered by their keys; none where no redbeat has ever run there.
///
/// Of the options it takes the URL, the master's name and the deadline of a call. `prefix` is redbeat's own
/// (`redbeat_key_prefix`, with its colon).
///
/// # Errors
/// [`BrokerError::Refused`]: the URL is none, the server does not let us in, or something else lies under that
/// prefix; [`BrokerError::Unavailable`]: it does not answer.
pub async fn read_redbeat(options: &RedisOptions, prefix: &str) -> Result<Vec<RedbeatEntry>, BrokerError> {
    options.validate()?;
    let link = Link::new(Whereabouts::of(options).await?, options.deadline);
    let keys = keys(&link, &format!("{prefix}:schedule")).await?;
    let mut entries = Vec::with_capacity(keys.len());
    for slice in keys.chunks(SLICE) {
        let mut pipe = redis::pipe();
        for key in slice {
            pipe.cmd("HMGET").arg(key).arg("definition").arg("meta");
        }
        let ask = async |mut connection: MultiplexedConnection| -> RedisResult<Value> {
            pipe.query_async(&mut connection).await
        };
        let answers = list(link.ask(ask).await?)?;
        for (key, answer) in slice.iter().zip(answers) {
            let mut fields = list(answer)?.into_iter().map(bytes);
            let (definition, meta) = (fields.next().flatten(), fields.next().flatten());
            entries.push(RedbeatEntry { key: key.clone(), definition, meta });
        }
    }
    Ok(entries)
}

/// Goes through the sorted set that names every entry, whatever becomes of it meanwhile.
async fn keys(link: &Link, schedule: &str) -> Result<Vec<String>, BrokerError> {
    let mut keys = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let mut command = redis::cmd("ZSCAN");
        command.arg(schedule).arg(&cursor).arg("COUNT").arg(SLICE);
        let answer = link.ask(async |mut connection| command.query_async(&mut connection).await).await?;
        let mut parts = list(answer)?.into_iter();
        cursor = parts.next().and_then(bytes).and_then(text).unwrap_or_default();
        let members = list(parts.next().unwrap_or(Value::Array(Vec::new())))?;
        // Each member has its score behind it.
        keys.extend(members.into_iter().step_by(2).filter_map(bytes).filter_map(text));
        if cursor == "0" || cursor.is_empty() || keys.len() > MAX_ENTRIES {
            break;
        }
    }
    if keys.len() > MAX_ENTRIES {
        tracing::warn!(entries = keys.len(), read = MAX_ENTRIES, "redbeat has more entries than are read");
    }
    Ok(keys.into_iter().take(MAX_ENTRIES).collect())
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}
