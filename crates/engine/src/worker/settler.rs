//! Writes down what attempts came to, then lets go of their messages: in batches, in that order.
//!
//! On a database that holds both queue and record, both change in one transaction. Elsewhere the
//! record is awaited first, so a crash in between leaves the message unacknowledged and the step
//! runs again. What leaves no record is only acknowledged.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use celeriac_broker::{BrokerError, LeaseTag, Settled, slices};
use celeriac_db::{DbError, DbTx};
use celeriac_protocol::{Address, Envelope, JobEvent, JobId, What, error_text};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::batch::{Batch, Part};
use self::news::Newsroom;
use self::patience::Patience;
use self::refused::Refused;
use super::executor::Finished;
use super::{Checkpoints, Shared};
use crate::{RecordError, Recorder};

mod batch;
mod follow;
mod news;
mod patience;
mod refused;

/// How many outcomes wait to be recorded at most. When the record can't be written, jobs stay in
/// their slots behind this many, so the worker stops fetching and keeps renewing.
const MAX_UNSETTLED: usize = 256;

/// How many outcomes are settled in one go.
const MAX_BATCH: usize = 256;

/// The settler's end of the line to it.
pub(super) type Inbox = mpsc::Receiver<Finished>;

/// A job's end of the line to the settler.
pub(super) type FinishedSender = mpsc::Sender<Finished>;

/// Opens the line between jobs and settler.
pub(super) fn channel() -> (FinishedSender, Inbox) {
    mpsc::channel(MAX_UNSETTLED)
}

/// Settles until `last_call` is cancelled and everything that was handed in by then is settled.
pub(super) async fn run(shared: Arc<Shared>, mut inbox: Inbox, last_call: CancellationToken) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let (mut newsroom, mut refused) = (Newsroom::new(), Refused::default());
    let mut next_news = newsroom.due(shared.clock());
    loop {
        tokio::select! {
            biased;
            () = last_call.cancelled(), if !inbox.is_closed() => inbox.close(),
            () = &mut next_news => {
                newsroom.tell(&shared).await;
                next_news = newsroom.due(shared.clock());
            }
            count = inbox.recv_many(&mut batch, MAX_BATCH) => {
                if count == 0 {
                    break;
                }
                gather(&mut inbox, &mut batch).await;
                let finished = std::mem::take(&mut batch);
                let settling = settle(&shared, finished, Some(&mut inbox), &last_call).await;
                refused.add(&shared, settling.refused, settling.written > 0).await;
            }
            () = refused.due(shared.clock()) => refused.try_again(&shared).await,
        }
    }
    refused.give_up_all(&shared).await;
}

/// Lets every job go on once that can, and takes what ended by then: one batch is settled sooner than two.
async fn gather(inbox: &mut Inbox, batch: &mut Vec<Finished>) {
    tokio::task::yield_now().await;
    while batch.len() < MAX_BATCH
        && let Ok(finished) = inbox.try_recv()
    {
        batch.push(finished);
    }
}

/// Settles a batch here and now; what the record refuses is not tried again.
pub(super) async fn settle_at_once(shared: &Arc<Shared>, finished: Vec<Finished>) {
    let last_call = CancellationToken::new();
    for (part, error) in settle(shared, finished, None, &last_call).await.refused {
        refused::give_up(shared, &part, &error).await;
    }
}

/// What came of settling a batch.
struct Settling {
    /// Outcomes that can't be written by themselves; they are still held.
    refused: Vec<(Part, SettleError)>,
    /// How many parts were written.
    written: u32,
}

/// A part that is to be written, and how many others had been when it was put behind them.
struct Pending {
    part: Part,
    behind: Option<u32>,
}

