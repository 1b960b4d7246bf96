//! How this process's worker runs.

use celeriac_engine::{WorkerError, WorkerOptions};
use celeriac_protocol::{AcceptContent, Serializer};
use serde::{Deserialize, Serialize};

use super::{Invalid, Period};

/// How this process's worker runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WorkerSection {
    pub(crate) name: Option<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) concurrency: usize,
    pub(crate) modules: Vec<String>,
    pub(crate) threads: usize,
    pub(crate) lease: Period,
    pub(crate) max_deliveries: u32,
    pub(crate) shutdown_patience: Period,
    pub(crate) stop_grace: Period,
    pub(crate) poll_interval: Period,
    pub(crate) accept_content: Vec<String>,
    pub(crate) housekeeping: bool,
}

/// The most threads that async tasks may share.
const MAX_THREADS: usize = 256;

impl Default for WorkerSection {
    fn default() -> Self {
        let WorkerOptions { queues, concurrency, lease, max_deliveries, .. } = WorkerOptions::default();
        let WorkerOptions { shutdown_patience, stop_grace, poll_interval, .. } = WorkerOptions::default();
        Self {
            name: None,
            queues,
            concurrency,
            modules: Vec::new(),
            threads: 0,
            lease: Period(lease),
            max_deliveries,
            shutdown_patience: Period(shutdown_patience),
            stop_grace: Period(stop_grace),
            poll_interval: Period(poll_interval),
            accept_content: Serializer::ALL.map(|one| one.name().to_owned()).into(),
            housekeeping: true,
        }
    }
}

impl WorkerSection {
    /// Returns how the worker runs; `name` is used where none was set.
    pub(crate) fn options(&self, name: &str) -> WorkerOptions {
        WorkerOptions {
            name: self.name.clone().unwrap_or_else(|| name.to_owned()),
            queues: self.queues.clone(),
            concurrency: self.concurrency,
            lease: self.lease.0,
            max_deliveries: self.max_deliveries,
            shutdown_patience: self.shutdown_patience.0,
            stop_grace: self.stop_grace.0,
            poll_interval: self.poll_interval.0,
            // What can't be accepted was refused by `validate`.
            accept_content: AcceptContent::of(&self.accept_content).unwrap_or_default(),
            ..WorkerOptions::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, reason: &str| {
            Err(Invalid { key: format!("worker.{key}"), reason: reason.to_owned() })
        };
        if self.threads > MAX_THREADS {
            return refuse("threads", "at most 256 are possible");
        }
        if self.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
            return refuse("name", "it must not be empty");
        }
        if let Err(error) = AcceptContent::of(&self.accept_content) {
            return refuse("accept_content", &error.to_string());
        }
        match self.options("").validate() {
            Err(WorkerError::Option { option, reason, .. }) => refuse(option, reason),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
