//! Results where Celery's clients look for them: ours are written there, and those of Python workers
//! reach the records from there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::{Answer, KeptResult, ResultStore};
use celeriac_db::Database;
use celeriac_engine::{JobSnapshot, RecordError, Recorder, SqlRecorder};
use celeriac_protocol::{
    BodyForm, JobEvent, JobId, JobStatus, ResultStyle, TaskResult, TaskState, Timestamp, What, error_text,
};
use celeriac_store::JobRecord;
use celeriac_store::query::jobs;

use crate::StoreRecorder;
use crate::recorder::refused;

mod begun;
mod reader;

use self::begun::Begun;
pub use self::reader::ResultReader;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultSettings {
    /// What they say.
    pub style: ResultStyle,
    /// How long they are kept; for ever where nothing is said.
    pub keep: Option<Duration>,
    /// In which serializer, and compressed how: Celery's `result_serializer` and `result_compression`.
    pub form: BodyForm,
}

/// Keeps the record of jobs and writes their results where Celery's clients wait for them.
///
/// A result is written after the record and before the message is let go of. Since both can't change
/// as one, it offers no transactional side but for jobs that are asked for. Cloning is cheap.
#[derive(Clone)]
pub struct ResultRecorder {
    inner: StoreRecorder,
    database: Database,
    results: Arc<dyn ResultStore>,
    settings: ResultSettings,
    /// Where results are sent, which runs were told to have begun.
    begun: Arc<Begun>,
}

impl ResultRecorder {
    /// Makes a recorder into `database` whose results go to `results`. What is sent and kept nowhere is never
    /// compressed, as Celery's is not.
    pub fn new(database: Database, results: Arc<dyn ResultStore>, settings: ResultSettings) -> Self {
        let mut settings = settings;
        if results.is_sent() {
            settings.form.compression = None;
        }
        let (inner, begun) = (StoreRecorder::new(database.clone()), Arc::default());
        Self { inner, database, results, settings, begun }
    }

    /// Says whether results are sent to who waits and kept nowhere, so that each process hears its own alone.
    pub fn is_sent(&self) -> bool {
        self.results.is_sent()
    }

    /// Returns what is kept of a job for Celery's clients, whoever has run it; `None` where nothing is.
    ///
    /// # Errors
    /// The results can't be read.
    pub async fn read(&self, id: &JobId) -> Result<Option<TaskResult>, RecordError> {
        let kept = self.results.get(std::slice::from_ref(id)).await.map_err(RecordError::Results)?;
        Ok(kept.into_iter().next().flatten().and_then(|bytes| read(id, &bytes)))
    }

    /// Makes the results of what has happened: where they are kept, the last of each job; where they are sent, every
    /// one of which somebody waits.
    fn results_of(&self, events: &[JobEvent]) -> Vec<KeptResult> {
        let (children, workers) = (children_in(events), self.workers_in(events));
        let result_of = |event: &JobEvent| {
            let id = &event.job.id;
            self.result_of(event, children.get(id), workers.get(id).copied())
        };
        if !self.results.is_sent() {
            return newest(events.iter().filter_map(result_of).collect());
        }
        let is_awaited = |event: &&JobEvent| event.job.reply_to.is_some() && self.begun.is_news(event);
        events.iter().filter(is_awaited).filter_map(result_of).collect()
    }

    fn result_of(
        &self,
        event: &JobEvent,
        children: Option<&Vec<&JobId>>,
        worker: Option<&str>,
    ) -> Option<KeptResult> {
        let mut result = TaskResult::after(event, self.settings.style)?;
        if let Some(children) = children.filter(|_| result.state == TaskState::Success) {
            result.set_children(children);
        }
        if let Some(extended) = &mut result.extended {
            extended.worker = extended.worker.take().or_else(|| worker.map(ToOwned::to_owned));
        }
        let body = result.encode_as(self.settings.form);
        let (id, reply_to) = (event.job.id.clone(), event.job.reply_to.clone());
        Some(KeptResult { id, body, keep: self.settings.keep, reply_to })
    }

