//! Lets jobs know the entry of the schedule that they come from.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{
    ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, Index, IndexCreateStatement, Table,
};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::job::{self, Column as C};

/// The name of the index.
const INDEX: &str = "celeriac_jobs_schedule_seq";

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        // SQLite adds one column a statement; neither database touches the rows.
        for column in [ColumnDef::new(C::Schedule).string(), ColumnDef::new(C::ScheduleDueAt).big_integer()] {
            tx.execute(Table::alter().table(job::Entity).add_column(column)).await?;
        }
        tx.execute(&index()).await?;
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Index::drop().name(INDEX).table(job::Entity)).await?;
        for column in [C::Schedule, C::ScheduleDueAt] {
            tx.execute(Table::alter().table(job::Entity).drop_column(column)).await?;
        }
        Ok(())
    })
}

/// Holds jobs of the schedule alone, so that others do not pay for it.
fn index() -> IndexCreateStatement {
    Index::create()
        .name(INDEX)
        .table(job::Entity)
        .col(C::Schedule)
        .col(C::Seq)
        .and_where(Expr::col(C::Schedule).is_not_null())
        .to_owned()
}
