//! Writes down what attempts came to, then lets go of their messages: in batches, in that order.
//!
//! On a database that holds both queue and record, both change in one transaction. Elsewhere the
//! record is awaited first, so a crash in between leaves the message unacknowledged and the step
//! runs again.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{BrokerError, Settle, Settled, Settlement};
use celeriac_db::{DbError, DbTx};
use celeriac_protocol::{Envelope, JobEvent, JobId, Outcome, RecordLevel, TaskMessage, Timestamp, What};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::executor::{Ending, Finished};
use super::{Checkpoints, Shared};
use crate::{RecordError, chain};

/// How many outcomes wait to be recorded at most. When the record can't be written, jobs stay in
/// their slots behind this many, so the worker stops fetching and keeps renewing.
const MAX_UNSETTLED: usize = 1_024;

/// How many outcomes are settled in one go.
const MAX_BATCH: usize = 512;

/// How often it is told that jobs have begun. What begins and ends in between is told once.
const NEWS_PERIOD: Duration = Duration::from_millis(50);

/// Progress is told at every so many news.
const NEWS_PER_PROGRESS: u32 = 5;

/// How long to wait before trying again when nothing can be written, at first and at most.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How many tries a stopping worker still makes.
const LAST_TRIES: u32 = 5;

/// The settler's end of the line to it.
pub(super) type Inbox = mpsc::Receiver<Finished>;

/// A job's end of the line to the settler.
pub(super) type Outbox = mpsc::Sender<Finished>;

/// Opens the line between jobs and settler.
pub(super) fn channel() -> (Outbox, Inbox) {
    mpsc::channel(MAX_UNSETTLED)
}

/// Settles until `last_call` is cancelled and everything that was handed in by then is settled.
pub(super) async fn run(shared: Arc<Shared>, mut inbox: Inbox, last_call: CancellationToken) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut ticks = 0_u32;
    let mut next_news = shared.clock().sleep(NEWS_PERIOD);
    loop {
        tokio::select! {
            biased;
            () = last_call.cancelled(), if !inbox.is_closed() => inbox.close(),
            () = &mut next_news => {
                ticks = ticks.wrapping_add(1);
                tell_news(&shared, ticks.is_multiple_of(NEWS_PER_PROGRESS)).await;
                next_news = shared.clock().sleep(NEWS_PERIOD);
            }
            count = inbox.recv_many(&mut batch, MAX_BATCH) => {
                if count == 0 {
                    return;
                }
                settle(&shared, std::mem::take(&mut batch), &last_call).await;
            }
        }
    }
}

/// Tells what began and how far it is. Losing it is no harm: the outcome says it all again.
async fn tell_news(shared: &Shared, with_progress: bool) {
    let now = shared.clock().now();
    let news = shared.held.news(now, &shared.name, with_progress);
    if !news.is_empty() {
        let recorded: Vec<JobEvent> = news.iter().filter(|event| event.is_recorded()).cloned().collect();
        if !recorded.is_empty()
            && let Err(error) = shared.client.recorder().record(&recorded).await
        {
            tracing::warn!(worker = %shared.name, error = chain(&error), "progress could not be recorded");
        }
        shared.client.events().tell(&news);
    }
    for (id, reason) in shared.held.newly_stuck(now - shared.options.stop_grace) {
        tracing::error!(worker = %shared.name, job.id = %id, ?reason, "job is stuck: told to stop, it runs on and keeps its slot");
    }
}

/// Settles a batch, trying again for as long as trying can help: until `last_call`, and a little after.
///
/// What can't be written together is written in halves, so that one outcome that can't be written
/// at all takes no other with it.
pub(super) async fn settle(shared: &Arc<Shared>, finished: Vec<Finished>, last_call: &CancellationToken) {
    let tags: Vec<_> = finished.iter().map(|one| one.tag).collect();
    shared.reach(Checkpoints::SETTLING);
    let mut parts = vec![Part::whole(Batch::of(shared, finished))];
    while let Some(part) = parts.pop() {
        match write_patiently(shared, &part, last_call).await {
            Ok(()) => {}
            Err(_) if part.len() > 1 => parts.extend(part.halves()),
            Err(error) => {
                let (jobs, error) = (part.job_ids(), chain(&error));
                tracing::error!(worker = %shared.name, ?jobs, error, "outcome can't be recorded; its lease will bring the job back");
            }
        }
    }
    shared.held.release(tags);
}

