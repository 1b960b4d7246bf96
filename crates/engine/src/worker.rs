//! Runs jobs: fetches no more than it has free slots for, and acknowledges nothing before its
//! outcome is recorded.

use std::sync::Arc;
use std::time::Duration;

use celeriac_protocol::{AcceptContent, Address, Clock, DEFAULT_QUEUE, JobId, error_text};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{Client, Registry, RegistryError, States};

mod checkpoint;
mod drain;
mod executor;
mod fetcher;
mod gate;
mod held;
mod lease;
mod second;
mod settler;

pub use checkpoint::Checkpoints;
#[cfg(feature = "testing")]
pub(crate) use drain::Drained;
pub(crate) use drain::drain;
use held::Held;

/// How a worker runs.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Its name, `celery@<host>` in Celery's manner; unique per start where leases are told apart by it.
    pub name: String,
    /// The queues it takes from.
    pub queues: Vec<String>,
    /// How many jobs it runs at a time; also the most it ever holds unstarted.
    pub concurrency: usize,
    /// How long a message is leased; it is renewed three times in that span, so this is also how
    /// long a killed worker's jobs wait for the next one.
    pub lease: Duration,
    /// How many holders in a row may vanish with a message before it goes to the dead letters.
    pub max_deliveries: u32,
    /// How long a stopping worker lets its jobs finish before it gives them back.
    pub shutdown_patience: Duration,
    /// How long a job that was told to stop may take before it is dropped, or reported as stuck.
    pub stop_grace: Duration,
    /// How long an idle worker waits at most before it looks again, should no wake-up have come.
    pub poll_interval: Duration,
    /// In which serializers it reads messages; one in another goes to the dead letters.
    pub accept_content: AcceptContent,
    /// Told of each step of the path; for tests that end a worker at a named point.
    pub checkpoints: Checkpoints,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            name: "celeriac".to_owned(),
            queues: vec![DEFAULT_QUEUE.to_owned()],
            concurrency: 8,
            lease: Duration::from_secs(30),
            max_deliveries: 5,
            shutdown_patience: Duration::from_secs(30),
            stop_grace: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
            accept_content: AcceptContent::default(),
            checkpoints: Checkpoints::default(),
        }
    }
}

/// The most jobs that one worker may run at a time.
pub const MAX_CONCURRENCY: usize = 10_000;

/// A worker that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Its registry asks for what was not given.
    #[error("start worker")]
    Registry(#[from] RegistryError),
    /// An option has a value that it can't have.
    #[error("start worker with {option} = {value}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl WorkerOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn validate(&self) -> Result<(), WorkerError> {
        let fail = |option, value: String, reason| Err(WorkerError::Option { option, value, reason });
        if self.concurrency == 0 || self.concurrency > MAX_CONCURRENCY {
            return fail("concurrency", self.concurrency.to_string(), "1 to 10000 are possible");
        }
        if self.queues.is_empty() || self.queues.iter().any(String::is_empty) {
            return fail(
                "queues",
                format!("{:?}", self.queues),
                "at least one is needed, and none without a name",
            );
        }
        if !self.queues.iter().all(|name| Address::is_queue(name)) {
            return fail(
                "queues",
                format!("{:?}", self.queues),
                "a worker takes from queues, not from exchanges",
            );
        }
        if self.lease < Duration::from_millis(100) {
            return fail(
                "lease",
                format!("{:?}", self.lease),
                "below 100 ms it would end between two renewals",
            );
        }
        if self.max_deliveries == 0 {
            return fail("max_deliveries", "0".to_owned(), "no message would ever be run");
        }
        if self.poll_interval.is_zero() {
            return fail("poll_interval", "0".to_owned(), "the worker would never rest");
        }
        Ok(())
    }
}

/// Runs jobs from some queues until told to stop.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
}

/// Tells how much a worker has in hand. Cloning is cheap, and what it tells outlives the worker's run.
#[derive(Clone, Debug)]
pub struct WorkerGauge {
    shared: Arc<Shared>,
}

/// What a worker has in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InHand {
    /// How many jobs, from when they were fetched until their outcome is settled.
    pub jobs: usize,
    /// Some of them.
    pub ids: Vec<JobId>,
}

impl WorkerGauge {
    /// Returns what the worker has in hand, with the ids of up to `most` jobs.
    pub fn in_hand(&self, most: usize) -> InHand {
        let (jobs, ids) = self.shared.held.some(most);
        InHand { jobs, ids }
    }
}

/// What all parts of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) registry: Registry,
    pub(crate) states: States,
    pub(crate) options: WorkerOptions,
    pub(crate) name: Arc<str>,
    pub(crate) held: Held,
    /// Cancelled when nobody wants to wait for running jobs any more.
    pub(crate) hurry: CancellationToken,
    /// Told when one of the leases may have been marked as cancelled.
    pub(crate) look_at_leases: Notify,
}

