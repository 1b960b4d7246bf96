//! Asks for jobs, and looks after those that were asked for.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, Cancellation, Found, Notice, SqlBroker};
use celeriac_db::DbTx;
use celeriac_protocol::{
    Address, Clock, Destination, Envelope, JobEvent, JobFacts, JobId, JobStatus, RecordLevel, Serializer,
    TaskMessage, What,
};
use serde::de::DeserializeOwned;

use crate::signature::Prepared;
use crate::{
    Call, EnqueueError, EventHub, JobSnapshot, RecordError, Recorder, Registry, Sending, Signature, Task,
};

mod letters;
mod outbox;
mod publish;

pub use self::letters::Revision;
pub use self::outbox::{OutboxState, RELAY, RefusedState, Relayed};

/// The largest message that is published, headers and body together.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How much of the reason for a cancellation is kept.
const MAX_REASON_BYTES: usize = 1_000;

/// How many messages go to the transport in one call; more are sent in several.
const PUBLISH_CHUNK: usize = 1_000;

/// How many messages are taken out of a queue in one call.
const PURGE_CHUNK: usize = 1_000;

/// Asks for jobs, and looks after those that were asked for. Cloning is cheap.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    broker: Arc<dyn Broker>,
    outbox: Option<Arc<dyn Broker>>,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    registry: Registry,
    events: EventHub,
    origin: String,
    sending: Sending,
    eager: Option<crate::eager::Eager>,
}

/// What a client is made of.
#[derive(Clone)]
pub struct ClientParts {
    /// The transport.
    pub broker: Arc<dyn Broker>,
    /// Who keeps the record.
    pub recorder: Arc<dyn Recorder>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The tasks known here; calls by name take their options from it.
    pub registry: Registry,
    /// Who listens to what happens.
    pub events: EventHub,
    /// Who sends, `gen<pid>@<host>` in Celery's manner.
    pub origin: String,
}

impl Client {
    /// Makes a client.
    pub fn new(parts: ClientParts) -> Self {
        Self::build(parts, None, Sending::default(), None)
    }

    /// Makes a client that can enqueue within transactions though its transport keeps no queue in a
    /// database: such jobs wait in `outbox`, a queue in that database, until a
    /// [relay](Self::relay) hands them on.
    pub fn with_outbox(parts: ClientParts, outbox: Arc<dyn Broker>) -> Self {
        Self::build(parts, Some(outbox), Sending::default(), None)
    }

    /// Makes a client that sends as `sending` says where neither caller nor task does, with an
    /// [outbox](Self::with_outbox) where one is given.
    pub fn with_sending(parts: ClientParts, outbox: Option<Arc<dyn Broker>>, sending: Sending) -> Self {
        Self::build(parts, outbox, sending, None)
    }

    pub(crate) fn build(
        parts: ClientParts,
        outbox: Option<Arc<dyn Broker>>,
        sending: Sending,
        eager: Option<crate::eager::Eager>,
    ) -> Self {
        let ClientParts { broker, recorder, clock, registry, events, origin } = parts;
        let inner = Inner { broker, outbox, recorder, clock, registry, events, origin, sending, eager };
        Self { inner: Arc::new(inner) }
    }

    /// Enqueues one job. Once it returns, the job is as durable as the transport is.
    ///
    /// # Errors
    /// See [`EnqueueError`]. Inside a transaction of the queue's own database it fails at once;
    /// use [`Client::enqueue_in`] there.
    pub async fn enqueue<T: Task>(
        &self,
        signature: Signature<T>,
    ) -> Result<JobHandle<T::Output>, EnqueueError> {
        Ok(self.send(signature.into_call()).await?.typed())
    }

    /// Enqueues many jobs in few round trips, in the given order.
    ///
    /// They are stored in chunks of a thousand, each whole or not at all; RabbitMQ, which knows no wholes, may have a
    /// part of the chunk whose publishing fails.
    ///
    /// # Errors
    /// See [`EnqueueError`]. Nothing is stored if one of them can't be made into a message.
    pub async fn enqueue_many<T: Task>(
        &self,
        signatures: impl IntoIterator<Item = Signature<T>>,
    ) -> Result<Vec<JobHandle<T::Output>>, EnqueueError> {
        let handles = self.send_many(signatures.into_iter().map(Signature::into_call)).await?;
        Ok(handles.into_iter().map(JobHandle::typed).collect())
    }

