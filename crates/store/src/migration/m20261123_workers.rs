//! Makes the table of processes.
//!
//! Written out and not made from the entity, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::worker;

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    use worker::Column as C;
    Box::pin(async move {
        // A row for each process of the last days: too few for any index but the key's.
        let workers = Table::create()
            .table(worker::Entity)
            .col(ColumnDef::new(C::Name).string().not_null().primary_key())
            .col(ColumnDef::new(C::App).string().not_null())
            .col(ColumnDef::new(C::Host).string().not_null())
            .col(ColumnDef::new(C::Pid).big_integer().not_null())
            .col(ColumnDef::new(C::Version).string().not_null())
            .col(ColumnDef::new(C::Roles).text().not_null())
            .col(ColumnDef::new(C::Queues).text().not_null())
            .col(ColumnDef::new(C::Concurrency).big_integer().not_null())
            .col(ColumnDef::new(C::Running).big_integer().not_null())
            .col(ColumnDef::new(C::InFlight).text().not_null())
            .col(ColumnDef::new(C::State).string_len(16).not_null())
            .col(ColumnDef::new(C::StartedAt).big_integer().not_null())
            .col(ColumnDef::new(C::SeenAt).big_integer().not_null())
            .col(ColumnDef::new(C::StoppedAt).big_integer())
            .col(ColumnDef::new(C::MemoryBytes).big_integer())
            .col(ColumnDef::new(C::CpuMicros).big_integer())
            .col(ColumnDef::new(C::Loops).text().not_null())
            .to_owned();
        tx.execute(&workers).await?;
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::drop().table(worker::Entity)).await?;
        Ok(())
    })
}
