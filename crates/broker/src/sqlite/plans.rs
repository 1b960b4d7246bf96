//! How SQLite goes about the statements of the hot path: by the index that is meant, without sorting.

use celeriac_db::testing::TestDatabase;
use sea_orm::Value;

use super::SqliteBroker;
use super::statement::{column, query};

/// Returns what SQLite plans for a statement, one step a line.
async fn plan(statement: &str, values: usize) -> String {
    let db = TestDatabase::open().await.unwrap();
    SqliteBroker::MIGRATIONS.up(&db, 0).await.unwrap();
    let values = vec![Value::BigInt(Some(1)); values];
    let rows = query(db.reader(), format!("EXPLAIN QUERY PLAN {statement}"), values).await.unwrap();
    rows.iter().map(|row| column::<String>(row, 3).unwrap()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn claim_walks_its_index_in_order() {
    let plan = plan(super::fetch::first_in_line(), 2).await;
    assert!(plan.contains("celeriac_queue_ready (queue=?)"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    assert!(!plan.contains("SCAN q"), "{plan}");
}

#[tokio::test]
async fn what_is_due_is_found_by_its_time() {
    for statement in [super::fetch::PROMOTE, super::fetch::NEXT_DUE] {
        let plan = plan(statement, 1).await;
        assert!(plan.contains("celeriac_queue_timed"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn what_is_held_is_found_by_its_number() {
    for statement in super::settle::statements().into_iter().chain(super::fetch::statements()) {
        let plan = plan(statement, 5).await;
        assert!(plan.contains("USING INTEGER PRIMARY KEY (rowid=?)"), "{statement}:\n{plan}");
        assert!(!plan.contains("SCAN"), "{statement}:\n{plan}");
    }
}

#[tokio::test]
async fn queues_are_named_by_leaps_through_their_index() {
    let plan = plan(super::admin::OPEN, 1).await;
    assert!(plan.contains("SEARCH q USING COVERING INDEX celeriac_queue_ready (queue>?)"), "{plan}");
    assert!(plan.contains("SEARCH celeriac_queue USING INDEX celeriac_queue_timed (at<?)"), "{plan}");
}