    /// Enqueues one job as part of the caller's transaction: it exists if and when that commits.
    ///
    /// Where the job goes through the [outbox](Self::with_outbox), it is in its queue once a relay has handed it on,
    /// within milliseconds of the commit where a worker runs on this database, and not before one does. A
    /// delayed job waits in the database until it is due. Whether another job has its unique key is known when
    /// it is handed on: the second one ends as cancelled then, with that reason.
    ///
    /// # Errors
    /// See [`EnqueueError`]; the transport, or the [outbox](Self::with_outbox), must keep its queue in
    /// that very database.
    pub async fn enqueue_in<T: Task>(
        &self,
        tx: &DbTx,
        signature: Signature<T>,
    ) -> Result<JobHandle<T::Output>, EnqueueError> {
        let handles = self.send_many_in(tx, [signature.into_call()]).await?;
        let handle = handles.into_iter().next().expect("one call gives one handle");
        Ok(handle.typed())
    }

    /// Enqueues one job by its task's name.
    ///
    /// # Errors
    /// See [`EnqueueError`].
    pub async fn send(&self, call: Call) -> Result<JobHandle, EnqueueError> {
        let handles = self.send_many([call]).await?;
        Ok(handles.into_iter().next().expect("one call gives one handle"))
    }

    /// Enqueues many jobs by their tasks' names, in chunks of a thousand.
    ///
    /// # Errors
    /// See [`EnqueueError`].
    pub async fn send_many(
        &self,
        calls: impl IntoIterator<Item = Call>,
    ) -> Result<Vec<JobHandle>, EnqueueError> {
        let mut prepared = self.prepare(calls)?.into_iter();
        let mut ids = Vec::with_capacity(prepared.len());
        while !prepared.as_slice().is_empty() {
            ids.extend(self.publish(prepared.by_ref().take(PUBLISH_CHUNK).collect()).await?);
        }
        if let Some(eager) = &self.inner.eager {
            eager.run().await;
        }
        Ok(ids.into_iter().map(|id| self.handle(id)).collect())
    }

    /// Enqueues many jobs by their tasks' names as part of the caller's transaction.
    ///
    /// # Errors
    /// See [`EnqueueError`].
    pub async fn send_many_in(
        &self,
        tx: &DbTx,
        calls: impl IntoIterator<Item = Call>,
    ) -> Result<Vec<JobHandle>, EnqueueError> {
        let ids = self.publish_in(tx, self.prepare(calls)?).await?;
        Ok(ids.into_iter().map(|id| self.handle(id)).collect())
    }

    /// Says whether a message can be made of a call, and sent where it says.
    ///
    /// # Errors
    /// What stands in the way; see [`EnqueueError`].
    pub fn check(&self, call: Call) -> Result<(), EnqueueError> {
        self.prepare_one(call).map(drop)
    }

    /// Does what [`send_many_in`](Self::send_many_in) does, but a call that no message can be made of fails alone.
    /// Returns what came of each, in the given order.
    ///
    /// # Errors
    /// The transport or the record failed, and with it the transaction.
    pub async fn send_each_in(
        &self,
        tx: &DbTx,
        calls: impl IntoIterator<Item = Call>,
    ) -> Result<Vec<Result<JobHandle, EnqueueError>>, EnqueueError> {
        let mut prepared = Vec::new();
        let faults = calls.into_iter().map(|call| self.prepare_one(call).map(|one| prepared.push(one)));
        let faults: Vec<Result<(), EnqueueError>> = faults.collect();
        let ids = if prepared.is_empty() { Vec::new() } else { self.publish_in(tx, prepared).await? };
        let mut ids = ids.into_iter();
        let mut next = || self.handle(ids.next().expect("each prepared message has an id"));
        Ok(faults.into_iter().map(|fault| fault.map(|()| next())).collect())
    }

    /// Returns a handle on a job that was enqueued before, by anybody.
    pub fn handle(&self, id: JobId) -> JobHandle {
        JobHandle { id, client: self.clone(), output: PhantomData }
    }

