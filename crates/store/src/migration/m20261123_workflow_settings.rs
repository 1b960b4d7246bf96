//! Gives workflows room for the settings that operators change while they run, and counts due times without due rows.
//!
//! Written out and not made from the entities, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::workflow::{Column, Entity};

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        // SQLite adds one column at a time.
        let mut settings = ColumnDef::new(Column::Settings);
        tx.execute(Table::alter().table(Entity).add_column(settings.text())).await?;
        let mut idle = ColumnDef::new(Column::Idle);
        tx.execute(Table::alter().table(Entity).add_column(idle.big_integer().not_null().default(0))).await?;
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::alter().table(Entity).drop_column(Column::Settings)).await?;
        tx.execute(Table::alter().table(Entity).drop_column(Column::Idle)).await?;
        Ok(())
    })
}
