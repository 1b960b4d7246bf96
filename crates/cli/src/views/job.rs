//! Jobs as they are printed.

use std::time::Duration;

use celeriac_broker::MessageState;
use celeriac_engine::JobSnapshot;
use celeriac_protocol::{JobError, JobStatus, RawValue, Timestamp};
use celeriac_store::{AttemptRecord, JobRecord, JobSummary};
use serde::Serialize;

use super::{instant, instant_or_none};
use crate::output::{Cell, Column, Output, Paint, Table, ago, brief, until};

/// A job of a list.
#[derive(Serialize)]
pub(crate) struct JobView {
    id: String,
    task: String,
    job_type: String,
    queue: String,
    status: JobStatus,
    dead: bool,
    priority: Option<u8>,
    account_key: Option<String>,
    /// The schedule that it comes from.
    schedule: Option<String>,
    /// When that was due.
    schedule_due_at: Option<String>,
    progress: u8,
    progress_message: Option<String>,
    attempt: u32,
    max_retries: Option<u32>,
    generation: u32,
    worker: Option<String>,
    error: Option<ErrorView>,
    cancel_reason: Option<String>,
    dead_reason: Option<String>,
    created_at: String,
    scheduled_for: Option<String>,
    expires_at: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    updated_at: String,
    dead_lettered_at: Option<String>,
    /// Pass as `--cursor` to go on behind this job.
    cursor: i64,
    #[serde(skip)]
    instants: Instants,
}

/// What tables tell relative to now.
#[derive(Clone, Copy)]
struct Instants {
    created_at: Timestamp,
    scheduled_for: Option<Timestamp>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

/// A failure.
#[derive(Clone, Serialize)]
pub(crate) struct ErrorView {
    kind: &'static str,
    #[serde(rename = "type")]
    type_name: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    traceback: String,
}

impl From<JobError> for ErrorView {
    fn from(error: JobError) -> Self {
        let JobError { kind, type_name, message, traceback } = error;
        Self { kind: kind.as_str(), type_name, message, traceback }
    }
}

impl From<JobSummary> for JobView {
    fn from(job: JobSummary) -> Self {
        let instants = Instants {
            created_at: job.created_at,
            scheduled_for: job.scheduled_for,
            started_at: job.started_at,
            completed_at: job.completed_at,
        };
        Self {
            id: job.id.to_string(),
            task: job.task,
            job_type: job.job_type,
            queue: job.queue,
            status: job.status,
            dead: job.dead_lettered_at.is_some(),
            priority: job.priority,
            account_key: job.account_key,
            schedule: job.schedule,
            schedule_due_at: instant_or_none(job.schedule_due_at),
            progress: job.progress,
            progress_message: job.progress_message,
            attempt: job.attempt,
            max_retries: job.max_retries,
            generation: job.generation,
            worker: job.worker,
            error: job.error.map(Into::into),
            cancel_reason: job.cancel_reason,
            dead_reason: job.dead_reason,
            created_at: instant(job.created_at),
            scheduled_for: instant_or_none(job.scheduled_for),
            expires_at: instant_or_none(job.expires_at),
            started_at: instant_or_none(job.started_at),
            completed_at: instant_or_none(job.completed_at),
            updated_at: instant(job.updated_at),
            dead_lettered_at: instant_or_none(job.dead_lettered_at),
            cursor: job.seq,
            instants,
        }
    }
}

impl JobView {
    /// Lists jobs.
    pub(crate) fn table(views: &[Self], now: Timestamp) -> Table {
        let columns = [
            Column::new("ID"),
            Column::elastic("TASK"),
            Column::new("QUEUE").spare(),
            Column::new("STATUS"),
            Column::number("TRY"),
            Column::new("CREATED").spare(),
            Column::new("TOOK").spare(),
            Column::elastic("NOTE"),
        ];
        let mut table = Table::new(columns, "no jobs");
        for view in views {
            table.row([
                Cell::new(&view.id),
                Cell::new(&view.task),
                Cell::new(&view.queue),
                view.status_cell(),
                Cell::new(view.attempt.to_string()),
                Cell::painted(Paint::Faint, ago(view.instants.created_at, now)).exactly(&view.created_at),
                Cell::painted(Paint::Faint, view.took(now).map(brief).unwrap_or_default()),
                Cell::painted(Paint::Faint, view.note(now)),
            ]);
        }
        table
    }

    fn status_cell(&self) -> Cell {
        Cell::painted(Paint::of_status(self.status), self.status.as_str())
    }

    /// Returns how long the newest attempt ran, or has run so far, as far as both instants are known.
    fn took(&self, now: Timestamp) -> Option<Duration> {
        let started = self.instants.started_at?;
        let end = match self.status {
            JobStatus::Running => now,
            _ => self.instants.completed_at?,
        };
        // An end that was told before the start was noticed measures nothing.
        Some(end.since(started)).filter(|took| !took.is_zero())
    }

