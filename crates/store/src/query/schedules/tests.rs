//! How SQLite goes about the statements of the schedule, which doesn't depend on what is in a file: by the index that is
//! meant, without sorting. What a server does is measured by `bench plans`, since it depends on that.

use celeriac_db::DbError;
use celeriac_db::testing::TestDatabase;
use celeriac_protocol::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};

use super::list::{firings_of, page};
use super::prune::old;
use super::{ScheduleFilter, fire};

const AT: Timestamp = Timestamp::EPOCH;

/// Checks that a statement goes through this index, and neither sorts nor walks through a whole table.
#[expect(clippy::disallowed_methods, reason = "no builder makes this kind of statement")]
async fn check(statement: &(impl QueryTrait + Sync), index: &str) {
    let db = TestDatabase::open().await.unwrap();
    if db.reader().get_database_backend() != DbBackend::Sqlite {
        return;
    }
    crate::MIGRATIONS.up(&db, 0).await.unwrap();
    let statement = statement.build(DbBackend::Sqlite);
    let statement = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement };
    let explain = async move |tx: &celeriac_db::DbTx| Ok::<_, DbError>(tx.query_all_raw(statement).await?);
    let rows = db.write("plan", explain).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    assert!(steps.iter().any(|step| step.contains(index)), "{index}: {steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
}

#[tokio::test]
async fn what_is_due_is_found_by_when_it_wakes() {
    let index = "INDEX celeriac_schedule_states_wake (wake_at";
    check(&fire::first_wake(), index).await;
    check(&fire::due(AT, 500), index).await;
}

#[tokio::test]
async fn a_page_of_entries_is_found_by_their_names() {
    let unique = "INDEX sqlite_autoindex_celeriac_schedules_1 (name>?)";
    check(&page(&ScheduleFilter::default(), Some("a"), 50), unique).await;
}

#[tokio::test]
async fn firings_are_found_by_their_entry_and_old_ones_by_when_they_were_dealt_with() {
    let key = "INDEX sqlite_autoindex_celeriac_firings_1 (schedule_id=? AND due_at<?)";
    check(&firings_of(1, None, Some(AT), 50), key).await;
    let handled = "COVERING INDEX celeriac_firings_handled";
    check(&old(AT, None, 1_000), handled).await;
    check(&old(AT, Some((AT, 1, AT)), 1_000), handled).await;
}
