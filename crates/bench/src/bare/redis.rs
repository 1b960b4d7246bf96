//! Celery's own commands for each message, pipelined: pushed, popped and held as unacknowledged, let go.

use std::time::Instant;

use celeriac_protocol::Envelope;

use super::Rates;
use crate::resp::{Answer, Resp};

const QUEUE: &[u8] = b"celery";

/// Measures one batch size, in an empty queue.
pub(super) fn measure(url: &str, envelope: &Envelope, jobs: usize, batch: usize) -> anyhow::Result<Rates> {
    let mut redis = Resp::connect(url)?;
    let message = as_kombu_writes(envelope);
    let start = Instant::now();
    for first in (0..jobs).step_by(batch) {
        for _ in first..(first + batch).min(jobs) {
            redis.push(&[b"LPUSH", QUEUE, message.as_bytes()]);
        }
        redis.run()?;
    }
    let insert = Rates::a_second(jobs, start);
    let start = Instant::now();
    let mut left = jobs;
    while left > 0 {
        left -= claim_and_remove(&mut redis, batch, left)?;
    }
    Ok(Rates { batch, insert, drain: Rates::a_second(jobs, start) })
}

/// Moves a batch into the places where Celery keeps what is not acknowledged, and out of them again.
fn claim_and_remove(redis: &mut Resp, batch: usize, left: usize) -> anyhow::Result<usize> {
    redis.push(&[b"RPOP", QUEUE, batch.to_string().as_bytes()]);
    let Some(Answer::List(messages)) = redis.run()?.pop() else { anyhow::bail!("{left} are left") };
    let tags: Vec<String> =
        (0..messages.len()).map(|nth| format!("019ab0c4-7d2e-7000-8000-{:012}", left - nth)).collect();
    for (tag, message) in tags.iter().zip(&messages) {
        let Answer::Text(Some(message)) = message else { anyhow::bail!("a message is {message:?}") };
        redis.push(&[b"ZADD", b"unacked_index", b"1763824000.123456", tag.as_bytes()]);
        redis.push(&[b"HSET", b"unacked", tag.as_bytes(), message]);
    }
    redis.run()?;
    for tag in &tags {
        redis.push(&[b"ZREM", b"unacked_index", tag.as_bytes()]);
        redis.push(&[b"HDEL", b"unacked", tag.as_bytes()]);
    }
    redis.run()?;
    Ok(messages.len())
}

/// Writes a message as long as kombu's.
fn as_kombu_writes(envelope: &Envelope) -> String {
    let content = &envelope.content;
    let body = "A".repeat(content.body.len().div_ceil(3) * 4);
    format!(
        "{{\"body\": \"{body}\", \"content-encoding\": \"utf-8\", \"content-type\": \"application/json\", \"headers\": \
         {}, \"properties\": {{\"correlation_id\": \"{id}\", \"reply_to\": \"{id}\", \"delivery_mode\": 2, \
         \"delivery_info\": {{\"exchange\": \"\", \"routing_key\": \"celery\"}}, \"priority\": 0, \"body_encoding\": \
         \"base64\", \"delivery_tag\": \"{id}\"}}}}",
        content.headers,
        id = envelope.id,
    )
}
