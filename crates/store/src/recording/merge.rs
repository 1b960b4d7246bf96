//! The pure rules by which one event changes one job's row.

use celeriac_protocol::{JobError, JobEvent, JobFacts, JobStatus, JobVersion, RawValue, Timestamp, What};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::DerivePartialModel;

use super::attempts;
use super::counts::Standing;
use crate::entity::attempt::{self, Word as OutcomeWord};
use crate::entity::job::{self, Word};
use crate::limits::{MAX_ARGUMENT_BYTES, MAX_PARTIAL_BYTES, MAX_RESULT_BYTES, kept_json, kept_text};
use crate::micros::Micros;
use crate::query::schedules::MAX_NAME_CHARS;

/// What of a row the rules need to know: all that is short.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "job::Entity")]
pub(super) struct Known {
    pub(super) seq: i64,
    pub(super) id: String,
    job_type: String,
    task: String,
    status: Word,
    pub(super) version: i64,
    max_retries: Option<i64>,
    created_at: Micros,
    scheduled_for: Option<Micros>,
    updated_at: Micros,
    attempt: i64,
    run_delivery: i64,
    worker: Option<String>,
    started_at: Option<Micros>,
    progress: i16,
    progress_message_at: Option<Micros>,
    partial_at: Option<Micros>,
    completed_at: Option<Micros>,
    runtime_micros: Option<i64>,
    error_kind: Option<String>,
    dead_lettered_at: Option<Micros>,
}

/// Is responsible for one job while a batch is applied to it: what its row says by now, and what
/// of that has yet to be written.
#[derive(Debug)]
pub(super) struct JobState {
    /// What the row will say.
    now: Known,
    /// Where the job stood before the batch; `None` where it had no row.
    before: Option<Standing>,
    /// The task that it was counted under then, where that is another one now.
    task_before: Option<String>,
    /// The version that the row was read at.
    read_at: i64,
    /// The columns to write.
    row: job::ActiveModel,
    /// The attempts to write, each with what this batch knows of it.
    attempts: Vec<attempt::Model>,
}

/// What a state comes to once the batch is applied.
pub(super) enum Write {
    /// A row to be made.
    Insert(job::ActiveModel),
    /// Columns of a row to be changed, if it still is at that version.
    Update(job::ActiveModel, i64),
    /// Nothing new.
    Nothing,
}

impl JobState {
    /// Begins with a row as it was read.
    pub(super) fn of(row: Known) -> Self {
        let standing = standing_of(&row);
        Self {
            before: Some(standing),
            task_before: None,
            read_at: row.version,
            now: row,
            row: no_change(),
            attempts: Vec::new(),
        }
    }

    /// Begins with a job that has no row, so that `first` will be the first thing it says.
    pub(super) fn unseen(first: &JobEvent) -> Self {
        let now = blank(first);
        let (read_at, row) = (now.version, first_facts(first));
        Self { before: None, task_before: None, read_at, row, now, attempts: Vec::new() }
    }