    /// Finds who has run jobs, which is told together with how they have ended, where results are to tell it.
    fn workers_in<'e>(&self, events: &'e [JobEvent]) -> HashMap<&'e JobId, &'e str> {
        let worker = |event: &'e JobEvent| match &event.what {
            What::Started { worker } => Some((&event.job.id, &**worker)),
            _ => None,
        };
        let told = self.settings.style.extended.then_some(events);
        told.into_iter().flatten().filter_map(worker).collect()
    }

    /// Leaves out what comes after a task has ended well. The store sees that by itself where results lie as plain
    /// JSON; else it is looked for beforehand, as Celery does.
    async fn unless_succeeded(&self, results: Vec<KeptResult>) -> Result<Vec<KeptResult>, RecordError> {
        if self.settings.form == BodyForm::default() || self.results.is_sent() {
            return Ok(results);
        }
        let ids: Vec<JobId> = results.iter().map(|result| result.id.clone()).collect();
        let known = self.results.get(&ids).await.map_err(RecordError::Results)?;
        let is_open = |(result, known): (KeptResult, Option<Vec<u8>>)| {
            let known = known.and_then(|bytes| read(&result.id, &bytes));
            known.is_none_or(|known| known.state != TaskState::Success).then_some(result)
        };
        Ok(results.into_iter().zip(known).filter_map(is_open).collect())
    }

    /// Returns what others have written of these jobs that is not recorded yet.
    async fn learn(&self, ids: &[JobId], wanted: Wanted) -> Result<Vec<JobEvent>, RecordError> {
        let found = self.results.get(ids).await.map_err(RecordError::Results)?;
        let mut events = Vec::new();
        for (id, bytes) in ids.iter().zip(found) {
            let Some(result) = bytes.and_then(|bytes| read(id, &bytes)) else { continue };
            let record = jobs::find(self.database.reader(), id).await.map_err(refused)?;
            events.extend(record.and_then(|record| news_of(&record, &result, wanted)));
        }
        Ok(events)
    }

    /// Returns what the last answer to a job tells whoever looks on, and has it recorded where that is the job's end.
    async fn answered(&self, id: &JobId) -> Result<Option<JobEvent>, RecordError> {
        let Some((answers, answer)) = self.results.answers().and_then(|all| Some((all, all.of(id)?))) else {
            return Ok(None);
        };
        let record = jobs::find(self.database.reader(), id).await.map_err(refused)?;
        let event = record.and_then(|record| news_in(&record, &answer, Wanted::Sight));
        if let Some(event) = event.as_ref().filter(|event| event.status().is_final())
            && self.has_recorded(event).await
        {
            answers.forget_learnt(&answer);
        }
        Ok(event)
    }

    /// Records what is learnt of a job's end, as far as it can: whoever only reads can't, and a worker's loop does so,
    /// too.
    async fn has_recorded(&self, event: &JobEvent) -> bool {
        let recorded = self.inner.record(std::slice::from_ref(event)).await;
        let id = &event.job.id;
        recorded
            .inspect_err(|error| {
                tracing::debug!(job.id = %id, error = error_text(error), "what a result tells was not recorded");
            })
            .is_ok()
    }
}

/// Returns what an answer tells that the record of its job does not say yet. One that came before the record's
/// generation began tells of the one before.
fn news_in(record: &JobRecord, answer: &Answer, wanted: Wanted) -> Option<JobEvent> {
    let is_of_this = answer.came_at >= generation_began(record);
    let result = is_of_this.then(|| read(&answer.id, &answer.body)).flatten()?;
    news_of(record, &result, wanted)
}

/// Returns an instant before which nobody can have answered to the generation that the record is at.
fn generation_began(record: &JobRecord) -> Timestamp {
    let job = &record.summary;
    if job.generation == 0 {
        return Timestamp::EPOCH;
    }
    if job.delivery == 0 {
        // It has only been asked for, and nothing was told since.
        return job.updated_at;
    }
    // A message that was revived is as old as it was.
    let of_this = record.attempts.iter().filter(|attempt| attempt.generation == job.generation);
    of_this.filter_map(|attempt| attempt.started_at).min().unwrap_or(job.created_at).max(job.created_at)
}

/// What is learnt of jobs.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// How they have ended.
    Ends,
    /// That they have begun and how far they are, too; it is this time.
    All(Timestamp),
    /// The same of jobs that no worker of ours is known to have had, for whoever looks on.
    Sight,
}

/// Reads a result; one that can't be read is said once in the log for whoever looks for it.
fn read(id: &JobId, bytes: &[u8]) -> Option<TaskResult> {
    let result = TaskResult::decode(id, bytes);
    result
        .inspect_err(|error| tracing::debug!(job.id = %id, error = error_text(error), "result ignored"))
        .ok()
}

