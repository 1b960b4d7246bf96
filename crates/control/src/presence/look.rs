//! Who is there, who has fallen silent.

use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_store::StoreError;
use celeriac_store::query::schedules::server_time;
use celeriac_store::query::workers::{self, WorkerRecord, WorkerState};

use crate::Environment;

/// How long a process may be silent before it is told of as such: four of its words were missed.
pub const SILENT_AFTER: Duration = Duration::from_secs(20);

/// Processes, and the time by which they were looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkersSeen {
    /// The present instant, by the clock that the processes go by.
    pub now: Timestamp,
    /// The processes, those heard of last first.
    pub workers: Vec<WorkerRecord>,
}

impl WorkersSeen {
    /// Says whether a process should have told of itself and has not.
    pub fn is_silent(&self, worker: &WorkerRecord) -> bool {
        worker.state != WorkerState::Stopped && self.now.since(worker.seen_at) > SILENT_AFTER
    }

    /// Returns those that have fallen silent.
    pub fn silent(&self) -> impl Iterator<Item = &WorkerRecord> {
        self.workers.iter().filter(|worker| self.is_silent(worker))
    }

    /// Returns those that are there, ready or not.
    pub fn present(&self) -> impl Iterator<Item = &WorkerRecord> {
        let is_there =
            |worker: &&WorkerRecord| worker.state != WorkerState::Stopped && !self.is_silent(worker);
        self.workers.iter().filter(is_there)
    }
}

/// Lists processes that run jobs, schedules or the API on this database: those that do, and those that did lately.
///
/// Workers of Python tell nothing of themselves here.
///
/// # Errors
/// What the database says.
pub async fn workers(environment: &Environment) -> Result<WorkersSeen, StoreError> {
    let workers = workers::list(environment.database().reader()).await?;
    Ok(WorkersSeen { now: now(environment).await?, workers })
}

/// Finds one by its name; what is returned holds it alone, or nothing.
///
/// # Errors
/// What the database says.
pub async fn find_worker(environment: &Environment, name: &str) -> Result<WorkersSeen, StoreError> {
    let found = workers::find(environment.database().reader(), name).await?;
    Ok(WorkersSeen { now: now(environment).await?, workers: found.into_iter().collect() })
}

async fn now(environment: &Environment) -> Result<Timestamp, StoreError> {
    let own = environment.clock().now();
    if environment.is_by_own_clock() {
        return Ok(own);
    }
    Ok(server_time(environment.database().reader()).await?.unwrap_or(own))
}
