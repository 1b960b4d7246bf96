//! Says in one word why an entry of the schedule was switched off, also of those that were before.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{ColumnDef, Expr, ExprTrait as _, Query, Table};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::schedule::{self, Column as C};

/// How texts begin that were written until now, and their words.
const WORDS: [(&str, &str); 6] = [
    ("it was to run once", "has_run"),
    ("it is not due after its end", "ended"),
    ("it has expired", "expired"),
    ("its schedule has no further due time", "never_due"),
    ("nothing declares it any more", "undeclared"),
    ("its task is not registered any more", "task_gone"),
];

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        let column = ColumnDef::new(C::DisabledWord).string_len(16).to_owned();
        tx.execute(Table::alter().table(schedule::Entity).add_column(column)).await?;
        for (begins, word) in WORDS {
            let change = Query::update()
                .table(schedule::Entity)
                .value(C::DisabledWord, word)
                .and_where(Expr::col(C::DisabledReason).like(format!("{begins}%")))
                .to_owned();
            tx.execute(&change).await?;
        }
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::alter().table(schedule::Entity).drop_column(C::DisabledWord)).await?;
        Ok(())
    })
}