    /// Reads where a job stands.
    ///
    /// # Errors
    /// The record can't be read.
    pub async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        self.inner.recorder.snapshot(id).await
    }

    /// Cancels a job, from any process: a waiting one is taken out of its queue, a running one is
    /// told to stop. The record tells `reason`, or the first 1000 bytes of it.
    ///
    /// # Errors
    /// The transport or the record can't be reached. Where they are not one database, the message may be
    /// out of its queue by then; the record is corrected when queue and records are next compared.
    pub async fn cancel(&self, id: &JobId, reason: &str) -> Result<CancelOutcome, EnqueueError> {
        let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
        let (cancellation, event) = self.cancel_message(id, reason).await?;
        self.inner.events.tell(event.as_slice());
        match cancellation {
            Cancellation::Removed(_) => Ok(CancelOutcome::Cancelled),
            Cancellation::Requested => Ok(CancelOutcome::Requested),
            Cancellation::NotFound => Ok(match self.snapshot(id).await? {
                Some(snapshot) if snapshot.status.is_final() => {
                    CancelOutcome::AlreadyFinished(snapshot.status)
                }
                // It may run at most once: then its message is gone, and only its worker knows it. Or a worker has it
                // that is none of ours.
                Some(snapshot) => {
                    let stop = Notice::Stop { id: id.clone(), reason: reason.to_owned() };
                    self.inner.broker.notifier().notify(stop);
                    match snapshot.status {
                        JobStatus::Running => CancelOutcome::Requested,
                        _ => CancelOutcome::OutOfReach,
                    }
                }
                None => CancelOutcome::NotFound,
            }),
        }
    }

    /// Takes every waiting message out of a queue, and what waits for it in the outbox; records the jobs as cancelled,
    /// and returns how many there were. Running ones go on.
    ///
    /// # Errors
    /// The transport or the record can't be reached. What was taken out before stays so; a record
    /// that could not be written is corrected when the queue is next compared with the records.
    pub async fn purge(&self, queue: &str, reason: &str) -> Result<u64, EnqueueError> {
        let mut purged = 0;
        loop {
            let mut found = self.inner.broker.admin().purge(queue, PURGE_CHUNK).await?;
            if found.is_empty() {
                found = self.purge_outbox(queue, PURGE_CHUNK).await?;
            }
            if found.is_empty() {
                return Ok(purged);
            }
            purged += found.len() as u64;
            let event =
                |found: &Found| self.cancelled(&found.envelope, found.delivery, found.attempt, reason);
            let events: Vec<JobEvent> = found.iter().map(event).collect();
            self.record(&events).await?;
            self.inner.events.tell(&events);
        }
    }

    /// Returns the queue's transactional side where queue and record live in one database, so that
    /// both can change as one.
    pub(crate) fn shared_database(&self) -> Option<&dyn SqlBroker> {
        let (broker, recorder) = (self.inner.broker.sql()?, self.inner.recorder.sql()?);
        broker.database().is_same_as(recorder.database()).then_some(broker)
    }

    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        let recorder = &self.inner.recorder;
        recorder.record(&recorded(events, |event| recorder.keeps(event))).await
    }

    /// Returns the transport.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.inner.broker
    }

    /// Returns who keeps the record.
    pub fn recorder(&self) -> &Arc<dyn Recorder> {
        &self.inner.recorder
    }

    /// Returns who sends.
    pub(crate) fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// Returns the queue of a task's jobs where nobody names one.
    pub fn queue_of(&self, task: &str) -> String {
        let own = self.inner.registry.find(task).and_then(|task| task.options.queue);
        own.unwrap_or_else(|| self.inner.sending.queue_of(task)).to_owned()
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Returns the tasks known here.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Returns who listens to what happens.
    pub fn events(&self) -> &EventHub {
        &self.inner.events
    }

    fn prepare(&self, calls: impl IntoIterator<Item = Call>) -> Result<Vec<Prepared>, EnqueueError> {
        calls.into_iter().map(|call| self.prepare_one(call)).collect()
    }

    fn prepare_one(&self, call: Call) -> Result<Prepared, EnqueueError> {
        let known = self.inner.registry.find(call.task());
        let call = if let Some(task) = known { call.for_task(task) } else { call };
        let inner = &self.inner;
        let prepared = call.into_message(inner.clock.as_ref(), &inner.origin, &inner.sending)?;
        self.check_address(&prepared.message)?;
        let size = prepared.message.args.positional.get().len() + prepared.message.args.named.get().len();
        if size > MAX_MESSAGE_BYTES {
            let reason = format!("the arguments have {size} bytes, {MAX_MESSAGE_BYTES} are allowed");
            return Err(EnqueueError::Option { task: prepared.message.task, reason });
        }
        // JSON has words for all that is held here.
        if prepared.message.form.serializer != Serializer::Json
            && let Err(error) = prepared.message.encode_exactly()
        {
            return Err(EnqueueError::Option { task: prepared.message.task, reason: error.to_string() });
        }
        Ok(prepared)
    }

    /// Refuses an exchange where the transport has none; the message would wait there for ever.
    fn check_address(&self, message: &TaskMessage) -> Result<(), EnqueueError> {
        let checked = self.check_way(&message.queue, message.eta.is_some());
        checked.map_err(|reason| EnqueueError::Option { task: message.task.clone(), reason })
    }

    /// Says why a task that is to follow a job never can be sent, where it can't.
    pub(crate) fn check_destination(&self, to: &Destination<'_>) -> Result<(), String> {
        match &to.address {
            Some(address) => self.check_way(address, to.waits),
            None => self.check_way(&self.queue_of(to.task), to.waits),
        }
    }

    fn check_way(&self, address: &str, waits: bool) -> Result<(), String> {
        let can = self.inner.broker.capabilities();
        match Address::of(address).map_err(|error| error.to_string())? {
            Address::Exchange { .. } if !can.exchanges => {
                Err(format!("the {} transport has no exchanges; name a queue", can.name))
            }
            Address::Exchange { .. } if waits => {
                Err(format!("messages for {address} can't wait for a time, those for a queue can"))
            }
            _ => Ok(()),
        }
    }

    async fn cancel_message(
        &self,
        id: &JobId,
        reason: &str,
    ) -> Result<(Cancellation, Option<JobEvent>), EnqueueError> {
        if let Some(sql) = self.shared_database() {
            let (this, id, reason) = (self.clone(), id.clone(), reason.to_owned());
            return sql
                .database()
                .write("cancel job", async move |tx| this.cancel_in(tx, &id, &reason).await)
                .await;
        }
        self.cancel_wherever(id, reason).await
    }

    async fn cancel_in(
        &self,
        tx: &DbTx,
        id: &JobId,
        reason: &str,
    ) -> Result<(Cancellation, Option<JobEvent>), EnqueueError> {
        let sql = self.shared_database().expect("the caller has looked");
        let cancellation = sql.cancel_in(tx, id, reason).await?;
        let event = self.cancellation(&cancellation, reason);
        if let (Some(event), Some(recorder)) = (&event, self.inner.recorder.sql()) {
            recorder.record_in(tx, &recorded(std::slice::from_ref(event), JobEvent::is_recorded)).await?;
        }
        Ok((cancellation, event))
    }

    /// Describes what a cancellation has done, where it has done something already.
    fn cancellation(&self, cancellation: &Cancellation, reason: &str) -> Option<JobEvent> {
        let Cancellation::Removed(found) = cancellation else { return None };
        Some(self.cancelled(&found.envelope, found.delivery, found.attempt, reason))
    }

    /// Describes the cancellation of a message that was taken out of its queue.
    pub(crate) fn cancelled(
        &self,
        envelope: &Envelope,
        delivery: u32,
        attempt: u32,
        reason: &str,
    ) -> JobEvent {
        let (facts, (delivery, attempt)) = match TaskMessage::decode(envelope) {
            Ok(message) => (self.facts_of(&message), message.celeriac.counted(delivery, attempt)),
            Err(_) => (facts_of_unreadable(envelope), (delivery, attempt)),
        };
        let what = What::Cancelled { reason: reason.to_owned() };
        JobEvent { at: self.inner.clock.now(), job: Arc::new(facts), delivery, attempt, what }
    }

    fn facts_of(&self, message: &TaskMessage) -> JobFacts {
        facts_of(&self.inner.registry, message)
    }

    fn event(&self, at: celeriac_protocol::Timestamp, job: JobFacts, what: What) -> JobEvent {
        JobEvent { at, job: Arc::new(job), delivery: 0, attempt: 0, what }
    }
}

