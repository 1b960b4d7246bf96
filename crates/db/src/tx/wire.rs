//! The one connection below a transaction: to a SQLite file or to a PostgreSQL server.

use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Database, Executor as _, IntoArguments};
use sea_orm::{DbBackend, ExecResult, QueryResult, Statement, Values};
use sea_query_sqlx::SqlxValues;
#[cfg(feature = "postgres")]
use tokio::sync::Mutex;
use tokio::sync::MutexGuard;

use crate::direct::Shared;

/// A connection of either kind, for one transaction at a time.
pub(crate) enum Link {
    File(Shared),
    #[cfg(feature = "postgres")]
    Server {
        connection: Mutex<sqlx::PgConnection>,
        /// Whether statements are kept prepared.
        keeps_statements: bool,
    },
}

impl Link {
    pub(crate) fn backend(&self) -> DbBackend {
        match self {
            Self::File(_) => DbBackend::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Server { .. } => DbBackend::Postgres,
        }
    }

    /// Waits for the statement that is running, if there is one.
    pub(crate) async fn lock(&self) -> Wire<'_> {
        match self {
            Self::File(shared) => Wire::Sqlite(shared.connection().lock().await),
            #[cfg(feature = "postgres")]
            Self::Server { connection, .. } => Wire::Postgres(connection.lock().await),
        }
    }

    /// Says good-bye.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::File(shared) => shared.close().await,
            #[cfg(feature = "postgres")]
            Self::Server { connection, .. } => connection.into_inner().close().await,
        }
    }
}

/// A connection of which nobody else runs a statement.
pub(crate) enum Wire<'c> {
    Sqlite(MutexGuard<'c, SqliteConnection>),
    #[cfg(feature = "postgres")]
    Postgres(MutexGuard<'c, sqlx::PgConnection>),
}

/// Does the same on whichever connection it is.
macro_rules! on {
    ($wire:expr, $connection:ident => $done:expr) => {
        match $wire {
            Wire::Sqlite(guard) => {
                let $connection = &mut **guard;
                $done
            }
            #[cfg(feature = "postgres")]
            Wire::Postgres(guard) => {
                let $connection = &mut **guard;
                $done
            }
        }
    };
}

impl Wire<'_> {
    /// Runs a statement for its effect.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<ExecResult, sqlx::Error> {
        on!(self, connection => bound(statement).execute(connection).await.map(Into::into))
    }

    /// Runs a statement for its first row.
    pub(crate) async fn fetch_optional(
        &mut self,
        statement: Statement,
    ) -> Result<Option<QueryResult>, sqlx::Error> {
        on!(self, connection => {
            let row = bound(statement).fetch_optional(connection).await;
            row.map(|row| row.map(Into::into))
        })
    }

    /// Runs a statement for its rows.
    pub(crate) async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, sqlx::Error> {
        on!(self, connection => {
            let rows = bound(statement).fetch_all(connection).await;
            rows.map(|rows| rows.into_iter().map(Into::into).collect())
        })
    }

    /// Runs a text without values, which may be several statements, and keeps nothing prepared.
    pub(crate) async fn run_text(&mut self, text: impl Into<String>) -> Result<ExecResult, sqlx::Error> {
        let text = AssertSqlSafe(text.into());
        on!(self, connection => connection.execute(text).await.map(Into::into))
    }

    /// Asks the other side whether it is there.
    pub(crate) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        on!(self, connection => connection.ping().await)
    }
}

/// Moves text and values into sqlx's query; message bodies are not copied on their way.
fn bound<D>(statement: Statement) -> sqlx::query::Query<'static, D, SqlxValues>
where
    D: Database,
    SqlxValues: IntoArguments<D>,
{
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

/// Makes a query of a statement written by hand.
#[cfg(feature = "postgres")]
pub(crate) fn by_hand(
    sql: &'static str,
    values: sqlx::postgres::PgArguments,
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query_with(sql, values)
}
