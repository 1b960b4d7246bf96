//! Jobs whose dead letters were dropped.

use celeriac_db::DbTx;
use celeriac_protocol::JobId;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DerivePartialModel, EntityTrait, QueryFilter};

use crate::StoreError;
use crate::entity::job::{ActiveModel, COLUMN, Column, Entity, Word};
use crate::recording::{CountChanges, Standing, add_counts};

/// The most jobs that one statement changes.
const ROWS_PER_STATEMENT: usize = 256;

/// Notes that the dead letters of these jobs were dropped, and returns how many were among the dead.
///
/// The jobs stay failed, but there is nothing left to be looked at or revived.
///
/// # Errors
/// What the database says.
pub async fn letters_dropped(tx: &DbTx, ids: &[JobId]) -> Result<u64, StoreError> {
    let mut changed = 0;
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let rows = Entity::find()
            .filter(Column::Id.is_in(ids.iter().map(JobId::as_str)))
            .filter(Column::DeadLetteredAt.is_not_null())
            .into_partial_model::<Row>()
            .all(tx)
            .await
            .map_err(StoreError::doing("read dead jobs"))?;
        changed += leave_the_dead(tx, rows).await?;
    }
    Ok(changed)
}

/// What of a row is needed to count it elsewhere.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "Entity")]
struct Row {
    seq: i64,
    task: String,
    status: Word,
}

async fn leave_the_dead(tx: &DbTx, rows: Vec<Row>) -> Result<u64, StoreError> {
    let mut changes = CountChanges::default();
    for row in &rows {
        changes.moved(Some((&row.task, Standing::Dead)), Some((&row.task, Standing::In(row.status))));
    }
    let forgotten = ActiveModel { dead_lettered_at: Set(None), dead_reason: Set(None), ..Default::default() };
    let changed = Entity::update_many()
        .set(forgotten)
        .filter(COLUMN.seq.is_in(rows.iter().map(|row| row.seq)))
        .exec(tx)
        .await
        .map_err(StoreError::doing("forget dead letters"))?;
    add_counts(tx, &changes).await?;
    Ok(changed.rows_affected)
}