/// Returns those events that are recorded; mostly that is all of them.
fn recorded(events: &[JobEvent], keeps: impl Fn(&JobEvent) -> bool) -> Cow<'_, [JobEvent]> {
    if events.iter().all(&keeps) {
        return Cow::Borrowed(events);
    }
    Cow::Owned(events.iter().filter(|event| keeps(event)).cloned().collect())
}

/// Returns what is known of a job, with what its task's options add.
pub(crate) fn facts_of(registry: &Registry, message: &TaskMessage) -> JobFacts {
    match registry.find(&message.task) {
        Some(task) => {
            let options = &task.options;
            let facts = message.facts(task.job_type(), options.retry.max_retries, options.record);
            let ignore_result = message.ignore_result.unwrap_or(options.ignore_result);
            JobFacts { ignore_result, ..facts }
        }
        None => message.facts(&message.task, None, RecordLevel::All),
    }
}

/// Returns what can be said of a message that can't be read: its id, its queue, perhaps its task and who waits.
pub(crate) fn facts_of_unreadable(envelope: &Envelope) -> JobFacts {
    let message = TaskMessage::peek(envelope);
    let job_type = message.task.clone();
    message.facts(&job_type, None, RecordLevel::All)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("origin", &self.inner.origin).finish_non_exhaustive()
    }
}

