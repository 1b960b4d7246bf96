//! Removing firings whose time is over.

use std::collections::BTreeMap;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::StoreError;
use crate::entity::firing::{Column, Entity};
use crate::micros::Micros;

/// Where a walk over the firings has come: when one was dealt with, whose it was, when it was due.
pub type FiringCursor = (Timestamp, i64, Timestamp);

/// What one step of the walk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunedFiringsStep {
    /// How many were removed.
    pub removed: u64,
    /// Pass as `after` for the next step; `None` where nothing further is old.
    pub next: Option<FiringCursor>,
}

/// Looks at up to `window` firings that were dealt with before an instant, oldest first, behind the cursor, and removes
/// those that are not among the last `keep` of their entry and have nothing left to be done.
///
/// # Errors
/// What the database says.
pub async fn prune_firings(
    tx: &DbTx,
    before: Timestamp,
    after: Option<FiringCursor>,
    window: u64,
    keep: u64,
) -> Result<PrunedFiringsStep, StoreError> {
    prune(tx, before, after, window, keep).await.map_err(StoreError::doing("remove old firings"))
}

async fn prune(
    tx: &DbTx,
    before: Timestamp,
    after: Option<FiringCursor>,
    window: u64,
    keep: u64,
) -> Result<PrunedFiringsStep, DbErr> {
    let rows: Vec<(Micros, i64, Micros)> = old(before, after, window).into_tuple().all(tx).await?;
    let next = rows.last().map(|(at, id, due)| ((*at).into(), *id, (*due).into()));
    let next = next.filter(|_| rows.len() as u64 == window);
    let mut of_entries: BTreeMap<i64, Vec<Micros>> = BTreeMap::new();
    for (_, id, due_at) in rows {
        of_entries.entry(id).or_default().push(due_at);
    }
    let mut removed = 0;
    for (id, due_ats) in of_entries {
        removed += prune_entry(tx, id, due_ats, keep).await?;
    }
    Ok(PrunedFiringsStep { removed, next })
}

pub(super) fn old(before: Timestamp, after: Option<FiringCursor>, window: u64) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::HandledAt, Column::ScheduleId, Column::DueAt])
        .filter(Column::HandledAt.lt(Micros::from(before)))
        .filter(Condition::all().add_option(after.map(behind)))
        .order_by_asc(Column::HandledAt)
        .order_by_asc(Column::ScheduleId)
        .order_by_asc(Column::DueAt)
        .limit(window)
}

fn behind((handled_at, id, due_at): FiringCursor) -> Expr {
    let row = Expr::tuple([Column::HandledAt, Column::ScheduleId, Column::DueAt].map(Expr::col));
    let cursor = [handled_at.as_micros(), id, due_at.as_micros()].map(Expr::value);
    row.gt(Expr::tuple(cursor))
}

async fn prune_entry(tx: &DbTx, id: i64, due_ats: Vec<Micros>, keep: u64) -> Result<u64, DbErr> {
    let oldest_kept: Option<Micros> = Entity::find()
        .select_only()
        .column(Column::DueAt)
        .filter(Column::ScheduleId.eq(id))
        .order_by_desc(Column::DueAt)
        .offset(keep.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    let Some(oldest_kept) = oldest_kept else { return Ok(0) };
    let removed = Entity::delete_many()
        .filter(Column::ScheduleId.eq(id))
        .filter(Column::DueAt.is_in(due_ats))
        .filter(Column::DueAt.lt(oldest_kept))
        .filter(Column::Open.eq(false))
        .filter(Column::Cancels.is_null())
        .exec(tx)
        .await?;
    Ok(removed.rows_affected)
}
