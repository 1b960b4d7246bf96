//! Outcomes in the form in which they are written: what is done to messages, what is told of jobs.

use std::ops::Range;
use std::sync::Arc;

use celeriac_broker::{LeaseTag, Publication, Settle, Settlement};
use celeriac_protocol::{
    Envelope, ErrorKind, JobError, JobEvent, JobId, Outcome, RecordLevel, TaskMessage, Timestamp, What,
};

use super::super::Shared;
use super::super::executor::{Ending, Finished};
use super::follow::{self, Follow};

/// The part of a batch that is written together.
#[derive(Clone)]
pub(super) struct Part {
    batch: Arc<Batch>,
    settled: Range<usize>,
    early: Range<usize>,
}

impl Part {
    pub(super) fn whole(batch: Batch) -> Self {
        let (settled, early) = (0..batch.settlements.len(), 0..batch.early.len());
        Self { batch: Arc::new(batch), settled, early }
    }

    pub(super) fn len(&self) -> usize {
        self.settled.len() + self.early.len()
    }

    pub(super) fn halves(self) -> [Self; 2] {
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

    pub(super) fn settlements(&self) -> &[Settlement] {
        &self.batch.settlements[self.settled.clone()]
    }

    pub(super) fn events(&self) -> &[Vec<JobEvent>] {
        &self.batch.events[self.settled.clone()]
    }

    fn early(&self) -> &[Early] {
        &self.batch.early[self.early.clone()]
    }

    pub(super) fn early_events(&self) -> impl Iterator<Item = &JobEvent> {
        self.early().iter().flat_map(|early| &early.events)
    }

    /// Returns what each job came to.
    pub(super) fn last_events(&self) -> impl Iterator<Item = &JobEvent> {
        let settled = self.events().iter().filter_map(|events| events.last());
        settled.chain(self.early().iter().filter_map(|early| early.events.last()))
    }

    /// Returns the messages that were acknowledged early and are to run again.
    pub(super) fn republished(&self) -> Vec<Envelope> {
        self.early().iter().filter_map(|early| early.again.clone()).collect()
    }

    /// Tells of jobs that end here because the transport did not take their message back; `answers`
    /// are what it said to [`Part::republished`].
    ///
    /// Where a message of the same id is in the queue already, that is this very one, sent twice
    /// because the answer was lost, or a later one of its sender's: either way the job runs.
    pub(super) fn not_taken(&self, answers: &[Publication], now: Timestamp) -> Vec<JobEvent> {
        let republished = self.early().iter().filter(|early| early.again.is_some());
        let told = republished.zip(answers).filter_map(|(early, answer)| match answer {
            Publication::Duplicate(by) => Some((early.events.last()?, by)),
            Publication::Accepted => None,
        });
        told.filter(|(event, by)| event.job.id != **by)
            .map(|(event, by)| not_taken_back(event, by, now))
            .collect()
    }

    /// Returns the messages that follow jobs of this part: of settlements, unless their lease was `lost`.
    pub(super) fn following(&self, lost: &[bool]) -> Vec<Envelope> {
        let settled = self.batch.following[self.settled.clone()].iter().enumerate();
        let kept = settled.filter(|(index, _)| !lost.get(*index).is_some_and(|lost| *lost));
        let early = self.early().iter().flat_map(|early| &early.following);
        kept.flat_map(|(_, following)| following).chain(early).cloned().collect()
    }

    /// Returns the ids of what follows jobs that were revived, or asked for again: they may have run before.
    pub(super) fn followers_of_later_runs(&self) -> Vec<JobId> {
        let told = self.events().iter().flatten().chain(self.early_events());
        let is_one = |event: &&JobEvent| matches!(event.what, What::Enqueued) && event.job.generation > 0;
        told.filter(is_one).map(|event| event.job.id.clone()).collect()
    }

    /// Returns the leases that the jobs are or were held under.
    pub(super) fn tags(&self) -> impl Iterator<Item = LeaseTag> {
        let leased = self.settlements().iter().map(|settlement| settlement.delivery.tag);
        leased.chain(self.early().iter().map(|early| early.tag))
    }

    pub(super) fn job_ids(&self) -> Vec<JobId> {
        let events = self.events().iter().flatten().chain(self.early_events());
        events.map(|event| event.job.id.clone()).collect()
    }
}

/// Outcomes in the form in which they are written.
pub(super) struct Batch {
    /// What is done to messages.
    settlements: Vec<Settlement>,
    /// What is told of each settlement, in the same order; what is told of its own job stands last.
    events: Vec<Vec<JobEvent>>,
    /// The messages that follow each settlement, in the same order.
    following: Vec<Vec<Envelope>>,
    /// Jobs whose message was acknowledged before they ran.
    early: Vec<Early>,
}

/// The outcome of a job whose message was acknowledged before it ran.
struct Early {
    /// The lease it was held under.
    tag: LeaseTag,
    events: Vec<JobEvent>,
    /// The message, where it is to run again.
    again: Option<Envelope>,
    /// The messages that follow it.
    following: Vec<Envelope>,
}

impl Batch {
    pub(super) fn of(shared: &Shared, finished: Vec<Finished>) -> Self {
        let mut batch =
            Self { settlements: Vec::new(), events: Vec::new(), following: Vec::new(), early: Vec::new() };
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
        let Follow { following, mut events } = follow::up(shared, &finished, now);
        events.extend(history(shared, &finished, now, what));
        match finished.delivery {
            Some(delivery) => {
                self.settlements.push(Settlement { delivery, settle });
                self.events.push(events);
                self.following.push(following);
            }
            None => self.early.push(Early { tag: finished.tag, events, again, following }),
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
        Ending::LeaseLost | Ending::LetGo => return None,
        Ending::Released(again) => {
            let settle = Settle::Requeue { content: None, due_at: None, charged: false };
            return Some(Decided {
                what: What::Released,
                settle,
                again: again.as_ref().map(|message| next_message(finished, message, false).encode()),
            });
        }
        Ending::Outcome { outcome, message, ignore_result } => (outcome, message, *ignore_result),
    };
    Some(match outcome {
        Outcome::Succeeded(result) => {
            let took = finished.run.map(|run| run.took.as_micros());
            let runtime_micros = took.map(|micros| u64::try_from(micros).unwrap_or(u64::MAX));
            let result = (!ignore_result).then(|| result.clone());
            Decided { what: What::Succeeded { result, runtime_micros }, settle: Settle::Ack, again: None }
        }
        Outcome::Retry { at, error } => {
            let next = again.as_ref().map(|message| {
                let mut next = next_message(finished, message, true);
                (next.retries, next.eta) = (next.retries.saturating_add(1), Some(*at));
                next.encode()
            });
            let content = next.as_ref().map(|envelope| envelope.content.clone());
            let settle = Settle::Requeue { content, due_at: Some(*at), charged: true };
            Decided { what: What::Retried { error: error.clone(), retry_at: *at }, settle, again: next }
        }
        Outcome::Snoozed { until } => {
            let next = again.as_ref().map(|message| {
                let next = next_message(finished, message, false);
                TaskMessage { eta: Some(*until), ..next }.encode()
            });
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

/// Describes the end of a job that was to run again, whose message another job keeps out.
fn not_taken_back(event: &JobEvent, by: &JobId, now: Timestamp) -> JobEvent {
    let held = format!("it was to run again, but job {by} has taken its unique key meanwhile");
    let error = match &event.what {
        What::Retried { error, .. } => {
            JobError { message: format!("{held}; it had failed: {}", error.message), ..error.clone() }
        }
        _ => JobError::new(ErrorKind::Error, held),
    };
    JobEvent { at: now, what: What::Failed { error, dead_lettered: false }, ..event.clone() }
}

/// Returns the message as it goes back into the queue.
fn next_message(finished: &Finished, message: &TaskMessage, charged: bool) -> TaskMessage {
    let mut next = message.clone();
    // It has run, so that it is the one that goes on.
    next.celeriac.again_at = None;
    if finished.delivery.is_none() {
        // What was acknowledged goes back as a new message, of which the transport knows nothing.
        next.celeriac.past_deliveries = finished.number;
        next.celeriac.past_attempts = finished.attempt.saturating_sub(u32::from(!charged));
    }
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
