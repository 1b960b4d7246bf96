//! The pool of connections that read.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor as _};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};

use super::connect::Connector;

/// How long an unused reading connection is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A connection that nobody used for longer than this is asked whether it is alive: a server takes
/// longer to come back.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// Makes the pool; no connection is opened yet.
pub(super) fn pool(connector: &Connector) -> DatabaseConnection {
    let options = &connector.options;
    let pool = options_of(connector).max_connections(options.read_connections);
    let pool = if options.prepared_statements { pool } else { in_transactions(pool) };
    let target = connector.with_limits([("default_transaction_read_only", "on"), ("jit", "off")]);
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(target))
}

/// Makes a pool of one, for whoever listens.
pub(super) fn lone_pool(connector: &Connector) -> PgPool {
    options_of(connector).max_connections(1).connect_lazy_with(connector.target.clone())
}

fn options_of(connector: &Connector) -> PgPoolOptions {
    PgPoolOptions::new()
        .min_connections(0)
        .idle_timeout(KEPT_FOR)
        .max_lifetime(None)
        .acquire_timeout(connector.options.connect_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

/// Puts every read into a transaction: only that holds on to one connection behind a pooler which
/// knows nothing of prepared statements, from parsing to running.
fn in_transactions(pool: PgPoolOptions) -> PgPoolOptions {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
    pool.after_connect(|connection, _| Box::pin(run(connection, BEGIN)))
        .before_acquire(|connection, _| Box::pin(async move { run(connection, BEGIN).await.map(|()| true) }))
        .after_release(|connection, _| {
            Box::pin(async move { run(connection, "ROLLBACK; DEALLOCATE ALL").await.map(|()| true) })
        })
}

async fn run(connection: &mut PgConnection, text: &'static str) -> Result<(), sqlx::Error> {
    connection.execute(AssertSqlSafe(text)).await.map(drop)
}
