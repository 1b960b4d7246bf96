//! What a caller of `Database::write_direct` may rely on: all that a write keeps, and SeaORM's writes beside it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbError, DirectTx, SqliteOptions, StorageFault};
use tokio::sync::oneshot;

use crate::common::{create_notes, insert, notes, run_text, write_note};

const INSERT: &str = "INSERT INTO note (text) VALUES (?1)";

/// Goes on for as long as it is let, and writes nothing.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       INSERT INTO note (text) SELECT 'x' || i FROM n WHERE i < 0";

async fn database(deadline: Duration) -> TestDatabase {
    let options = move |options| SqliteOptions {
        group_time: Duration::from_secs(60),
        write_deadline: deadline,
        ..options
    };
    let db = TestDatabase::open_with(options).await.unwrap();
    create_notes(&db).await;
    db
}

async fn notes_database() -> TestDatabase {
    database(Duration::from_secs(10)).await
}

async fn note(db: &TestDatabase, text: &'static str) -> Result<i64, DbError> {
    let write = move |tx: &DirectTx<'_>| {
        tx.execute(INSERT, [text])?;
        Ok(tx.last_insert_id())
    };
    db.write_direct("note", write).await
}

/// A write that was handed in and not answered yet.
type Handed = Pin<Box<dyn Future<Output = Result<(), DbError>>>>;

/// Keeps the writer busy with a direct write until it is released, so that what comes next shares its group.
async fn hold(db: &TestDatabase) -> (Handed, oneshot::Sender<()>) {
    let ((begin, begun), (release, released)) = (oneshot::channel(), oneshot::channel::<()>());
    let db = db.database().clone();
    let work = move |tx: &DirectTx<'_>| {
        begin.send(()).ok();
        released.blocking_recv().ok();
        tx.execute(INSERT, ["held"]).map(drop)
    };
    let mut held: Handed = Box::pin(async move { db.write_direct("held", work).await });
    // The first poll hands it in.
    assert!(held.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    begun.await.unwrap();
    (held, release)
}

#[tokio::test]
async fn statements_and_their_rows_are_stored_read_and_numbered() {
    let db = notes_database().await;
    assert_eq!(note(&db, "one").await.unwrap(), 1);
    assert_eq!(note(&db, "two").await.unwrap(), 2);
    let read = db.write_direct("read", |tx| {
        let all = tx.query("SELECT text FROM note ORDER BY id", [], |row| row.get::<_, String>(0))?;
        let none =
            tx.query_first("SELECT text FROM note WHERE id = ?1", [7], |row| row.get::<_, String>(0))?;
        Ok::<_, DbError>((all, none))
    });
    assert_eq!(read.await.unwrap(), (vec!["one".to_owned(), "two".to_owned()], None));
    assert_eq!(notes(&db).await, ["one", "two"]);
}

#[tokio::test]
async fn both_kinds_of_writes_share_a_group_and_a_failing_one_is_undone_alone() {
    let db = notes_database().await;
    let (held, release) = hold(&db).await;
    let broken = db.write_direct("broken", |tx| {
        tx.execute(INSERT, ["half"])?;
        tx.execute(INSERT, ["held"]).map(drop)
    });
    let orm = write_note(&db, "orm");
    let mixed = db.write("mixed", async |tx| {
        insert(tx, "first").await?;
        tx.direct(|tx| tx.execute(INSERT, ["second"])).await?;
        insert(tx, "third").await
    });
    let released = async {
        // The others are handed in by now: `join` polls in the order given.
        release.send(()).unwrap();
    };
    let (broken, orm, mixed, last, ()) = tokio::join!(broken, orm, mixed, note(&db, "last"), released);
    held.await.unwrap();
    let error = broken.unwrap_err();
    assert!(matches!(error, DbError::Direct(_)), "{error}");
    orm.unwrap();
    mixed.unwrap();
    last.unwrap();
    assert_eq!(notes(&db).await, ["held", "orm", "first", "second", "third", "last"]);
}

