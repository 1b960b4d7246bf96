//! Lists of jobs, newest first, page by page.

use std::time::Duration;

use celeriac_protocol::{JobStatus, JobVersion};
use sea_orm::sea_query::extension::postgres::PgExpr as _;
use sea_orm::sea_query::{Asterisk, Condition, Expr, ExprTrait as _, Func, LikeExpr, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DeriveIden, DerivePartialModel, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use super::arguments;
use super::filter::{JobFilter, StatusFilter};
use super::find::{job_id, small};
use crate::StoreError;
use crate::entity::job::{self, COLUMN, Column, Entity, Word};
use crate::micros::Micros;
use crate::query::not_completed;
use crate::record::{JobSummary, error_from};

/// The most jobs that one page holds.
pub const MAX_PAGE: u64 = 1_000;

/// Some jobs, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// Pass as `before` for the next page; `None` on the last.
    pub next: Option<i64>,
}

/// Lists up to `limit` jobs that were first heard of before the cursor, newest first.
///
/// `limit` is moved into 1 to [`MAX_PAGE`].
///
/// # Errors
/// What the database says; [`StoreError::Corrupt`] where a row can't be read.
pub async fn list(
    reader: &impl ConnectionTrait,
    filter: &JobFilter,
    before: Option<i64>,
    limit: u64,
) -> Result<JobPage, StoreError> {
    list_above(reader, filter, before, limit, None).await
}

/// As [`list`], and not below the row `floor` where one is given.
pub(super) async fn list_above(
    reader: &impl ConnectionTrait,
    filter: &JobFilter,
    before: Option<i64>,
    limit: u64,
    floor: Option<i64>,
) -> Result<JobPage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut query = Entity::find().order_by_desc(Column::Seq).limit(limit + 1);
    let wanted = condition(reader.get_database_backend(), filter, before, floor);
    query = match filter.arguments.as_slice() {
        [] => query.filter(wanted),
        arguments => {
            let found = arguments::matching(reader, arguments, wanted, before, limit + 1).await?;
            query.filter(COLUMN.seq.is_in(found))
        }
    };
    let mut rows =
        query.into_partial_model::<Row>().all(reader).await.map_err(StoreError::doing("list jobs"))?;
    let has_more = rows.len() as u64 > limit;
    if has_more {
        rows.pop();
    }
    let next = rows.last().map(|row| row.seq).filter(|_| has_more);
    let jobs = rows.into_iter().map(Row::into_summary).collect::<Result<_, _>>()?;
    Ok(JobPage { jobs, next })
}

/// How many jobs fit, as far as they were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many there are, or the most that were to be counted.
    pub jobs: u64,
    /// Whether there are more than that.
    pub more: bool,
}

/// The rows that a count goes through, which SQL wants to have a name.
#[derive(DeriveIden)]
enum Fitting {
    Rows,
}

/// Counts the jobs that fit, and stops behind `most`, so that it takes a bounded time where nearly all do.
///
/// # Errors
/// What the database says.
pub async fn count(
    reader: &impl ConnectionTrait,
    filter: &JobFilter,
    most: u64,
) -> Result<Counted, StoreError> {
    let wanted = condition(reader.get_database_backend(), filter, None, None);
    let limit = most.saturating_add(1);
    if !filter.arguments.is_empty() {
        let found = arguments::matching(reader, &filter.arguments, wanted, None, limit).await?;
        return Ok(Counted::of(found.len() as u64, most));
    }
    let rows = Entity::find().select_only().column(Column::Seq).filter(wanted).limit(limit).into_query();
    let count =
        Query::select().expr(Func::count(Expr::col(Asterisk))).from_subquery(rows, Fitting::Rows).to_owned();
    let counted = async {
        let row = reader.query_one(&count).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))
    };
    let jobs = counted.await.map_err(StoreError::doing("count jobs that fit"))?;
    Ok(Counted::of(u64::try_from(jobs).unwrap_or(0), most))
}

impl Counted {
    fn of(jobs: u64, most: u64) -> Self {
        Self { jobs: Ord::min(jobs, most), more: jobs > most }
    }
}

fn condition(backend: DbBackend, filter: &JobFilter, before: Option<i64>, floor: Option<i64>) -> Condition {
    let text = |column: Column, wanted: &Option<String>| wanted.as_deref().map(|wanted| column.eq(wanted));
    Condition::all()
        .add_option(before.map(|before| COLUMN.seq.lt(before)))
        .add_option(floor.map(|floor| COLUMN.seq.gte(floor)))
        .add_option(filter.id_prefix.as_deref().map(|prefix| begins_with(backend, prefix)))
        .add_option(filter.status.map(status))
        .add_option(text(Column::Task, &filter.task))
        .add_option(text(Column::JobType, &filter.job_type))
        .add_option(text(Column::Queue, &filter.queue))
        .add_option(text(Column::Worker, &filter.worker))
        .add_option(text(Column::AccountKey, &filter.account_key))
        .add_option(text(Column::Schedule, &filter.schedule))
        .add_option(filter.since.map(|since| COLUMN.created_at.gte(Micros::from(since))))
        .add_option(filter.until.map(|until| COLUMN.created_at.lt(Micros::from(until))))
        .add_option(filter.error_text.as_deref().map(|text| has_error_text(backend, text)))
        .add_option((!filter.any_task.is_empty()).then(|| Column::Task.is_in(&filter.any_task)))
        .add_option(filter.longer_than.map(|than| took().gt(micros(than))))
        .add_option(filter.shorter_than.map(|than| took().lt(micros(than))))
}