    /// Applies the next event of this job.
    pub(super) fn apply(&mut self, event: &JobEvent) {
        self.learn(event);
        if self.is_moved_by(event) {
            self.advance(event);
        } else {
            self.fill_in(event);
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.now.id
    }

    /// Returns the task and the standing that the job was counted under before the batch.
    pub(super) fn counted_before(&self) -> Option<(&str, Standing)> {
        Some((self.task_before.as_ref().unwrap_or(&self.now.task), self.before?))
    }

    /// Returns the task and the standing that the job is to be counted under.
    pub(super) fn counted(&self) -> (&str, Standing) {
        (&self.now.task, standing_of(&self.now))
    }

    /// Takes the row's write out of the state.
    pub(super) fn take_write(&mut self) -> Write {
        let row = std::mem::replace(&mut self.row, no_change());
        match self.before {
            None => Write::Insert(row),
            Some(_) if row == no_change() => Write::Nothing,
            Some(_) => Write::Update(job::ActiveModel { seq: Set(self.now.seq), ..row }, self.read_at),
        }
    }

    pub(super) fn has_attempts(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Takes the attempts' writes out of the state; their `job_seq` is yet to be set.
    pub(super) fn take_attempts(&mut self) -> Vec<attempt::Model> {
        std::mem::take(&mut self.attempts)
    }

    /// Says that the row was made, under this number.
    pub(super) fn with_row(mut self, seq: i64) -> Self {
        self.now.seq = seq;
        self.before = Some(standing_of(&self.now));
        self.task_before = None;
        self
    }

    /// Returns the row's number; 0 where it has no row yet.
    pub(super) fn seq(&self) -> i64 {
        self.now.seq
    }

    fn version(&self) -> JobVersion {
        JobVersion::from_i64(self.now.version)
    }

    fn is_moved_by(&self, event: &JobEvent) -> bool {
        let (row, event_version) = (self.version(), event.version());
        if event_version.generation() != row.generation() {
            return event_version.generation() > row.generation();
        }
        !self.is_settled() && event_version >= row
    }

    /// Says whether the row is final, and not by a guess.
    fn is_settled(&self) -> bool {
        let guessed = self.now.status == Word::Failed
            && self.now.dead_lettered_at.is_none()
            && self.now.error_kind.as_deref() == Some(celeriac_protocol::ErrorKind::WorkerLost.as_str());
        JobStatus::from(self.now.status).is_final() && !guessed
    }

    /// Says whether the newest run stands in the row alone, and not in the table of attempts.
    fn holds_run(&self) -> bool {
        matches!(self.now.status, Word::Running | Word::Completed)
            && self.now.run_delivery > 0
            && self.now.run_delivery == i64::from(self.version().delivery())
    }

    /// Takes in what is the same for all events of a job, or only grows.
    fn learn(&mut self, event: &JobEvent) {
        let facts = &event.job;
        let is_superseded = facts.generation < self.version().generation();
        // An earlier generation may have been another message.
        let created_at = facts.created_at.filter(|_| !is_superseded);
        let created_at = created_at.or(facts.created_at.is_none().then_some(event.at)).map(Micros::from);
        if let Some(created_at) = created_at.filter(|at| *at < self.now.created_at) {
            self.now.created_at = created_at;
            self.row.created_at = Set(created_at);
        }
        if Micros::from(event.at) > self.now.updated_at {
            self.now.updated_at = event.at.into();
            self.row.updated_at = Set(event.at.into());
        }
        // A client that does not have the task's code knows less than the worker.
        let is_labelled = self.now.job_type != self.now.task;
        if !is_labelled && facts.task == self.now.task && facts.job_type != self.now.job_type {
            self.now.job_type.clone_from(&facts.job_type);
            self.row.job_type = Set(facts.job_type.clone());
        }
        if let (None, Some(max_retries), false) = (self.now.max_retries, facts.max_retries, is_superseded) {
            self.now.max_retries = Some(max_retries.into());
            self.row.max_retries = Set(Some(max_retries.into()));
        }
    }

    /// Moves the row to where `event` puts the job.
    fn advance(&mut self, event: &JobEvent) {
        let (row, next) = (self.version(), event.version());
        let is_revived = next.generation() > row.generation();
        if self.holds_run() && (is_revived || next.delivery() > row.delivery()) {
            self.attempts.push(self.run_in_row());
        }
        if is_revived {
            self.begin_generation(event);
        }
        self.clear_end();
        self.stand(event);
        match &event.what {
            What::Enqueued | What::Snoozed { .. } | What::Released | What::Lost => {}
            What::Started { worker } => self.start_run(event, worker),
            What::Progressed { percent, message, partial } => {
                self.tell_progress(event, *percent, message.as_deref());
                self.keep_partial(event.at, partial.as_deref());
            }
            What::Succeeded { result, runtime_micros } => {
                self.succeed(event, result.as_deref(), *runtime_micros);
            }
            What::Retried { error, .. } => self.set_error(Some(error)),
            What::Failed { error, dead_lettered } => {
                self.set_error(Some(error));
                self.end(event.at);
                if *dead_lettered {
                    self.set_dead(Some((event.at, error.kind.as_str())));
                }
            }
            What::Cancelled { reason } => {
                self.row.cancel_reason = Set(Some(kept_text(reason)));
                self.end(event.at);
            }
        }
        self.note_end(event);
    }

    /// Takes from an event that comes too late to move the row what only it knows.
    fn fill_in(&mut self, event: &JobEvent) {
        let row = self.version();
        let same_generation = event.job.generation == row.generation();
        let of_this_run = same_generation
            && event.delivery <= row.delivery()
            && i64::from(event.delivery) >= self.now.run_delivery;
        match &event.what {
            What::Started { worker } => {
                if of_this_run {
                    self.start_run(event, worker);
                }
                if !of_this_run || !self.holds_run() {
                    self.attempts.push(attempts::started(event, worker));
                }
            }
            What::Progressed { percent, message, partial } => {
                if of_this_run {
                    self.tell_progress(event, *percent, message.as_deref());
                }
                if same_generation && event.delivery <= row.delivery() {
                    self.keep_partial(event.at, partial.as_deref());
                }
            }
            _ => self.note_end(event),
        }
    }

    /// Makes the row tell of a new generation: the message revived, or another one of the same id.
    fn begin_generation(&mut self, event: &JobEvent) {
        let facts = &event.job;
        self.begin_task(facts);
        self.row.args = Set(kept_json(&facts.args, MAX_ARGUMENT_BYTES));
        self.row.kwargs = Set(kept_json(&facts.kwargs, MAX_ARGUMENT_BYTES));
        self.row.account_key = Set(account_key(&facts.kwargs));
        self.row.root_id = Set(facts.root_id.as_ref().map(|id| id.as_str().to_owned()));
        self.row.parent_id = Set(facts.parent_id.as_ref().map(|id| id.as_str().to_owned()));
        self.row.schedule = Set(schedule_name(facts));
        self.row.schedule_due_at = Set(facts.schedule_due_at.map(Into::into));
        if let Some(created_at) = facts.created_at {
            self.now.created_at = created_at.into();
            self.row.created_at = Set(self.now.created_at);
        }
        self.row.queue = Set(facts.queue.clone());
        self.row.priority = Set(facts.priority.map(Into::into));
        self.row.expires_at = Set(facts.expires.map(Into::into));
        self.now.max_retries = facts.max_retries.map(Into::into);
        self.row.max_retries = Set(self.now.max_retries);
        self.begin_run(0);
        self.now.partial_at = None;
        self.row.partial_at = Set(None);
        self.row.partial = Set(None);
    }

    fn begin_task(&mut self, facts: &JobFacts) {
        let is_other = facts.task != self.now.task;
        if is_other {
            let task = std::mem::replace(&mut self.now.task, facts.task.clone());
            self.task_before.get_or_insert(task);
            self.row.task = Set(facts.task.clone());
        }
        if is_other || facts.job_type != facts.task {
            self.now.job_type.clone_from(&facts.job_type);
            self.row.job_type = Set(facts.job_type.clone());
        }
    }

    /// Forgets how the job ended, or why it is to run again.
    fn clear_end(&mut self) {
        if self.now.error_kind.is_some() {
            self.set_error(None);
        }
        if self.now.dead_lettered_at.is_some() {
            self.set_dead(None);
        }
        if self.now.status == Word::Cancelled {
            self.row.cancel_reason = Set(None);
        }
        if self.now.status == Word::Completed {
            self.now.runtime_micros = None;
            self.row.runtime_micros = Set(None);
            self.row.result = Set(None);
        }
        if self.now.completed_at.is_some() {
            self.now.completed_at = None;
            self.row.completed_at = Set(None);
        }
    }

    fn stand(&mut self, event: &JobEvent) {
        self.now.status = event.status().into();
        self.row.status = Set(self.now.status);
        self.now.version = event.version().as_i64();
        self.row.version = Set(self.now.version);
        self.now.attempt = event.attempt.into();
        self.row.attempt = Set(self.now.attempt);
        let due = due_at(event).map(Micros::from);
        if self.now.scheduled_for != due {
            self.now.scheduled_for = due;
            self.row.scheduled_for = Set(due);
        }
    }

    /// Makes the row tell of the run of `delivery`, of which nothing is known yet.
    fn begin_run(&mut self, delivery: i64) {
        self.now.run_delivery = delivery;
        self.row.run_delivery = Set(delivery);
        self.now.worker = None;
        self.row.worker = Set(None);
        self.now.started_at = None;
        self.row.started_at = Set(None);
        self.now.progress = 0;
        self.row.progress = Set(0);
        if self.now.progress_message_at.is_some() {
            self.now.progress_message_at = None;
            self.row.progress_message_at = Set(None);
            self.row.progress_message = Set(None);
        }
    }

    fn enter_run(&mut self, event: &JobEvent) {
        if i64::from(event.delivery) > self.now.run_delivery {
            self.begin_run(event.delivery.into());
        }
    }

    fn start_run(&mut self, event: &JobEvent, worker: &str) {
        self.enter_run(event);
        self.now.worker = Some(worker.to_owned());
        self.row.worker = Set(self.now.worker.clone());
        self.now.started_at = Some(event.at.into());
        self.row.started_at = Set(self.now.started_at);
    }

    fn tell_progress(&mut self, event: &JobEvent, percent: u8, message: Option<&str>) {
        self.enter_run(event);
        let percent = i16::from(percent.min(100));
        if percent > self.now.progress {
            self.now.progress = percent;
            self.row.progress = Set(percent);
        }
        let at = Micros::from(event.at);
        if let Some(message) = message
            && self.now.progress_message_at.is_none_or(|told_at| told_at <= at)
        {
            self.now.progress_message_at = Some(at);
            self.row.progress_message_at = Set(Some(at));
            self.row.progress_message = Set(Some(kept_text(message)));
        }
    }

    fn keep_partial(&mut self, at: Timestamp, partial: Option<&RawValue>) {
        let at = Micros::from(at);
        if let Some(partial) = partial
            && self.now.partial_at.is_none_or(|told_at| told_at <= at)
        {
            self.now.partial_at = Some(at);
            self.row.partial_at = Set(Some(at));
            self.row.partial = Set(Some(kept_json(partial, MAX_PARTIAL_BYTES)));
        }
    }

    fn succeed(&mut self, event: &JobEvent, result: Option<&RawValue>, runtime_micros: Option<u64>) {
        self.enter_run(event);
        self.now.progress = 100;
        self.row.progress = Set(100);
        self.now.runtime_micros = runtime_micros.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX));
        self.row.runtime_micros = Set(self.now.runtime_micros);
        self.row.result = Set(result.map(|result| kept_json(result, MAX_RESULT_BYTES)));
        self.end(event.at);
    }

