//! The queue of hosts: when a claim finds rows of which host. The tables themselves hold the rows.
//!
//! `hosts.<table>_ready_at` is a lower bound: the instant from which a claim may find a row of that table
//! at that host. It is the host's next turn or its first row's due time, whichever is later, or too early,
//! which costs a look; too late it must never be, so it is lowered wherever rows begin to wait, and by
//! nobody else. Null means that no row of the table waits at the host.

use celeriac_control::workflow::{RowsWaiting, WorkflowTable};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::sea_query::{ExprTrait, LockType, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::entity as host;

/// A table whose rows each belong to a host, and are claimed by the rules of that host.
pub(crate) trait HostTable: WorkflowTable {
    /// Where the host's row holds when a claim finds rows of this table.
    const READY_AT: host::Column;

    /// Where a row names its host.
    const HOST_ID: Self::Column;

    /// Puts the row's turn in the place of its due time, which has been met.
    fn set_turn(row: &mut Self::Model, turn: Timestamp);
}

/// Notes that rows of a host wait from `due_at`, and says whether that is news: nothing of the table was
/// to be had of the host by then, so a loop that sleeps should wake.
pub(crate) async fn note_waiting<T: HostTable>(
    tx: &DbTx,
    host_id: i64,
    due_at: Timestamp,
) -> Result<bool, DbErr> {
    lock(tx, host::Column::Id.eq(host_id)).await?;
    let updated = host::Entity::update_many()
        .col_expr(T::READY_AT, Expr::value(due_at.as_micros()))
        .filter(host::Column::Id.eq(host_id))
        .filter(is_later::<T>(due_at))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Notes what the loop has put back.
pub(crate) async fn update_waiting<T: HostTable>(tx: &DbTx, rows: RowsWaiting) -> Result<(), DbErr> {
    let (due_at, of_those) = match rows {
        RowsWaiting::One { id, due_at } => {
            let its_host = Query::select()
                .column(T::HOST_ID)
                .from(T::default())
                .and_where(T::columns().id.eq(id))
                .to_owned();
            (due_at, host::Column::Id.in_subquery(its_host))
        }
        RowsWaiting::Some { due_at } | RowsWaiting::Reset { due_at } => {
            (due_at, Expr::exists(waiting::<T>()))
        }
    };
    if matches!(rows, RowsWaiting::Reset { .. }) {
        forgive::<T>(tx).await?;
    }
    lock(tx, of_those.clone()).await?;
    host::Entity::update_many()
        .col_expr(T::READY_AT, Expr::value(due_at.as_micros()))
        .filter(of_those)
        .filter(is_later::<T>(due_at))
        .exec(tx)
        .await?;
    Ok(())
}

/// Waits for whoever has just looked at these hosts, and keeps others from looking: they would not see
/// the rows that this transaction adds, and note that there are none. A SQLite file has one writer.
async fn lock(tx: &DbTx, hosts: SimpleExpr) -> Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let ids = host::Entity::find().select_only().column(host::Column::Id).filter(hosts);
        let ids = ids.order_by_asc(host::Column::Id).lock(LockType::NoKeyUpdate);
        ids.into_tuple::<i64>().all(tx).await?;
    }
    Ok(())
}

/// Returns when a claim may next find something.
pub(crate) async fn next_ready_at<T: HostTable>(
    reader: &DatabaseConnection,
) -> Result<Option<Timestamp>, DbErr> {
    let ready_at: Option<i64> = host::Entity::find()
        .select_only()
        .column(T::READY_AT)
        .filter(T::READY_AT.is_not_null())
        .order_by_asc(T::READY_AT)
        .into_tuple()
        .one(reader)
        .await?;
    Ok(ready_at.map(Timestamp::from_micros))
}

/// An operator who puts rows back wants them tried, whatever their hosts did before.
async fn forgive<T: HostTable>(tx: &DbTx) -> Result<(), DbErr> {
    use host::Column as C;
    host::Entity::update_many()
        .col_expr(C::GivenUpUntil, Expr::value(None::<i64>))
        .col_expr(C::RobotsTries, Expr::value(0))
        .col_expr(C::Backoffs, Expr::value(0))
        .col_expr(C::Failures, Expr::value(0))
        .filter(C::GivenUpUntil.is_not_null())
        .filter(C::GivenUpUntil.ne(super::FOR_EVER.as_micros()))
        .filter(Expr::exists(waiting::<T>()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Selects the rows that wait at the host of the outer query.
fn waiting<T: HostTable>() -> sea_orm::sea_query::SelectStatement {
    Query::select()
        .expr(Expr::value(1))
        .from(T::default())
        .and_where(T::columns().status.eq(T::STATUSES.waiting))
        .and_where(Expr::col((T::default(), T::HOST_ID)).equals((host::Entity, host::Column::Id)))
        .to_owned()
}

fn is_later<T: HostTable>(due_at: Timestamp) -> Condition {
    Condition::any().add(T::READY_AT.is_null()).add(T::READY_AT.gt(due_at.as_micros()))
}
