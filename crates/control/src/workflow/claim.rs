//! Claims: taken, renewed, given back, and taken away from workers that died.

use std::sync::Arc;
use std::time::Duration;

use celeriac_db::{Database, DbError};
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::{ColumnTrait, ExprTrait, QueryFilter};

use super::WorkflowSettings;
use super::table::{ClaimRequest, RowsWaiting, WorkflowTable};
use super::{ClaimedRow, Workflow};

/// How many lapsed claims one sweep takes back; the next sweep takes the rest.
const SWEEP_ROWS: u64 = 1_000;

/// Claims due rows in one short transaction.
pub(super) async fn claim<W: Workflow>(
    database: &Database,
    workflow: Arc<W>,
    request: ClaimRequest,
) -> Result<Vec<ClaimedRow<W>>, DbError> {
    database.write("claim rows", async move |tx| Ok(workflow.get_pending_items(tx, request).await?)).await
}

/// Lengthens a run's claim on everything that it still processes.
pub(super) async fn renew<E: WorkflowTable>(
    database: &Database,
    claim: i64,
    until: Timestamp,
) -> Result<(), DbError> {
    database
        .write("renew claim", async move |tx| {
            let c = E::columns();
            E::update_many()
                .col_expr(c.claimed_until, Expr::value(until.as_micros()))
                .filter(c.status.eq(E::STATUSES.processing))
                .filter(c.claim.eq(claim))
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
}

/// Gives back, uncharged, whatever a run has claimed and not recorded.
pub(super) async fn release<E: WorkflowTable>(
    database: &Database,
    claim: i64,
    now: Timestamp,
) -> Result<u64, DbError> {
    database
        .write("release claim", async move |tx| {
            let c = E::columns();
            let released = E::update_many()
                .col_expr(c.status, Expr::value(E::STATUSES.waiting))
                .col_expr(c.attempts, Expr::col(c.attempts).sub(1))
                .col_expr(c.claim, Expr::value(None::<i64>))
                .col_expr(c.claimed_until, Expr::value(None::<i64>))
                .col_expr(c.updated_at, Expr::value(now.as_micros()))
                .filter(c.status.eq(E::STATUSES.processing))
                .filter(c.claim.eq(claim))
                .exec(tx)
                .await?;
            tell::<E>(tx, released.rows_affected, now).await?;
            Ok(released.rows_affected)
        })
        .await
}

/// What a sweep took back from workers that died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Rows that wait again.
    pub(super) requeued: u64,
    /// Rows that had no attempt left and ended in *error*.
    pub(super) given_up: u64,
}

/// Takes back claims that have run out: a row with attempts left waits again, one without ends in *error*.
pub(super) async fn sweep<E: WorkflowTable>(
    database: &Database,
    settings: &WorkflowSettings,
    now: Timestamp,
) -> Result<Swept, DbError> {
    let (max_attempts, wait) = (i64::from(settings.max_attempts), settings.retry().delay(0, 0.5));
    database
        .write("take back lapsed claims", async move |tx| {
            let given_up = take_back::<E>(tx, now, max_attempts, Left::None, Duration::ZERO).await?;
            let requeued = take_back::<E>(tx, now, max_attempts, Left::Some, wait).await?;
            tell::<E>(tx, requeued, now + wait).await?;
            Ok(Swept { requeued, given_up })
        })
        .await
}

/// Tells the table that rows wait again, if any do.
async fn tell<E: WorkflowTable>(
    tx: &celeriac_db::DbTx,
    rows: u64,
    due_at: Timestamp,
) -> Result<(), sea_orm::DbErr> {
    if rows == 0 {
        return Ok(());
    }
    E::update_waiting(tx, RowsWaiting::Some { due_at }).await
}

/// Whether a row has attempts left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Some,
    None,
}

/// Ends lapsed claims of rows with or without attempts left.
async fn take_back<E: WorkflowTable>(
    tx: &celeriac_db::DbTx,
    now: Timestamp,
    max_attempts: i64,
    left: Left,
    wait: Duration,
) -> Result<u64, DbError> {
    use sea_orm::{QuerySelect, QueryTrait};
    let c = E::columns();
    let (attempts, next) = match left {
        Left::Some => (c.attempts.lt(max_attempts), E::STATUSES.waiting),
        Left::None => (c.attempts.gte(max_attempts), E::STATUSES.error),
    };
    let lapsed = E::find()
        .select_only()
        .column(c.id)
        .filter(c.status.eq(E::STATUSES.processing))
        .filter(c.claimed_until.lte(now.as_micros()))
        .filter(attempts)
        .limit(SWEEP_ROWS);
    let reason = "the worker that processed it vanished";
    let taken = E::update_many()
        .col_expr(c.status, Expr::value(next))
        .col_expr(c.due_at, Expr::value((now + wait).as_micros()))
        .col_expr(c.error, Expr::value(reason))
        .col_expr(c.claim, Expr::value(None::<i64>))
        .col_expr(c.claimed_until, Expr::value(None::<i64>))
        .col_expr(c.updated_at, Expr::value(now.as_micros()))
        .filter(c.id.in_subquery(lapsed.into_query()))
        .exec(tx)
        .await?;
    Ok(taken.rows_affected)
}
