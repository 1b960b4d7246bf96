//! Many entries at once, for whoever brings a whole schedule along.

use std::collections::HashMap;

use celeriac_db::DbTx;
use sea_orm::ActiveValue::NotSet;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::rows::{entry_row, state_row};
use super::{ScheduleRecord, ScheduleState};
use crate::StoreError;
use crate::entity::{schedule, schedule_state};

/// How many entries one statement adds: SQLite takes 32,766 values, and each has nearly forty.
const ROWS: usize = 500;

/// Adds entries and their states, and returns their numbers in the given order; the records need not know them. The
/// names must be new: one that is not refuses all of them.
///
/// # Errors
/// What the database says.
pub async fn add_many(
    tx: &DbTx,
    entries: &[(ScheduleRecord, ScheduleState)],
) -> Result<Vec<i64>, StoreError> {
    let mut ids = Vec::with_capacity(entries.len());
    for some in entries.chunks(ROWS) {
        ids.extend(add_some(tx, some).await.map_err(StoreError::doing("add schedules"))?);
    }
    Ok(ids)
}

async fn add_some(tx: &DbTx, entries: &[(ScheduleRecord, ScheduleState)]) -> Result<Vec<i64>, DbErr> {
    let rows = entries.iter().map(|(record, _)| entry_row(record, NotSet));
    schedule::Entity::insert_many(rows).exec_without_returning(tx).await?;
    // No database says in which order it returns what it has given to several rows.
    let names = entries.iter().map(|(record, _)| record.entry.name.as_str());
    let numbered: Vec<(String, i64)> = schedule::Entity::find()
        .select_only()
        .columns([schedule::Column::Name, schedule::Column::Id])
        .filter(schedule::Column::Name.is_in(names))
        .into_tuple()
        .all(tx)
        .await?;
    let by_name: HashMap<String, i64> = numbered.into_iter().collect();
    let of = |record: &ScheduleRecord| by_name.get(&record.entry.name).copied();
    let ids: Option<Vec<i64>> = entries.iter().map(|(record, _)| of(record)).collect();
    let ids = ids.ok_or_else(|| DbErr::RecordNotInserted)?;
    let states = ids.iter().zip(entries).map(|(id, (_, state))| state_row(*id, state));
    schedule_state::Entity::insert_many(states).exec_without_returning(tx).await?;
    Ok(ids)
}
