//! Running statements written by hand: the one door for them in this transport.

use celeriac_db::DbError;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, TryGetable, Value, Values,
};

use crate::BrokerError;

/// Rows that one insert takes: few sizes, so that each is prepared once and kept.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// Runs a statement for its effect.
#[expect(clippy::disallowed_methods, reason = "the transport's statements are written by hand")]
pub(super) async fn execute(
    db: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: Vec<Value>,
) -> Result<ExecResult, DbErr> {
    db.execute_raw(statement(sql.into(), values)).await
}

/// Runs a statement, or several in one hop to SQLite's thread, and returns their rows.
///
/// Several statements share one list of values. Each must mention `?1` and leave no gap up to its
/// highest number, or count its values by plain `?`: sqlx binds the rest by place.
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

/// Splits `count` rows into the sizes that are kept prepared, largest first.
pub(super) fn chunks(mut count: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= count)?;
        count -= size;
        Some(size)
    })
}

/// Writes `head` and then `rows` times `(?, ?, ...)`.
pub(super) fn with_rows(head: &str, columns: usize, rows: usize) -> String {
    let row = format!("({}?)", "?,".repeat(columns - 1));
    let mut sql = String::with_capacity(head.len() + (row.len() + 1) * rows);
    sql.push_str(head);
    for place in 0..rows {
        if place > 0 {
            sql.push(',');
        }
        sql.push_str(&row);
    }
    sql
}

/// Says what was being done when a statement failed.
pub(super) fn failed(action: &'static str) -> impl Fn(DbErr) -> BrokerError {
    move |source| BrokerError::Database { action, source: DbError::from(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_count_is_split_into_kept_sizes() {
        for (count, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (6, vec![4, 1, 1]),
            (100, vec![64, 16, 16, 4]),
            (129, vec![64, 64, 1]),
        ] {
            assert_eq!(chunks(count).collect::<Vec<_>>(), sizes, "{count}");
        }
    }

    #[test]
    fn rows_are_written_with_their_placeholders() {
        assert_eq!(with_rows("VALUES ", 2, 3), "VALUES (?,?),(?,?),(?,?)");
        assert_eq!(with_rows("VALUES ", 1, 1), "VALUES (?)");
    }
}