/// Settles a batch, trying again for as long as trying can help: until `last_call`, and a little after.
///
/// What can't be written together is written in halves, so that one outcome that can't be written at all takes no other
/// with it. Of an outcome that fails in ways that pass, nobody can tell whether the server is away or the outcome too
/// large for one deadline: it waits behind the others, or behind the next one of `inbox`, and once that was written
/// it is refused.
async fn settle(
    shared: &Arc<Shared>,
    finished: Vec<Finished>,
    mut inbox: Option<&mut Inbox>,
    last_call: &CancellationToken,
) -> Settling {
    let mut tags: HashSet<LeaseTag> = finished.iter().map(|one| one.tag).collect();
    shared.reach(Checkpoints::SETTLING);
    let (mut patience, mut refused) = (Patience::until(last_call), Vec::new());
    let mut parts = VecDeque::from([Pending::of(shared, finished)]);
    while let Some(Pending { part, behind }) = parts.pop_front() {
        let Err(error) = write_patiently(shared, &part, &mut patience).await else { continue };
        match verdict(&part, &error, behind, &patience) {
            Verdict::Leave => {
                let (jobs, error) = (part.job_ids(), error_text(&error));
                tracing::error!(worker = %shared.name, ?jobs, error, "outcome could not be recorded before the worker stopped; its lease will bring the job back");
            }
            Verdict::Halve => {
                for half in part.halves().into_iter().rev() {
                    parts.push_front(Pending { part: half, behind: None });
                }
            }
            Verdict::Wait => {
                if parts.is_empty()
                    && let Some(next) = inbox.as_mut().and_then(|inbox| inbox.try_recv().ok())
                {
                    tags.insert(next.tag);
                    parts.push_front(Pending::of(shared, vec![next]));
                }
                parts.push_back(Pending { part, behind: Some(patience.written()) });
            }
            Verdict::Refuse => {
                for tag in part.tags() {
                    tags.remove(&tag);
                }
                refused.push((part, error));
            }
        }
    }
    shared.held.release(tags);
    Settling { refused, written: patience.written() }
}

impl Pending {
    fn of(shared: &Shared, finished: Vec<Finished>) -> Self {
        Self { part: Part::whole(Batch::of(shared, finished)), behind: None }
    }
}

/// What is done with a part that could not be written.
enum Verdict {
    Leave,
    Halve,
    Wait,
    Refuse,
}

fn verdict(part: &Part, error: &SettleError, behind: Option<u32>, patience: &Patience<'_>) -> Verdict {
    let passes = error.is_retryable();
    if passes && patience.is_over() {
        Verdict::Leave
    } else if part.len() > 1 {
        Verdict::Halve
    } else if passes && behind.is_none_or(|written| written == patience.written()) {
        Verdict::Wait
    } else {
        Verdict::Refuse
    }
}

/// Writes a part, or returns why it should not be tried again as it is.
async fn write_patiently(
    shared: &Arc<Shared>,
    part: &Part,
    patience: &mut Patience<'_>,
) -> Result<(), SettleError> {
    let mut tries = 0;
    loop {
        let error = match write(shared, part).await {
            Ok(written) => {
                shared.reach(Checkpoints::WRITTEN);
                tell(shared, part, &written);
                patience.note_written();
                return Ok(());
            }
            Err(error) => error,
        };
        if !error.is_retryable() {
            return Err(error);
        }
        tries += 1;
        let pause = patience.note_failed();
        if patience.is_over() {
            return Err(error);
        }
        tracing::warn!(worker = %shared.name, outcomes = part.len(), error = error_text(&error), "outcomes could not be recorded, trying again");
        shared.clock().sleep(pause).await;
        if patience.is_enough(tries) {
            return Err(error);
        }
    }
}

/// What came of writing a part.
#[derive(Default)]
struct Written {
    /// For each settlement, whether its lease was lost.
    lost: Vec<bool>,
    /// What is told besides: of jobs whose message the transport did not take back.
    more: Vec<JobEvent>,
}

async fn write(shared: &Arc<Shared>, part: &Part) -> Result<Written, SettleError> {
    let told = || part.events().iter().flatten().chain(part.early_events());
    let republished = part.republished();
    let (broker, recorder) = (shared.client.broker(), shared.client.recorder());
    let follows = !part.following(&[]).is_empty();
    if !told().any(|event| recorder.keeps(event)) && republished.is_empty() && !follows {
        return settle_only(shared, part).await;
    }
    if let Some(sql) = shared.client.shared_database() {
        let (shared, part) = (Arc::clone(shared), part.clone());
        return sql.database().write("settle", async move |tx| write_in(&shared, &part, tx).await).await;
    }
    let mut written = Written::default();
    if follows {
        written.more = publish_following(shared, part).await?;
        shared.reach(Checkpoints::FOLLOWED);
    }
    recorder.record(&recorded(&**recorder, told().chain(&written.more))).await?;
    shared.reach(Checkpoints::RECORDED);
    if !republished.is_empty() {
        let not_taken = part.not_taken(&broker.publish(republished).await?, shared.clock().now());
        recorder.record(&recorded(&**recorder, &not_taken)).await?;
        written.more.extend(not_taken);
    }
    if !part.settlements().is_empty() {
        let settled = broker.settle(part.settlements()).await?;
        shared.reach(Checkpoints::SETTLED);
        written.lost = settled.into_iter().map(|one| one == Settled::LeaseLost).collect();
    }
    Ok(written)
}