/// Returns what a result tells that the record of the job does not say yet.
fn news_of(record: &JobRecord, result: &TaskResult, wanted: Wanted) -> Option<JobEvent> {
    let job = &record.summary;
    let at = match (result.done_at, wanted) {
        (Some(at), _) => at,
        (None, Wanted::All(now)) => now,
        (None, Wanted::Ends | Wanted::Sight) => job.updated_at,
    };
    // Where one of our workers has had the job and has it no more, it was written before that.
    let may_be_news = job.delivery == 0 || job.status == JobStatus::Running;
    let is_asked_for = result.state.is_final()
        || match wanted {
            Wanted::Ends => false,
            Wanted::All(_) => may_be_news,
            Wanted::Sight => job.delivery == 0,
        };
    if job.status.is_final() || !is_asked_for {
        return None;
    }
    let what = result.happened(at)?;
    let is_news = match &what {
        What::Started { worker } => {
            job.status != JobStatus::Running || job.worker.as_deref() != Some(&**worker)
        }
        What::Progressed { percent, message, .. } => {
            (job.progress, &job.progress_message) != (*percent, message)
        }
        _ => true,
    };
    // The record may have come no further than that the job was asked for.
    let (delivery, attempt) = (job.delivery.max(1), job.attempt.max(1));
    is_news.then(|| JobEvent { at, job: Arc::new(record.facts()), delivery, attempt, what })
}

#[async_trait]
impl Recorder for ResultRecorder {
    fn keeps(&self, event: &JobEvent) -> bool {
        event.is_recorded() || !event.job.ignore_result
    }

    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        self.inner.record(events).await?;
        let results = self.results_of(events);
        if self.results.is_sent() && self.settings.style.started {
            // Some of these may be sent although not all could be.
            self.begun.note_ends(events);
        }
        if !results.is_empty() {
            let results = self.unless_succeeded(results).await?;
            self.results.put(&results).await.map_err(RecordError::Results)?;
        }
        if self.results.is_sent() && self.settings.style.started {
            self.begun.note(events);
        }
        Ok(())
    }

    async fn generations(&self, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        self.inner.generations(ids).await
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), RecordError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.results.forget(ids).await.map_err(RecordError::Results)
    }

    fn sql_of_requests(&self) -> Option<&dyn SqlRecorder> {
        self.inner.sql()
    }

    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        let snapshot = self.inner.snapshot(id).await?;
        if snapshot.as_ref().is_some_and(|snapshot| snapshot.status.is_final()) {
            return Ok(snapshot);
        }
        let Some(seen) = snapshot else { return Ok(None) };
        let event = if self.results.is_sent() {
            self.answered(id).await?
        } else {
            let event = self.learn(std::slice::from_ref(id), Wanted::Ends).await?.pop();
            if let Some(event) = &event {
                self.has_recorded(event).await;
            }
            event
        };
        Ok(Some(match event {
            Some(event) => after(seen, &event),
            None => seen,
        }))
    }
}

/// Returns where a job stands after something has happened.
fn after(before: JobSnapshot, event: &JobEvent) -> JobSnapshot {
    let ended = JobSnapshot { status: event.status(), attempt: event.attempt, ..before };
    match &event.what {
        What::Progressed { percent, message, partial } => {
            JobSnapshot { percent: *percent, message: message.clone(), partial: partial.clone(), ..ended }
        }
        What::Succeeded { result, .. } => {
            JobSnapshot { percent: 100, result: result.clone(), error: None, ..ended }
        }
        What::Failed { error, .. } | What::Retried { error, .. } => {
            JobSnapshot { error: Some(error.clone()), ..ended }
        }
        What::Cancelled { reason } => JobSnapshot { cancel_reason: Some(reason.clone()), ..ended },
        _ => ended,
    }
}

/// Finds what follows jobs, which is recorded together with their end.
fn children_in(events: &[JobEvent]) -> HashMap<&JobId, Vec<&JobId>> {
    let mut children: HashMap<&JobId, Vec<&JobId>> = HashMap::new();
    for event in events.iter().filter(|event| matches!(event.what, What::Enqueued)) {
        if let Some(parent) = &event.job.parent_id {
            children.entry(parent).or_default().push(&event.job.id);
        }
    }
    children
}

/// Keeps the last result of each job alone: what a job began with is of no use once it has ended.
fn newest(results: Vec<KeptResult>) -> Vec<KeptResult> {
    let mut last: HashMap<JobId, usize> = HashMap::with_capacity(results.len());
    for (place, result) in results.iter().enumerate() {
        last.insert(result.id.clone(), place);
    }
    let kept = results.into_iter().enumerate().filter(|(place, result)| last[&result.id] == *place);
    kept.map(|(_, result)| result).collect()
}
