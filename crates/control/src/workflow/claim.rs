//! Claims: taken, renewed and given back.

use std::sync::Arc;

use celeriac_db::{Database, DbError};
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::{ColumnTrait, ExprTrait, QueryFilter};

use super::table::{ClaimRequest, RowsWaiting, WorkflowTable};
use super::{ClaimedRow, Workflow};

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
            if released.rows_affected > 0 {
                E::update_waiting(tx, RowsWaiting::Some { due_at: now }).await?;
            }
            Ok(released.rows_affected)
        })
        .await
}