/// Publishes what follows jobs, before anything says that they have ended: should the worker die in between, they run
/// again and publish the same again, which is refused by id while the first waits or runs. Returns what is told of those
/// that the transport refuses.
async fn publish_following(shared: &Shared, part: &Part) -> Result<Vec<JobEvent>, SettleError> {
    let again: Vec<JobId> = part.followers_of_later_runs();
    shared.client.recorder().forget(&again).await?;
    let following = part.following(&[]).into_iter();
    let (to_queues, to_exchanges): (Vec<_>, Vec<_>) =
        following.partition(|envelope| Address::is_queue(&envelope.queue));
    let mut refused = Vec::new();
    for chunk in slices(&to_queues, MAX_BATCH, size_of) {
        match shared.client.broker().publish(chunk.to_vec()).await {
            Err(error) if error.is_refusal() => {
                // What the server has taken all the same is not sent twice.
                let left = chunk.iter().enumerate().filter(|(index, _)| !error.has_taken(*index));
                let left: Vec<Envelope> = left.map(|(_, envelope)| envelope.clone()).collect();
                refused.extend(publish_each(shared, &left).await?);
            }
            published => drop(published?),
        }
    }
    // An exchange may have no queue, which is no reason to send the others twice.
    refused.extend(publish_each(shared, &to_exchanges).await?);
    Ok(refused)
}

/// Counts about how many bytes a message has on its way.
fn size_of(envelope: &Envelope) -> usize {
    envelope.content.body.len() + envelope.content.headers.len()
}

/// Publishes messages one by one and returns what is told of those that are refused.
async fn publish_each(shared: &Shared, envelopes: &[Envelope]) -> Result<Vec<JobEvent>, SettleError> {
    let mut refused = Vec::new();
    for envelope in envelopes {
        match shared.client.broker().publish(vec![envelope.clone()]).await {
            Err(error) if error.is_refusal() => {
                refused.extend(follow::refused(shared, envelope, &error));
            }
            published => drop(published?),
        }
    }
    Ok(refused)
}

/// Settles what leaves no record.
async fn settle_only(shared: &Shared, part: &Part) -> Result<Written, SettleError> {
    let mut written = Written::default();
    if !part.settlements().is_empty() {
        let settled = shared.client.broker().settle(part.settlements()).await?;
        written.lost = settled.into_iter().map(|one| one == Settled::LeaseLost).collect();
    }
    shared.reach(Checkpoints::SETTLED);
    shared.reach(Checkpoints::RECORDED);
    Ok(written)
}

/// Writes queue and record as one. The queue goes first, since it knows which leases were lost:
/// of these nothing is recorded.
async fn write_in(shared: &Shared, part: &Part, tx: &DbTx) -> Result<Written, SettleError> {
    let sql = shared.client.broker().sql().expect("the caller has looked");
    let recorder = shared.client.recorder().sql().expect("the caller has looked");
    let settled = sql.settle_in(tx, part.settlements()).await?;
    shared.reach(Checkpoints::SETTLED);
    let lost: Vec<bool> = settled.into_iter().map(|one| one == Settled::LeaseLost).collect();
    let mut written = Written { lost, more: Vec::new() };
    let following = part.following(&written.lost);
    if !following.is_empty() {
        sql.publish_in(tx, following).await?;
        shared.reach(Checkpoints::FOLLOWED);
    }
    let republished = part.republished();
    if !republished.is_empty() {
        written.more = part.not_taken(&sql.publish_in(tx, republished).await?, shared.clock().now());
    }
    let events = recorded(&**shared.client.recorder(), written.events(part));
    if !events.is_empty() {
        recorder.record_in(tx, &events).await?;
    }
    shared.reach(Checkpoints::RECORDED);
    Ok(written)
}

impl Written {
    /// Returns what is told of a part: nothing of jobs that are somebody else's by now.
    fn events<'p>(&'p self, part: &'p Part) -> impl Iterator<Item = &'p JobEvent> {
        let kept = part.events().iter().zip(&self.lost).filter(|(_, lost)| !**lost);
        kept.flat_map(|(events, _)| events).chain(part.early_events()).chain(&self.more)
    }
}

fn recorded<'e>(recorder: &dyn Recorder, events: impl IntoIterator<Item = &'e JobEvent>) -> Vec<JobEvent> {
    events.into_iter().filter(|event| recorder.keeps(event)).cloned().collect()
}

fn tell(shared: &Shared, part: &Part, written: &Written) {
    for (settlement, _) in part.settlements().iter().zip(&written.lost).filter(|(_, lost)| **lost) {
        let id = &settlement.delivery.envelope.id;
        tracing::warn!(worker = %shared.name, job.id = %id, "lease was lost before the outcome was written; the job runs again");
    }
    for event in written.events(part) {
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
