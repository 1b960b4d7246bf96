//! Dead letters: messages with a header that tells how they died, in a durable queue of ours.
//!
//! AMQP can't look into a queue. It is read whole, on a channel of its own, and what is not taken is handed back
//! as it was. One reader at a time: its consumer is exclusive, so the next one waits.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use celeriac_protocol::{Envelope, Timestamp};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Consumer};
use serde::{Deserialize, Serialize};

use super::link::{Link, code, failed, refused, unavailable};
use super::publish::Outgoing;
use super::table;
use super::topology::{self, DEAD};
use super::wire::{self, Counts, Priorities, Written};
use crate::{BrokerError, DeadLetter};

/// The header that tells how a message died.
pub(super) const FACTS: &str = "celeriac-dead";

/// How many letters are read at a time; what lies behind them is seen once these are gone.
const MOST_READ: u16 = 50_000;

/// How long a reader may take, with the wait for another one.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// The pause before a queue is asked for again that another reader has.
const PAUSE: Duration = Duration::from_millis(20);

/// How a message died.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    key: i64,
    queue: String,
    reason: String,
    detail: String,
    delivery: u32,
    attempt: u32,
    died_at: i64,
}

/// A message that dies.
pub(super) struct Died<'d> {
    pub(super) envelope: &'d Envelope,
    pub(super) counts: Counts,
}

/// Writes a dead letter.
///
/// # Errors
/// A text of it is too long.
pub(super) fn letter(
    died: &Died<'_>,
    reason: &str,
    detail: &str,
    now: Timestamp,
    priorities: Priorities,
) -> Result<Outgoing, BrokerError> {
    let Written { properties, body } =
        wire::write(died.envelope, Counts::default(), priorities).map_err(refused)?;
    let facts = Facts {
        key: next_key(now),
        queue: died.envelope.queue.clone(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        delivery: died.counts.handed,
        attempt: died.counts.attempts,
        died_at: now.as_micros(),
    };
    let mut headers = properties.headers().clone().unwrap_or_default();
    let text = serde_json::to_string(&facts).expect("texts and numbers always serialize");
    headers.insert(FACTS.into(), AMQPValue::LongString(LongString::from(text)));
    Ok(Outgoing::to_own(DEAD, properties.with_headers(headers), body))
}

/// Reads a dead letter; `None` for what is none.
pub(super) fn read(
    properties: &BasicProperties,
    body: Vec<u8>,
    priorities: Priorities,
) -> Option<DeadLetter> {
    let facts = table::text(properties.headers().as_ref()?, FACTS)?;
    let facts: Facts = serde_json::from_str(facts).ok()?;
    let read = wire::read(properties, body, &facts.queue, priorities).ok()?;
    Some(DeadLetter {
        key: facts.key,
        envelope: read.envelope,
        reason: facts.reason,
        detail: facts.detail,
        delivery: facts.delivery,
        attempt: facts.attempt,
        died_at: Timestamp::from_micros(facts.died_at),
    })
}

/// How far the numbers of one microsecond go, between processes.
const NUMBERS: i64 = 1 << 10;

/// Returns a number that goes up: by the time, and by chance where two processes have the same.
fn next_key(now: Timestamp) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let by_time = now.as_micros().saturating_mul(NUMBERS).saturating_add(i64::from(rand::random::<u8>()));
    let last = LAST
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(by_time.max(last.saturating_add(1))));
    last.map_or(by_time, |last| by_time.max(last.saturating_add(1)))
}

/// What becomes of a message that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays where it is.
    Keep,
    /// It is to be removed.
    Remove,
}

/// A queue of ours, read by nobody else as long as this lives.
pub(super) struct Reading {
    channel: Channel,
    consumer: Consumer,
    to_remove: Vec<u64>,
}

impl Reading {
    /// Waits until nobody else reads, and begins.
    ///
    /// # Errors
    /// The server can't be reached, or somebody else reads for too long.
    pub(super) async fn begin(link: &Link, queue: &'static str) -> Result<Self, BrokerError> {
        let begin = async {
            loop {
                let channel = link.line().await?.channel().await?;
                topology::declare_own(&channel, queue).await?;
                channel.basic_qos(MOST_READ, BasicQosOptions::default()).await.map_err(failed)?;
                let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
                match channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await {
                    Ok(consumer) => return Ok((channel, consumer)),
                    Err(error) if code(&error) == Some(403) => tokio::time::sleep(PAUSE).await,
                    Err(error) => return Err(failed(error)),
                }
            }
        };
        let (channel, consumer) = match tokio::time::timeout(READ_WITHIN, begin).await {
            Ok(begun) => begun?,
            Err(late) => return Err(unavailable(late)),
        };
        let reading = Self { channel, consumer, to_remove: Vec::new() };
        // The queue's answer, and then the channel's, which comes behind all that was pushed.
        link.in_time(async {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let asked = reading.channel.queue_declare(queue.into(), passive, FieldTable::default());
            asked.await.map_err(failed)?;
            reading.channel.basic_qos(1, BasicQosOptions::default()).await.map_err(failed)
        })
        .await?;
        Ok(reading)
    }

    /// Looks at every message, oldest first.
    ///
    /// # Errors
    /// The channel ends.
    pub(super) fn each(&mut self, mut look: impl FnMut(&Delivery) -> Verdict) -> Result<(), BrokerError> {
        while let Some(Some(delivery)) = self.consumer.next().now_or_never() {
            let delivery = delivery.map_err(failed)?;
            if look(&delivery) == Verdict::Remove {
                self.to_remove.push(delivery.delivery_tag);
            }
        }
        Ok(())
    }

    /// Removes what is to be removed, and hands the rest back as it was.
    ///
    /// # Errors
    /// The channel ends. Then all of it is handed back.
    pub(super) async fn end(self) -> Result<u64, BrokerError> {
        for tag in &self.to_remove {
            self.channel.basic_ack(*tag, BasicAckOptions::default()).await.map_err(failed)?;
        }
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.channel.basic_nack(0, all).await.map_err(failed)?;
        // Done with what was sent before, as its answer comes behind it.
        self.channel.close(200, "done".into()).await.map_err(failed)?;
        Ok(self.to_remove.len() as u64)
    }
}