    /// Says in a few words what is worth knowing at this status.
    fn note(&self, now: Timestamp) -> String {
        let due = |at: Option<Timestamp>| at.map(|at| format!("due {}", until(at, now)));
        let error = || self.error.as_ref().map(|error| error.message.clone());
        let note = match self.status {
            JobStatus::Scheduled => due(self.instants.scheduled_for),
            JobStatus::Running => Some(self.progress_text()),
            JobStatus::Retrying => {
                let parts = [due(self.instants.scheduled_for), error()];
                Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
            JobStatus::Failed if self.dead => {
                Some(["dead letter".to_owned()].into_iter().chain(error()).collect::<Vec<_>>().join(": "))
            }
            JobStatus::Failed => error(),
            JobStatus::Cancelled => self.cancel_reason.clone(),
            JobStatus::Completed => self.progress_message.clone(),
            JobStatus::Pending => None,
        };
        note.unwrap_or_default()
    }

    fn progress_text(&self) -> String {
        match (&self.progress_message, self.progress) {
            (Some(message), percent) => format!("{percent} % {message}"),
            (None, 0) => String::new(),
            (None, percent) => format!("{percent} %"),
        }
    }
}

/// All of a job.
#[derive(Serialize)]
pub(crate) struct JobDetailView {
    #[serde(flatten)]
    job: JobView,
    args: Box<RawValue>,
    kwargs: Box<RawValue>,
    partial: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    root_id: Option<String>,
    parent_id: Option<String>,
    /// Where its message stands in the queue; absent where there is none any more.
    message: Option<MessageView>,
    attempts: Vec<AttemptView>,
}

/// Where a message stands.
#[derive(Serialize)]
struct MessageView {
    state: &'static str,
    until: Option<String>,
    holder: Option<String>,
    queue_paused_at: Option<String>,
    #[serde(skip)]
    text: String,
}

/// One attempt of a job.
#[derive(Serialize)]
struct AttemptView {
    generation: u32,
    attempt: u32,
    delivery: u32,
    outcome: &'static str,
    worker: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    runtime_ms: Option<f64>,
    error: Option<ErrorView>,
    #[serde(skip)]
    runtime: Option<Duration>,
}

impl AttemptView {
    fn of(attempt: AttemptRecord) -> Self {
        Self {
            generation: attempt.generation,
            attempt: attempt.attempt,
            delivery: attempt.delivery,
            outcome: attempt.outcome.map_or("running", |outcome| outcome.as_str()),
            worker: attempt.worker,
            started_at: instant_or_none(attempt.started_at),
            finished_at: instant_or_none(attempt.finished_at),
            runtime_ms: attempt.runtime.map(|runtime| runtime.as_secs_f64() * 1_000.0),
            error: attempt.error.map(Into::into),
            runtime: attempt.runtime,
        }
    }

    fn line(&self) -> String {
        if self.worker.is_none() && self.started_at.is_none() && self.error.is_none() {
            // Others ran it, and which of their attempts it was they don't say.
            return format!(
                "{}; told by its result alone: when it began, and where, is not known",
                self.outcome
            );
        }
        let mut line = format!("{}. {}", self.attempt, self.outcome);
        if let Some(runtime) = self.runtime {
            line.push_str(&format!(" after {}", brief(runtime)));
        }
        if let Some(worker) = &self.worker {
            line.push_str(&format!(" on {worker}"));
        }
        if let Some(error) = &self.error {
            line.push_str(&format!(": {}", error.message));
        }
        line
    }
}

impl JobDetailView {
    /// Puts together what the record and the queue say of a job.
    pub(crate) fn new(
        record: JobRecord,
        message: Option<&MessageState>,
        paused_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            job: record.summary.into(),
            args: record.args,
            kwargs: record.kwargs,
            partial: record.partial,
            result: record.result,
            root_id: record.root_id.map(|id| id.to_string()),
            parent_id: record.parent_id.map(|id| id.to_string()),
            message: message.map(|state| MessageView::new(state, paused_at, now)),
            attempts: record.attempts.into_iter().map(AttemptView::of).collect(),
        }
    }

    /// Writes it for a person.
    pub(crate) fn text(&self, output: &Output, now: Timestamp) -> String {
        let mut text = format!("{}\n", output.paint(Paint::Strong, &self.job.id));
        for (label, value) in self.facts(output, now) {
            let indented = value.replace('\n', &format!("\n{}", " ".repeat(14)));
            text.push_str(&format!("  {} {indented}\n", output.paint(Paint::Faint, &format!("{label:<11}"))));
        }
        text
    }

