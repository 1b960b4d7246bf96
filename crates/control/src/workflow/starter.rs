//! Starts runs: looks cheaply whether rows are due, and enqueues a run only if there are.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::{Notice, Notices};
use celeriac_db::Database;
use celeriac_engine::{Client, EnqueueError};
use celeriac_protocol::{JobId, Timestamp};
use celeriac_store::query::workflows::WorkflowState;
use tokio::sync::broadcast::error::TryRecvError;

use super::standing::{Standing, by_entry, standing};
use super::{Lookout, RegisteredWorkflow, WORKFLOW_QUEUE, WorkflowSettings, Workflows};
use crate::Environment;
use crate::r#loop::{Loop, LoopCtx, LoopError, PassReport};

/// How long a starter rests unless it is woken or knows when the next row falls due.
const PERIOD: Duration = Duration::from_secs(1);

/// How soon it looks again while all runs that may go on do: what wakes it then is mostly the runs' own rows.
const REST_WHILE_RUNNING: Duration = Duration::from_millis(100);

/// Is responsible for starting the runs of one workflow between the times at which its job is due, wherever in the
/// cluster they then go on.
///
/// A pass that finds nothing due writes nothing. Several processes may drive a starter of the same workflow: what they
/// enqueue has keys that only one of them gets, one for each run that may go on at a time.
///
/// Rows that are due start a run when somebody announced them ([`Notice::Loop`] with the job's name), when the last
/// run left rows that were due, when its worker vanished, or when this starter has seen them wait for their time. All
/// others wait until the job is due, which its entry says and the [`Beat`](crate::Beat) sees to. A workflow that goes by
/// a crontab is started here only to go on where a run has ended before its work, and a throttled one never.
pub struct WorkflowStarter {
    workflow: Arc<dyn RegisteredWorkflow>,
    lookout: Lookout,
    queue: &'static str,
    is_alone: bool,
    database: Database,
    client: Client,
    memory: Mutex<Memory>,
}

/// What a starter remembers from pass to pass.
struct Memory {
    notices: Notices,
    /// Whether rows were announced since the last start; at first nobody knows, so one looks.
    woken: bool,
    /// When the next of the waiting rows falls due, as the last look had it.
    expected_at: Option<Timestamp>,
    /// Not to look before.
    quiet_until: Timestamp,
}

/// Why a run is started, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Start,
    /// An operator holds the workflow back, or its job is not due yet.
    Rest,
    /// As many runs go on as may.
    Full,
}

impl WorkflowStarter {
    /// Makes the starter of a workflow.
    pub fn new(workflow: Arc<dyn RegisteredWorkflow>, environment: &Environment) -> Self {
        let client = environment.client().clone();
        let memory = Memory {
            notices: client.broker().notifier().listen(),
            woken: true,
            expected_at: None,
            quiet_until: Timestamp::EPOCH,
        };
        Self {
            lookout: workflow.lookout(),
            workflow,
            queue: WORKFLOW_QUEUE,
            is_alone: false,
            database: environment.database().clone(),
            client,
            memory: Mutex::new(memory),
        }
    }

    /// Makes a starter for each workflow.
    pub fn all(workflows: &Workflows, environment: &Environment) -> Vec<Self> {
        workflows.iter().map(|workflow| Self::new(workflow, environment)).collect()
    }

    /// Has the runs wait in this queue instead of [`WORKFLOW_QUEUE`], for a process that takes from no queue that
    /// others take from. Runs that wait in other queues don't count for it; slots do, which all share.
    #[must_use]
    pub fn in_queue(mut self, queue: &'static str) -> Self {
        self.queue = queue;
        self
    }

