//! Starts runs: looks cheaply whether rows are due, and enqueues a run only if there are.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_broker::{Notice, Notices};
use celeriac_db::Database;
use celeriac_engine::{Client, EnqueueError};
use celeriac_protocol::{JobId, Timestamp};
use celeriac_store::query::workflows::{WorkflowState, workflow_states};
use tokio::sync::broadcast::error::TryRecvError;

use super::{RegisteredWorkflow, WORKFLOW_QUEUE, WorkflowSettings, Workflows, run_workflow};
use crate::Environment;
use crate::r#loop::{Loop, LoopCtx, LoopError, PassReport};

/// How long a starter rests unless it is woken or knows when the next row falls due.
const PERIOD: Duration = Duration::from_secs(1);

/// How soon it looks again while all runs that may go on do: what wakes it then is mostly the runs' own rows.
const REST_WHILE_RUNNING: Duration = Duration::from_millis(100);

/// Is responsible for starting the runs of one workflow, wherever in the cluster they then go on.
///
/// A pass that finds nothing due writes nothing. Several processes may drive a starter of the same workflow: what they
/// enqueue has keys that only one of them gets, one for each run that may go on at a time.
///
/// Rows that are due start a run when somebody announced them ([`Notice::Loop`] with the starter's name), when the last
/// run left rows that were due, when its worker vanished, when this starter has seen them wait for their time, or else
/// when the workflow's interval has passed since its last start. A throttled workflow goes by its interval alone.
pub struct WorkflowStarter {
    name: &'static str,
    workflow: Arc<dyn RegisteredWorkflow>,
    queue: &'static str,
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
    /// An operator holds the workflow back, or its interval has not passed yet.
    Rest,
    /// As many runs go on as may.
    Full,
}

impl WorkflowStarter {
    /// Makes the starter of a workflow. Its name is made once and kept as long as the process.
    pub fn new(workflow: Arc<dyn RegisteredWorkflow>, environment: &Environment) -> Self {
        let client = environment.client().clone();
        let memory = Memory {
            notices: client.broker().notifier().listen(),
            woken: true,
            expected_at: None,
            quiet_until: Timestamp::EPOCH,
        };
        Self {
            name: loop_name(workflow.name()).leak(),
            workflow,
            queue: WORKFLOW_QUEUE,
            database: environment.database().clone(),
            client,
            memory: Mutex::new(memory),
        }
    }

    /// Makes a starter for each workflow.
    pub fn all(workflows: &Workflows, environment: &Environment) -> Vec<Self> {
        workflows.iter().map(|workflow| Self::new(Arc::clone(workflow), environment)).collect()
    }

    /// Has the runs wait in this queue instead of [`WORKFLOW_QUEUE`], for a process that takes from no queue that
    /// others take from. Runs that wait in other queues don't count for it; slots do, which all share.
    #[must_use]
    pub fn in_queue(mut self, queue: &'static str) -> Self {
        self.queue = queue;
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
        let states = workflow_states(reader, now).await?;
        let state = states.into_iter().find(|(name, _)| name == self.workflow.name());
        let state = state.map(|(_, state)| state).unwrap_or_default();
        let announced = self.memory().announced(now);
        match judge(self.workflow.settings(), &state, announced, now) {
            Verdict::Start => self.start(now).await,
            Verdict::Full => Ok(self.rest(now)),
            Verdict::Rest => Ok(PassReport::default()),
        }
    }

    async fn start(&self, now: Timestamp) -> Result<PassReport, LoopError> {
        if self.enqueue(now).await? {
            let mut memory = self.memory();
            (memory.woken, memory.expected_at) = (false, None);
            return Ok(PassReport::default().with("started", 1));
        }
        // A run waits in the queue, or has freed its slot and is about to be acknowledged.
        Ok(self.rest(now))
    }