/// How long the newest attempt took, in microseconds; nothing where the job has not ended.
fn took() -> Expr {
    Expr::col((Entity, Column::CompletedAt)).sub(Expr::col((Entity, Column::StartedAt)))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Compares the beginning of ids. SQLite orders texts by their bytes, so there the index answers; a server orders
/// them by its language, which is no order of prefixes.
fn begins_with(backend: DbBackend, prefix: &str) -> Condition {
    let range = (backend == DbBackend::Sqlite).then(|| {
        Condition::all().add(COLUMN.id.gte(prefix)).add(COLUMN.id.lt(format!("{prefix}{}", char::MAX)))
    });
    let mut pattern = escaped(prefix);
    pattern.push('%');
    let is_like = Expr::col((Entity, Column::Id)).like(LikeExpr::new(pattern).escape(ESCAPE));
    Condition::all().add(is_like).add_option(range)
}

/// Compares without regard to case, which SQLite does by itself (for the letters of ASCII).
fn has_error_text(backend: DbBackend, text: &str) -> SimpleExpr {
    let message = Expr::col((Entity, Column::ErrorMessage));
    match backend {
        // Its own escape is the same, and SeaORM can't say so here.
        DbBackend::Postgres => message.ilike(LikeExpr::new(containing(text))),
        _ => message.like(LikeExpr::new(containing(text)).escape(ESCAPE)),
    }
}

fn status(filter: StatusFilter) -> Condition {
    match filter {
        // Nearly every row is one, so the index leaves them out.
        StatusFilter::In(JobStatus::Completed) => Condition::all().add(Column::Status.eq(Word::Completed)),
        StatusFilter::In(status) => is_in(&[status]),
        StatusFilter::Open => {
            is_in(&JobStatus::ALL.into_iter().filter(|s| !s.is_final()).collect::<Vec<_>>())
        }
        StatusFilter::Ended => Condition::any()
            .add(Column::Status.eq(Word::Completed))
            .add(is_in(&[JobStatus::Failed, JobStatus::Cancelled])),
        StatusFilter::Dead => is_in(&[JobStatus::Failed]).add(Column::DeadLetteredAt.is_not_null()),
    }
}

/// Asks for statuses other than completed in the way in which the index by status can answer.
pub(super) fn is_in(statuses: &[JobStatus]) -> Condition {
    let words = statuses.iter().map(|status| Word::from(*status));
    Condition::all().add(Column::Status.is_in(words)).add(not_completed())
}

/// What escapes a wildcard in a pattern.
pub(super) const ESCAPE: char = '\\';

pub(super) fn containing(text: &str) -> String {
    format!("%{}%", escaped(text))
}

/// Writes a text as it stands in a pattern.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern
}

/// What of a row a list reads: all but what can be very long.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "job::Entity")]
pub(super) struct Row {
    seq: i64,
    id: String,
    job_type: String,
    task: String,
    queue: String,
    status: Word,
    version: i64,
    priority: Option<i16>,
    account_key: Option<String>,
    schedule: Option<String>,
    schedule_due_at: Option<Micros>,
    created_at: Micros,
    scheduled_for: Option<Micros>,
    expires_at: Option<Micros>,
    started_at: Option<Micros>,
    completed_at: Option<Micros>,
    updated_at: Micros,
    worker: Option<String>,
    attempt: i64,
    max_retries: Option<i64>,
    progress: i16,
    progress_message: Option<String>,
    error_kind: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
    #[sea_orm(skip)]
    traceback: Option<String>,
    cancel_reason: Option<String>,
    dead_lettered_at: Option<Micros>,
    dead_reason: Option<String>,
}

impl Row {
    pub(super) fn into_summary(self) -> Result<JobSummary, StoreError> {
        Ok(JobSummary {
            seq: self.seq,
            id: job_id(&self.id, "id")?,
            job_type: self.job_type,
            task: self.task,
            queue: self.queue,
            status: self.status.into(),
            priority: self.priority.map(|priority| small(priority.into())),
            account_key: self.account_key,
            schedule: self.schedule,
            schedule_due_at: self.schedule_due_at.map(Into::into),
            created_at: self.created_at.into(),
            scheduled_for: self.scheduled_for.map(Into::into),
            expires_at: self.expires_at.map(Into::into),
            started_at: self.started_at.map(Into::into),
            completed_at: self.completed_at.map(Into::into),
            updated_at: self.updated_at.into(),
            worker: self.worker,
            attempt: small(self.attempt),
            max_retries: self.max_retries.map(small),
            generation: JobVersion::from_i64(self.version).generation(),
            delivery: JobVersion::from_i64(self.version).delivery(),
            progress: small(self.progress.into()),
            progress_message: self.progress_message,
            error: error_from(self.error_kind, self.error_type, self.error_message, self.traceback),
            cancel_reason: self.cancel_reason,
            dead_lettered_at: self.dead_lettered_at.map(Into::into),
            dead_reason: self.dead_reason,
        })
    }
}

impl From<job::Model> for Row {
    fn from(row: job::Model) -> Self {
        Self {
            seq: row.seq,
            id: row.id,
            job_type: row.job_type,
            task: row.task,
            queue: row.queue,
            status: row.status,
            version: row.version,
            priority: row.priority,
            account_key: row.account_key,
            schedule: row.schedule,
            schedule_due_at: row.schedule_due_at,
            created_at: row.created_at,
            scheduled_for: row.scheduled_for,
            expires_at: row.expires_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            updated_at: row.updated_at,
            worker: row.worker,
            attempt: row.attempt,
            max_retries: row.max_retries,
            progress: row.progress,
            progress_message: row.progress_message,
            error_kind: row.error_kind,
            error_type: row.error_type,
            error_message: row.error_message,
            traceback: row.traceback,
            cancel_reason: row.cancel_reason,
            dead_lettered_at: row.dead_lettered_at,
            dead_reason: row.dead_reason,
        }
    }
}
