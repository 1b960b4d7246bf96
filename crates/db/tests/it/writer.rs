//! What a caller of `Database::write` may rely on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use crate::common::{create_notes, insert, notes, run_text, write_note};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbError, DbTx, SqliteOptions, StorageFault};
use tokio::sync::oneshot;

/// A write that was handed in and not answered yet.
type Handed<T> = Pin<Box<dyn Future<Output = Result<T, DbError>>>>;

/// Hands a write in without waiting for its answer, so that the order of hand-ins is the caller's.
fn hand_in<T: Send + 'static>(
    db: &TestDatabase,
    work: impl AsyncFnOnce(&DbTx) -> Result<T, DbError> + Send + 'static,
) -> Handed<T> {
    let db = db.database().clone();
    let mut write: Handed<T> = Box::pin(async move { db.write("queued", work).await });
    // The first poll hands it in.
    assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    write
}

/// A write of which the test decides when it goes on; until then others queue up behind it.
async fn hold(db: &TestDatabase) -> (Handed<()>, oneshot::Sender<()>) {
    let (release, released) = oneshot::channel();
    let (begin, begun) = oneshot::channel();
    let held = hand_in(db, async move |tx| {
        begin.send(()).ok();
        released.await.ok();
        insert(tx, "held").await
    });
    begun.await.unwrap();
    (held, release)
}

/// A database whose groups stay open however long a test holds one.
async fn notes_database() -> TestDatabase {
    let patient = |options| SqliteOptions { group_time: Duration::from_secs(60), ..options };
    let db = TestDatabase::open_with(patient).await.unwrap();
    create_notes(&db).await;
    db
}

#[tokio::test]
async fn write_is_visible_to_readers_once_it_is_answered() {
    let db = notes_database().await;
    write_note(&db, "one").await.unwrap();
    assert_eq!(notes(&db).await, ["one"]);
}

#[tokio::test]
async fn failed_write_leaves_nothing_and_returns_its_own_error() {
    let db = notes_database().await;
    let failed = db.write("fail", async |tx| {
        insert(tx, "gone").await?;
        Err::<(), _>(DbError::Option { name: "mine", reason: "is what I say" })
    });
    assert!(matches!(failed.await, Err(DbError::Option { name: "mine", .. })));
    assert!(notes(&db).await.is_empty());
    write_note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn waiting_writes_share_one_commit_and_a_failing_one_is_undone_alone() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    let mut waiting = Vec::new();
    for number in 0..20 {
        let write = hand_in(&db, async move |tx| {
            insert(tx, format!("n{number}")).await?;
            if number % 5 == 3 {
                return Err(DbError::Option { name: "n", reason: "fails" });
            }
            Ok(())
        });
        waiting.push(write);
    }
    release.send(()).unwrap();
    held.await.unwrap();
    for (number, write) in waiting.into_iter().enumerate() {
        assert_eq!(write.await.is_err(), number % 5 == 3, "{number}");
    }
    let expected: Vec<_> = (0..20).filter(|n| n % 5 != 3).map(|n| format!("n{n}")).collect();
    assert_eq!(notes(&db).await[1..], expected);
}

#[tokio::test]
async fn first_of_a_group_fails_and_those_behind_it_are_kept() {
    let db = notes_database().await;
    write_note(&db, "held").await.unwrap();
    // The held write breaks the unique text, so the first of the group fails by a statement.
    let (held, release) = hold(&db).await;
    let next = hand_in(&db, async |tx| insert(tx, "kept").await);
    release.send(()).unwrap();
    assert!(matches!(held.await, Err(DbError::Statement(_))));
    next.await.unwrap();
    assert_eq!(notes(&db).await, ["held", "kept"]);
}

#[tokio::test]
async fn writes_run_in_the_order_in_which_they_were_handed_in() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    let mut waiting = Vec::new();
    for number in 0..100 {
        waiting.push(hand_in(&db, async move |tx| insert(tx, format!("{number:03}")).await));
    }
    release.send(()).unwrap();
    held.await.unwrap();
    for write in waiting {
        write.await.unwrap();
    }
    let texts = notes(&db).await;
    assert!(texts[1..].is_sorted(), "{texts:?}");
    assert_eq!(texts.len(), 101);
}

