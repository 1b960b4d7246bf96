//! Several processes on one file, and one that is killed.

use crate::common::{Helper, create_notes, notes, say, told_database, write_note};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, SqliteOptions};

/// Writes that each of two processes makes.
const WRITES: usize = 300;

#[tokio::test]
async fn write_that_was_answered_survives_sigkill() {
    for killed_after in [1, 7, 40] {
        let db = TestDatabase::open().await.unwrap();
        create_notes(&db).await;
        let mut helper = Helper::start("processes::writes_and_says_what_is_committed", db.path());
        let said: Vec<String> = (0..killed_after).map_while(|_| helper.next_said()).collect();
        assert_eq!(said.len(), killed_after);
        helper.kill();
        let stored = notes(&db).await;
        let lost: Vec<_> = said.iter().filter(|text| !stored.contains(text)).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
        write_note(&db, "the survivor writes on").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is a process that another test starts and kills"]
async fn writes_and_says_what_is_committed() {
    let Some(path) = told_database() else { return };
    let db = Database::open(SqliteOptions::at(path)).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let db = db.clone();
        callers.spawn(async move {
            for number in 0.. {
                let text = format!("{caller}/{number}");
                write_note(&db, &text).await.unwrap();
                say(text);
            }
        });
    }
    callers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_side_by_side_and_lose_nothing() {
    let db = TestDatabase::open().await.unwrap();
    create_notes(&db).await;
    let mut helper = Helper::start("processes::writes_its_share", db.path());
    for number in 0..WRITES {
        write_note(&db, format!("ours {number}")).await.unwrap();
    }
    assert_eq!(helper.next_said().as_deref(), Some("done"));
    assert!(helper.process.wait().unwrap().success());
    assert_eq!(notes(&db).await.len(), 2 * WRITES);
}

#[tokio::test]
#[ignore = "is a process that another test starts"]
async fn writes_its_share() {
    let Some(path) = told_database() else { return };
    let db = Database::open(SqliteOptions::at(path)).await.unwrap();
    for number in 0..WRITES {
        write_note(&db, format!("theirs {number}")).await.unwrap();
    }
    say("done");
}
