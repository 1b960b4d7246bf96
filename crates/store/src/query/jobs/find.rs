//! One job, by its id.

use std::collections::HashMap;
use std::time::Duration;

use celeriac_protocol::{JobId, JobStatus, JobVersion, RawValue, Timestamp};
use sea_orm::{ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::list::Row;
use crate::StoreError;
use crate::entity::attempt::Word;
use crate::entity::{attempt, job};
use crate::record::{AttemptOutcome, AttemptRecord, JobProgress, JobRecord, error_from};

/// Returns all that is recorded of a job, with its attempts.
///
/// # Errors
/// What the database says; [`StoreError::Corrupt`] where the row can't be read.
pub async fn find(reader: &impl ConnectionTrait, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
    let row = job::Entity::find()
        .filter(job::COLUMN.id.eq(id.as_str()))
        .one(reader)
        .await
        .map_err(StoreError::doing("read job"))?;
    let Some(row) = row else { return Ok(None) };
    let attempts = attempt::Entity::find()
        .filter(attempt::COLUMN.job_seq.eq(row.seq))
        .order_by_asc(attempt::Column::Generation)
        .order_by_asc(attempt::Column::Delivery)
        .all(reader)
        .await
        .map_err(StoreError::doing("read attempts of job"))?;
    record_from(row, attempts).map(Some)
}

/// Returns where a job stands and what came of it, without what it is.
///
/// # Errors
/// As [`find`].
pub async fn progress(reader: &impl ConnectionTrait, id: &JobId) -> Result<Option<JobProgress>, StoreError> {
    let row = job::Entity::find()
        .filter(job::COLUMN.id.eq(id.as_str()))
        .into_partial_model::<ProgressRow>()
        .one(reader)
        .await
        .map_err(StoreError::doing("read progress of job"))?;
    row.map(|row| progress_from(id, row)).transpose()
}

/// How many ids one statement asks for; SQLite takes many more, but few callers have them.
const IDS_AT_A_TIME: usize = 500;

/// Returns the generation that the record of each of these jobs is at, of those that have one.
///
/// # Errors
/// What the database says.
pub async fn generations(
    reader: &impl ConnectionTrait,
    ids: &[JobId],
) -> Result<HashMap<JobId, u32>, StoreError> {
    let mut generations = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(IDS_AT_A_TIME) {
        let rows: Vec<(String, i64)> = job::Entity::find()
            .select_only()
            .columns([job::Column::Id, job::Column::Version])
            .filter(job::COLUMN.id.is_in(ids.iter().map(JobId::as_str)))
            .into_tuple()
            .all(reader)
            .await
            .map_err(StoreError::doing("read generations of jobs"))?;
        let found: HashMap<String, i64> = rows.into_iter().collect();
        let known = ids.iter().filter_map(|id| Some((id.clone(), *found.get(id.as_str())?)));
        generations.extend(known.map(|(id, version)| (id, JobVersion::from_i64(version).generation())));
    }
    Ok(generations)
}

#[derive(DerivePartialModel)]
#[sea_orm(entity = "job::Entity")]
struct ProgressRow {
    status: job::Word,
    attempt: i64,
    progress: i16,
    progress_message: Option<String>,
    partial: Option<String>,
    result: Option<String>,
    error_kind: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
    traceback: Option<String>,
    cancel_reason: Option<String>,
}

fn progress_from(id: &JobId, row: ProgressRow) -> Result<JobProgress, StoreError> {
    Ok(JobProgress {
        status: row.status.into(),
        attempt: small(row.attempt),
        percent: small(row.progress.into()),
        message: row.progress_message,
        partial: row.partial.map(|text| json(id.as_str(), "partial", text)).transpose()?,
        result: row.result.map(|text| json(id.as_str(), "result", text)).transpose()?,
        error: error_from(row.error_kind, row.error_type, row.error_message, row.traceback),
        cancel_reason: row.cancel_reason,
    })
}

fn record_from(mut row: job::Model, attempts: Vec<attempt::Model>) -> Result<JobRecord, StoreError> {
    let attempts = all_attempts(newest_run(&row), attempts);
    let (args, kwargs) = (std::mem::take(&mut row.args), std::mem::take(&mut row.kwargs));
    let (partial, result) = (row.partial.take(), row.result.take());
    let id = row.id.as_str();
    Ok(JobRecord {
        args: json(id, "args", args)?,
        kwargs: json(id, "kwargs", kwargs)?,
        partial: partial.map(|text| json(id, "partial", text)).transpose()?,
        result: result.map(|text| json(id, "result", text)).transpose()?,
        root_id: row.root_id.as_deref().map(|root| job_id(root, "root_id")).transpose()?,
        parent_id: row.parent_id.as_deref().map(|parent| job_id(parent, "parent_id")).transpose()?,
        summary: Row::from(row).into_summary()?,
        attempts,
    })
}

/// Joins the attempt of the job's own row with those of the table, oldest first.
fn all_attempts(newest: Option<AttemptRecord>, rows: Vec<attempt::Model>) -> Vec<AttemptRecord> {
    let place = |attempt: &AttemptRecord| (attempt.generation, attempt.delivery);
    let mut attempts: Vec<_> = rows.into_iter().filter_map(attempt_from).collect();
    if let Some(newest) = newest {
        // The table has it too where the job had been given up before its worker was heard of.
        attempts.retain(|attempt| place(attempt) != place(&newest));
        attempts.push(newest);
        attempts.sort_by_key(place);
    }
    attempts
}

/// Returns the attempt that stands in the job's own row: the one that runs, or that succeeded.
fn newest_run(row: &job::Model) -> Option<AttemptRecord> {
    let outcome = match JobStatus::from(row.status) {
        JobStatus::Running => None,
        JobStatus::Completed => Some(AttemptOutcome::Succeeded),
        _ => return None,
    };
    let version = JobVersion::from_i64(row.version);
    let delivery: u32 = small(row.run_delivery);
    if delivery == 0 || delivery != version.delivery() {
        return None;
    }
    let finished_at: Option<Timestamp> = row.completed_at.map(Into::into);
    let runtime = duration(row.runtime_micros);
    // Where the start was never heard of, the end and the time it took tell it.
    let reckoned = finished_at.zip(runtime).map(|(finished, took)| finished - took);
    Some(AttemptRecord {
        generation: version.generation(),
        delivery,
        attempt: small(row.attempt),
        worker: row.worker.clone(),
        started_at: row.started_at.map(Into::into).or(reckoned),
        finished_at,
        outcome,
        error: None,
        runtime,
    })
}

/// Reads an attempt; `None` where its message was settled before it ever began.
fn attempt_from(row: attempt::Model) -> Option<AttemptRecord> {
    let never_began = row.started_at.is_none();
    let outcome = match row.outcome {
        Word::Failed | Word::Cancelled | Word::Lost if never_began => return None,
        Word::Lost => AttemptOutcome::Lost,
        Word::Succeeded => AttemptOutcome::Succeeded,
        Word::Retried => AttemptOutcome::Retried,
        Word::Snoozed => AttemptOutcome::Snoozed,
        Word::Released => AttemptOutcome::Released,
        Word::Failed => AttemptOutcome::Failed,
        Word::Cancelled => AttemptOutcome::Cancelled,
    };
    let started_at: Option<Timestamp> = row.started_at.map(Into::into);
    let finished_at: Option<Timestamp> = row.finished_at.map(Into::into);
    let measured = started_at.zip(finished_at).map(|(started, finished)| finished.since(started));
    // An end that was told before the start was noticed measures nothing.
    let measured = measured.filter(|took| !took.is_zero());
    Some(AttemptRecord {
        generation: small(row.generation),
        delivery: small(row.delivery),
        attempt: small(row.attempt),
        worker: row.worker,
        started_at,
        finished_at,
        outcome: Some(outcome),
        error: error_from(row.error_kind, row.error_type, row.error_message, row.traceback),
        runtime: duration(row.runtime_micros).or(measured),
    })
}

fn duration(micros: Option<i64>) -> Option<Duration> {
    micros.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros)
}

fn json(job: &str, column: &'static str, text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|error| StoreError::Corrupt {
        job: job.to_owned(),
        column,
        reason: error.to_string(),
    })
}

/// Reads a job's id back.
pub(super) fn job_id(text: &str, column: &'static str) -> Result<JobId, StoreError> {
    JobId::parse(text).map_err(|error| StoreError::Corrupt {
        job: text.to_owned(),
        column,
        reason: error.to_string(),
    })
}

/// Reads a number that was written from a smaller type.
pub(super) fn small<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}
