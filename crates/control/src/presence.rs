//! Has a process tell every few seconds that it is there, what it does, and how much it has in hand; and tells of those that
//! don't any more.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use celeriac_db::{Database, DbTx};
use celeriac_engine::{InHand, WorkerGauge};
use celeriac_protocol::{Clock, Timestamp, error_text};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::server_time;
use celeriac_store::query::workers::{self, MAX_IN_FLIGHT, WorkerRecord, WorkerState};
use tokio_util::sync::CancellationToken;

use crate::{Environment, LoopBoard};

mod look;
mod told;

pub use look::{SILENT_AFTER, WorkersSeen, find_worker, workers};

/// How often a process tells of itself.
const PERIOD: Duration = Duration::from_secs(5);

/// How long one such word may take. The next one follows anyway.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many beats lie between two looks for what is to be forgotten: every ten minutes.
const BEATS_PER_CLEANUP: u64 = 120;

/// How long those are listed that have stopped.
const KEEP_STOPPED: Duration = Duration::from_secs(24 * 3_600);

/// How long those are listed that have fallen silent.
const KEEP_SILENT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes jobs.
    Worker,
    /// Enqueues what the schedule says is due.
    Scheduler,
    /// Serves the API and the screens.
    Server,
}

impl Role {
    /// Returns the word that rows, API and screens use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Server => "server",
        }
    }
}

/// Who a process is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name in records and leases; no two processes have the same.
    pub name: String,
    /// The app's name.
    pub app: String,
    /// The machine's name.
    pub host: String,
    /// The number of the process there.
    pub pid: u32,
    /// The app's version.
    pub version: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// The queues that it takes from.
    pub queues: Vec<String>,
    /// How many jobs it runs at a time.
    pub concurrency: usize,
}

/// What a process uses of its machine, as far as that can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time used since it started.
    pub cpu: Option<Duration>,
}

/// Is responsible for a process's own row among the workers: written every five seconds, by the time of the database's server
/// where there is one.
///
/// It never stands in anybody's way: what can't be written within seconds is left, and the next word says it.
pub struct Presence {
    database: Database,
    clock: Arc<dyn Clock>,
    own_clock: bool,
    identity: Identity,
    usage: fn() -> Usage,
    gauge: Option<WorkerGauge>,
    board: Option<LoopBoard>,
    started_at: Option<Timestamp>,
    failures: u32,
}

impl Presence {
    /// Makes what tells of a process; `usage` is asked for what it uses.
    pub fn new(environment: &Environment, identity: Identity, usage: fn() -> Usage) -> Self {
        Self {
            database: environment.database().clone(),
            clock: Arc::clone(environment.clock()),
            own_clock: environment.is_by_own_clock(),
            identity,
            usage,
            gauge: None,
            board: None,
            started_at: None,
            failures: 0,
        }
    }

    /// Has it tell what a worker has in hand.
    #[must_use]
    pub fn with_worker(self, gauge: WorkerGauge) -> Self {
        Self { gauge: Some(gauge), ..self }
    }

    /// Has it tell how loops stand.
    #[must_use]
    pub fn with_loops(self, board: LoopBoard) -> Self {
        Self { board: Some(board), ..self }
    }

    /// Tells that the process makes itself ready.
    pub async fn begin(&mut self) {
        self.tell(WorkerState::Starting).await;
    }

    /// Tells that the process has ended, or was never ready.
    pub async fn end(&mut self) {
        self.tell(WorkerState::Stopped).await;
    }

    /// Tells of the process until all else has `ended`: that it runs, and from when `stop` is cancelled that it drains; and
    /// that it has stopped.
    pub async fn run(mut self, stop: CancellationToken, ended: CancellationToken) {
        let mut beats = 0_u64;
        while !ended.is_cancelled() {
            let is_draining = stop.is_cancelled();
            self.tell(if is_draining { WorkerState::Draining } else { WorkerState::Running }).await;
            if beats.is_multiple_of(BEATS_PER_CLEANUP) {
                self.forget().await;
            }
            beats += 1;
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                () = stop.cancelled(), if !is_draining => {}
                () = self.clock.sleep(PERIOD) => {}
            }
        }
        self.end().await;
    }

    async fn tell(&mut self, state: WorkerState) {
        match self.write(state).await {
            Ok(()) if self.failures > 0 => {
                tracing::info!(
                    worker = self.identity.name,
                    "the database hears again that the process is there"
                );
                self.failures = 0;
            }
            Ok(()) => {}
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let (error, failures) = (error_text(&error), self.failures);
                if failures.is_power_of_two() {
                    tracing::warn!(
                        worker = self.identity.name,
                        error,
                        failures,
                        "nobody hears that the process is there"
                    );
                }
            }
        }
    }

    async fn write(&mut self, state: WorkerState) -> Result<(), StoreError> {
        let now = self.now().await?;
        let started_at = *self.started_at.get_or_insert(now);
        let record = self.record(state, started_at, now);
        let beat = async move |tx: &DbTx| workers::beat(tx, &record).await;
        self.database.write_within("tell of this process", PATIENCE, beat).await
    }

    fn record(&self, state: WorkerState, started_at: Timestamp, now: Timestamp) -> WorkerRecord {
        let identity = self.identity.clone();
        let gauge = self.gauge.as_ref().map(|gauge| gauge.in_hand(MAX_IN_FLIGHT));
        let InHand { jobs, ids } = gauge.unwrap_or_default();
        let usage = (self.usage)();
        WorkerRecord {
            name: identity.name,
            app: identity.app,
            host: identity.host,
            pid: identity.pid,
            version: identity.version,
            roles: identity.roles.into_iter().map(|role| role.as_str().to_owned()).collect(),
            queues: identity.queues,
            concurrency: identity.concurrency as u64,
            running: jobs as u64,
            in_flight: ids.into_iter().map(|id| id.to_string()).collect(),
            state,
            started_at,
            seen_at: now,
            stopped_at: (state == WorkerState::Stopped).then_some(now),
            memory_bytes: usage.memory_bytes,
            cpu: usage.cpu,
            loops: self.board.as_ref().map(told::loops).unwrap_or_default(),
        }
    }

    /// Forgets those that have been gone for long. Any process does it for all; what fails is left to the next.
    async fn forget(&self) {
        let forget = async {
            let now = self.now().await?;
            let (stopped, silent) = (now - KEEP_STOPPED, now - KEEP_SILENT);
            let forget = async move |tx: &DbTx| workers::forget(tx, stopped, silent).await;
            self.database.write_within("forget workers", PATIENCE, forget).await
        };
        match forget.await {
            Ok(0) => {}
            Ok(forgotten) => tracing::debug!(forgotten, "workers that are gone were forgotten"),
            Err(error) => {
                tracing::debug!(error = error_text(&error), "workers that are gone could not be forgotten");
            }
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.own_clock {
            return Ok(self.clock.now());
        }
        let reader = self.database.reader();
        tokio::select! {
            biased;
            servers = server_time(reader) => Ok(servers?.unwrap_or_else(|| self.clock.now())),
            () = self.clock.sleep(PATIENCE) => Ok(self.clock.now()),
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("identity", &self.identity).finish_non_exhaustive()
    }
}
