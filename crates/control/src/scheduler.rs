//! The one scheduler of a process, as far as workflows' jobs are added to it and taken away while it runs.

use std::fmt;

use celeriac_engine::Task as _;
use celeriac_store::query::schedules::ScheduleEntry;

use crate::workflow::{
    Lookout, Lookouts, SettingsError, Workflow, WorkflowSettings, WorkflowStarter, Workflows, run_workflow,
};
use crate::{DriverHandle, Environment, Schedules, SchedulesError};

/// Is responsible for the jobs of workflows on a driver: each has an id ([`Workflow::JOB`]), under which it is added,
/// replaced and removed, at any time.
///
/// A job is an entry of the schedule, which says when it is due and which the [`Beat`](crate::Beat) meets; a loop of the
/// driver's, which starts a run as soon as rows are announced; and what the beat has to know to enqueue nothing where no row
/// is due. An [`App`](crate::App) does all this for the workflows that it has; this is for those that come later. Cloning is cheap.
///
/// The runs are those of a worker that was given the same [`Workflows`] as a state.
#[derive(Clone)]
pub struct Scheduler {
    app: String,
    environment: Environment,
    loops: DriverHandle,
    workflows: Workflows,
    lookouts: Lookouts,
}

/// A workflow's job could not be added or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// A setting has a value that it can't have.
    #[error("add job \"{job}\"")]
    Settings {
        /// The job.
        job: &'static str,
        /// Which setting, and what is wrong.
        #[source]
        source: SettingsError,
    },
    /// Its entry could not be written.
    #[error("{action} job \"{job}\"")]
    Schedule {
        /// What was being done, to be read after "failed to".
        action: &'static str,
        /// The job.
        job: String,
        /// What stands in the way.
        #[source]
        source: SchedulesError,
    },
}

impl Scheduler {
    /// Makes the scheduler of an app on the driver whose loops it adds and removes. `workflows` are those that the app's worker runs, and `lookouts` those
    /// that its beat looks at.
    pub fn new(
        app: impl Into<String>,
        environment: &Environment,
        loops: DriverHandle,
        workflows: Workflows,
        lookouts: Lookouts,
    ) -> Self {
        Self { app: app.into(), environment: environment.clone(), loops, workflows, lookouts }
    }

    /// Adds a workflow's job under its id, in place of the one that has it: that one's runs end as they began, and
    /// its successor's settings are declared. What an operator has changed stays.
    ///
    /// # Errors
    /// [`SchedulerError`]; nothing has changed in this process then.
    pub async fn add<W: Workflow>(
        &self,
        workflow: W,
        settings: WorkflowSettings,
    ) -> Result<(), SchedulerError> {
        let invalid = |source| SchedulerError::Settings { job: W::JOB, source };
        settings.validate().map_err(invalid)?;
        let entry = Lookout::of::<W>(settings.clone()).entry();
        let declared = self.schedules().declare(&self.app, self.known(entry, W::NAME)).await;
        declared.map_err(failed("add", W::JOB))?;
        let registered = self.workflows.add(workflow, settings).map_err(invalid)?;
        self.lookouts.add(registered.lookout());
        self.loops.add(WorkflowStarter::new(registered, &self.environment)).await;
        tracing::info!(workflow = W::NAME, scheduler.id = W::JOB, "job was added to the scheduler");
        Ok(())
    }

    /// Removes a job: nothing starts its runs any more, neither here nor, since its entry is switched off, anywhere by
    /// the schedule. Runs that wait or go on come to their end. `false`: there is no job of this id here.
    ///
    /// # Errors
    /// [`SchedulerError::Schedule`]; what the database says.
    pub async fn remove(&self, job: &str) -> Result<bool, SchedulerError> {
        let withdrawn = self.schedules().withdraw(&self.app, job).await;
        let withdrawn = withdrawn.map_err(failed("remove", job))?;
        let here = self.loops.remove(job).await;
        self.lookouts.remove(job);
        if here || withdrawn {
            tracing::info!(scheduler.id = job, "job was removed from the scheduler");
        }
        Ok(here)
    }

    /// Returns the ids of its jobs.
    pub fn jobs(&self) -> Vec<&'static str> {
        self.lookouts.jobs()
    }

    fn schedules(&self) -> Schedules {
        Schedules::new(&self.environment)
    }

    /// Has the entry ask for a run by the workflow's name where its own task is not registered.
    fn known(&self, entry: ScheduleEntry, workflow: &str) -> ScheduleEntry {
        match self.environment.client().registry().find(&entry.task) {
            Some(_) => entry,
            None => ScheduleEntry {
                task: run_workflow::NAME.to_owned(),
                args: serde_json::json!([workflow]).to_string(),
                ..entry
            },
        }
    }
}

fn failed(action: &'static str, job: &str) -> impl FnOnce(SchedulesError) -> SchedulerError {
    move |source| SchedulerError::Schedule { action, job: job.to_owned(), source }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("app", &self.app)
            .field("jobs", &self.jobs())
            .finish_non_exhaustive()
    }
}