    fn end(&mut self, at: Timestamp) {
        self.now.completed_at = Some(at.into());
        self.row.completed_at = Set(self.now.completed_at);
    }

    fn set_error(&mut self, error: Option<&JobError>) {
        self.now.error_kind = error.map(|error| error.kind.as_str().to_owned());
        self.row.error_kind = Set(self.now.error_kind.clone());
        let texts = error.cloned().map(attempts::texts).unwrap_or_default();
        self.row.error_type = Set(texts.type_name);
        self.row.error_message = Set(texts.message);
        self.row.traceback = Set(texts.traceback);
    }

    fn set_dead(&mut self, dead: Option<(Timestamp, &str)>) {
        self.now.dead_lettered_at = dead.map(|(at, _)| at.into());
        self.row.dead_lettered_at = Set(self.now.dead_lettered_at);
        self.row.dead_reason = Set(dead.map(|(_, reason)| reason.to_owned()));
    }

    /// Notes how the attempt ended, unless the row itself tells.
    fn note_end(&mut self, event: &JobEvent) {
        let Some(mut ended) = attempts::ended(event) else { return };
        if event.job.generation == self.version().generation() && ended.delivery == self.now.run_delivery {
            if self.holds_run() {
                return;
            }
            ended.worker.clone_from(&self.now.worker);
            ended.started_at = self.now.started_at;
        }
        self.attempts.push(ended);
    }