/// What a cancellation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The job had not begun and never will.
    Cancelled,
    /// The job runs, and its worker has been told; or it is on its way from the outbox to its queue, and whoever
    /// hands it on cancels it.
    Requested,
    /// The job has not ended, and is in no queue where it could be cancelled: a worker that is none of ours has it, or
    /// will.
    OutOfReach,
    /// The job had come to its end before.
    AlreadyFinished(JobStatus),
    /// Nobody knows the job.
    NotFound,
}

/// A job that was asked for; `R` is its result's type.
pub struct JobHandle<R = serde_json::Value> {
    id: JobId,
    client: Client,
    output: PhantomData<fn() -> R>,
}

impl<R> JobHandle<R> {
    /// How often a waiting handle looks at the record at first, and at last.
    const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

    /// Returns the job's id.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Reads where the job stands; `None` where nothing is recorded of it.
    ///
    /// # Errors
    /// The record can't be read.
    pub async fn status(&self) -> Result<Option<JobSnapshot>, RecordError> {
        self.client.snapshot(&self.id).await
    }

    /// Cancels the job.
    ///
    /// # Errors
    /// See [`Client::cancel`].
    pub async fn cancel(&self) -> Result<CancelOutcome, EnqueueError> {
        self.client.cancel(&self.id, "cancelled by its sender").await
    }

    /// Waits until the job has ended, at most `timeout`.
    ///
    /// # Errors
    /// The time is over, or the record can't be read.
    pub async fn wait_ended(&self, timeout: Duration) -> Result<JobSnapshot, WaitError> {
        let clock = self.client.clock();
        let deadline = clock.now() + timeout;
        let (mut pause, longest) = Self::POLL;
        loop {
            match self.status().await? {
                Some(snapshot) if snapshot.status.is_final() => return Ok(snapshot),
                seen if clock.now() >= deadline => {
                    return Err(WaitError::TimedOut { id: self.id.clone(), status: seen.map(|s| s.status) });
                }
                _ => {}
            }
            clock.sleep_until(deadline.min(clock.now() + pause)).await;
            pause = (pause * 2).min(longest);
        }
    }

    pub(crate) fn typed<T>(self) -> JobHandle<T> {
        JobHandle { id: self.id, client: self.client, output: PhantomData }
    }
}

impl<R: DeserializeOwned> JobHandle<R> {
    /// Waits for the job to end, at most `timeout`, and returns its result.
    ///
    /// # Errors
    /// The job ended otherwise, its result has another shape, or the time is over.
    pub async fn wait(&self, timeout: Duration) -> Result<R, WaitError> {
        let ended = self.wait_ended(timeout).await?;
        match ended.status {
            JobStatus::Completed => {
                let json = ended.result.as_ref().map_or("null", |raw| raw.get());
                serde_json::from_str(json).map_err(|source| WaitError::Shape { id: self.id.clone(), source })
            }
            JobStatus::Cancelled => {
                let reason = ended.cancel_reason.unwrap_or_default();
                Err(WaitError::Cancelled { id: self.id.clone(), reason })
            }
            _ => Err(WaitError::Failed { id: self.id.clone(), source: ended.error }),
        }
    }
}

impl<R> Clone for JobHandle<R> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), client: self.client.clone(), output: PhantomData }
    }
}

impl<R> fmt::Debug for JobHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobHandle").field(&self.id).finish()
    }
}

/// A job's result could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The job has not ended in time; it goes on.
    #[error("wait for job {id}: still {} when the time was over", status.map_or("unknown", JobStatus::as_str))]
    TimedOut {
        /// The job.
        id: JobId,
        /// Where it stood, as far as recorded.
        status: Option<JobStatus>,
    },
    /// The job failed for good.
    #[error("get the result of job {id}: it failed")]
    Failed {
        /// The job.
        id: JobId,
        /// Why.
        #[source]
        source: Option<celeriac_protocol::JobError>,
    },
    /// The job was cancelled.
    #[error("get the result of job {id}: it was cancelled ({reason})")]
    Cancelled {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// The result is of another type.
    #[error("read the result of job {id}")]
    Shape {
        /// The job.
        id: JobId,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The record can't be read.
    #[error("read the record")]
    Record(#[from] RecordError),
}
