//! How a workflow stands: what is known of it across the cluster, and the settings in force.

use celeriac_protocol::Timestamp;
use celeriac_store::StoreError;
use celeriac_store::query::schedules;
use celeriac_store::query::workflows::{WorkflowState, workflow_states};
use sea_orm::ConnectionTrait;

use super::{Lookout, WorkflowSettings, cadence, changes};

/// How a workflow stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// What is known of it across the cluster.
    pub(crate) state: WorkflowState,
    /// The settings in force, as far as they are not about when its job is due.
    pub(crate) settings: WorkflowSettings,
}

impl Standing {
    /// Says whether as many runs go on as may.
    pub(crate) fn is_full(&self) -> bool {
        self.state.held_slots >= self.settings.max_instances
    }
}

/// Reads how a workflow stands.
pub(crate) async fn standing(
    reader: &impl ConnectionTrait,
    workflow: &Lookout,
    now: Timestamp,
) -> Result<Standing, StoreError> {
    let states = workflow_states(reader, now).await?;
    let state = states.into_iter().find(|(name, _)| name == workflow.workflow);
    let state = state.map(|(_, state)| state).unwrap_or_default();
    let settings = changes::in_force(workflow.workflow, &workflow.settings, state.settings.as_deref());
    Ok(Standing { state, settings })
}

/// Lays over settings what the entry of the job says. Where there is none, or it can't be read, they stay as they are.
pub(crate) async fn by_entry(
    reader: &impl ConnectionTrait,
    job: &str,
    settings: WorkflowSettings,
) -> Result<WorkflowSettings, StoreError> {
    let found = schedules::find(reader, job).await?;
    Ok(match found.and_then(|found| found.record.ok()) {
        Some(record) => cadence::from_entry(settings, &record.entry),
        None => settings,
    })
}