    /// Returns the run that the row holds, as the attempt that it becomes when the row moves on.
    fn run_in_row(&self) -> attempt::Model {
        let has_succeeded = self.now.status == Word::Completed;
        attempt::Model {
            generation: self.version().generation().into(),
            delivery: self.now.run_delivery,
            attempt: self.now.attempt,
            worker: self.now.worker.clone(),
            started_at: self.now.started_at,
            finished_at: self.now.completed_at.filter(|_| has_succeeded),
            outcome: if has_succeeded { OutcomeWord::Succeeded } else { OutcomeWord::Lost },
            runtime_micros: self.now.runtime_micros,
            ..attempts::blank()
        }
    }
}

/// Returns when a job is due after `event`: what the event says, or its message.
fn due_at(event: &JobEvent) -> Option<Timestamp> {
    match &event.what {
        What::Retried { retry_at, .. } => Some(*retry_at),
        What::Snoozed { until } => Some(*until),
        _ => event.job.eta,
    }
}

fn standing_of(row: &Known) -> Standing {
    Standing::new(row.status, row.dead_lettered_at.is_some())
}

fn no_change() -> job::ActiveModel {
    job::ActiveModel::default()
}

/// Returns what is known of a job before its first event, so that any event moves it.
fn blank(first: &JobEvent) -> Known {
    let facts = &first.job;
    Known {
        seq: 0,
        id: facts.id.as_str().to_owned(),
        job_type: facts.job_type.clone(),
        task: facts.task.clone(),
        status: Word::Pending,
        version: JobVersion::new(facts.generation, 0, 0).as_i64(),
        max_retries: facts.max_retries.map(Into::into),
        created_at: facts.created_at.unwrap_or(first.at).into(),
        scheduled_for: None,
        updated_at: first.at.into(),
        attempt: 0,
        run_delivery: 0,
        worker: None,
        started_at: None,
        progress: 0,
        progress_message_at: None,
        partial_at: None,
        completed_at: None,
        runtime_micros: None,
        error_kind: None,
        dead_lettered_at: None,
    }
}

