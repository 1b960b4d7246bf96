//! Jobs of due times that have come to nothing.

use std::collections::HashSet;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{self, FiringOutcome, MAX_CATCH_UP, ScheduleRecord, ScheduleState};
use sea_orm::ConnectionTrait;

use super::{Schedules, SchedulesError, readable};

/// How many due times are looked at in one go.
const LOOKED_AT: usize = 5_000;

/// How many firings there may be among them; those that were asked for out of turn lie between.
const MAX_FIRINGS: u64 = 50_000;

/// What a backfill came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Due times whose jobs were enqueued, or would be, oldest first.
    pub enqueued: Vec<Timestamp>,
    /// Due times up to there that had jobs already.
    pub had_jobs: u64,
    /// Where to go on; `None` where every due time has been looked at.
    pub next: Option<Timestamp>,
}

impl Schedules {
    /// Enqueues the jobs of an entry's due times from one instant up to and with another that have none: they were
    /// missed, skipped, or lie before the entry was made. At most `limit` (and never more than a thousand) are enqueued at
    /// once; nothing that is yet to come is. Each job has the id that it would have had in time.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Invalid`]; what the queue and the database say.
    pub async fn backfill(
        &self,
        name: &str,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Backfilled, SchedulesError> {
        let (this, name) = (self.clone(), name.to_owned());
        let backfill = async move |tx: &DbTx| {
            let (record, state) = this.lock(tx, &name).await?;
            let now = this.time(tx).await?;
            let filled = without_jobs(tx, &record, (from, to.min(now)), limit).await?;
            this.enqueue(tx, &record, &filled.enqueued, FiringOutcome::Backfill, now).await?;
            if !filled.enqueued.is_empty() {
                let total_run_count = state.total_run_count + filled.enqueued.len() as u64;
                let state = ScheduleState { last_run_at: Some(now), total_run_count, ..state };
                schedules::save_state(tx, record.id, &state).await?;
            }
            Ok(filled)
        };
        self.database.write("backfill schedule", backfill).await
    }

    /// Returns what [`Schedules::backfill`] would do, and changes nothing.
    ///
    /// # Errors
    /// As there.
    pub async fn rehearse_backfill(
        &self,
        name: &str,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Backfilled, SchedulesError> {
        let record = self.find(name).await?.0.record?;
        let reader = self.database.reader();
        without_jobs(reader, &record, (from, to.min(self.time(reader).await?)), limit).await
    }
}

/// Finds the due times that have no jobs, oldest first.
async fn without_jobs(
    reader: &impl ConnectionTrait,
    record: &ScheduleRecord,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Backfilled, SchedulesError> {
    let limit = usize::try_from(limit.clamp(1, MAX_CATCH_UP)).unwrap_or(usize::MAX);
    let timetable = readable(&record.entry, record.created_at)?;
    let first = timetable.next_after(Timestamp::from_micros(from.as_micros().saturating_sub(1)));
    let due = std::iter::successors(first, |due| timetable.next_after(due.at));
    let due = due.map(|due| due.at).take_while(|at| *at <= to);
    let mut due: Vec<Timestamp> = due.take(LOOKED_AT + 1).collect();
    let mut next = if due.len() > LOOKED_AT { due.pop() } else { None };
    let have = with_jobs(reader, record.id, &due).await?;
    let mut without: Vec<Timestamp> = due.into_iter().filter(|at| !have.contains(at)).collect();
    if without.len() > limit {
        next = without.get(limit).copied();
        without.truncate(limit);
    }
    let had_jobs = have.iter().filter(|at| next.is_none_or(|next| **at < next)).count() as u64;
    Ok(Backfilled { enqueued: without, had_jobs, next })
}

/// Returns those of some due times that have jobs.
async fn with_jobs(
    reader: &impl ConnectionTrait,
    id: i64,
    due: &[Timestamp],
) -> Result<HashSet<Timestamp>, SchedulesError> {
    let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(HashSet::new()) };
    let firings = schedules::firings_between(reader, id, *first, *last, MAX_FIRINGS).await?;
    let due: HashSet<&Timestamp> = due.iter().collect();
    let have = firings.into_iter().filter(|firing| firing.outcome.has_job() && due.contains(&firing.due_at));
    Ok(have.map(|firing| firing.due_at).collect())
}
