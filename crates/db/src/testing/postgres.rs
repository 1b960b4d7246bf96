//! A corner of the PostgreSQL server that all tests of a run share.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::sea_orm::sqlx::{AssertSqlSafe, Executor as _};
use crate::{DbError, PostgresOptions};

/// Where the server is, without a database; whoever runs the tests sets it.
const SERVER: &str = "CELERIAC_TEST_POSTGRES";

/// Which engine [`super::TestDatabase::open`] uses: `postgres`, or else a SQLite file.
const ENGINE: &str = "CELERIAC_TEST_ENGINE";

/// Returns whether the run is one on PostgreSQL.
pub fn is_asked_for() -> bool {
    told(ENGINE).as_deref() == Some("postgres")
}

/// Makes an empty schema and returns how to open it. A schema takes a hundredth of the time, and of
/// the room, that a database takes; it goes with the server.
///
/// # Errors
/// [`DbError::Option`] where the run was told of no server; [`DbError::Server`].
pub async fn corner() -> Result<PostgresOptions, DbError> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let reason = "is to name a PostgreSQL server, as `cargo xtask test` does";
    let server = told(SERVER).ok_or(DbError::Option { name: SERVER, reason })?;
    let schema = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let options = PostgresOptions::at(format!("{server}/postgres"));
    make_schema(&options, &schema).await?;
    Ok(options_at(&format!("{server}/postgres?options[search_path]={schema}")))
}

/// Returns settings for a test: few connections, since many tests share one server.
pub(super) fn options_at(url: &str) -> PostgresOptions {
    PostgresOptions {
        write_connections: 2,
        queue_connections: 2,
        read_connections: 2,
        ..PostgresOptions::at(url)
    }
}

/// Runs text on the server as it is, to bring it into a state that a test needs.
///
/// # Errors
/// [`DbError::Server`] and [`DbError::Statement`].
pub async fn run_text(options: &PostgresOptions, text: &str) -> Result<(), DbError> {
    use crate::sea_orm::sqlx::ConnectOptions as _;
    let failed = |error| DbError::from(crate::tx::failed_execute(error));
    let mut connection = options.parse()?.connect().await.map_err(failed)?;
    connection.execute(AssertSqlSafe(text.to_owned())).await.map_err(failed)?;
    Ok(())
}

async fn make_schema(options: &PostgresOptions, schema: &str) -> Result<(), DbError> {
    run_text(options, &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).await
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests tells them by the environment")]
fn told(variable: &'static str) -> Option<String> {
    std::env::var(variable).ok()
}