#[tokio::test]
async fn group_is_answered_only_after_its_commit() {
    let db = notes_database().await;
    let (mut held, release) = hold(&db).await;
    let (enter, entered) = oneshot::channel();
    let (leave, left) = oneshot::channel::<()>();
    let last = hand_in(&db, async move |tx| {
        enter.send(()).ok();
        left.await.ok();
        insert(tx, "last").await
    });
    release.send(()).unwrap();
    entered.await.unwrap();
    // The held write has succeeded inside of the group, but the group is still open.
    assert!(held.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(notes(&db).await.is_empty());
    leave.send(()).unwrap();
    held.await.unwrap();
    last.await.unwrap();
    assert_eq!(notes(&db).await, ["held", "last"]);
}

#[tokio::test]
async fn caller_that_goes_away_does_not_take_its_write_back() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    drop(hand_in(&db, async |tx| insert(tx, "left behind").await));
    release.send(()).unwrap();
    held.await.unwrap();
    write_note(&db, "later").await.unwrap();
    assert_eq!(notes(&db).await, ["held", "left behind", "later"]);
}

#[tokio::test]
async fn panicking_write_is_undone_reported_and_survived() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    let panicking = hand_in(&db, async |tx| -> Result<(), DbError> {
        insert(tx, "half").await?;
        panic!("oh no")
    });
    let next = hand_in(&db, async |tx| insert(tx, "next").await);
    release.send(()).unwrap();
    held.await.unwrap();
    let error = panicking.await.unwrap_err().to_string();
    assert!(error.contains("queued") && error.contains("oh no"), "{error}");
    next.await.unwrap();
    assert_eq!(notes(&db).await, ["held", "next"]);
}

#[tokio::test]
async fn write_past_its_deadline_is_undone_and_named() {
    let db = notes_database().await;
    let slow = db.write_within("slow one", Duration::from_millis(30), async |tx| {
        insert(tx, "slow").await?;
        std::future::pending::<()>().await;
        Ok::<_, DbError>(())
    });
    let error = slow.await.unwrap_err();
    assert!(matches!(error, DbError::Deadline { label: "slow one", .. }), "{error}");
    assert!(notes(&db).await.is_empty());
    write_note(&db, "next").await.unwrap();
}

#[tokio::test]
async fn statement_that_runs_too_long_is_stopped_at_the_deadline() {
    let db = notes_database().await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   INSERT INTO note (text) SELECT 'x' || i FROM n WHERE i < 0";
    let slow =
        db.write_within("endless", Duration::from_millis(50), async move |tx| run_text(tx, endless).await);
    let error = tokio::time::timeout(Duration::from_secs(10), slow).await.unwrap().unwrap_err();
    assert!(matches!(error, DbError::Deadline { .. }), "{error}");
    write_note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn transaction_that_sqlite_gives_up_fails_everybody_in_it_and_nobody_after() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    let breaking = hand_in(&db, async |tx| {
        run_text(tx, "INSERT OR ROLLBACK INTO note (text) VALUES ('a'), ('a')").await.ok();
        // Outside of the transaction this would be stored by itself.
        insert(tx, "stray").await.ok();
        Ok(())
    });
    let next = hand_in(&db, async |tx| insert(tx, "next").await);
    release.send(()).unwrap();
    for lost in [held.await.unwrap_err(), breaking.await.unwrap_err()] {
        assert!(matches!(lost, DbError::TransactionLost { .. }) && lost.is_retryable(), "{lost}");
    }
    next.await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn full_disk_is_reported_and_the_writer_recovers() {
    let db = notes_database().await;
    let big = "x".repeat(1 << 20);
    db.write("limit", async |tx| run_text(tx, "PRAGMA max_page_count = 20").await).await.unwrap();
    let error = write_note(&db, big.clone()).await.unwrap_err();
    assert_eq!(error.fault(), Some(StorageFault::Full), "{error}");
    assert!(error.is_retryable());
    db.write("lift", async |tx| run_text(tx, "PRAGMA max_page_count = 100000").await).await.unwrap();
    write_note(&db, big).await.unwrap();
}

#[tokio::test]
async fn plain_write_inside_of_a_write_fails_at_once_and_says_what_to_do() {
    let db = notes_database().await;
    let inner = db.database().clone();
    let error = db
        .write("outer", async move |_| inner.write("inner", async |_| Ok::<_, DbError>(())).await)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("inner") && text.contains("outer") && text.contains("_in(&tx)"), "{text}");
}

