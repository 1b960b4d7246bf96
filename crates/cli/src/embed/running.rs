//! An app that runs within its caller's program.

use std::net::SocketAddr;
use std::time::Duration;

use celeriac_control::workflow::Workflows;
use celeriac_control::{DriverHandle, Environment, LoopBoard, Scheduler, Schedules};
use celeriac_db::Database;
use celeriac_engine::{Client, States};
use celeriac_server::Server;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::context::Opened;
use crate::service::{self, Prepared, RunError, Service};

/// An app that runs within its caller's program, and what the program reaches it by.
///
/// [`shutdown`](Self::shutdown) ends it well. Dropping it asks it to end in the background without waiting for jobs: they
/// are given back at once if the runtime goes on, else when their leases end. Neither loses one.
#[derive(Debug)]
pub struct Running {
    environment: Environment,
    states: States,
    board: LoopBoard,
    handle: DriverHandle,
    scheduler: Scheduler,
    worker: Option<String>,
    address: Option<SocketAddr>,
    service: Service,
    /// Tells that nobody uses the database through this any more.
    released: DropGuard,
    closing: TaskTracker,
}

impl Running {
    pub(super) fn start(prepared: Prepared, opened: Opened) -> Self {
        let Prepared { platform, states, crew, server, driver, scheduler } = prepared;
        let environment = platform.environment();
        let (board, handle) = (driver.board(), driver.handle());
        let worker = crew.as_ref().map(|crew| crew.options.name.clone());
        let address = server.as_ref().map(Server::address);
        let service = service::start(crew, driver, server);
        let (released, closing) = (CancellationToken::new(), TaskTracker::new());
        closing.spawn(close(service.ended(), released.clone(), opened));
        closing.close();
        let released = released.drop_guard();
        Self { environment, states, board, handle, scheduler, worker, address, service, released, closing }
    }

    /// Returns the client, which enqueues jobs and looks after them.
    pub fn client(&self) -> &Client {
        self.environment.client()
    }

    /// Returns the database: the platform's tables, and those of the app's own.
    pub fn database(&self) -> &Database {
        self.environment.database()
    }

    /// Returns database, client and clock together, as the app's states were made from them.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns what people do to the schedule: look, add, change, run now.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(&self.environment)
    }

    /// Returns the app's workflows, by name.
    pub fn workflows(&self) -> Workflows {
        self.states.get::<Workflows>().cloned().unwrap_or_default()
    }

    /// Returns what adds workflows' jobs to those that run here, replaces and removes them, each by its id.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Returns the app's state of a type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.states.get()
    }

    /// Returns what tells how the loops stand that run here.
    pub fn loops(&self) -> &LoopBoard {
        &self.board
    }

    /// Returns what adds loops to those that run here, and removes them.
    pub fn driver(&self) -> &DriverHandle {
        &self.handle
    }

    /// Returns what the worker is called in records and leases; `None`: no worker runs here.
    pub fn worker_name(&self) -> Option<&str> {
        self.worker.as_deref()
    }

    /// Returns where API and dashboard are served; `None`: nowhere.
    pub fn server_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Resolves when the worker, the loops or the server have ended though nobody asked them to, which is a fault of ours or of what
    /// they stand on. The rest stops then; nothing is lost, and what was running comes back when its leases end. The program decides
    /// what to do: as a rule it stops, to be started again. While all is well, and after a shutdown, it never resolves.
    ///
    /// It borrows nothing, so it may be waited for wherever the program waits for its own end.
    pub fn failed(&self) -> impl Future<Output = RunError> + Send + use<> {
        self.service.failed()
    }

    /// Stops: nothing more is fetched, running jobs may finish for as long as `worker.shutdown_patience` says and are then
    /// given back uncharged, loops end their passes, and the database is closed last.
    ///
    /// Whoever uses client or database from elsewhere (a web server) is to be stopped before.
    ///
    /// # Errors
    /// A part had ended by itself before; all the same everything has ended, and is closed.
    pub async fn shutdown(self) -> Result<(), RunError> {
        self.service.stop();
        self.service.ended().await;
        self.close().await
    }

    /// Does as [`shutdown`](Self::shutdown) does; what still runs after `limit` is given back at once, whatever
    /// `worker.shutdown_patience` says.
    ///
    /// # Errors
    /// A part had ended by itself before; all the same everything has ended, and is closed.
    pub async fn shutdown_within(self, limit: Duration) -> Result<(), RunError> {
        self.service.stop();
        tokio::select! {
            () = self.service.ended() => {}
            () = self.environment.clock().sleep(limit) => {
                self.service.hurry();
                self.service.ended().await;
            }
        }
        self.close().await
    }

    async fn close(self) -> Result<(), RunError> {
        let Self { service, released, closing, .. } = self;
        drop(released);
        closing.wait().await;
        service.failure().map_or(Ok(()), Err)
    }
}

/// Closes what was opened once nobody uses it any more, so that a program that only drops what runs leaves its database as
/// one that shuts it down does.
async fn close(ended: impl Future<Output = ()>, released: CancellationToken, opened: Opened) {
    ended.await;
    released.cancelled().await;
    opened.close().await;
}
