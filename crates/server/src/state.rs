//! What every handler works with.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use celeriac_control::workflow::{SettingsDesk, Workflows};
use celeriac_control::{Environment, JobDesk, LoopBoard, QueueDesk, ResultRecorder, Schedules};
use celeriac_db::Database;
use celeriac_engine::{Client, Registry};
use celeriac_protocol::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::options::ServerOptions;

/// What a server is made of.
pub struct ServerParts {
    /// What the app is called.
    pub name: String,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// Database, client and clock.
    pub environment: Environment,
    /// The app's workflows.
    pub workflows: Workflows,
    /// How the loops stand that run in this process.
    pub board: LoopBoard,
    /// The queues that the app's tasks go to, and those that its workers take from.
    pub queues: BTreeSet<String>,
    /// Where results are kept for Celery's clients, if anywhere but in the records.
    pub results: Option<ResultRecorder>,
    /// How it listens, whom it lets in, and its limits.
    pub options: ServerOptions,
}

/// What every handler works with. Cloning is cheap.
#[derive(Clone)]
pub struct ServerState {
    inner: Arc<Inner>,
}

struct Inner {
    parts: ServerParts,
    closing: CancellationToken,
    streams: TaskTracker,
}

impl ServerState {
    /// Takes the parts.
    pub fn new(parts: ServerParts) -> Self {
        let (closing, streams) = (CancellationToken::new(), TaskTracker::new());
        Self { inner: Arc::new(Inner { parts, closing, streams }) }
    }

    /// Returns what the app is called.
    pub fn app_name(&self) -> &str {
        &self.inner.parts.name
    }

    /// Returns the app's version, where it says one.
    pub fn app_version(&self) -> Option<&str> {
        self.inner.parts.version.as_deref()
    }

    /// Returns database, client and clock together.
    pub fn environment(&self) -> &Environment {
        &self.inner.parts.environment
    }

    /// Returns the database.
    pub fn database(&self) -> &Database {
        self.environment().database()
    }

    /// Returns what enqueues jobs and looks after them.
    pub fn client(&self) -> &Client {
        self.environment().client()
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.environment().clock()
    }

    /// Returns the tasks that are known here.
    pub fn registry(&self) -> &Registry {
        self.client().registry()
    }

    /// Returns what people do to jobs and dead letters.
    pub fn job_desk(&self) -> JobDesk {
        JobDesk::new(self.environment())
    }

    /// Returns what people do to queues.
    pub fn queue_desk(&self) -> QueueDesk {
        QueueDesk::new(self.environment(), self.queues().clone())
    }

    /// Returns what people do to the schedule.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.environment())
    }

    /// Returns the app's workflows, by name.
    pub fn workflows(&self) -> &Workflows {
        &self.inner.parts.workflows
    }

    /// Returns what changes how workflows run.
    pub fn settings_desk(&self) -> SettingsDesk {
        SettingsDesk::new(self.environment())
    }

    /// Returns how the loops of this process stand.
    pub fn board(&self) -> &LoopBoard {
        &self.inner.parts.board
    }

    /// Returns the queues that this app names.
    pub fn queues(&self) -> &BTreeSet<String> {
        &self.inner.parts.queues
    }

    /// Returns where results are kept for Celery's clients, if anywhere but in the records.
    pub fn results(&self) -> Option<&ResultRecorder> {
        self.inner.parts.results.as_ref()
    }

    /// Returns how the server listens, whom it lets in, and its limits.
    pub fn options(&self) -> &ServerOptions {
        &self.inner.parts.options
    }

    /// Is cancelled when the server begins to stop. Streams that would go on for ever end then.
    pub fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// Returns what work is to be run on that outlives the answer to its request; a stop waits for it, within bounds.
    pub fn streams(&self) -> &TaskTracker {
        &self.inner.streams
    }
}

impl fmt::Debug for ServerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerParts")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.parts.fmt(f)
    }
}
