//! What the statements of the schedule look at, with a hundred thousand entries and a million firings.

use std::time::Duration;

use celeriac_db::{Database, DbTx};
use celeriac_engine::SystemClock;
use celeriac_protocol::{Clock as _, Timestamp};
use celeriac_store::StoreError;
use celeriac_store::query::jobs::{self, JobFilter};
use celeriac_store::query::schedules::{
    self, Firing, FiringOutcome, ScheduleEntry, ScheduleFilter, ScheduleState,
};

use super::{ANALYZE, Plans, ask};
use crate::beat::{record, write};
use crate::setup::{self, Place, Records};
use crate::tasks;

/// How many firings an entry has; one has a hundredth of all of them besides.
const FIRINGS: u64 = 10;

/// How many entries, or firings, one transaction writes.
const CHUNK: u64 = 2_000;

/// How many entries are due.
const DUE: u64 = 500;

/// How many firings a step of the pruner looks at, and how many of each entry it leaves.
const WINDOW: u64 = 1_000;
/// See [`WINDOW`].
const KEPT: u64 = 5;

/// Makes entries, the first of which are due, and firings of the last days.
pub(super) async fn fill(place: &Place, rows: u64) -> anyhow::Result<()> {
    let (database, _) = setup::open_for(place, Records::All, tasks::registry()).await?;
    let now = SystemClock.now();
    let entries = (rows / FIRINGS).max(DUE);
    let mut ids = Vec::new();
    for first in (0..entries).step_by(usize::try_from(CHUNK)?) {
        let numbers = first..entries.min(first + CHUNK);
        ids.extend(write(&database, numbers.map(|number| entry(number, now)).collect()).await?);
    }
    let of_all = ids.iter().flat_map(|id| (0..FIRINGS).map(move |number| (*id, firing(now, number))));
    let of_one = (FIRINGS..rows / 100).map(|number| (ids[0], firing(now, number)));
    let firings: Vec<(i64, Firing)> = of_all.chain(of_one).collect();
    for some in firings.chunks(usize::try_from(CHUNK)?) {
        let some = some.to_vec();
        in_transaction(&database, async move |tx| schedules::add_firings(tx, &some).await.map(drop)).await?;
    }
    ask(&database, ANALYZE).await?;
    database.close().await;
    Ok(())
}

fn entry(number: u64, now: Timestamp) -> (schedules::ScheduleRecord, ScheduleState) {
    let entry = ScheduleEntry::new(name(number), "bench.noop", "every 1d");
    let later = Duration::from_secs(3_600 + number);
    let wake_at = if number < DUE { now } else { now + later };
    (
        record(entry, now),
        ScheduleState { wake_at: Some(wake_at), next_due_at: Some(wake_at), ..Default::default() },
    )
}

fn name(number: u64) -> String {
    format!("entry-{number:07}")
}

/// Makes what came of a due time some minutes ago.
fn firing(now: Timestamp, number: u64) -> Firing {
    let due_at = now - Duration::from_secs(60 * (number + 1));
    Firing { job_id: Some(format!("job-{number}")), ..Firing::new(due_at, due_at, FiringOutcome::Fired) }
}

async fn in_transaction<T: Send + 'static>(
    database: &Database,
    work: impl AsyncFnOnce(&DbTx) -> Result<T, StoreError> + Send + 'static,
) -> anyhow::Result<T> {
    Ok(database.write::<_, StoreError, _>("measure the schedule", work).await?)
}

/// Measures what the beat asks, and what people do.
pub(super) async fn measure(plans: &mut Plans) -> anyhow::Result<()> {
    // The beat's pruner takes away what people look at.
    people(plans).await?;
    beat(plans).await
}

async fn beat(plans: &mut Plans) -> anyhow::Result<()> {
    plans
        .of("look for the next due schedule", 1, async |database, _| {
            Ok(schedules::next_wake(database.reader()).await.map(drop)?)
        })
        .await?;
    plans
        .of("take due schedules, move them on", DUE, async |database, client| {
            let now = client.clock().now();
            let take = async move |tx: &DbTx| {
                let taken = schedules::take_due(tx, now, DUE).await?;
                let ids: Vec<i64> = taken.iter().map(|entry| entry.id).collect();
                schedules::open_jobs(tx, &ids).await?;
                let later = Some(now + Duration::from_secs(3_600));
                let moved = taken
                    .into_iter()
                    .map(|entry| (entry.id, ScheduleState { wake_at: later, ..entry.state }));
                schedules::save_states(tx, &moved.collect::<Vec<_>>()).await?;
                Ok(ids.len() as u64)
            };
            let taken = in_transaction(database, take).await?;
            anyhow::ensure!(taken == DUE, "{taken} were due");
            Ok(())
        })
        .await?;
    plans
        .of("look for jobs that are to be cancelled", 100, async |database, _| {
            Ok(schedules::pending_cancels(database.reader(), 100).await.map(drop)?)
        })
        .await?;
    plans
        .of("remove old firings", WINDOW, async |database, client| {
            let now = client.clock().now();
            let prune = async move |tx: &DbTx| schedules::prune_firings(tx, now, None, WINDOW, KEPT).await;
            let step = in_transaction(database, prune).await?;
            anyhow::ensure!(step.removed > 0, "nothing was old");
            Ok(())
        })
        .await
}

async fn people(plans: &mut Plans) -> anyhow::Result<()> {
    plans
        .of("list schedules", 50, async |database, _| {
            let filter = ScheduleFilter::default();
            let after = name(1_000);
            Ok(schedules::list(database.reader(), &filter, Some(&after), 50).await.map(drop)?)
        })
        .await?;
    plans
        .of("find schedules by name", 100, async |database, _| {
            for number in 0..100 {
                schedules::find(database.reader(), &name(number)).await?;
            }
            Ok(())
        })
        .await?;
    plans
        .of("list a schedule's firings", 50, async |database, _| {
            let found = schedules::find(database.reader(), &name(0)).await?;
            let id = found.and_then(|found| found.record.ok()).map(|record| record.id).unwrap_or_default();
            let page = schedules::firings(database.reader(), id, None, None, 50).await?;
            anyhow::ensure!(page.next.is_some(), "it has more firings than that");
            Ok(())
        })
        .await?;
    plans
        .of("list a schedule's jobs, of which there are none", 50, async |database, _| {
            let filter = JobFilter { schedule: Some(name(0)), ..JobFilter::default() };
            Ok(jobs::list(database.reader(), &filter, None, 50).await.map(drop)?)
        })
        .await
}