#[tokio::test]
async fn hook_runs_once_after_the_commit_and_never_after_a_failure() {
    let db = notes_database().await;
    let ran = Arc::new(AtomicUsize::new(0));
    for fails in [true, false] {
        let ran = Arc::clone(&ran);
        let work = move |tx: &DirectTx<'_>| {
            for _ in 0..2 {
                let ran = Arc::clone(&ran);
                let count = move || {
                    ran.fetch_add(1, Ordering::SeqCst);
                };
                tx.after_commit_once("count", count);
            }
            if fails { tx.execute(INSERT, [None::<i64>]).map(drop) } else { Ok(()) }
        };
        assert_eq!(db.write_direct("hook", work).await.is_err(), fails);
    }
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn panic_is_undone_reported_and_survived() {
    let db = notes_database().await;
    let panicking = db.write_direct("loud", |tx| -> Result<(), DbError> {
        tx.execute(INSERT, ["half"])?;
        panic!("oh no")
    });
    let error = panicking.await.unwrap_err().to_string();
    assert!(error.contains("loud") && error.contains("oh no"), "{error}");
    note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn statement_that_runs_too_long_is_stopped_at_the_deadline_either_way() {
    let db = database(Duration::from_millis(50)).await;
    let direct = db.write_direct("endless", |tx| tx.execute(ENDLESS, []));
    let error = tokio::time::timeout(Duration::from_secs(10), direct).await.unwrap().unwrap_err();
    assert!(matches!(error, DbError::Deadline { label: "endless", .. }), "{error}");
    let mixed = db.write("mixed", async |tx| tx.direct(|tx| tx.execute(ENDLESS, [])).await);
    let error = tokio::time::timeout(Duration::from_secs(10), mixed).await.unwrap().unwrap_err();
    assert!(matches!(error, DbError::Deadline { label: "mixed", .. }), "{error}");
    note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn write_that_fails_by_itself_after_its_deadline_keeps_its_own_error() {
    let db = database(Duration::from_millis(20)).await;
    let (_never, released) = oneshot::channel::<()>();
    let failing = db.write_direct("late", move |_| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let patience = tokio::time::Duration::from_millis(40);
        runtime.block_on(async { tokio::time::timeout(patience, released).await }).unwrap_err();
        Err::<(), _>(DbError::Option { name: "mine", reason: "is what I say" })
    });
    assert!(matches!(failing.await, Err(DbError::Option { name: "mine", .. })));
    note(&db, "next").await.unwrap();
}

#[tokio::test]
async fn statement_after_the_deadline_is_not_begun() {
    let db = database(Duration::from_millis(20)).await;
    let slow = db.write_direct("slow", |tx| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(tokio::time::sleep(Duration::from_millis(40)));
        tx.execute(INSERT, ["late"])
    });
    let error = slow.await.unwrap_err();
    assert!(matches!(error, DbError::Deadline { label: "slow", .. }), "{error}");
    assert!(notes(&db).await.is_empty());
}

#[tokio::test]
async fn full_disk_is_reported_and_the_writer_recovers() {
    let db = notes_database().await;
    let limit = |pages: &'static str| db.write("limit", async move |tx| run_text(tx, pages).await);
    limit("PRAGMA max_page_count = 20").await.unwrap();
    let big = "x".repeat(1 << 20);
    let error = db.write_direct("big", move |tx| tx.execute(INSERT, [big])).await.unwrap_err();
    assert_eq!(error.fault(), Some(StorageFault::Full), "{error}");
    assert!(error.is_retryable());
    limit("PRAGMA max_page_count = 100000").await.unwrap();
    note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn lock_that_another_holds_is_named_and_had_once_it_is_free() {
    let patience = |options| SqliteOptions { busy_timeout: Duration::from_millis(20), ..options };
    let db = TestDatabase::open_with(patience).await.unwrap();
    create_notes(&db).await;
    // So that the writer is at direct writes when it asks for the lock.
    note(&db, "first").await.unwrap();
    let other = Database::open(SqliteOptions::at(db.path())).await.unwrap();
    let ((begin, begun), (release, released)) = (oneshot::channel(), oneshot::channel::<()>());
    let holding = async {
        let hold = other.write("hold", async move |tx| {
            insert(tx, "other").await?;
            begin.send(()).ok();
            released.await.ok();
            Ok::<_, DbError>(())
        });
        hold.await.unwrap();
    };
    let waiting = async {
        begun.await.unwrap();
        let error = note(&db, "locked").await.unwrap_err();
        assert_eq!(error.fault(), Some(StorageFault::Locked), "{error}");
        release.send(()).unwrap();
    };
    tokio::join!(holding, waiting);
    note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["first", "other", "next"]);
}

#[tokio::test]
async fn transaction_that_sqlite_gives_up_stores_nothing_that_comes_after() {
    let db = notes_database().await;
    let breaking = db.write_direct("breaking", |tx| {
        tx.execute("INSERT OR ROLLBACK INTO note (text) VALUES ('a'), ('a')", []).ok();
        // Outside of the transaction this would be stored by itself.
        tx.execute(INSERT, ["stray"]).ok();
        Ok::<_, DbError>(())
    });
    let error = breaking.await.unwrap_err();
    assert!(matches!(error, DbError::TransactionLost { .. }) && error.is_retryable(), "{error}");
    note(&db, "next").await.unwrap();
    write_note(&db, "last").await.unwrap();
    assert_eq!(notes(&db).await, ["next", "last"]);
}

#[tokio::test]
async fn database_that_was_written_directly_closes_and_its_log_is_gone() {
    let db = notes_database().await;
    note(&db, "one").await.unwrap();
    let mut log = db.path().as_os_str().to_owned();
    log.push("-wal");
    db.close().await;
    // The last connection to close moves the log into the file and removes it.
    assert!(!std::path::Path::new(&log).exists());
}
