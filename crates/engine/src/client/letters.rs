//! Dead letters: those of the transport, and those of the outbox, which stand in the database.

use std::collections::HashMap;

use celeriac_broker::{BrokerAdmin, BrokerError, DeadLetter, DeadLetterPage, Publication, SqlBroker};
use celeriac_db::DbTx;
use celeriac_protocol::{Arguments, Envelope, JobEvent, JobId, TaskMessage, Timestamp, What};

use super::{Client, outbox, recorded};
use crate::EnqueueError;

/// The cursor behind the letters of the outbox: no letter of a transport has a higher key.
const BEHIND_OUTBOX: i64 = i64::MAX;

/// What is to be otherwise when a dead letter is put back; what is not said stays.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// Other arguments.
    pub args: Option<Arguments>,
    /// Another queue.
    pub queue: Option<String>,
    /// Another priority, 0 to 9, higher first.
    pub priority: Option<u8>,
    /// Another number of retries.
    pub max_retries: Option<u32>,
    /// Not to run before; without it, it may run at once.
    pub eta: Option<Timestamp>,
}

impl Revision {
    fn apply(self, message: &mut TaskMessage) {
        message.args = self.args.unwrap_or_else(|| message.args.clone());
        message.queue = self.queue.unwrap_or_else(|| message.queue.clone());
        message.priority = self.priority.or(message.priority);
        message.celeriac.max_retries = self.max_retries.or(message.celeriac.max_retries);
        message.eta = self.eta;
    }
}

impl Client {
    /// Returns up to `limit` dead letters behind the cursor `before`, newest first: those of the outbox, whose keys are
    /// below zero here, and then those of the transport. A page may have fewer, or none, where others follow.
    ///
    /// # Errors
    /// The transport or the outbox can't be asked.
    pub async fn dead_letters(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<DeadLetterPage, BrokerError> {
        let transport = self.inner.broker.admin();
        let (Some(outbox), None | Some(..0)) = (&self.inner.outbox, before) else {
            return transport.dead_letters(before, limit).await;
        };
        let page = outbox.admin().dead_letters(before.map(i64::wrapping_neg), limit).await?;
        let mut letters: Vec<DeadLetter> = page.letters.into_iter().filter_map(outbox::letter).collect();
        let room = limit - letters.len();
        if page.next.is_some() || room == 0 {
            let next = page.next.map_or(BEHIND_OUTBOX, i64::wrapping_neg);
            return Ok(DeadLetterPage { letters, next: Some(next) });
        }
        let others = transport.dead_letters(None, room).await?;
        letters.extend(others.letters);
        Ok(DeadLetterPage { letters, next: others.next })
    }

    /// Finds the newest dead letter of a job.
    ///
    /// # Errors
    /// The transport or the outbox can't be asked.
    pub async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        let outboxed = match &self.inner.outbox {
            Some(outbox) => outbox.admin().dead_letter(id).await?.and_then(outbox::letter),
            None => None,
        };
        let other = self.inner.broker.admin().dead_letter(id).await?;
        Ok(outboxed.into_iter().chain(other).max_by_key(|letter| letter.died_at))
    }

