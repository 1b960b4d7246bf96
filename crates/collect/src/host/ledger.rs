//! Counts of what hosts answered, kept in memory until the next claim writes them down.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::entity as host;

/// Is responsible for the counters of hosts that answer as they should and want no pause: they cost no
/// write of their own. What a process counted since its last claim is lost with it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Mutex<HashMap<i64, Counts>>,
}

/// What was counted at one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: i64,
    pub(super) bytes: i64,
    pub(super) last_status: Option<u16>,
    pub(super) last_request_at: Timestamp,
}

impl Ledger {
    /// Adds to a host's counts.
    pub(super) fn add(&self, host_id: i64, more: Counts) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .entry(host_id)
            .and_modify(|known| {
                known.requests += more.requests;
                known.bytes += more.bytes;
                known.last_status = more.last_status.or(known.last_status);
                known.last_request_at = more.last_request_at;
            })
            .or_insert(more);
    }

    /// Writes down what was counted.
    pub(crate) async fn write(&self, tx: &DbTx) -> Result<(), DbErr> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        for (host_id, counts) in counts {
            counts.write(tx, host_id).await?;
        }
        Ok(())
    }
}

impl Counts {
    async fn write(self, tx: &DbTx, host_id: i64) -> Result<(), DbErr> {
        use host::Column as C;
        let mut update = host::Entity::update_many()
            .col_expr(C::Requests, Expr::col(C::Requests).add(self.requests))
            .col_expr(C::Bytes, Expr::col(C::Bytes).add(self.bytes))
            .col_expr(C::LastRequestAt, Expr::value(self.last_request_at.as_micros()));
        if let Some(status) = self.last_status {
            update = update.col_expr(C::LastStatus, Expr::value(i32::from(status)));
        }
        update.filter(C::Id.eq(host_id)).exec(tx).await?;
        Ok(())
    }
}
