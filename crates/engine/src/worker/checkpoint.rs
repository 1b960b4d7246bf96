//! Named points of a job's path, where a test can end the worker.

use std::fmt;
use std::sync::Arc;

/// Is told of each named point that a worker reaches. Costs nothing where nobody listens.
///
/// In the order of the path: [`Checkpoints::FETCHED`], [`Checkpoints::STARTING`],
/// [`Checkpoints::RAN`], [`Checkpoints::SETTLING`], [`Checkpoints::SETTLED`],
/// [`Checkpoints::FOLLOWED`], [`Checkpoints::RECORDED`], [`Checkpoints::WRITTEN`]. `SETTLED` to
/// `RECORDED` stand inside the one transaction where queue and record share a database; elsewhere
/// `SETTLED` comes after the other two; and where a batch leaves no record, it and `RECORDED` come
/// once it is settled. `FOLLOWED` is only reached where others follow a job.
#[derive(Clone, Default)]
pub struct Checkpoints {
    listener: Option<Arc<dyn Fn(&'static str) + Send + Sync>>,
}

impl Checkpoints {
    /// A message was leased and nothing was done with it.
    pub const FETCHED: &'static str = "fetched";
    /// The task is about to run.
    pub const STARTING: &'static str = "starting";
    /// The task has run and nobody knows.
    pub const RAN: &'static str = "ran";
    /// Outcomes are about to be written.
    pub const SETTLING: &'static str = "settling";
    /// Messages are settled and, where a record shares their database, not yet committed.
    pub const SETTLED: &'static str = "settled";
    /// What follows the jobs is published and, where the queue shares the record's database, not yet committed.
    pub const FOLLOWED: &'static str = "followed";
    /// Outcomes are recorded and, where a record shares the queue's database, not yet committed.
    pub const RECORDED: &'static str = "recorded";
    /// Everything is committed and nobody has been told.
    pub const WRITTEN: &'static str = "written";

    /// All points, in the order of the path.
    pub const ALL: [&'static str; 8] = [
        Self::FETCHED,
        Self::STARTING,
        Self::RAN,
        Self::SETTLING,
        Self::SETTLED,
        Self::FOLLOWED,
        Self::RECORDED,
        Self::WRITTEN,
    ];

    /// Listens. What `listener` does happens on the worker's own path: to park is to stop it there.
    pub fn listen(listener: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)) }
    }

    pub(super) fn reach(&self, checkpoint: &'static str) {
        if let Some(listener) = &self.listener {
            listener(checkpoint);
        }
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checkpoints").field(&self.listener.is_some()).finish()
    }
}
