//! Looks whether the rows of workflows ask for a run, for a scheduler that may have no part in the runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::ScheduleEntry;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DbErr};

use super::sweep::has_lapsed;
use super::{Workflow, WorkflowSettings, WorkflowTable, cadence};

/// What a scheduler needs to know of a workflow to enqueue its job only when rows are due. Cloning is cheap.
#[derive(Clone)]
pub struct Lookout {
    /// The workflow.
    pub(crate) workflow: &'static str,
    /// The job's name in the schedule.
    pub(crate) job: &'static str,
    /// What it does, in one line for people.
    description: &'static str,
    /// How it runs, where nobody has changed that since.
    pub(crate) settings: Arc<WorkflowSettings>,
    is_due: IsDue,
}

type IsDue = for<'r> fn(&'r DatabaseConnection, Timestamp) -> BoxFuture<'r, Result<bool, DbErr>>;

impl Lookout {
    /// Makes it for a workflow; only the workflow's table is asked.
    pub fn of<W: Workflow>(settings: WorkflowSettings) -> Self {
        let is_due: IsDue = |reader, now| is_due::<W>(reader, now).boxed();
        let (workflow, job, description) = (W::NAME, W::JOB, W::DESCRIPTION);
        Self { workflow, job, description, settings: Arc::new(settings), is_due }
    }

    /// Returns the workflow's name.
    pub fn workflow(&self) -> &'static str {
        self.workflow
    }

    /// Returns the id of its job.
    pub fn job(&self) -> &'static str {
        self.job
    }

    /// Returns the entry of its job in the schedule, as its settings declare it.
    pub fn entry(&self) -> ScheduleEntry {
        cadence::entry(self.job, self.description, &self.settings)
    }

    /// Says whether a row is due, or a claim has run out. Cheap.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn is_due(&self, reader: &DatabaseConnection, now: Timestamp) -> Result<bool, DbErr> {
        (self.is_due)(reader, now).await
    }
}

pub(super) async fn is_due<W: Workflow>(reader: &DatabaseConnection, now: Timestamp) -> Result<bool, DbErr> {
    if W::Table::next_due_at(reader).await?.is_some_and(|due| due <= now) {
        return Ok(true);
    }
    has_lapsed::<W::Table>(reader, now).await
}

/// The workflows that a scheduler knows, by the names of their jobs. Cloning is cheap and shares them.
#[derive(Clone, Default)]
pub struct Lookouts {
    by_job: Arc<RwLock<BTreeMap<&'static str, Lookout>>>,
}

impl Lookouts {
    /// Adds one, in place of the one of its job.
    pub fn add(&self, lookout: Lookout) {
        self.by_job.write().unwrap_or_else(PoisonError::into_inner).insert(lookout.job, lookout);
    }

    /// Forgets the one of a job; the job is enqueued at its times then, if it has an entry.
    pub fn remove(&self, job: &str) -> bool {
        self.by_job.write().unwrap_or_else(PoisonError::into_inner).remove(job).is_some()
    }

    /// Finds the one of a workflow by the workflow's name.
    pub fn of_workflow(&self, name: &str) -> Option<Lookout> {
        let by_job = self.by_job.read().unwrap_or_else(PoisonError::into_inner);
        by_job.values().find(|lookout| lookout.workflow == name).cloned()
    }

    /// Returns the names of the workflows.
    pub fn workflows(&self) -> Vec<&'static str> {
        let by_job = self.by_job.read().unwrap_or_else(PoisonError::into_inner);
        by_job.values().map(|lookout| lookout.workflow).collect()
    }

    pub(crate) fn find(&self, job: &str) -> Option<Lookout> {
        self.by_job.read().unwrap_or_else(PoisonError::into_inner).get(job).cloned()
    }

    /// Returns the entries of the jobs in the schedule, as their settings declare them.
    pub fn entries(&self) -> Vec<ScheduleEntry> {
        let by_job = self.by_job.read().unwrap_or_else(PoisonError::into_inner);
        by_job.values().map(Lookout::entry).collect()
    }

    /// Returns the names of the jobs.
    pub fn jobs(&self) -> Vec<&'static str> {
        self.by_job.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

impl FromIterator<Lookout> for Lookouts {
    fn from_iter<I: IntoIterator<Item = Lookout>>(all: I) -> Self {
        let lookouts = Self::default();
        all.into_iter().for_each(|lookout| lookouts.add(lookout));
        lookouts
    }
}

impl fmt::Debug for Lookout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lookout").field(&self.job).finish()
    }
}

impl fmt::Debug for Lookouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.jobs()).finish()
    }
}
