//! Running statements written by hand where speed does not matter; the hot path runs its own on
//! [`celeriac_db::DirectTx`].

use celeriac_db::DbError;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, TryGetable, Value, Values,
};

use crate::BrokerError;

/// Runs a statement, or several in one hop to sqlx's thread, for its effect.
///
/// Several statements share one list of values; each must mention `?1` and leave no gap up to its
/// highest number, because sqlx binds the rest by place.
#[expect(clippy::disallowed_methods, reason = "the transport's statements are written by hand")]
pub(super) async fn execute(
    db: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: Vec<Value>,
) -> Result<ExecResult, DbErr> {
    db.execute_raw(statement(sql.into(), values)).await
}

/// Runs a statement and returns its rows.
#[expect(clippy::disallowed_methods, reason = "the transport's statements are written by hand")]
pub(super) async fn query(
    db: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(statement(sql.into(), values)).await
}

/// Runs a statement without values that is not worth keeping prepared.
#[expect(clippy::disallowed_methods, reason = "the transport's statements are written by hand")]
pub(super) async fn run_text(db: &impl ConnectionTrait, sql: &str) -> Result<(), DbErr> {
    db.execute_unprepared(sql).await.map(drop)
}

fn statement(sql: String, values: Vec<Value>) -> Statement {
    Statement { sql, values: Some(Values(values)), db_backend: DbBackend::Sqlite }
}

/// Reads one column.
pub(super) fn column<T: TryGetable>(row: &QueryResult, index: usize) -> Result<T, DbErr> {
    row.try_get_by_index(index)
}

/// Says what was being done when a statement failed.
pub(super) fn failed<E: Into<DbError>>(action: &'static str) -> impl Fn(E) -> BrokerError {
    move |source| BrokerError::Database { action, source: source.into() }
}