    /// Enqueues a run under the first key that nobody has; `false` if there is none.
    async fn enqueue(&self, now: Timestamp) -> Result<bool, EnqueueError> {
        let workflow = self.workflow.name();
        for slot in 0..self.workflow.settings().max_instances {
            let id = JobId::fresh(now);
            let run = run_workflow(workflow.to_owned()).id(id.clone());
            let run = run.queue(self.queue).unique(self.key(slot));
            if *self.client.enqueue(run).await?.id() == id {
                tracing::debug!(workflow, job.id = %id, "run enqueued");
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

/// Returns the name of the loop that starts a workflow's runs; a [`Notice::Loop`] with it announces rows.
pub fn loop_name(workflow: &str) -> String {
    format!("workflow:{workflow}")
}

/// Returns the key that lets one run of a workflow wait or go on for each slot.
pub fn run_key(workflow: &str, slot: u32) -> String {
    format!("workflow:{workflow}:{slot}")
}

#[async_trait]
impl Loop for WorkflowStarter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> &'static str {
        self.workflow.description()
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        if !self.workflow.settings().enabled {
            return Ok(PassReport::default());
        }
        let quiet_until = self.memory().quiet_until;
        tokio::select! {
            () = ctx.clock().sleep_until(quiet_until) => {}
            () = ctx.stopping() => return Ok(PassReport::default()),
        }
        self.memory().hear(self.name);
        self.look(ctx.now()).await
    }
}

impl fmt::Debug for WorkflowStarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowStarter").field("name", &self.name).finish_non_exhaustive()
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

/// Decides whether due rows start a run.
fn judge(settings: &WorkflowSettings, state: &WorkflowState, announced: bool, now: Timestamp) -> Verdict {
    if !settings.enabled || state.paused_at.is_some() {
        return Verdict::Rest;
    }
    if state.held_slots >= settings.max_instances {
        return Verdict::Full;
    }
    let Some(started_at) = state.last_started_at else { return Verdict::Start };
    let rested = now.since(started_at) >= settings.interval;
    let vanished = state.held_slots == 0 && state.last_ended_at.is_none_or(|ended_at| ended_at < started_at);
    let goes_on = announced || state.more || vanished;
    if rested || (settings.continuous && goes_on) { Verdict::Start } else { Verdict::Rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    /// A workflow that ran from second 100 to second 101, seen at second 110.
    fn check(
        change: impl FnOnce(&mut WorkflowSettings, &mut WorkflowState, &mut bool, &mut u64),
        verdict: Verdict,
    ) {
        let mut settings = WorkflowSettings { interval: INTERVAL, ..WorkflowSettings::default() };
        let mut state = WorkflowState {
            last_started_at: Some(at(100)),
            last_ended_at: Some(at(101)),
            ..WorkflowState::default()
        };
        let (mut announced, mut now) = (false, 110);
        change(&mut settings, &mut state, &mut announced, &mut now);
        assert_eq!(judge(&settings, &state, announced, at(now)), verdict);
    }

    #[test]
    fn due_rows_start_a_run_when_something_speaks_for_it_and_nothing_against() {
        use Verdict::{Full, Rest, Start};
        check(|_, _, _, _| {}, Rest);
        check(|_, state, _, _| state.last_started_at = None, Start);
        check(|_, _, announced, _| *announced = true, Start);
        check(|_, state, _, _| state.more = true, Start);
        check(|_, _, _, now| *now = 160, Start);
        check(|_, state, _, _| state.last_ended_at = Some(at(99)), Start);
        check(|_, state, _, _| state.last_ended_at = None, Start);
        check(|_, state, _, now| (state.held_slots, *now) = (1, 160), Full);
        check(|_, state, _, now| (state.paused_at, *now) = (Some(at(105)), 160), Rest);
        check(|settings, _, _, now| (settings.enabled, *now) = (false, 160), Rest);
    }

    #[test]
    fn a_throttled_workflow_goes_by_its_interval_alone() {
        use Verdict::{Rest, Start};
        check(
            |settings, state, announced, _| {
                (settings.continuous, state.more, *announced) = (false, true, true);
            },
            Rest,
        );
        check(|settings, _, _, now| (settings.continuous, *now) = (false, 160), Start);
    }

    #[test]
    fn a_second_instance_starts_beside_the_first_when_rows_are_announced() {
        check(
            |settings, state, announced, _| {
                (settings.max_instances, state.held_slots, *announced) = (2, 1, true);
            },
            Verdict::Start,
        );
        check(|settings, state, _, _| (settings.max_instances, state.held_slots) = (2, 1), Verdict::Rest);
    }
}
