//! Corrects the records of jobs whose worker or message has vanished.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::MessageState;
use celeriac_db::Database;
use celeriac_engine::Client;
use celeriac_protocol::{ErrorKind, JobError, JobEvent, JobStatus, Timestamp, What};
use celeriac_store::JobRecord;
use celeriac_store::query::jobs::{self, Silent};

use crate::r#loop::{Loop, LoopCtx, LoopError, LoopSettingsError, PassReport};

/// When a job that nobody speaks of is looked into, and when it is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescuerSettings {
    /// How long a job must have been silent before its message is looked for. Longer than a lease,
    /// so that a lost worker's message has had the time to be handed out again.
    pub look_after: Duration,
    /// How long a job must have been silent before it is given up because its message is gone.
    pub give_up_after: Duration,
    /// The same for tasks whose messages are acknowledged before they run (`acks_late = false`), and
    /// for all where workers that are none of ours take from the queues: while such a job runs, there
    /// is no message to be found.
    pub give_up_early_acked_after: Duration,
    /// How often it looks.
    pub period: Duration,
    /// How many jobs one pass looks into at most.
    pub batch: u64,
}

/// The most jobs that one pass may look into: each is a question to the transport.
const MAX_BATCH: u64 = 10_000;

impl Default for RescuerSettings {
    /// Looks every minute into jobs that were silent for one, and gives up after ten.
    fn default() -> Self {
        Self {
            look_after: Duration::from_secs(60),
            give_up_after: Duration::from_secs(600),
            give_up_early_acked_after: Duration::from_secs(24 * 3_600),
            period: Duration::from_secs(60),
            batch: 500,
        }
    }
}

impl RescuerSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn validate(&self) -> Result<(), LoopSettingsError> {
        let refuse =
            |setting, value: String, reason| Err(LoopSettingsError { of: "rescuer", setting, value, reason });
        if self.batch == 0 || self.batch > MAX_BATCH {
            return refuse("batch", self.batch.to_string(), "1 to 10000 are possible");
        }
        if self.period < Duration::from_secs(1) {
            return refuse("period", format!("{:?}", self.period), "below a second it would never rest");
        }
        if self.give_up_after < self.look_after {
            let value = format!("{:?}", self.give_up_after);
            return refuse("give_up_after", value, "it must not be below look_after");
        }
        if self.give_up_early_acked_after < self.give_up_after {
            let value = format!("{:?}", self.give_up_early_acked_after);
            return refuse("give_up_early_acked_after", value, "it must not be below give_up_after");
        }
        Ok(())
    }
}

/// The statuses that are looked into: those which someone must still have the message of, and of
/// these first the one in which most goes wrong.
const OPEN: [JobStatus; 4] =
    [JobStatus::Running, JobStatus::Pending, JobStatus::Retrying, JobStatus::Scheduled];

/// Is responsible for jobs that are recorded as open while nobody has them.
///
/// It asks the transport for the message of each job that has been silent. Where the message waits
/// again, the job does too. Where it is gone for long, the job is given up as failed, which a
/// worker that turns up after all outweighs. It does nothing on a transport that can't look
/// messages up.
#[derive(Debug)]
pub struct Rescuer {
    client: Client,
    database: Database,
    settings: RescuerSettings,
    /// For each open status, the row behind which the next pass goes on; 0 is the beginning.
    reached: [AtomicI64; OPEN.len()],
}

impl Rescuer {
    /// Makes a rescuer of the jobs that `client` enqueues and `database` records.
    ///
    /// # Errors
    /// A setting that can't be.
    pub fn new(
        client: Client,
        database: Database,
        settings: RescuerSettings,
    ) -> Result<Self, LoopSettingsError> {
        settings.validate()?;
        Ok(Self { client, database, settings, reached: Default::default() })
    }

    /// Returns the next silent jobs of a status, and moves on behind them.
    async fn next_silent(&self, place: usize, now: Timestamp, limit: u64) -> Result<Vec<Silent>, LoopError> {
        let status = OPEN[place];
        // A waiting job is silent by nature; only that its message is gone is of interest.
        let silent_for = match status {
            JobStatus::Running => self.settings.look_after,
            _ => self.patience_with_waiting(),
        };
        let after = self.reached[place].load(Ordering::Relaxed);
        let silent = jobs::silent(self.database.reader(), status, now - silent_for, after, limit).await?;
        let is_end = (silent.len() as u64) < limit;
        let reached = silent.last().map_or(0, |job| if is_end { 0 } else { job.seq });
        self.reached[place].store(reached, Ordering::Relaxed);
        Ok(silent)
    }