    /// Goes by the workflow's own settings and not by its entry, for a process that moves rows without a schedule: a run
    /// is started as well when none has been for an interval.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, now: Timestamp) -> Result<PassReport, LoopError> {
        let reader = self.database.reader();
        if !self.workflow.is_due(reader, now).await? {
            let next_at = self.workflow.next_due_at(reader).await?;
            let mut memory = self.memory();
            (memory.woken, memory.expected_at) = (false, next_at);
            return Ok(PassReport { next_at, ..PassReport::default() });
        }
        let Standing { state, mut settings } = standing(reader, &self.lookout, now).await?;
        if !self.is_alone {
            settings = by_entry(reader, self.lookout.job, settings).await?;
        }
        let announced = self.memory().announced(now);
        match judge(&settings, self.is_alone, &state, announced, now) {
            Verdict::Start => self.start(settings.max_instances, now).await,
            Verdict::Full => Ok(self.rest(now)),
            Verdict::Rest => Ok(PassReport::default()),
        }
    }

    async fn start(&self, max_instances: u32, now: Timestamp) -> Result<PassReport, LoopError> {
        if self.enqueue(max_instances, now).await? {
            let mut memory = self.memory();
            (memory.woken, memory.expected_at) = (false, None);
            return Ok(PassReport::default().with("started", 1));
        }
        // A run waits in the queue, or has freed its slot and is about to be acknowledged.
        Ok(self.rest(now))
    }

    /// Enqueues a run under the first key that nobody has; `false` if there is none.
    async fn enqueue(&self, max_instances: u32, now: Timestamp) -> Result<bool, EnqueueError> {
        for slot in 0..max_instances {
            let id = JobId::fresh(now);
            let run = self.workflow.call(self.client.registry()).id(id.clone());
            let run = run.queue(self.queue).unique(self.key(slot));
            if *self.client.send(run).await?.id() == id {
                let (workflow, job) = (self.lookout.workflow, self.lookout.job);
                tracing::debug!(workflow, scheduler.id = job, job.id = %id, "run enqueued");
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A queue has keys of its own: in another one a run may wait for a worker that never comes.
    fn key(&self, slot: u32) -> String {
        let key = run_key(self.workflow.name(), slot);
        if self.queue == WORKFLOW_QUEUE { key } else { format!("{}:{key}", self.queue) }
    }

    fn rest(&self, now: Timestamp) -> PassReport {
        let until = now + REST_WHILE_RUNNING;
        self.memory().quiet_until = until;
        PassReport::default()
    }
}

/// Returns the key that lets one run of a workflow wait or go on for each slot.
pub fn run_key(workflow: &str, slot: u32) -> String {
    format!("workflow:{workflow}:{slot}")
}

#[async_trait]
impl Loop for WorkflowStarter {
    fn name(&self) -> &'static str {
        self.lookout.job
    }

    fn describe(&self) -> &'static str {
        self.workflow.description()
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let quiet_until = self.memory().quiet_until;
        tokio::select! {
            // Not for longer, should the clock have been set back since.
            () = ctx.clock().sleep_until(quiet_until.min(ctx.now() + REST_WHILE_RUNNING)) => {}
            () = ctx.stopping() => return Ok(PassReport::default()),
        }
        self.memory().hear(self.lookout.job);
        self.look(ctx.now()).await
    }
}

impl fmt::Debug for WorkflowStarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowStarter").field("job", &self.lookout.job).finish_non_exhaustive()
    }
}