/// Writes a part, or returns why trying again would not help.
async fn write_patiently(
    shared: &Arc<Shared>,
    part: &Part,
    last_call: &CancellationToken,
) -> Result<(), SettleError> {
    let (mut pause, longest) = RETRY_PAUSE;
    let mut last_tries = 0;
    loop {
        let error = match write(shared, part).await {
            Ok(lost) => {
                shared.reach(Checkpoints::WRITTEN);
                tell(shared, part, &lost);
                return Ok(());
            }
            Err(error) => error,
        };
        last_tries += u32::from(last_call.is_cancelled());
        if !error.is_retryable() || last_tries > LAST_TRIES {
            return Err(error);
        }
        tracing::warn!(worker = %shared.name, outcomes = part.len(), error = chain(&error), "outcomes could not be recorded, trying again");
        shared.clock().sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// The part of a batch that is written together.
#[derive(Clone)]
struct Part {
    batch: Arc<Batch>,
    settled: Range<usize>,
    early: Range<usize>,
}

impl Part {
    fn whole(batch: Batch) -> Self {
        let (settled, early) = (0..batch.settlements.len(), 0..batch.early.len());
        Self { batch: Arc::new(batch), settled, early }
    }

    fn len(&self) -> usize {
        self.settled.len() + self.early.len()
    }

    fn halves(self) -> [Self; 2] {
        let half = |range: &Range<usize>| range.start + range.len() / 2;
        // With one of each kind, rounding would put both into the same half again.
        let middle = if self.settled.len() <= 1 { self.settled.end } else { half(&self.settled) };
        let early = if self.settled.len() <= 1 && !self.settled.is_empty() {
            self.early.start
        } else {
            half(&self.early)
        };
        let first =
            Self { settled: self.settled.start..middle, early: self.early.start..early, ..self.clone() };
        let second = Self { settled: middle..self.settled.end, early: early..self.early.end, ..self };
        [first, second]
    }

    fn settlements(&self) -> &[Settlement] {
        &self.batch.settlements[self.settled.clone()]
    }

    fn events(&self) -> &[Vec<JobEvent>] {
        &self.batch.events[self.settled.clone()]
    }

    fn early(&self) -> &[Early] {
        &self.batch.early[self.early.clone()]
    }

    fn early_events(&self) -> impl Iterator<Item = &JobEvent> {
        self.early().iter().flat_map(|early| &early.events)
    }

    fn republished(&self) -> Vec<Envelope> {
        self.early().iter().filter_map(|early| early.again.clone()).collect()
    }

    fn job_ids(&self) -> Vec<JobId> {
        let events = self.events().iter().flatten().chain(self.early_events());
        events.map(|event| event.job.id.clone()).collect()
    }
}

/// Outcomes in the form in which they are written.
struct Batch {
    /// What is done to messages.
    settlements: Vec<Settlement>,
    /// What is told of each settlement, in the same order.
    events: Vec<Vec<JobEvent>>,
    /// Jobs whose message was acknowledged before they ran.
    early: Vec<Early>,
}

/// The outcome of a job whose message was acknowledged before it ran.
struct Early {
    events: Vec<JobEvent>,
    /// The message, where it is to run again.
    again: Option<Envelope>,
}

impl Batch {
    fn of(shared: &Shared, finished: Vec<Finished>) -> Self {
        let mut batch = Self { settlements: Vec::new(), events: Vec::new(), early: Vec::new() };
        for one in finished {
            batch.add(shared, one);
        }
        batch
    }

    fn add(&mut self, shared: &Shared, finished: Finished) {
        let now = shared.clock().now();
        let Some(Decided { what, settle, again }) = decide(&finished, finished.delivery.is_some()) else {
            return;
        };
        let events = history(shared, &finished, now, what);
        match finished.delivery {
            Some(delivery) => {
                self.settlements.push(Settlement { delivery, settle });
                self.events.push(events);
            }
            None => self.early.push(Early { events, again }),
        }
    }
}

/// What is told of an outcome, and what is done to its message.
struct Decided {
    what: What,
    settle: Settle,
    again: Option<Envelope>,
}

/// Turns an ending into what is written; `None` where there is nothing to write.
fn decide(finished: &Finished, held: bool) -> Option<Decided> {
    let (outcome, again, ignore_result) = match &finished.ending {
        Ending::LeaseLost => return None,
        Ending::Released(again) => {
            let settle = Settle::Requeue { content: None, due_at: None, charged: false };
            return Some(Decided {
                what: What::Released,
                settle,
                again: again.as_ref().map(|message| message.encode()),
            });
        }
        Ending::Outcome { outcome, again, ignore_result } => (outcome, again, *ignore_result),
    };
    Some(match outcome {
        Outcome::Succeeded(result) => {
            let runtime = finished.run.map_or(Duration::ZERO, |run| run.took);
            let runtime_micros = u64::try_from(runtime.as_micros()).unwrap_or(u64::MAX);
            let result = (!ignore_result).then(|| result.clone());
            Decided { what: What::Succeeded { result, runtime_micros }, settle: Settle::Ack, again: None }
        }
        Outcome::Retry { at, error } => {
            let next = again.as_ref().map(|message| next_message(message, 1, *at).encode());
            let content = next.as_ref().map(|envelope| envelope.content.clone());
            let settle = Settle::Requeue { content, due_at: Some(*at), charged: true };
            Decided { what: What::Retried { error: error.clone(), retry_at: *at }, settle, again: next }
        }
        Outcome::Snoozed { until } => {
            let next = again.as_ref().map(|message| next_message(message, 0, *until).encode());
            let settle = Settle::Requeue { content: None, due_at: Some(*until), charged: false };
            Decided { what: What::Snoozed { until: *until }, settle, again: next }
        }
        Outcome::Cancelled { reason } => {
            Decided { what: What::Cancelled { reason: reason.clone() }, settle: Settle::Ack, again: None }
        }
        Outcome::Failed { error } => {
            let settle = Settle::Reject { reason: error.kind.to_string(), detail: error.message.clone() };
            Decided { what: What::Failed { error: error.clone(), dead_lettered: held }, settle, again: None }
        }
    })
}

fn next_message(message: &TaskMessage, more_retries: u32, eta: Timestamp) -> TaskMessage {
    let mut next = message.clone();
    next.retries += more_retries;
    next.eta = Some(eta);
    next
}

/// Tells the whole of an attempt: that it began, its last progress, what it came to.
fn history(shared: &Shared, finished: &Finished, now: Timestamp, what: What) -> Vec<JobEvent> {
    let event = |at, what| JobEvent {
        at,
        job: Arc::clone(&finished.job),
        delivery: finished.number,
        attempt: finished.attempt,
        what,
    };
    let mut events = Vec::with_capacity(3);
    if let Some(run) = finished.run
        && finished.job.record == RecordLevel::All
    {
        events.push(event(run.started_at, What::Started { worker: Arc::clone(&shared.name) }));
        if let Some(told) = &finished.progress {
            let (percent, message, partial) = (told.percent, told.message.clone(), told.partial.clone());
            events.push(event(now, What::Progressed { percent, message, partial }));
        }
    }
    events.push(event(now, what));
    events
}

/// Returns, for each settlement, whether its lease was lost.
async fn write(shared: &Arc<Shared>, part: &Part) -> Result<Vec<bool>, SettleError> {
    if let Some(sql) = shared.client.shared_database() {
        let (shared, part) = (Arc::clone(shared), part.clone());
        return sql.database().write("settle", async move |tx| write_in(&shared, &part, tx).await).await;
    }
    let events: Vec<JobEvent> = part.events().iter().flatten().chain(part.early_events()).cloned().collect();
    shared.client.recorder().record(&recorded(&events)).await?;
    shared.reach(Checkpoints::RECORDED);
    let republished = part.republished();
    if !republished.is_empty() {
        shared.client.broker().publish(republished).await?;
    }
    if part.settlements().is_empty() {
        return Ok(Vec::new());
    }
    let settled = shared.client.broker().settle(part.settlements()).await?;
    shared.reach(Checkpoints::SETTLED);
    Ok(settled.into_iter().map(|one| one == Settled::LeaseLost).collect())
}

/// Writes queue and record as one. The queue goes first, since it knows which leases were lost:
/// of these nothing is recorded.
async fn write_in(shared: &Shared, part: &Part, tx: &DbTx) -> Result<Vec<bool>, SettleError> {
    let sql = shared.client.broker().sql().expect("the caller has looked");
    let recorder = shared.client.recorder().sql().expect("the caller has looked");
    let settled = sql.settle_in(tx, part.settlements()).await?;
    shared.reach(Checkpoints::SETTLED);
    let lost: Vec<bool> = settled.into_iter().map(|one| one == Settled::LeaseLost).collect();
    let republished = part.republished();
    if !republished.is_empty() {
        sql.publish_in(tx, republished).await?;
    }
    let kept = part.events().iter().zip(&lost).filter(|(_, lost)| !**lost).flat_map(|(events, _)| events);
    let events: Vec<JobEvent> =
        kept.chain(part.early_events()).filter(|e| e.is_recorded()).cloned().collect();
    if !events.is_empty() {
        recorder.record_in(tx, &events).await?;
    }
    shared.reach(Checkpoints::RECORDED);
    Ok(lost)
}

fn recorded(events: &[JobEvent]) -> Vec<JobEvent> {
    events.iter().filter(|event| event.is_recorded()).cloned().collect()
}

fn tell(shared: &Shared, part: &Part, lost: &[bool]) {
    for (settlement, _) in part.settlements().iter().zip(lost).filter(|(_, lost)| **lost) {
        let id = &settlement.delivery.envelope.id;
        tracing::warn!(worker = %shared.name, job.id = %id, "lease was lost before the outcome was written; the job runs again");
    }
    let events = part.events().iter().zip(lost).filter(|(_, lost)| !**lost).flat_map(|(events, _)| events);
    for event in events.chain(part.early_events()) {
        log(&shared.name, event);
        shared.client.events().tell(std::slice::from_ref(event));
    }
}

fn log(worker: &str, event: &JobEvent) {
    let (id, task, attempt) = (&event.job.id, event.job.task.as_str(), event.attempt);
    match &event.what {
        What::Failed { error, .. } => {
            tracing::error!(worker, job.id = %id, task.name = task, attempt, error = %error, "job failed for good");
        }
        What::Retried { error, retry_at } => {
            tracing::warn!(worker, job.id = %id, task.name = task, attempt, error = %error, retry_at = %retry_at, "job failed and will run again");
        }
        What::Cancelled { reason } => {
            tracing::info!(worker, job.id = %id, task.name = task, attempt, reason, "job was cancelled");
        }
        What::Succeeded { runtime_micros, .. } => {
            tracing::debug!(worker, job.id = %id, task.name = task, attempt, runtime_micros, "job completed");
        }
        _ => {}
    }
}

/// What keeps a batch from being settled.
#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error("settle messages")]
    Broker(#[from] BrokerError),
    #[error("record outcomes")]
    Record(#[from] RecordError),
    #[error("write outcomes")]
    Database(#[from] DbError),
}

impl SettleError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Broker(e) => e.is_retryable(),
            Self::Record(e) => e.is_retryable(),
            Self::Database(e) => e.is_retryable(),
        }
    }
}