    /// Returns how long a job may wait before its message must be found.
    fn patience_with_waiting(&self) -> Duration {
        // Workers that are none of ours say nothing of what they took: until they have had their time, looking
        // for its message would be in vain, and it is dearest where there is none.
        let is_shared = self.client.broker().capabilities().shared;
        if is_shared { self.settings.give_up_early_acked_after } else { self.settings.give_up_after }
    }

    /// Says what has become of a silent job; `None` where all is well, or it is too early to say.
    async fn look_into(&self, job: &Silent, now: Timestamp) -> Result<Option<JobEvent>, LoopError> {
        let found = self.client.find(&job.id).await?;
        // Read after the message, so that a job which has ended meanwhile is seen to have.
        let record = jobs::find(self.database.reader(), &job.id).await?;
        let Some(record) = record.filter(|record| record.summary.status == job.status) else {
            return Ok(None);
        };
        let is_running = job.status == JobStatus::Running;
        let what = match found {
            Some(found) if is_running && self.has_no_holder(&found.state, now) => What::Lost,
            Some(_) => return Ok(None),
            None if self.is_given_up(&record, now) => gone(&record, now),
            None => return Ok(None),
        };
        Ok(Some(event(&record, now, what)))
    }

    /// Says whether nobody holds a message, and that this is no matter of moments.
    fn has_no_holder(&self, state: &MessageState, now: Timestamp) -> bool {
        match state {
            MessageState::Ready | MessageState::Delayed { .. } => true,
            MessageState::Held { until, .. } => *until + self.settings.look_after < now,
        }
    }

    fn is_given_up(&self, record: &JobRecord, now: Timestamp) -> bool {
        let job = &record.summary;
        let task = self.client.registry().find(&job.task);
        // Of a task that is not known here it may be so, too.
        let acks_early = task.is_none_or(|task| !task.options.acks_late);
        let patience = match job.status {
            JobStatus::Running if acks_early => self.settings.give_up_early_acked_after,
            _ => self.patience_with_waiting(),
        };
        now.since(job.updated_at) >= patience
    }

    async fn record(&self, events: &[JobEvent]) -> Result<(), LoopError> {
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            tracing::warn!(
                job.id = %event.job.id, task.name = event.job.task, status = %event.status(),
                "record of job corrected: its worker or its message has vanished"
            );
        }
        self.client.recorder().record(events).await?;
        self.client.events().tell(events);
        Ok(())
    }
}

#[async_trait]
impl Loop for Rescuer {
    fn name(&self) -> &'static str {
        "rescuer"
    }

    fn describe(&self) -> &'static str {
        "corrects the records of jobs whose worker or message has vanished"
    }

    fn period(&self) -> Duration {
        self.settings.period
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let (now, mut looked, mut events) = (ctx.now(), 0, Vec::new());
        if !self.client.broker().capabilities().lookup {
            return Ok(PassReport::default());
        }
        for place in 0..OPEN.len() {
            let limit = self.settings.batch.saturating_sub(looked);
            if limit == 0 || ctx.is_stopping() {
                break;
            }
            let silent = self.next_silent(place, now, limit).await?;
            looked += silent.len() as u64;
            for job in &silent {
                events.extend(self.look_into(job, now).await?);
            }
        }
        self.record(&events).await?;
        let waiting = events.iter().filter(|event| matches!(event.what, What::Lost)).count() as u64;
        let given_up = events.len() as u64 - waiting;
        Ok(PassReport::default()
            .with("looked_into", looked)
            .with("waiting_again", waiting)
            .with("given_up", given_up))
    }
}

fn event(record: &JobRecord, now: Timestamp, what: What) -> JobEvent {
    let job = &record.summary;
    JobEvent { at: now, job: Arc::new(record.facts()), delivery: job.delivery, attempt: job.attempt, what }
}

/// Tells in words a person understands why a job is given up.
fn gone(record: &JobRecord, now: Timestamp) -> What {
    let job = &record.summary;
    let (queue, silent) = (&job.queue, now.since(job.updated_at).as_secs() / 60);
    let message = match (&job.worker, job.status) {
        (Some(worker), JobStatus::Running) => format!(
            "worker \"{worker}\" has not been heard of for {silent} minutes, and the message is gone from queue \"{queue}\""
        ),
        (_, status) => format!(
            "the message is gone from queue \"{queue}\", while the job was {status} for {silent} minutes"
        ),
    };
    What::Failed { error: JobError::new(ErrorKind::WorkerLost, message), dead_lettered: false }
}
