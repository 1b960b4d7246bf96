//! Looks for what Python workers made of jobs.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::{Answer, Answers, MessageState};
use celeriac_engine::{Client, Recorder as _};
use celeriac_protocol::{JobEvent, JobId, JobStatus, Timestamp};
use celeriac_store::query::jobs;
use celeriac_store::{JobRecord, JobSummary};

use super::{ResultRecorder, Wanted, generation_began, news_in};
use crate::r#loop::{Loop, LoopCtx, LoopError, PassReport};

/// How long a job must have been silent before its result is looked for.
const SILENT: Duration = Duration::from_secs(2);

/// How often results are looked for.
const PERIOD: Duration = Duration::from_secs(2);

/// How many jobs of each open status one pass looks at.
const BATCH: u64 = 500;

/// How many answers one pass looks at, where results are sent.
const ANSWERS: usize = 2_000;

/// How long an answer is kept of a job whose record has ended, or that has none: the record may come after it.
const SETTLED: Duration = Duration::from_secs(5);

/// How many runs are remembered as run by others; beyond that all are asked for again.
const MAX_OTHERS: usize = 10_000;

/// The statuses that end by a result.
const OPEN: [JobStatus; 4] =
    [JobStatus::Running, JobStatus::Pending, JobStatus::Retrying, JobStatus::Scheduled];

/// Is responsible for records of jobs that Python workers run: they say what became of one by its
/// result alone.
pub struct ResultReader {
    recorder: ResultRecorder,
    client: Client,
    /// For each open status, the row behind which the next pass goes on; 0 is the beginning.
    reached: [AtomicI64; OPEN.len()],
    /// The place of the answer with which the next pass goes on, where results are sent.
    next_answer: AtomicU64,
    others: Mutex<HashSet<Run>>,
}

/// One run of a job, by its generation and delivery, on a worker.
type Run = (JobId, u32, u32, String);

/// What there is in an answer.
enum Told {
    News(JobEvent),
    /// Nothing that will ever be news.
    Nothing,
    /// Nothing yet.
    Later,
}

impl ResultReader {
    /// Makes a reader of the results that `recorder` knows of; `client` tells whoever listens.
    pub fn new(recorder: ResultRecorder, client: Client) -> Self {
        Self {
            recorder,
            client,
            reached: Default::default(),
            next_answer: AtomicU64::new(0),
            others: Mutex::default(),
        }
    }

    async fn next_open(&self, place: usize, now: Timestamp) -> Result<Vec<JobId>, LoopError> {
        let (reader, reached) = (self.recorder.database.reader(), &self.reached[place]);
        let after = reached.load(Ordering::Relaxed);
        let silent = jobs::silent(reader, OPEN[place], now - SILENT, after, BATCH).await?;
        let is_end = (silent.len() as u64) < BATCH;
        reached.store(silent.last().map_or(0, |job| if is_end { 0 } else { job.seq }), Ordering::Relaxed);
        Ok(silent.into_iter().map(|job| job.id).collect())
    }

    /// Leaves out what is told of the midst of runs that are our own: what stands there of these was
    /// written by an earlier run, as the record is written before it.
    async fn of_others(&self, events: Vec<JobEvent>) -> Result<Vec<JobEvent>, LoopError> {
        let mut kept = Vec::with_capacity(events.len());
        for event in events {
            if event.status().is_final() || self.is_run_by_others(&event).await? {
                kept.push(event);
            }
        }
        Ok(kept)
    }

    /// Says whether no worker of ours runs the delivery that an event tells of.
    ///
    /// That a job has begun where nobody is known to have it, and whatever is told of it without a
    /// name, is told by others alone. Else the message says who holds it, which is asked once for each run.
    async fn is_run_by_others(&self, event: &JobEvent) -> Result<bool, LoopError> {
        let Some(run) = self.run_of(&event.job.id).await? else { return Ok(true) };
        if self.others().contains(&run) {
            return Ok(true);
        }
        let broker = self.client.broker();
        let capabilities = broker.capabilities();
        let task = self.client.registry().find(&event.job.task);
        // A message that was acknowledged before its job began tells nothing.
        let tells = capabilities.lookup && task.is_none_or(|task| task.options.acks_late);
        if !capabilities.shared || !tells {
            return Ok(false);
        }
        let found = broker.admin().find(&run.0).await?;
        let is_ours = matches!(
            found.map(|found| found.state),
            Some(MessageState::Held { holder, .. }) if holder == run.3
        );
        // Read after the message: a run of ours that has ended meanwhile has been recorded before it let go.
        if is_ours || self.run_of(&run.0).await?.as_ref() != Some(&run) {
            return Ok(false);
        }
        let mut others = self.others();
        if others.len() >= MAX_OTHERS {
            others.clear();
        }
        others.insert(run);
        Ok(true)
    }

