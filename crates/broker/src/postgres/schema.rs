//! The queue's tables and functions on a server, and what makes them.

use celeriac_db::{DbTx, Migration, MigrationSet};
use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DbErr};

/// The queue's line of migrations, owner `broker` as on every engine; the names say which.
pub(super) const MIGRATIONS: MigrationSet = MigrationSet { owner: "broker", migrations: &[CREATE] };

const CREATE: Migration =
    Migration { name: "m20261122_create_queue_on_postgres", up: create, down: Some(drop_all) };

/// Their order does not matter: the tables' types are all that they share.
const DROP: &str = "DROP FUNCTION celeriac_queue_revive, celeriac_queue_purge, celeriac_queue_cancel, \
        celeriac_queue_renew, celeriac_queue_bury, celeriac_queue_requeue, celeriac_queue_ack, \
        celeriac_queue_fetch, celeriac_queue_publish, celeriac_queue_now; \
    DROP TABLE celeriac_queue_pause, celeriac_queue_dead, celeriac_queue";

fn create(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        run_text(tx, include_str!("tables.sql")).await?;
        run_text(tx, include_str!("functions.sql")).await
    })
}

fn drop_all(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(run_text(tx, DROP))
}

#[expect(clippy::disallowed_methods, reason = "the transport's tables are written by hand")]
async fn run_text(tx: &DbTx, text: &str) -> Result<(), DbErr> {
    tx.execute_unprepared(text).await.map(drop)
}
