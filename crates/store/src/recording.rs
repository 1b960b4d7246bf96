//! Writes what happened to jobs into their rows: the hot path of every queue.

use std::collections::HashMap;

use celeriac_db::DbTx;
use celeriac_protocol::{JobEvent, JobId, What};

use crate::StoreError;

mod attempts;
mod counts;
mod merge;
mod rows;

use counts::Counts;
use merge::JobState;

pub(crate) use rows::{in_known_sizes, most_rows};

pub(crate) use counts::{
    Counts as CountChanges, Standing, add as add_counts, drop_empty as drop_empty_counts,
};

/// How many jobs are read and written together; bounds what one batch holds in memory.
const JOBS_AT_A_TIME: usize = 1024;

/// Records events, in the order given, as part of the caller's transaction.
///
/// All that a batch says of one job is written at once: a job that starts and ends within it is one
/// update. Each event is applied to what the row says:
///
/// - An event of a higher generation begins the record anew (a job revived, or enqueued again under
///   the same id); attempts of earlier generations stay.
/// - Otherwise it moves the row only if its [version](JobEvent::version) is at least the row's and
///   the row is not final. A final row is left by reviving only; but one that was
///   [guessed](JobEvent::is_guess) gives way to the worker's word.
/// - What comes too late for that still fills in what it alone knows: an attempt's worker, times
///   and outcome, a label, the first instant of the job.
///
/// So late and doubled events change nothing, in whatever order they come, as long as nothing
/// follows a final event within a generation; where something does (a job that ran twice because
/// its acknowledgement was lost), the end that was recorded first stands.
///
/// Progress belongs to a run: it never goes back while a run lasts and begins at 0 with the next
/// one; a completed job stands at 100. An intermediate result outlives its run, so that the next
/// run can take it up.
///
/// Events that their task's record level leaves out are passed over. Values that are too long are
/// replaced by a marker, see [`crate::limits`].
///
/// # Errors
/// [`StoreError::Raced`] where another writer was faster, which one writer per database rules out;
/// otherwise what the database says. Nothing of the transaction may be kept then.
pub async fn record_batch(tx: &DbTx, events: &[JobEvent]) -> Result<(), StoreError> {
    let mut counts = Counts::default();
    for jobs in by_job(events).chunks(JOBS_AT_A_TIME) {
        let (fresh, mut known): (Vec<_>, Vec<_>) = jobs.iter().partition(|events| is_fresh(events));
        known.extend(insert_fresh(tx, fresh, &mut counts).await?);
        let states = apply(tx, &known).await?;
        for state in &states {
            counts.moved(state.counted_before(), Some(state.counted()));
        }
        rows::write(tx, states).await?;
    }
    counts::add(tx, &counts).await
}

/// What a batch says of one job.
type Events<'e> = Vec<&'e JobEvent>;

/// Says whether a job has most likely no row yet: it was just enqueued, for the first time.
fn is_fresh(events: &Events<'_>) -> bool {
    matches!(events[0].what, What::Enqueued) && events[0].job.generation == 0
}

/// Makes rows without asking whether they are there, which spares most enqueues a question, and
/// returns the jobs that had one.
async fn insert_fresh<'a, 'e>(
    tx: &DbTx,
    jobs: Vec<&'a Events<'e>>,
    counts: &mut Counts,
) -> Result<Vec<&'a Events<'e>>, StoreError> {
    let states = jobs.iter().map(|events| after(JobState::unseen(events[0]), events)).collect();
    let made = rows::make(tx, states).await?;
    for state in made.values() {
        counts.moved(None, Some(state.counted()));
    }
    let had_row = jobs.into_iter().filter(|events| !made.contains_key(events[0].job.id.as_str())).collect();
    rows::write(tx, made.into_values().collect()).await?;
    Ok(had_row)
}

/// Sorts events by job; jobs in the order in which they are first heard of, which becomes that of
/// their rows, and events of one job in the order given.
fn by_job(events: &[JobEvent]) -> Vec<Events<'_>> {
    let mut places: HashMap<&JobId, usize> = HashMap::with_capacity(events.len());
    let mut jobs: Vec<Events<'_>> = Vec::with_capacity(events.len());
    for event in events.iter().filter(|event| event.is_recorded()) {
        let place = *places.entry(&event.job.id).or_insert(jobs.len());
        match jobs.get_mut(place) {
            Some(events) => events.push(event),
            None => jobs.push(vec![event]),
        }
    }
    jobs
}

/// Reads what the rows say, and applies to each job what the batch says of it.
async fn apply(tx: &DbTx, jobs: &[&Events<'_>]) -> Result<Vec<JobState>, StoreError> {
    let ids = jobs.iter().map(|events| events[0].job.id.as_str());
    let mut rows = rows::load(tx, ids.collect()).await?;
    let states = jobs.iter().map(|events| {
        let row = rows.remove(events[0].job.id.as_str());
        after(row.map_or_else(|| JobState::unseen(events[0]), JobState::of), events)
    });
    Ok(states.collect())
}

fn after(mut state: JobState, events: &Events<'_>) -> JobState {
    for event in events {
        state.apply(event);
    }
    state
}
