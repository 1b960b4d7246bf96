//! What the beat asks and writes: what is due, which jobs are under way, what came of each due time.

use std::collections::{HashMap, HashSet};

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::{Expr, Func, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, DeriveIden, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
};

use super::rows::{
    cancels_from, disabled_text, disabled_word, firing_row, record_from, state_from, state_row,
};
use super::{Firing, FiringOutcome, ScheduleRecord, ScheduleState, Unreadable};
use crate::StoreError;
use crate::entity::{firing, job, schedule, schedule_state};
use crate::micros::Micros;
use crate::query::is_open;
use crate::recording::{in_known_sizes, most_rows};

/// An entry and where it stands; its state is locked until the transaction ends.
#[derive(Clone, Debug)]
pub struct LockedEntry {
    /// The entry's number.
    pub id: i64,
    /// Where it stands.
    pub state: ScheduleState,
    /// The entry, where it can be read.
    pub record: Result<ScheduleRecord, Unreadable>,
}

impl LockedEntry {
    /// Returns the entry's name.
    pub fn name(&self) -> &str {
        match &self.record {
            Ok(record) => &record.entry.name,
            Err(unreadable) => &unreadable.name,
        }
    }
}

/// A job of an entry that has not ended, as its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenJob {
    /// When it was due.
    pub due_at: Timestamp,
    /// The job.
    pub job_id: String,
    /// Whether it has ended, or nothing is recorded of it, since it was last looked at.
    pub ended: bool,
}

/// Jobs that are to be cancelled because of a firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancels {
    /// The entry.
    pub schedule_id: i64,
    /// The due time that they make room for.
    pub due_at: Timestamp,
    /// The jobs.
    pub job_ids: Vec<String>,
}

/// What a server is asked.
#[derive(DeriveIden)]
enum Ask {
    DatePart,
}

/// Asks a server for its own time; a file has none of its own.
///
/// # Errors
/// What the database says.
pub async fn server_time(reader: &impl ConnectionTrait) -> Result<Option<Timestamp>, StoreError> {
    if reader.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let now = Func::cust(Ask::DatePart).arg("epoch").arg(Expr::current_timestamp());
    let asked = async {
        let row = reader.query_one(Query::select().expr(now)).await?;
        row.map(|row| row.try_get_by_index::<f64>(0)).transpose()
    };
    let seconds = asked.await.map_err(StoreError::doing("ask the server for its time"))?;
    // A double holds today's seconds to the microsecond.
    Ok(seconds.map(|seconds| Timestamp::from_micros((seconds * 1e6).round() as i64)))
}

/// Has the beat look at once at entries whose last due time lies behind `horizon`, as a clock has written that was far
/// ahead, and returns how many there are. It reads every entry's state, so it is for when a clock was set back.
///
/// # Errors
/// What the database says.
pub async fn wake_from_future(tx: &DbTx, now: Timestamp, horizon: Timestamp) -> Result<u64, StoreError> {
    use schedule_state::Column as C;
    let change = schedule_state::Entity::update_many()
        .col_expr(C::WakeAt, Expr::value(Micros::from(now)))
        .filter(C::LastDueAt.gt(Micros::from(horizon)))
        .filter(C::WakeAt.gt(Micros::from(now)));
    let changed = change.exec(tx).await.map_err(StoreError::doing("wake schedules of a wrong time"))?;
    Ok(changed.rows_affected)
}

/// Returns when the beat has something to do next; it may be long past. Cheap, whatever the number of entries.
///
/// # Errors
/// What the database says.
pub async fn next_wake(reader: &impl ConnectionTrait) -> Result<Option<Timestamp>, StoreError> {
    let first = first_wake().into_tuple().one(reader).await;
    let first: Option<Option<Micros>> = first.map_err(StoreError::doing("look for due schedules"))?;
    Ok(first.flatten().map(Timestamp::from))
}

pub(super) fn first_wake() -> Select<schedule_state::Entity> {
    schedule_state::Entity::find()
        .select_only()
        .column(schedule_state::Column::WakeAt)
        .filter(schedule_state::Column::WakeAt.is_not_null())
        .order_by_asc(schedule_state::Column::WakeAt)
        .limit(1)
}

/// Takes up to `limit` entries that are to be looked at by now, longest due first, and locks their states until the
/// transaction ends. Those that another transaction has in its hands are passed over where the database can
/// (`SKIP LOCKED`).
///
/// # Errors
/// What the database says.
pub async fn take_due(tx: &DbTx, now: Timestamp, limit: u64) -> Result<Vec<LockedEntry>, StoreError> {
    take(tx, now, limit).await.map_err(StoreError::doing("take due schedules"))
}

