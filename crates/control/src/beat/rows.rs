//! Jobs of workflows, which the beat enqueues only when rows are due and a slot is free.

use std::collections::HashMap;
use std::time::Duration;

use celeriac_db::Database;
use celeriac_engine::Task as _;
use celeriac_protocol::{Clock, Timestamp, error_text};
use celeriac_store::query::schedules::{LockedEntry, ScheduleEntry};
use celeriac_store::query::workflows::PassedOver;

use crate::workflow::{Lookout, Lookouts, run_workflow, standing};

/// How long the look at one workflow's rows may take; the schedule is locked meanwhile.
const LOOK_PATIENCE: Duration = Duration::from_millis(250);

/// What the rows of a workflow say to a due time of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// Rows are due, or one can't tell: the job finds out.
    Ask,
    /// No row is due.
    Idle,
    /// As many runs go on as may.
    Busy,
}

/// What the rows of the workflows say whose entries were taken, by the entries' numbers.
pub(super) type Answers = HashMap<i64, (&'static str, Rows)>;

/// Looks at the rows of the workflows whose jobs are due. An entry of another task is not asked after.
pub(super) async fn look(
    lookouts: &Lookouts,
    database: &Database,
    clock: &dyn Clock,
    taken: &[LockedEntry],
    now: Timestamp,
) -> Answers {
    let mut answers = Answers::new();
    for entry in taken {
        let Ok(record) = &entry.record else { continue };
        let Some(lookout) = lookout_of(lookouts, &record.entry) else { continue };
        let rows = tokio::select! {
            biased;
            rows = rows_of(&lookout, database, now) => rows,
            () = clock.sleep(LOOK_PATIENCE) => Rows::Ask,
        };
        answers.insert(entry.id, (lookout.workflow, rows));
    }
    answers
}

/// Finds the workflow that an entry runs: by its own task, or by name, and then the entry has the job's.
fn lookout_of(lookouts: &Lookouts, entry: &ScheduleEntry) -> Option<Lookout> {
    let runs_by_name = entry.task == run_workflow::NAME;
    lookouts.find(if runs_by_name { &entry.name } else { &entry.task })
}

async fn rows_of(lookout: &Lookout, database: &Database, now: Timestamp) -> Rows {
    let (workflow, job) = (lookout.workflow, lookout.job);
    match lookout.is_due(database.reader(), now).await {
        Ok(false) => return Rows::Idle,
        Ok(true) => {}
        Err(error) => {
            let error = error_text(&error);
            tracing::warn!(
                workflow,
                scheduler.id = job,
                error,
                "rows can't be looked at; a run is to find out"
            );
            return Rows::Ask;
        }
    }
    match standing(database.reader(), lookout, now).await {
        Ok(standing) if standing.is_full() => Rows::Busy,
        Ok(_) => Rows::Ask,
        Err(error) => {
            let error = error_text(&error);
            tracing::warn!(
                workflow,
                scheduler.id = job,
                error,
                "slots can't be looked at; a run is to find out"
            );
            Rows::Ask
        }
    }
}

/// Says how many due times of a workflow's job pass, and why.
pub(super) fn passed_over(workflow: &'static str, rows: Rows, due: usize) -> Option<PassedOver> {
    let due = due as u64;
    match rows {
        Rows::Ask => None,
        Rows::Idle => Some(PassedOver { workflow, idle: due, refused: 0 }),
        Rows::Busy => Some(PassedOver { workflow, idle: 0, refused: due }),
    }
    .filter(|_| due > 0)
}
