//! Lists of entries and of what came of their due times.

use std::collections::HashMap;

use celeriac_protocol::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::rows::{firing_from, record_from, state_from};
use super::{Firing, FiringOutcome, Origin, ScheduleRecord, ScheduleState, Unreadable};
use crate::StoreError;
use crate::entity::{firing, schedule, schedule_state};
use crate::micros::Micros;

/// The most entries, or firings, that one page holds.
const MAX_PAGE: u64 = 1_000;

/// Which entries a list shows; the default shows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// Only those that fire, or only those that do not.
    pub enabled: Option<bool>,
    /// Only this task's, by its whole name.
    pub task: Option<String>,
    /// Only this queue's.
    pub queue: Option<String>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only those that came from there.
    pub origin: Option<Origin>,
    /// Only those whose last due time came to nothing.
    pub failing: bool,
    /// Only those whose name has this text in it, in upper or lower case.
    pub name_text: Option<String>,
}

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleSummary {
    /// The entry, where it can be read.
    pub record: Result<ScheduleRecord, Unreadable>,
    /// Where it stands.
    pub state: ScheduleState,
}

impl ScheduleSummary {
    /// Returns the entry's name.
    pub fn name(&self) -> &str {
        match &self.record {
            Ok(record) => &record.entry.name,
            Err(unreadable) => &unreadable.name,
        }
    }
}

/// Some entries, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulePage {
    /// The entries, by name.
    pub schedules: Vec<ScheduleSummary>,
    /// Pass as `after` for the next page; `None` on the last.
    pub next: Option<String>,
}

/// Some firings, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FiringPage {
    /// The firings, last due first.
    pub firings: Vec<Firing>,
    /// Pass as `before` for the next page; `None` on the last.
    pub next: Option<Timestamp>,
}

/// Lists up to `limit` entries by name, behind the cursor. `limit` is moved into 1 to 1000.
///
/// # Errors
/// What the database says.
pub async fn list(
    reader: &impl ConnectionTrait,
    filter: &ScheduleFilter,
    after: Option<&str>,
    limit: u64,
) -> Result<SchedulePage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let listed = async {
        let mut rows = page(filter, after, limit + 1).all(reader).await?;
        let has_more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = rows.last().map(|row| row.name.clone()).filter(|_| has_more);
        Ok(SchedulePage { schedules: with_states(reader, rows).await?, next })
    };
    listed.await.map_err(StoreError::doing("list schedules"))
}

pub(super) fn page(filter: &ScheduleFilter, after: Option<&str>, limit: u64) -> Select<schedule::Entity> {
    schedule::Entity::find()
        .filter(condition(filter, after))
        .order_by_asc(schedule::Column::Name)
        .limit(limit)
}

fn condition(filter: &ScheduleFilter, after: Option<&str>) -> Condition {
    use schedule::Column as C;
    let text = |column: C, wanted: &Option<String>| wanted.as_deref().map(|wanted| column.eq(wanted));
    let failing = schedule_state::Entity::find()
        .select_only()
        .column(schedule_state::Column::ScheduleId)
        .filter(schedule_state::Column::LastError.is_not_null());
    let failing = filter.failing.then(|| C::Id.in_subquery(sea_orm::QueryTrait::into_query(failing)));
    Condition::all()
        .add_option(after.map(|after| C::Name.gt(after)))
        .add_option(filter.enabled.map(|enabled| C::Enabled.eq(enabled)))
        .add_option(text(C::Task, &filter.task))
        .add_option(text(C::Queue, &filter.queue))
        .add_option(text(C::Owner, &filter.owner))
        .add_option(filter.origin.map(|origin| C::Origin.eq(origin.as_str())))
        .add_option(failing)
        .add_option(filter.name_text.as_deref().map(has_name_text))
}

/// Compares in lower case, which SQLite knows of the letters of ASCII.
fn has_name_text(text: &str) -> Expr {
    let name = Expr::expr(Func::lower(Expr::col((schedule::Entity, schedule::Column::Name))));
    let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    name.like(LikeExpr::new(format!("%{escaped}%")).escape('\\'))
}

async fn with_states(
    reader: &impl ConnectionTrait,
    rows: Vec<schedule::Model>,
) -> Result<Vec<ScheduleSummary>, DbErr> {
    let ids = rows.iter().map(|row| row.id);
    let found = schedule_state::Entity::find()
        .filter(schedule_state::Column::ScheduleId.is_in(ids))
        .all(reader)
        .await?;
    let mut states: HashMap<i64, ScheduleState> =
        found.into_iter().map(|row| (row.schedule_id, state_from(row))).collect();
    let summaries = rows.into_iter().map(|row| {
        let state = states.remove(&row.id).unwrap_or_default();
        ScheduleSummary { record: record_from(row), state }
    });
    Ok(summaries.collect())
}

/// Finds an entry by its name.
///
/// # Errors
/// What the database says.
pub async fn find(reader: &impl ConnectionTrait, name: &str) -> Result<Option<ScheduleSummary>, StoreError> {
    let found = async {
        let row = schedule::Entity::find().filter(schedule::Column::Name.eq(name)).one(reader).await?;
        let found = with_states(reader, row.into_iter().collect()).await?;
        Ok(found.into_iter().next())
    };
    found.await.map_err(StoreError::doing("find schedule"))
}

/// Returns all entries that the code or the configuration has declared, by name.
///
/// # Errors
/// What the database says.
pub async fn declared(
    reader: &impl ConnectionTrait,
) -> Result<Vec<Result<ScheduleRecord, Unreadable>>, StoreError> {
    let rows = schedule::Entity::find()
        .filter(schedule::Column::Origin.eq(Origin::Declared.as_str()))
        .order_by_asc(schedule::Column::Name)
        .all(reader)
        .await
        .map_err(StoreError::doing("read declared schedules"))?;
    Ok(rows.into_iter().map(record_from).collect())
}

/// Lists up to `limit` firings of an entry that were due before the cursor, last due first, of one outcome where one
/// is named. `limit` is moved into 1 to 1000.
///
/// # Errors
/// What the database says.
pub async fn firings(
    reader: &impl ConnectionTrait,
    id: i64,
    outcome: Option<FiringOutcome>,
    before: Option<Timestamp>,
    limit: u64,
) -> Result<FiringPage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let rows = firings_of(id, outcome, before, limit + 1).all(reader).await;
    let mut rows = rows.map_err(StoreError::doing("list firings"))?;
    let has_more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().map(|row| row.due_at.into()).filter(|_| has_more);
    Ok(FiringPage { firings: rows.into_iter().map(firing_from).collect(), next })
}

pub(super) fn firings_of(
    id: i64,
    outcome: Option<FiringOutcome>,
    before: Option<Timestamp>,
    limit: u64,
) -> Select<firing::Entity> {
    use firing::Column as C;
    let wanted = Condition::all()
        .add(C::ScheduleId.eq(id))
        .add_option(outcome.map(|outcome| C::Outcome.eq(outcome.as_str())))
        .add_option(before.map(|before| C::DueAt.lt(Micros::from(before))));
    firing::Entity::find().filter(wanted).order_by_desc(C::DueAt).limit(limit)
}
