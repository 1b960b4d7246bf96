//! Makes the tables of workflows and their slots.
//!
//! Written out and not made from the entities, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::{workflow, workflow_slot};

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    use workflow::Column as W;
    use workflow_slot::Column as S;
    Box::pin(async move {
        let workflows = Table::create()
            .table(workflow::Entity)
            .col(ColumnDef::new(W::Name).string().not_null().primary_key())
            .col(ColumnDef::new(W::LastStartedAt).big_integer())
            .col(ColumnDef::new(W::LastEndedAt).big_integer())
            .col(ColumnDef::new(W::More).boolean().not_null())
            .col(ColumnDef::new(W::Runs).big_integer().not_null())
            .col(ColumnDef::new(W::Refused).big_integer().not_null())
            .col(ColumnDef::new(W::PausedAt).big_integer())
            .to_owned();
        let slots = Table::create()
            .table(workflow_slot::Entity)
            .col(ColumnDef::new(S::Workflow).string().not_null())
            .col(ColumnDef::new(S::Slot).integer().not_null())
            .col(ColumnDef::new(S::Holder).string_len(155).not_null())
            .col(ColumnDef::new(S::Fence).big_integer().not_null())
            .col(ColumnDef::new(S::HeldUntil).big_integer().not_null())
            .primary_key(Index::create().col(S::Workflow).col(S::Slot))
            .to_owned();
        tx.execute(&workflows).await?;
        tx.execute(&slots).await?;
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::drop().table(workflow_slot::Entity)).await?;
        tx.execute(Table::drop().table(workflow::Entity)).await?;
        Ok(())
    })
}
