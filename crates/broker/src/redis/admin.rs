//! What operators ask: look up, cancel, count, purge, pause, dead letters.

use async_trait::async_trait;
use celeriac_protocol::{Envelope, JobId, Timestamp};
use redis::Value;

use super::answer::{Fields, list};
use super::{RedisBroker, publication, script, wire};
use crate::{
    BrokerAdmin, BrokerError, Cancellation, Danger, DeadLetter, DeadLetterPage, Found, MessageState, Notice,
    Publication, QueueDepth,
};

/// How many messages of a list one call looks through for a job; the server serves others in between.
const SLICE: usize = 1_000;

/// How many of the next messages of each list are asked since when they wait.
const SAMPLE: usize = 16;

impl RedisBroker {
    /// Finds a job's message, and cancels it if there is a reason; also tells whether it is held.
    async fn look_for(&self, id: &JobId, reason: Option<&str>) -> Result<Option<Found>, BrokerError> {
        let mut start = 0;
        loop {
            let mut call = self.begin(&script::FIND).with(id.as_str());
            call.push(if reason.is_some() { "cancel" } else { "find" });
            call = call.with(reason.unwrap_or("")).with(start).with(SLICE);
            let answer = self.run(&call).await?;
            if answer == Value::Nil {
                return Ok(None);
            }
            let mut fields = Fields::of(answer)?;
            let standing = fields.text()?;
            if standing != "more" {
                return self.found(id, &standing, fields).map(Some);
            }
            start += SLICE;
        }
    }

    fn found(&self, id: &JobId, standing: &str, mut fields: Fields) -> Result<Found, BrokerError> {
        let (raw, queue) = (fields.bytes()?, fields.text()?);
        let (delivery, attempt) = (fields.count()?, fields.count()?);
        let until = Timestamp::from_micros(fields.number()?);
        let state = match standing {
            "held" => MessageState::Held { holder: fields.text()?, until },
            "delayed" => MessageState::Delayed { until },
            _ => MessageState::Ready,
        };
        Ok(Found { envelope: self.envelope(raw, &queue, id), state, delivery, attempt })
    }

    /// Reads a message, or shows its bytes where it can't be read.
    fn envelope(&self, raw: Vec<u8>, queue: &str, id: &JobId) -> Envelope {
        wire::read(&raw, queue, self.priorities()).unwrap_or_else(|_| wire::unread(raw, queue, id.clone()))
    }

    fn letter(&self, value: Value) -> Result<DeadLetter, BrokerError> {
        let mut fields = Fields::of(value)?;
        let (key, raw, queue, id) = (fields.number()?, fields.bytes()?, fields.text()?, fields.text()?);
        let id = JobId::parse(&id).unwrap_or_else(|_| JobId::derived(&JobId::fresh(Timestamp::EPOCH), &id));
        Ok(DeadLetter {
            key,
            envelope: self.envelope(raw, &queue, &id),
            reason: fields.text()?,
            detail: fields.text()?,
            delivery: fields.count()?,
            attempt: fields.count()?,
            died_at: Timestamp::from_micros(fields.number()?),
        })
    }

    async fn letters(&self, call: super::Call) -> Result<Vec<DeadLetter>, BrokerError> {
        let letters = list(self.run(&call).await?)?;
        letters.into_iter().map(|letter| self.letter(letter)).collect()
    }

    fn purged(&self, queue: &str, value: Value) -> Result<Found, BrokerError> {
        let mut fields = Fields::of(value)?;
        let (raw, due_at) = (fields.bytes()?, fields.instant_or_nil()?);
        let (delivery, attempt) = (fields.count()?, fields.count()?);
        let state = due_at.map_or(MessageState::Ready, |until| MessageState::Delayed { until });
        let unread = JobId::derived(&JobId::fresh(self.clock.now()), queue);
        Ok(Found { envelope: self.envelope(raw, queue, &unread), state, delivery, attempt })
    }
}

fn depth(value: Value) -> Result<QueueDepth, BrokerError> {
    let mut fields = Fields::of(value)?;
    Ok(QueueDepth {
        queue: fields.text()?,
        ready: fields.count()?.into(),
        delayed: fields.count()?.into(),
        held: fields.count()?.into(),
        oldest_ready_at: fields.instant_or_nil()?,
        paused_at: fields.instant_or_nil()?,
    })
}

#[async_trait]
impl BrokerAdmin for RedisBroker {
    async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError> {
        self.look_for(id, None).await
    }

    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let Some(found) = self.look_for(id, Some(reason)).await? else {
            return Ok(Cancellation::NotFound);
        };
        if let MessageState::Held { .. } = found.state {
            self.notifier.tell_here(Notice::Cancel(id.clone()));
            return Ok(Cancellation::Requested);
        }
        Ok(Cancellation::Removed(Box::new(found)))
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        let answer = self.run(&self.begin(&script::DEPTHS).with(SAMPLE)).await?;
        let mut depths = list(answer)?.into_iter().map(depth).collect::<Result<Vec<_>, _>>()?;
        depths.sort_by(|one, other| one.queue.cmp(&other.queue));
        Ok(depths)
    }

    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        let answer = self.run(&self.begin(&script::PURGE).with(queue).with(max)).await?;
        list(answer)?.into_iter().map(|purged| self.purged(queue, purged)).collect()
    }

    async fn pause(&self, queue: &str) -> Result<(), BrokerError> {
        self.run(&self.begin(&script::PAUSE).with(queue).with("pause")).await.map(drop)
    }

    async fn resume(&self, queue: &str) -> Result<(), BrokerError> {
        self.run(&self.begin(&script::PAUSE).with(queue).with("resume")).await?;
        self.wake_here(std::iter::once(queue));
        Ok(())
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError> {
        // One more than asked for tells whether there is a next page.
        let before = before.map_or_else(String::new, |key| key.to_string());
        let call = self.begin(&script::DEAD).with("page").with(before).with(limit.saturating_add(1));
        let mut letters = self.letters(call).await?;
        let more = letters.len() > limit;
        letters.truncate(limit);
        let next = letters.last().filter(|_| more).map(|letter| letter.key);
        Ok(DeadLetterPage { letters, next })
    }

    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        Ok(self.letters(self.begin(&script::DEAD).with("find").with(id.as_str())).await?.pop())
    }

    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        let mut call = self.begin(&script::GRAVE).with("drop");
        keys.iter().for_each(|key| call.push(key));
        let answer = self.run(&call).await?;
        Ok(Fields::of(Value::Array(vec![answer]))?.count()?.into())
    }

    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError> {
        self.declare(std::iter::once(envelope.queue.as_str())).await?;
        let mut call = self.begin(&script::GRAVE).with("revive").with(key);
        self.push_message(&mut call, &envelope);
        let answer = self.run(&call).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        self.wake_here(std::iter::once(envelope.queue.as_str()));
        publication(Fields::of(answer)?.next()).map(Some)
    }

    async fn dangers(&self) -> Result<Vec<Danger>, BrokerError> {
        self.find_dangers().await
    }
}
