//! What people's changes ask and write.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::ActiveValue::{NotSet, Unchanged};
use sea_orm::sea_query::{LockType, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::fire::LockedEntry;
use super::rows::{entry_row, firing_from, record_from, state_from};
use super::{Firing, ScheduleRecord, ScheduleState, save_states};
use crate::StoreError;
use crate::entity::{firing, schedule, schedule_state};
use crate::micros::Micros;

/// Adds an entry and its state, and returns its number, which the record need not know; `None` where there is one of
/// this name.
///
/// # Errors
/// What the database says.
pub async fn add(
    tx: &DbTx,
    record: &ScheduleRecord,
    state: &ScheduleState,
) -> Result<Option<i64>, StoreError> {
    let nothing = OnConflict::column(schedule::Column::Name).do_nothing().to_owned();
    let row = entry_row(record, NotSet);
    let mut statement = schedule::Entity::insert(row).on_conflict(nothing).into_query();
    statement.returning(Query::returning().columns([schedule::Column::Id]));
    let added = async {
        let row = tx.query_one(&statement).await?;
        row.map(|row| row.try_get_by_index::<i64>(0)).transpose()
    };
    let id = added.await.map_err(StoreError::doing("add schedule"))?;
    if let Some(id) = id {
        save_state(tx, id, state).await?;
    }
    Ok(id)
}

/// Finds an entry by its name and locks its state until the transaction ends, once whoever has it has let go of it.
///
/// # Errors
/// What the database says.
pub async fn lock(tx: &DbTx, name: &str) -> Result<Option<LockedEntry>, StoreError> {
    let locked = async {
        let id: Option<i64> = schedule::Entity::find()
            .select_only()
            .column(schedule::Column::Id)
            .filter(schedule::Column::Name.eq(name))
            .into_tuple()
            .one(tx)
            .await?;
        let Some(id) = id else { return Ok(None) };
        lock_by_id(tx, id).await
    };
    let found = locked.await.map_err(StoreError::doing("lock schedule"))?;
    // Somebody may have given it another name while its lock was waited for.
    Ok(found.filter(|found| found.name() == name))
}

async fn lock_by_id(tx: &DbTx, id: i64) -> Result<Option<LockedEntry>, DbErr> {
    let state = schedule_state::Entity::find_by_id(id).lock(LockType::Update).one(tx).await?;
    let row = schedule::Entity::find_by_id(id).one(tx).await?;
    Ok(state.zip(row).map(|(state, row)| LockedEntry {
        id,
        state: state_from(state),
        record: record_from(row),
    }))
}

/// Writes an entry's row anew. `false`: it was to get a name that another one has, and nothing was changed.
///
/// The caller holds its [`lock`].
///
/// # Errors
/// What the database says.
pub async fn change(tx: &DbTx, record: &ScheduleRecord) -> Result<bool, StoreError> {
    let changed = async {
        let same_name = schedule::Entity::find()
            .select_only()
            .column(schedule::Column::Id)
            .filter(schedule::Column::Name.eq(record.entry.name.as_str()))
            .filter(schedule::Column::Id.ne(record.id))
            .into_tuple::<i64>()
            .one(tx)
            .await?;
        if same_name.is_some() {
            return Ok(false);
        }
        let row = entry_row(record, Unchanged(record.id));
        schedule::Entity::update_many().set(row).filter(schedule::Column::Id.eq(record.id)).exec(tx).await?;
        Ok(true)
    };
    changed.await.map_err(StoreError::doing("change schedule"))
}

/// Removes an entry, its state and its firings; its jobs stay. The caller holds its [`lock`].
///
/// # Errors
/// What the database says.
pub async fn remove(tx: &DbTx, id: i64) -> Result<(), StoreError> {
    let removed = schedule::Entity::delete_by_id(id).exec(tx).await;
    removed.map(drop).map_err(StoreError::doing("remove schedule"))
}

/// Writes where one entry stands.
///
/// # Errors
/// What the database says.
pub async fn save_state(tx: &DbTx, id: i64, state: &ScheduleState) -> Result<(), StoreError> {
    save_states(tx, &[(id, state.clone())]).await
}

/// Returns what came of an entry's due times from one instant up to and with another, oldest first.
///
/// # Errors
/// What the database says.
pub async fn firings_between(
    reader: &impl ConnectionTrait,
    id: i64,
    from: Timestamp,
    to: Timestamp,
    limit: u64,
) -> Result<Vec<Firing>, StoreError> {
    let rows = firing::Entity::find()
        .filter(firing::Column::ScheduleId.eq(id))
        .filter(firing::Column::DueAt.between(Micros::from(from), Micros::from(to)))
        .order_by_asc(firing::Column::DueAt)
        .limit(limit)
        .all(reader)
        .await
        .map_err(StoreError::doing("read firings"))?;
    Ok(rows.into_iter().map(firing_from).collect())
}