impl Shared {
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.client.clock().as_ref()
    }

    fn reach(&self, checkpoint: &'static str) {
        self.options.checkpoints.reach(checkpoint);
    }
}

impl Worker {
    /// Builds a worker that runs the tasks of `registry` with `states`.
    ///
    /// # Errors
    /// An option that can't be, or a state that a task asks for and that is not there.
    pub fn new(
        client: Client,
        registry: Registry,
        states: States,
        options: WorkerOptions,
    ) -> Result<Self, WorkerError> {
        options.validate()?;
        registry.check_states(&states)?;
        Ok(Self::of(client, registry, states, options))
    }

    /// Returns what ends a stop early: once it is cancelled, a stopping worker waits for nothing.
    ///
    /// Running jobs are told to stop, dropped at their next await, and given back uncharged, so that
    /// others have them at once. A thread that does not return is left behind after half a second.
    pub fn hurry(&self) -> CancellationToken {
        self.shared.hurry.clone()
    }

    /// Returns what tells how much the worker has in hand, also while it runs.
    pub fn gauge(&self) -> WorkerGauge {
        WorkerGauge { shared: Arc::clone(&self.shared) }
    }

    /// Runs until `stop` is cancelled, then drains: nothing more is fetched, running jobs get the
    /// shutdown patience, and what is left after it is given back uncharged.
    ///
    /// When it returns, every outcome is recorded and settled, unless the record could not be
    /// written for long: then the log names the jobs, and their leases bring them back.
    pub async fn run(self, stop: CancellationToken) {
        let shared = self.shared;
        tracing::info!(
            worker = %shared.name, queues = ?shared.options.queues, concurrency = shared.options.concurrency,
            "worker started"
        );
        let side_stop = CancellationToken::new();
        let sides = TaskTracker::new();
        let (to_settler, inbox) = settler::channel();
        // As long as this is there, the settler ends by the last call alone, and never because the fetcher is done:
        // which of two that end together is heard of first is chance.
        let line_to_settler = to_settler.clone();
        let last_call = CancellationToken::new();
        let mut settler = sides.spawn(settler::run(Arc::clone(&shared), inbox, last_call.clone()));
        sides.spawn(lease::run(Arc::clone(&shared), side_stop.clone()));
        // Dropped in the middle, the worker must not leave anybody behind who renews its leases.
        let side_stop = side_stop.drop_guard();
        let fetch_stop = stop.child_token();
        // On a thread among those that run jobs, where it waits its turn among them; gone with this future.
        let fetching = sides.spawn(fetcher::run(Arc::clone(&shared), to_settler, fetch_stop.clone()));
        let mut fetching = AbortOnDropHandle::new(fetching);
        let fetched = tokio::select! {
            fetched = &mut fetching => fetched,
            ended = &mut settler => {
                tracing::error!(worker = %shared.name, ?ended, "settler ended early; the worker stops, leases will bring its jobs back");
                fetch_stop.cancel();
                fetching.await.ok();
                return;
            }
        };
        if let Err(panic) = fetched {
            tracing::error!(worker = %shared.name, error = %panic, "fetcher ended badly; leases will bring the jobs back");
        }
        drop(line_to_settler);
        // Jobs are gone but for those that can't be stopped; what they still hand in is not waited for.
        last_call.cancel();
        if let Err(panic) = settler.await {
            tracing::error!(worker = %shared.name, error = %panic, "settler ended badly; leases will bring the jobs back");
        }
        drop(side_stop);
        sides.close();
        sides.wait().await;
        if let Err(error) = shared.client.broker().leave(&shared.options.queues, &shared.name).await {
            let error = error_text(&error);
            tracing::warn!(worker = %shared.name, error, "the transport did not hear that the worker leaves");
        }
        tracing::info!(worker = %shared.name, "worker stopped");
    }

    /// Builds a worker that takes from whatever queues there are; it only drains, it never runs.
    pub(crate) fn for_every_queue(
        client: Client,
        registry: Registry,
        states: States,
        options: WorkerOptions,
    ) -> Result<Self, WorkerError> {
        registry.check_states(&states)?;
        Ok(Self::of(client, registry, states, WorkerOptions { queues: Vec::new(), ..options }))
    }

    fn of(client: Client, registry: Registry, states: States, options: WorkerOptions) -> Self {
        let shared = Shared {
            client,
            registry,
            states,
            name: Arc::from(options.name.as_str()),
            options,
            held: Held::default(),
            hurry: CancellationToken::new(),
            look_at_leases: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
