//! A job of an entry out of turn.

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_engine::JobHandle;
use celeriac_protocol::Timestamp;
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{self, Firing, FiringOutcome, Overlap, ScheduleRecord, ScheduleState};

use super::{Schedules, SchedulesError};
use crate::beat::message::{call, job_id};

/// A job that was asked for out of turn.
#[derive(Clone, Debug)]
pub struct ManualRun {
    /// The due time that it is written down under: now, or as near as no other is.
    pub due_at: Timestamp,
    /// The job.
    pub job: JobHandle,
}

impl Schedules {
    /// Enqueues the job of an entry now, whether it is switched on or not and whatever is under way. It is written down
    /// as [`FiringOutcome::Manual`], and moves no due time.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`]; [`SchedulesError::Enqueue`] where no job can be made of it; what the database says.
    pub async fn run_now(&self, name: &str) -> Result<ManualRun, SchedulesError> {
        let (this, name) = (self.clone(), name.to_owned());
        let run = async move |tx: &DbTx| {
            let (record, state) = this.lock(tx, &name).await?;
            let now = this.time(tx).await?;
            let due_at = free_instant(tx, record.id, &state, now).await?;
            let mut jobs = this.enqueue(tx, &record, &[due_at], FiringOutcome::Manual, now).await?;
            let total_run_count = state.total_run_count + 1;
            let state = ScheduleState { last_run_at: Some(now), total_run_count, ..state };
            schedules::save_state(tx, record.id, &state).await?;
            Ok(ManualRun { due_at, job: jobs.remove(0) })
        };
        self.database.write("run schedule now", run).await
    }

    /// Writes firings down, in place of those without a job, and enqueues their jobs.
    pub(super) async fn enqueue(
        &self,
        tx: &DbTx,
        record: &ScheduleRecord,
        due: &[Timestamp],
        outcome: FiringOutcome,
        now: Timestamp,
    ) -> Result<Vec<JobHandle>, SchedulesError> {
        let open = record.entry.overlap != Overlap::Allow;
        let made = due.iter().map(|due_at| {
            let id = job_id(record, *due_at)?;
            let firing = Firing { job_id: Some(id.to_string()), open, ..Firing::new(*due_at, now, outcome) };
            Ok((firing, call(record, id, *due_at, now)?))
        });
        let made: Result<Vec<_>, String> = made.collect();
        let unusable = |reason| SchedulesError::Unusable { name: record.entry.name.clone(), reason };
        let (firings, calls): (Vec<_>, Vec<_>) = made.map_err(unusable)?.into_iter().unzip();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        schedules::replace_firings(tx, record.id, &firings).await?;
        Ok(self.client.send_many_in(tx, calls).await?)
    }
}

/// Returns an instant at which nothing is due and nothing is written down, no earlier than now: due times fall on whole
/// seconds mostly.
async fn free_instant(
    tx: &DbTx,
    id: i64,
    state: &ScheduleState,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let step = Duration::from_micros(1);
    let mut at = if now.as_micros() % 1_000_000 == 0 { now + step } else { now };
    while state.next_due_at == Some(at) || !schedules::firings_between(tx, id, at, at, 1).await?.is_empty() {
        at = at + step;
    }
    Ok(at)
}