    /// Returns the run that a job is in, where the record knows a worker of it.
    async fn run_of(&self, id: &JobId) -> Result<Option<Run>, LoopError> {
        let record = jobs::find(self.recorder.database.reader(), id).await?;
        Ok(record.and_then(|record| {
            let JobSummary { status, generation, delivery, worker, .. } = record.summary;
            let worker = worker.filter(|_| status == JobStatus::Running)?;
            Some((id.clone(), generation, delivery, worker))
        }))
    }

    fn others(&self) -> MutexGuard<'_, HashSet<Run>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what was learnt, and tells whoever listens what has moved a record.
    async fn take_in(&self, events: &[JobEvent]) -> Result<Vec<JobEvent>, LoopError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.recorder.inner.record(events).await?;
        let mut moved = Vec::with_capacity(events.len());
        for event in events {
            let record = jobs::find(self.recorder.database.reader(), &event.job.id).await?;
            moved.extend(record.filter(|record| stands_at(record, event)).map(|_| event.clone()));
        }
        self.client.events().tell(&moved);
        Ok(moved)
    }

    /// Looks for what is kept of jobs that have been silent.
    async fn look(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let (now, mut looked, mut learnt) = (ctx.now(), 0, 0);
        for place in 0..OPEN.len() {
            if ctx.is_stopping() {
                break;
            }
            let open = self.next_open(place, now).await?;
            looked += open.len() as u64;
            let events = self.recorder.learn(&open, Wanted::All(now)).await?;
            learnt += self.take_in(&self.of_others(events).await?).await?.len() as u64;
        }
        Ok(PassReport::default().with("looked_at", looked).with("learnt", learnt))
    }

    /// Learns what answers tell, and forgets those that have nothing more to tell.
    async fn hear(&self, answers: &Answers, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let page = answers.page(self.next_answer.load(Ordering::Relaxed), ANSWERS);
        let next = page.last().filter(|_| page.len() == ANSWERS).map_or(0, |last| last.place + 1);
        self.next_answer.store(next, Ordering::Relaxed);
        let (now, mut news) = (ctx.now(), Vec::new());
        for answer in page.iter().take_while(|_| !ctx.is_stopping()) {
            match self.told_by(answer, now).await? {
                Told::News(event) => news.push(event),
                Told::Nothing => answers.forget_learnt(answer),
                Told::Later => {}
            }
        }
        let learnt = self.take_in(&self.of_others(news).await?).await?;
        let ended: HashSet<&JobId> =
            learnt.iter().filter(|event| event.status().is_final()).map(|event| &event.job.id).collect();
        for answer in page.iter().filter(|answer| ended.contains(&answer.id)) {
            answers.forget_learnt(answer);
        }
        Ok(PassReport::default().with("looked_at", page.len() as u64).with("learnt", learnt.len() as u64))
    }

    async fn told_by(&self, answer: &Answer, now: Timestamp) -> Result<Told, LoopError> {
        let record = jobs::find(self.recorder.database.reader(), &answer.id).await?;
        let Some(record) = record.filter(|record| !record.summary.status.is_final()) else {
            let is_settled = now.since(answer.came_at) >= SETTLED;
            return Ok(if is_settled { Told::Nothing } else { Told::Later });
        };
        if answer.came_at < generation_began(&record) {
            return Ok(Told::Nothing);
        }
        if record.summary.updated_at >= now - SILENT {
            return Ok(Told::Later);
        }
        Ok(news_in(&record, answer, Wanted::All(now)).map_or(Told::Later, Told::News))
    }
}

#[async_trait]
impl Loop for ResultReader {
    fn name(&self) -> &'static str {
        "results"
    }

    fn describe(&self) -> &'static str {
        "records what Python workers made of jobs"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        match self.recorder.results.answers() {
            Some(answers) => self.hear(answers, ctx).await,
            None => self.look(ctx).await,
        }
    }
}

/// Says whether a record stands where an event has put it.
fn stands_at(record: &JobRecord, event: &JobEvent) -> bool {
    let job = &record.summary;
    (job.status, job.generation, job.delivery) == (event.status(), event.job.generation, event.delivery)
}