async fn take(tx: &DbTx, now: Timestamp, limit: u64) -> Result<Vec<LockedEntry>, DbErr> {
    let states = due(now, limit).all(tx).await?;
    // Read after the lock was had, so that an edit that held it before is seen.
    let ids: Vec<i64> = states.iter().map(|state| state.schedule_id).collect();
    let mut rows = HashMap::with_capacity(ids.len());
    for ids in in_known_sizes(&ids, most_rows(tx)) {
        let found =
            schedule::Entity::find().filter(schedule::Column::Id.is_in(ids.iter().copied())).all(tx).await?;
        rows.extend(found.into_iter().map(|row| (row.id, row)));
    }
    let due = states.into_iter().filter_map(|state| {
        // The foreign key says that there is one.
        let record = record_from(rows.remove(&state.schedule_id)?);
        Some(LockedEntry { id: state.schedule_id, state: state_from(state), record })
    });
    Ok(due.collect())
}

pub(super) fn due(now: Timestamp, limit: u64) -> Select<schedule_state::Entity> {
    schedule_state::Entity::find()
        .filter(schedule_state::Column::WakeAt.lte(Micros::from(now)))
        .order_by_asc(schedule_state::Column::WakeAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
}

/// Returns the jobs of some entries that were under way when they were last looked at, oldest due first.
///
/// # Errors
/// What the database says.
pub async fn open_jobs(tx: &DbTx, ids: &[i64]) -> Result<HashMap<i64, Vec<OpenJob>>, StoreError> {
    let mut open: HashMap<i64, Vec<OpenJob>> = HashMap::new();
    for ids in in_known_sizes(ids, most_rows(tx)) {
        let found = open_of(tx, ids).await.map_err(StoreError::doing("look for jobs under way"))?;
        for (schedule_id, due_at, job_id, status) in found {
            let ended = status.is_none_or(|status| celeriac_protocol::JobStatus::from(status).is_final());
            let job = OpenJob { due_at: due_at.into(), job_id, ended };
            open.entry(schedule_id).or_default().push(job);
        }
    }
    Ok(open)
}

type OpenRow = (i64, Micros, String, Option<job::Word>);

async fn open_of(tx: &DbTx, ids: &[i64]) -> Result<Vec<OpenRow>, DbErr> {
    let rows: Vec<(i64, Micros, String)> = firing::Entity::find()
        .select_only()
        .columns([firing::Column::ScheduleId, firing::Column::DueAt, firing::Column::JobId])
        .filter(firing::Column::ScheduleId.is_in(ids.iter().copied()))
        .filter(firing::Column::JobId.is_not_null())
        .filter(is_open())
        .order_by_asc(firing::Column::ScheduleId)
        .order_by_asc(firing::Column::DueAt)
        .into_tuple()
        .all(tx)
        .await?;
    let mut statuses = HashMap::with_capacity(rows.len());
    let jobs: Vec<&str> = rows.iter().map(|(_, _, job_id)| job_id.as_str()).collect();
    for jobs in in_known_sizes(&jobs, most_rows(tx)) {
        let found: Vec<(String, job::Word)> = job::Entity::find()
            .select_only()
            .columns([job::Column::Id, job::Column::Status])
            .filter(job::Column::Id.is_in(jobs.iter().copied()))
            .into_tuple()
            .all(tx)
            .await?;
        statuses.extend(found);
    }
    let with_status = |(id, due_at, job_id): (i64, Micros, String)| {
        let status = statuses.get(&job_id).copied();
        (id, due_at, job_id, status)
    };
    Ok(rows.into_iter().map(with_status).collect())
}

/// Writes down what came of due times, each once: a due time that has a row keeps it. Returns which were new; only
/// their jobs may be enqueued.
///
/// # Errors
/// What the database says.
pub async fn add_firings(
    tx: &DbTx,
    firings: &[(i64, Firing)],
) -> Result<HashSet<(i64, Timestamp)>, StoreError> {
    use firing::Column as C;
    let mut new = HashSet::with_capacity(firings.len());
    for some in in_known_sizes(firings, most_rows(tx)) {
        let rows = some.iter().map(|(id, firing)| firing_row(*id, firing));
        let nothing = OnConflict::columns([C::ScheduleId, C::DueAt]).do_nothing().to_owned();
        let mut statement = firing::Entity::insert_many(rows).on_conflict(nothing).into_query();
        statement.returning(Query::returning().columns([C::ScheduleId, C::DueAt]));
        let added = async {
            let returned = tx.query_all(&statement).await?;
            returned
                .iter()
                .map(QueryResult::try_get_many_by_index::<(i64, i64)>)
                .collect::<Result<Vec<_>, _>>()
        };
        let added = added.await.map_err(StoreError::doing("write down firings"))?;
        new.extend(added.into_iter().map(|(id, due_at)| (id, Timestamp::from_micros(due_at))));
    }
    Ok(new)
}

/// Writes down that no jobs could be made of due times that [`add_firings`] wrote down.
///
/// # Errors
/// What the database says.
pub async fn fail_firings(tx: &DbTx, failed: &[(i64, Timestamp, String)]) -> Result<(), StoreError> {
    for (id, due_at, reason) in failed {
        let change = firing::Entity::update_many()
            .col_expr(firing::Column::Outcome, Expr::value(FiringOutcome::Failed.as_str()))
            .col_expr(firing::Column::Reason, Expr::value(crate::limits::kept_text(reason)))
            .col_expr(firing::Column::JobId, Expr::value(None::<String>))
            .col_expr(firing::Column::Cancels, Expr::value(None::<String>))
            .col_expr(firing::Column::Open, Expr::value(false))
            .filter(firing::Column::ScheduleId.eq(*id))
            .filter(firing::Column::DueAt.eq(Micros::from(*due_at)));
        change.exec(tx).await.map_err(StoreError::doing("write down firings that failed"))?;
    }
    Ok(())
}

/// Writes firings in place of those that their due times have.
///
/// # Errors
/// What the database says.
pub async fn replace_firings(tx: &DbTx, id: i64, firings: &[Firing]) -> Result<(), StoreError> {
    use firing::Column as C;
    for some in in_known_sizes(firings, most_rows(tx)) {
        let rows = some.iter().map(|firing| firing_row(id, firing));
        let replace = OnConflict::columns([C::ScheduleId, C::DueAt])
            .update_columns([C::HandledAt, C::Outcome, C::JobId, C::Open, C::Cancels, C::Reason])
            .to_owned();
        let written = firing::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(tx).await;
        written.map_err(StoreError::doing("write down firings"))?;
    }
    Ok(())
}

/// Writes where entries stand.
///
/// # Errors
/// What the database says.
pub async fn save_states(tx: &DbTx, states: &[(i64, ScheduleState)]) -> Result<(), StoreError> {
    use schedule_state::Column as C;
    for some in in_known_sizes(states, most_rows(tx)) {
        let rows = some.iter().map(|(id, state)| state_row(*id, state));
        let replace = OnConflict::column(C::ScheduleId)
            .update_columns([
                C::WakeAt,
                C::NextDueAt,
                C::LastDueAt,
                C::WaitingDueAt,
                C::LastRunAt,
                C::TotalRunCount,
                C::LastError,
            ])
            .to_owned();
        let saved = schedule_state::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(tx);
        saved.await.map_err(StoreError::doing("save the states of schedules"))?;
    }
    Ok(())
}

/// Switches entries off that have come to their end, each with the reason.
///
/// # Errors
/// What the database says.
pub async fn disable(tx: &DbTx, records: &[ScheduleRecord]) -> Result<(), StoreError> {
    for record in records {
        let change = schedule::Entity::update_many()
            .col_expr(schedule::Column::Enabled, Expr::value(false))
            .col_expr(schedule::Column::DisabledReason, Expr::value(disabled_text(record)))
            .col_expr(schedule::Column::DisabledWord, Expr::value(disabled_word(record)))
            .col_expr(schedule::Column::Revision, Expr::value(record.revision))
            .filter(schedule::Column::Id.eq(record.id));
        change.exec(tx).await.map_err(StoreError::doing("switch off schedules"))?;
    }
    Ok(())
}

/// Leaves firings out of the count of jobs under way, since their jobs have ended.
///
/// # Errors
/// What the database says.
pub async fn close_firings(tx: &DbTx, ended: &[(i64, Timestamp)]) -> Result<(), StoreError> {
    for some in in_known_sizes(ended, most_rows(tx)) {
        let any = some.iter().fold(Condition::any(), |any, (id, due_at)| any.add(is_at(*id, *due_at)));
        let change =
            firing::Entity::update_many().col_expr(firing::Column::Open, Expr::value(false)).filter(any);
        change.exec(tx).await.map_err(StoreError::doing("close firings"))?;
    }
    Ok(())
}

fn is_at(id: i64, due_at: Timestamp) -> Condition {
    Condition::all()
        .add(firing::Column::ScheduleId.eq(id))
        .add(firing::Column::DueAt.eq(Micros::from(due_at)))
}

/// Returns firings whose older jobs are yet to be cancelled.
///
/// # Errors
/// What the database says.
pub async fn pending_cancels(reader: &impl ConnectionTrait, limit: u64) -> Result<Vec<Cancels>, StoreError> {
    let rows: Vec<(i64, Micros, Option<String>)> = firing::Entity::find()
        .select_only()
        .columns([firing::Column::ScheduleId, firing::Column::DueAt, firing::Column::Cancels])
        .filter(firing::Column::Cancels.is_not_null())
        .limit(limit)
        .into_tuple()
        .all(reader)
        .await
        .map_err(StoreError::doing("look for jobs to be cancelled"))?;
    let cancels = rows.into_iter().map(|(schedule_id, due_at, text)| {
        let job_ids = cancels_from(text.as_deref());
        Cancels { schedule_id, due_at: due_at.into(), job_ids }
    });
    Ok(cancels.collect())
}

/// Writes down that those jobs have been cancelled.
///
/// # Errors
/// What the database says.
pub async fn forget_cancels(tx: &DbTx, done: &[(i64, Timestamp)]) -> Result<(), StoreError> {
    for some in in_known_sizes(done, most_rows(tx)) {
        let any = some.iter().fold(Condition::any(), |any, (id, due_at)| any.add(is_at(*id, *due_at)));
        let change = firing::Entity::update_many()
            .col_expr(firing::Column::Cancels, Expr::value(None::<String>))
            .filter(any);
        change.exec(tx).await.map_err(StoreError::doing("forget cancelled jobs"))?;
    }
    Ok(())
}