/// Returns the columns that a row begins with.
fn first_facts(first: &JobEvent) -> job::ActiveModel {
    let facts = &first.job;
    job::ActiveModel {
        seq: NotSet,
        id: Set(facts.id.as_str().to_owned()),
        job_type: Set(facts.job_type.clone()),
        task: Set(facts.task.clone()),
        queue: Set(facts.queue.clone()),
        priority: Set(facts.priority.map(Into::into)),
        args: Set(kept_json(&facts.args, MAX_ARGUMENT_BYTES)),
        kwargs: Set(kept_json(&facts.kwargs, MAX_ARGUMENT_BYTES)),
        account_key: Set(account_key(&facts.kwargs)),
        root_id: Set(facts.root_id.as_ref().map(|id| id.as_str().to_owned())),
        parent_id: Set(facts.parent_id.as_ref().map(|id| id.as_str().to_owned())),
        max_retries: Set(facts.max_retries.map(Into::into)),
        created_at: Set(facts.created_at.unwrap_or(first.at).into()),
        scheduled_for: Set(None),
        expires_at: Set(facts.expires.map(Into::into)),
        updated_at: Set(first.at.into()),
        run_delivery: Set(0),
        progress: Set(0),
        ..of_schedule(facts)
    }
}

/// Returns the columns of a job that comes from the schedule; the statements of others don't name them.
fn of_schedule(facts: &JobFacts) -> job::ActiveModel {
    if facts.schedule.is_none() {
        return no_change();
    }
    job::ActiveModel {
        schedule: Set(schedule_name(facts)),
        schedule_due_at: Set(facts.schedule_due_at.map(Into::into)),
        ..no_change()
    }
}

/// Returns the entry's name, at most as long as one can be: it stands in an index.
fn schedule_name(facts: &JobFacts) -> Option<String> {
    let name = kept_text(facts.schedule.as_deref()?);
    Some(name.chars().take(MAX_NAME_CHARS).collect())
}

/// Returns the named argument `account_key`, as text.
fn account_key(kwargs: &RawValue) -> Option<String> {
    /// The one argument that is looked at.
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        account_key: Option<&'a RawValue>,
    }
    if !kwargs.get().contains("account_key") {
        return None;
    }
    let named: Named<'_> = serde_json::from_str(kwargs.get()).ok()?;
    let value = named.account_key?.get();
    Some(kept_text(&serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_key_is_read_from_the_named_arguments() {
        for (kwargs, expected) in [
            ("{}", None),
            (r#"{"account_key": "shop-1", "days": 3}"#, Some("shop-1")),
            (r#"{"days": 3, "account_key": 17}"#, Some("17")),
            (r#"{"account_key": null}"#, None),
            (r#"{"note": "account_key"}"#, None),
            (r#"{"account_key": "caf\u00e9"}"#, Some("café")),
        ] {
            let raw = RawValue::from_string(kwargs.to_owned()).unwrap();
            assert_eq!(account_key(&raw).as_deref(), expected, "{kwargs}");
        }
    }
}