    /// Drops dead letters by their keys here, and returns how many there were.
    ///
    /// # Errors
    /// The transport or the outbox can't be asked. Some may be dropped then.
    pub async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        let (outboxed, others): (Vec<i64>, Vec<i64>) = keys.iter().partition(|key| **key < 0);
        let outboxed: Vec<i64> = outboxed.into_iter().map(i64::wrapping_neg).collect();
        let dropped = match &self.inner.outbox {
            Some(outbox) if !outboxed.is_empty() => outbox.admin().drop_dead(&outboxed).await?,
            _ => 0,
        };
        Ok(dropped + self.inner.broker.admin().drop_dead(&others).await?)
    }

    /// Puts a dead letter back into its queue, or the outbox, under the same id, with its generation raised and
    /// its retries forgotten. `false`: there is no such dead letter any more, or its job is in a queue
    /// already, and then the letter stays.
    ///
    /// # Errors
    /// The transport or the record can't be reached; nothing was changed then.
    pub async fn revive(&self, letter: DeadLetter) -> Result<bool, EnqueueError> {
        self.revive_as(letter, Revision::default()).await
    }

    /// Does what [`revive`](Self::revive) does, with what is to be otherwise this time. What follows the job, and all else that
    /// its message says, stays.
    ///
    /// Whether arguments and options can be had is for the caller to [check](Self::check).
    ///
    /// # Errors
    /// As [`revive`](Self::revive).
    pub async fn revive_as(&self, letter: DeadLetter, revision: Revision) -> Result<bool, EnqueueError> {
        let Ok(mut message) = TaskMessage::decode(&letter.envelope) else {
            let reason = "the message can't be read, so it would only die again".to_owned();
            return Err(EnqueueError::Option { task: letter.envelope.id.to_string(), reason });
        };
        message.retries = 0;
        (message.celeriac.past_deliveries, message.celeriac.past_attempts) = (0, 0);
        message.expires = None;
        revision.apply(&mut message);
        let event = if let Some(sql) = self.home_of(letter.key) {
            let this = self.clone();
            let revive = async move |tx: &DbTx| this.revive_in(tx, letter.key, message).await;
            sql.database().write("revive dead letter", revive).await?
        } else {
            self.revive_apart(letter.key, message).await?
        };
        self.inner.events.tell(event.as_slice());
        if letter.key < 0 {
            self.wake_relay();
        }
        Ok(event.is_some())
    }

    /// Returns the queue that has a letter, where the record is in the same database.
    fn home_of(&self, key: i64) -> Option<&dyn SqlBroker> {
        match key {
            ..0 => self.outbox_and_record().map(|(sql, _)| sql),
            _ => self.shared_database(),
        }
    }

    /// Revives a dead letter; returns what happened, if it did.
    async fn revive_in(
        &self,
        tx: &DbTx,
        key: i64,
        message: TaskMessage,
    ) -> Result<Option<JobEvent>, EnqueueError> {
        let sql = self.home_of(key).expect("the caller has looked");
        let recorder = self.inner.recorder.sql().expect("who shares a database has a transactional side");
        let known = recorder.generations_in(tx, std::slice::from_ref(&message.id)).await?;
        let (envelope, event) = self.next_generation(key, message, &known);
        if sql.revive_in(tx, key.saturating_abs(), envelope).await? != Some(Publication::Accepted) {
            return Ok(None);
        }
        recorder.record_in(tx, &recorded(std::slice::from_ref(&event), JobEvent::is_recorded)).await?;
        Ok(Some(event))
    }

    /// Revives one whose record is elsewhere.
    async fn revive_apart(&self, key: i64, message: TaskMessage) -> Result<Option<JobEvent>, EnqueueError> {
        let known = self.inner.recorder.generations(std::slice::from_ref(&message.id)).await?;
        self.inner.recorder.forget(std::slice::from_ref(&message.id)).await?;
        let (envelope, event) = self.next_generation(key, message, &known);
        let revived = self.admin_of(key).revive(key.saturating_abs(), envelope).await?;
        let event = matches!(revived, Some(Publication::Accepted)).then_some(event);
        self.record(event.as_slice()).await?;
        Ok(event)
    }

    fn admin_of(&self, key: i64) -> &dyn BrokerAdmin {
        match &self.inner.outbox {
            Some(outbox) if key < 0 => outbox.admin(),
            _ => self.inner.broker.admin(),
        }
    }

    /// Makes a message the run after all that were before: after its own, and after that of another
    /// message of its id that was enqueued since it died.
    fn next_generation(
        &self,
        key: i64,
        mut message: TaskMessage,
        known: &HashMap<JobId, u32>,
    ) -> (Envelope, JobEvent) {
        let recorded = known.get(&message.id).copied().unwrap_or(0);
        message.celeriac.generation = message.celeriac.generation.max(recorded).saturating_add(1);
        let event = self.event(self.inner.clock.now(), self.facts_of(&message), What::Enqueued);
        let mut envelope = message.encode();
        if key < 0 {
            outbox::address(&mut envelope);
        }
        (envelope, event)
    }
}