impl Memory {
    /// Takes in the notices that have come; where some were lost, this one may have been among them.
    fn hear(&mut self, name: &str) {
        loop {
            match self.notices.try_recv() {
                Ok(Notice::Loop(named)) => self.woken |= named == name,
                Ok(_) => {}
                Err(TryRecvError::Lagged(_)) => self.woken = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn announced(&self, now: Timestamp) -> bool {
        self.woken || self.expected_at.is_some_and(|at| at <= now)
    }
}

/// Decides whether due rows start a run before the job is due.
fn judge(
    settings: &WorkflowSettings,
    is_alone: bool,
    state: &WorkflowState,
    announced: bool,
    now: Timestamp,
) -> Verdict {
    if !settings.enabled || state.paused_at.is_some() {
        return Verdict::Rest;
    }
    if state.held_slots >= settings.max_instances {
        return Verdict::Full;
    }
    let is_due =
        is_alone && state.last_started_at.is_none_or(|started_at| now.since(started_at) >= settings.interval);
    let goes_on = state.more || has_vanished(state);
    let is_wanted = goes_on || (settings.cron.is_none() && (announced || state.last_started_at.is_none()));
    if is_due || (settings.continuous && is_wanted) { Verdict::Start } else { Verdict::Rest }
}

/// Says whether the last run came to no end.
fn has_vanished(state: &WorkflowState) -> bool {
    let Some(started_at) = state.last_started_at else { return false };
    state.held_slots == 0 && state.last_ended_at.is_none_or(|ended_at| ended_at < started_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    /// A workflow that ran from second 100 to second 101, seen at second 110.
    struct Seen {
        settings: WorkflowSettings,
        is_alone: bool,
        state: WorkflowState,
        announced: bool,
        now: u64,
    }

    fn check(change: impl FnOnce(&mut Seen), verdict: Verdict) {
        let state = WorkflowState {
            last_started_at: Some(at(100)),
            last_ended_at: Some(at(101)),
            ..WorkflowState::default()
        };
        let settings = WorkflowSettings { interval: INTERVAL, ..WorkflowSettings::default() };
        let mut seen = Seen { settings, is_alone: false, state, announced: false, now: 110 };
        change(&mut seen);
        let Seen { settings, is_alone, state, announced, now } = seen;
        assert_eq!(judge(&settings, is_alone, &state, announced, at(now)), verdict);
    }

    #[test]
    fn due_rows_start_a_run_when_something_speaks_for_it_and_nothing_against() {
        use Verdict::{Full, Rest, Start};
        check(|_| {}, Rest);
        check(|seen| seen.state.last_started_at = None, Start);
        check(|seen| seen.announced = true, Start);
        check(|seen| seen.state.more = true, Start);
        check(|seen| seen.now = 160, Rest);
        check(|seen| seen.state.last_ended_at = Some(at(99)), Start);
        check(|seen| seen.state.last_ended_at = None, Start);
        check(|seen| (seen.state.held_slots, seen.announced) = (1, true), Full);
        check(|seen| (seen.state.paused_at, seen.announced) = (Some(at(105)), true), Rest);
        check(|seen| (seen.settings.enabled, seen.announced) = (false, true), Rest);
    }

    #[test]
    fn who_is_alone_goes_by_the_interval_as_well() {
        use Verdict::{Rest, Start};
        check(|seen| seen.is_alone = true, Rest);
        check(|seen| (seen.is_alone, seen.now) = (true, 160), Start);
        check(|seen| (seen.is_alone, seen.state.last_started_at) = (true, None), Start);
        let throttled = |seen: &mut Seen| (seen.is_alone, seen.settings.continuous) = (true, false);
        check(
            |seen| {
                throttled(seen);
                (seen.state.more, seen.announced) = (true, true);
            },
            Rest,
        );
        check(
            |seen| {
                throttled(seen);
                seen.now = 160;
            },
            Start,
        );
    }

    #[test]
    fn a_throttled_workflow_is_started_by_its_entry_alone() {
        check(
            |seen| {
                seen.settings.continuous = false;
                (seen.state.more, seen.announced, seen.now) = (true, true, 160);
            },
            Verdict::Rest,
        );
        check(|seen| (seen.settings.continuous, seen.state.last_started_at) = (false, None), Verdict::Rest);
    }

    #[test]
    fn a_workflow_that_goes_by_a_crontab_goes_on_and_begins_nothing() {
        use Verdict::{Rest, Start};
        let nightly = |seen: &mut Seen| seen.settings.cron = Some("0 2 * * *".to_owned());
        let check = |change: fn(&mut Seen), verdict| {
            check(
                |seen| {
                    nightly(seen);
                    change(seen);
                },
                verdict,
            );
        };
        check(|seen| seen.announced = true, Rest);
        check(|seen| seen.state.last_started_at = None, Rest);
        check(|seen| seen.state.more = true, Start);
        check(|seen| seen.state.last_ended_at = None, Start);
    }

    #[test]
    fn a_second_instance_starts_beside_the_first_when_rows_are_announced() {
        check(
            |seen| {
                (seen.settings.max_instances, seen.state.held_slots, seen.announced) = (2, 1, true);
            },
            Verdict::Start,
        );
        check(|seen| (seen.settings.max_instances, seen.state.held_slots) = (2, 1), Verdict::Rest);
    }
}