    fn facts(&self, output: &Output, now: Timestamp) -> Vec<(&'static str, String)> {
        let job = &self.job;
        let mut facts = vec![("task", job.task.clone())];
        if job.job_type != job.task {
            facts.push(("type", job.job_type.clone()));
        }
        facts.push(("status", self.status(output)));
        if let Some(message) = &self.message {
            facts.push(("message", message.text.clone()));
        }
        facts.push(("queue", job.queue.clone()));
        let optional = |label, value: Option<String>| value.map(|value| (label, value));
        facts.extend(optional("priority", job.priority.map(|priority| priority.to_string())));
        facts.extend(self.arguments());
        facts.extend(optional("account", job.account_key.clone()));
        facts.extend(optional("schedule", self.schedule()));
        facts.extend(self.times(output, now));
        facts.extend(optional("expires", job.expires_at.clone()));
        facts.extend(optional("caused by", self.parent_id.clone()));
        facts.extend(optional("progress", Some(job.progress_text()).filter(|text| !text.is_empty())));
        facts.extend(optional("partial", self.partial.as_deref().map(pretty)));
        facts.extend(optional("result", self.result.as_deref().map(pretty)));
        facts.extend(optional("error", job.error.as_ref().map(whole_error)));
        for (i, attempt) in self.attempts.iter().enumerate() {
            facts.push((if i == 0 { "attempts" } else { "" }, attempt.line()));
        }
        facts
    }

    fn status(&self, output: &Output) -> String {
        let job = &self.job;
        let word = output.paint(Paint::of_status(job.status), job.status.as_str());
        let reason = match (&job.cancel_reason, &job.dead_reason) {
            (Some(reason), _) => format!(" ({reason})"),
            (None, Some(reason)) => format!(", a dead letter ({reason})"),
            (None, None) => String::new(),
        };
        format!("{word}{reason}")
    }

    fn schedule(&self) -> Option<String> {
        let job = &self.job;
        let name = job.schedule.as_ref()?;
        Some(match &job.schedule_due_at {
            Some(due_at) => format!("{name}, due {due_at}"),
            None => name.clone(),
        })
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        let shown =
            |label, json: &RawValue, empty: &str| (json.get() != empty).then(|| (label, pretty(json)));
        [shown("args", &self.args, "[]"), shown("kwargs", &self.kwargs, "{}")].into_iter().flatten().collect()
    }

    fn times(&self, output: &Output, now: Timestamp) -> Vec<(&'static str, String)> {
        let Instants { created_at, scheduled_for, started_at, completed_at } = self.job.instants;
        let told = |at: Timestamp| output.told(at, now);
        let mut times = vec![("created", told(created_at))];
        times.extend(scheduled_for.map(|at| ("due", told(at))));
        times.extend(started_at.map(|at| ("started", told(at))));
        times.extend(completed_at.map(|at| ("ended", told(at))));
        times
    }
}

impl MessageView {
    fn new(state: &MessageState, paused_at: Option<Timestamp>, now: Timestamp) -> Self {
        let (word, until_at, holder, mut text) = match state {
            MessageState::Ready => ("ready", None, None, "waits for a worker".to_owned()),
            MessageState::Delayed { until: at } => {
                ("delayed", Some(*at), None, format!("held back, due {}", until(*at, now)))
            }
            MessageState::Held { holder, until: at } => {
                let lease = format!("held by {holder}, whose lease ends {}", until(*at, now));
                ("held", Some(*at), Some(holder.clone()), lease)
            }
        };
        if let Some(at) = paused_at {
            text.push_str(&format!("; its queue was paused {}", ago(at, now)));
        }
        Self {
            state: word,
            until: instant_or_none(until_at),
            holder,
            queue_paused_at: instant_or_none(paused_at),
            text,
        }
    }
}

/// Where a job stands, as a waiting command tells it.
#[derive(Serialize)]
pub(crate) struct SnapshotView {
    id: String,
    status: JobStatus,
    attempt: u32,
    progress: u8,
    progress_message: Option<String>,
    result: Option<Box<RawValue>>,
    error: Option<ErrorView>,
    cancel_reason: Option<String>,
}

impl SnapshotView {
    /// Takes what the record says.
    pub(crate) fn new(id: &celeriac_protocol::JobId, snapshot: &JobSnapshot) -> Self {
        Self {
            id: id.to_string(),
            status: snapshot.status,
            attempt: snapshot.attempt,
            progress: snapshot.percent,
            progress_message: snapshot.message.clone(),
            result: snapshot.result.clone(),
            error: snapshot.error.clone().map(Into::into),
            cancel_reason: snapshot.cancel_reason.clone(),
        }
    }
}

/// Writes JSON over several lines where one is not enough.
pub(crate) fn pretty(json: &RawValue) -> String {
    /// What still reads well in one line.
    const SHORT: usize = 80;
    let text = json.get();
    if text.len() <= SHORT && !text.contains('\n') {
        return text.to_owned();
    }
    // Numbers too large for the parser stay as they were sent.
    let parsed = serde_json::from_str::<serde_json::Value>(text);
    parsed.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| text.to_owned())
}

fn whole_error(error: &ErrorView) -> String {
    let mut text = match &error.type_name {
        Some(name) => format!("{} ({name}): {}", error.kind, error.message),
        None => format!("{}: {}", error.kind, error.message),
    };
    if !error.traceback.is_empty() && error.traceback != error.message {
        text.push('\n');
        text.push_str(&error.traceback);
    }
    text
}