#[tokio::test]
async fn hook_runs_after_the_commit_and_never_after_a_failure() {
    let db = notes_database().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&runs);
    db.write("good", async move |tx| {
        let inside = Arc::clone(&seen);
        tx.after_commit(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(inside.load(Ordering::SeqCst), 0);
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let seen = Arc::clone(&runs);
    db.write("bad", async move |tx| {
        tx.after_commit(move || {
            seen.fetch_add(10, Ordering::SeqCst);
        });
        Err::<(), _>(DbError::Option { name: "n", reason: "fails" })
    })
    .await
    .unwrap_err();
    write_note(&db, "next").await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn named_hook_runs_once_for_a_commit_whoever_asks() {
    let db = notes_database().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let ask = |fails: bool| {
        let seen = Arc::clone(&runs);
        hand_in(&db, async move |tx: &DbTx| {
            tx.after_commit_once("wake", move || {
                seen.fetch_add(1, Ordering::SeqCst);
            });
            if fails { Err(DbError::Option { name: "n", reason: "fails" }) } else { Ok(()) }
        })
    };
    let (held, release) = hold(&db).await;
    let (failed, one, two) = (ask(true), ask(false), ask(false));
    release.send(()).unwrap();
    held.await.unwrap();
    failed.await.unwrap_err();
    one.await.unwrap();
    two.await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_side_by_side_lose_nothing() {
    let db = TestDatabase::open_with(|options| SqliteOptions { write_queue: 8, ..options }).await.unwrap();
    create_notes(&db).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let db = db.database().clone();
        callers.spawn(async move {
            for number in 0..25 {
                write_note(&db, format!("{caller}/{number}")).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    assert_eq!(notes(&db).await.len(), 32 * 25);
}

#[tokio::test]
async fn close_finishes_what_was_handed_in_and_refuses_what_comes_later() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    let queued = hand_in(&db, async |tx| insert(tx, "queued").await);
    tokio::join!(db.close(), async { release.send(()).unwrap() });
    held.await.unwrap();
    queued.await.unwrap();
    assert!(matches!(write_note(&db, "late").await, Err(DbError::Closed { .. })));
    assert!(!db.beside("test.db-wal").exists(), "the log is moved into the file");
    let again = Database::open(SqliteOptions::at(db.path())).await.unwrap();
    assert_eq!(notes(&again).await, ["held", "queued"]);
}

#[test]
fn database_outlives_a_runtime_that_is_shut_down() {
    let open = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = open();
    let db = first.block_on(notes_database());
    drop(first);
    open().block_on(async {
        write_note(&db, "after").await.unwrap();
        assert_eq!(notes(&db).await, ["after"]);
    });
}

#[tokio::test]
async fn log_is_moved_into_the_file_while_writes_go_on() {
    let db = TestDatabase::open_with(|options| SqliteOptions { wal_kib: 256, ..options }).await.unwrap();
    create_notes(&db).await;
    let log = db.beside("test.db-wal");
    let length = || log.metadata().map_or(0, |log| log.len());
    let (mut written, mut before) = (0, 0);
    // It begins anew once all of it was moved; how many writes that takes depends on the disk.
    while length() >= before {
        before = length();
        write_note(&db, format!("{written} {}", "x".repeat(10_000))).await.unwrap();
        written += 1;
        assert!(written < 20_000, "the log has grown to {before}");
    }
    assert_eq!(notes(&db).await.len(), written);
    db.close().await;
    assert!(!log.exists());
}
