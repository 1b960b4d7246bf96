//! What a caller may rely on where the database lies on a PostgreSQL server.

use std::time::Duration;

use celeriac_db::postgres::PgArguments;
use celeriac_db::sea_orm::sqlx::{Arguments as _, Row as _};
use celeriac_db::testing::{TestDatabase, postgres};
use celeriac_db::{Database, DbError, DbTx, Migration, MigrationSet, PostgresOptions, ServerFault};
use celeriac_peers::Postgres;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::common::{create_notes, insert, notes, run_text, write_note};

async fn notes_database() -> TestDatabase {
    let db = TestDatabase::open_postgres().await.unwrap();
    create_notes(&db).await;
    db
}

fn failing<T>() -> Result<T, DbError> {
    Err(DbError::Option { name: "mine", reason: "is what I say" })
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
        failing::<()>()
    });
    assert!(matches!(failed.await, Err(DbError::Option { name: "mine", .. })));
    assert!(notes(&db).await.is_empty());
    write_note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn failed_statement_whose_error_is_swallowed_stores_nothing() {
    let db = notes_database().await;
    write_note(&db, "taken").await.unwrap();
    let swallowed = db.write("swallow", async |tx| {
        insert(tx, "with it").await?;
        assert!(insert(tx, "taken").await.is_err());
        assert!(insert(tx, "after it").await.is_err(), "the server takes no more of this transaction");
        Ok::<_, DbError>(())
    });
    assert!(matches!(swallowed.await, Err(DbError::TransactionLost { label: "swallow" })));
    assert_eq!(notes(&db).await, ["taken"]);
}

#[tokio::test]
async fn write_that_panics_is_undone_and_others_go_on() {
    let db = notes_database().await;
    let panicked = db.write("panic", async |tx| -> Result<(), DbError> {
        insert(tx, "gone").await?;
        panic!("on purpose")
    });
    assert!(matches!(panicked.await, Err(DbError::Panicked { message, .. }) if message == "on purpose"));
    write_note(&db, "next").await.unwrap();
    assert_eq!(notes(&db).await, ["next"]);
}

#[tokio::test]
async fn write_that_takes_too_long_is_undone_and_lets_its_locks_go() {
    let db = notes_database().await;
    let limit = Duration::from_millis(300);
    let slow = db.write_within("slow", limit, async |tx| {
        insert(tx, "contested").await?;
        std::future::pending::<()>().await;
        Ok::<_, DbError>(())
    });
    assert!(matches!(slow.await, Err(DbError::Deadline { label: "slow", .. })));
    // Its unique text would keep this one waiting as long as it is held.
    write_note(&db, "contested").await.unwrap();
    assert_eq!(notes(&db).await, ["contested"]);
}

#[tokio::test]
async fn statement_that_takes_too_long_is_stopped_on_the_server() {
    let db = notes_database().await;
    let limit = Duration::from_millis(300);
    let slow = db.write_within("slow", limit, async |tx| run_text(tx, "SELECT pg_sleep(60)").await);
    let error = slow.await.unwrap_err();
    let stopped = matches!(error, DbError::Deadline { .. });
    assert!(stopped || error.server_fault() == Some(ServerFault::StatementTimeout), "{error:?}");
}

#[tokio::test]
async fn plain_write_inside_a_write_is_refused_at_once() {
    let db = notes_database().await;
    let inner = db.database().clone();
    let nested = db.write("outer", async move |_| write_note(&inner, "never").await);
    assert!(matches!(nested.await, Err(DbError::Nested { label: "write note", outer: "outer" })));
}

#[tokio::test]
async fn writes_run_side_by_side() {
    let db = notes_database().await;
    let (release, released) = oneshot::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let held = db.write("held", async move |tx| {
        insert(tx, "held").await?;
        begin.send(()).ok();
        released.await.ok();
        Ok::<_, DbError>(())
    });
    let beside = async {
        begun.await.unwrap();
        write_note(&db, "beside").await.unwrap();
        assert_eq!(notes(&db).await, ["beside"]);
        release.send(()).unwrap();
    };
    let (held, ()) = tokio::join!(held, beside);
    held.unwrap();
    assert_eq!(notes(&db).await.len(), 2);
}

#[tokio::test]
async fn hooks_run_after_the_commit_and_never_without_one() {
    let db = notes_database().await;
    for fails in [true, false] {
        let (send, told) = oneshot::channel();
        let write = db.write("hook", async move |tx| {
            tx.after_commit(move || send.send(()).unwrap_or_default());
            if fails { failing() } else { Ok(()) }
        });
        assert_eq!(write.await.is_err(), fails);
        assert_eq!(told.await.is_err(), fails);
    }
}

#[tokio::test]
async fn statements_of_a_file_are_refused() {
    let db = notes_database().await;
    let refused = db.write_direct("direct", |_| Ok::<_, DbError>(())).await;
    assert!(matches!(refused, Err(DbError::WrongEngine { .. })));
    let refused = db.write("direct", async |tx| tx.direct(|_| Ok::<_, DbError>(())).await).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn statement_by_hand_runs_alone_or_in_the_callers_transaction() {
    let db = notes_database().await;
    let values = |text: &str| {
        let mut values = PgArguments::default();
        values.add(text).unwrap();
        values
    };
    const INSERT: &str = "INSERT INTO note (text) VALUES ($1) RETURNING text";
    let rows = db.server().unwrap().query(INSERT, values("alone")).await.unwrap();
    assert_eq!(rows[0].get::<String, _>(0), "alone");
    let undone = db.write("undone", async move |tx| {
        tx.server().unwrap().query(INSERT, values("undone")).await?;
        failing::<()>()
    });
    assert!(undone.await.is_err());
    assert_eq!(notes(&db).await, ["alone"]);
    let again = db.server().unwrap().query(INSERT, values("alone")).await;
    assert!(matches!(again, Err(DbError::Statement(_))));
    assert_eq!(db.server().unwrap().query(INSERT, values("next")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn pooler_without_sessions_and_prepared_statements_is_enough() {
    let options = postgres::corner().await.unwrap();
    let options = PostgresOptions { pooled: true, prepared_statements: false, ..options };
    let db = Database::open_postgres(options).await.unwrap();
    create_notes(&db).await;
    for number in 0..20 {
        write_note(&db, format!("{number}")).await.unwrap();
        assert_eq!(notes(&db).await.len(), number + 1);
    }
    let kept = "SELECT count(*) FROM pg_prepared_statements";
    let rows = db.server().unwrap().query(kept, PgArguments::default()).await.unwrap();
    assert!(rows[0].get::<i64, _>(0) <= 1);
    assert!(db.server().unwrap().listen("anything").await.unwrap().is_none());
}

#[tokio::test]
async fn closed_database_refuses_and_what_was_handed_in_is_stored() {
    let db = notes_database().await;
    let again = db.again().await.unwrap();
    let mut writes = JoinSet::new();
    for number in 0..50 {
        let db = db.database().clone();
        writes.spawn(async move { write_note(&db, format!("{number}")).await });
    }
    while notes(&again).await.is_empty() {}
    db.close().await;
    let stored = writes.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(notes(&again).await.len(), stored);
    assert!(matches!(write_note(&db, "late").await, Err(DbError::Closed { .. })));
    let late = db.server().unwrap().query("SELECT 1", PgArguments::default()).await;
    assert!(matches!(late, Err(DbError::Closed { .. })));
}

#[tokio::test]
async fn many_processes_migrate_at_once_and_each_migration_is_made_by_one() {
    fn slowly(tx: &DbTx) -> futures_util::future::BoxFuture<'_, Result<(), celeriac_db::sea_orm::DbErr>> {
        Box::pin(async move {
            let text = "CREATE TABLE thing (id bigint); SELECT pg_sleep(0.05)";
            run_text(tx, text).await.map_err(|error| celeriac_db::sea_orm::DbErr::Custom(error.to_string()))
        })
    }
    const SET: MigrationSet =
        MigrationSet { owner: "shop", migrations: &[Migration { name: "m1_thing", up: slowly, down: None }] };
    let db = TestDatabase::open_postgres().await.unwrap();
    let mut processes = JoinSet::new();
    for _ in 0..8 {
        let again = db.again().await.unwrap();
        processes.spawn(async move { SET.up(&again, 7).await.unwrap() });
    }
    let made = processes.join_all().await.concat();
    assert_eq!(made, ["m1_thing"]);
}

/// A server of the test's own, which it may break.
async fn own_server() -> (Postgres, PostgresOptions) {
    let server = tokio::task::spawn_blocking(|| Postgres::start().unwrap()).await.unwrap();
    let options = PostgresOptions::at(server.url("postgres"));
    (server, options)
}

async fn fault(options: PostgresOptions) -> Option<ServerFault> {
    let options = PostgresOptions { connect_timeout: Duration::from_millis(700), ..options };
    let error = Database::open_postgres(options).await.unwrap_err();
    assert!(error.server_fault().is_some(), "{error:?}");
    error.server_fault()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_obstacle_is_named() {
    let (server, options) = own_server().await;
    let as_user = |user: &str| PostgresOptions::at(options.url.replace("postgres@", user));
    let text = "CREATE ROLE limited LOGIN CONNECTION LIMIT 0; \
        CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on; \
        CREATE ROLE guest LOGIN; CREATE ROLE secret LOGIN PASSWORD 'right'; \
        COPY (SELECT 'host all secret 127.0.0.1/32 scram-sha-256' UNION ALL \
              SELECT 'host all all 127.0.0.1/32 trust') TO PROGRAM 'sort -r > \"$PWD\"/pg_hba.conf'; \
        SELECT pg_reload_conf()";
    for part in text.split(';') {
        postgres::run_text(&options, part).await.unwrap();
    }
    assert_eq!(fault(as_user("limited@")).await, Some(ServerFault::TooManyConnections));
    assert_eq!(fault(as_user("reader@")).await, Some(ServerFault::ReadOnly));
    assert_eq!(fault(as_user("secret:wrong@")).await, Some(ServerFault::Login));
    assert!(Database::open_postgres(as_user("secret:right@")).await.is_ok());
    let missing = PostgresOptions::at(server.url("missing"));
    assert_eq!(fault(missing).await, Some(ServerFault::DatabaseMissing));
    let encrypted = PostgresOptions::at(format!("{}?sslmode=require", options.url));
    assert_eq!(fault(encrypted).await, Some(ServerFault::Tls));
    let guest = Database::open_postgres(as_user("guest@")).await.unwrap();
    let denied = guest.write("create", async |tx| run_text(tx, "CREATE TABLE t (id int)").await).await;
    assert_eq!(denied.unwrap_err().server_fault(), Some(ServerFault::Denied));
    drop(server);
    assert_eq!(fault(options).await, Some(ServerFault::Unreachable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_by_itself_after_the_server_was_away() {
    let (mut server, options) = own_server().await;
    let options = PostgresOptions { connect_timeout: Duration::from_secs(20), ..options };
    let db = Database::open_postgres(options).await.unwrap();
    create_notes(&db).await;
    let mut ear = db.server().unwrap().listen("here").await.unwrap().unwrap();
    for round in 0..3 {
        write_note(&db, format!("before {round}")).await.unwrap();
        let (begin, begun) = oneshot::channel();
        let writer = db.clone();
        let busy = writer.write("busy", async move |tx| {
            insert(tx, format!("lost {round}")).await?;
            begin.send(()).ok();
            run_text(tx, "SELECT pg_sleep(60)").await
        });
        let mut busy = std::pin::pin!(busy);
        tokio::select! {
            _ = &mut busy => unreachable!("it sleeps"),
            begun = begun => begun.unwrap(),
        }
        server = tokio::task::spawn_blocking(move || {
            if round == 1 {
                server.stop();
            } else {
                server.kill();
            }
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
        let error = busy.await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        write_note(&db, format!("after {round}")).await.unwrap();
        // A connection that was in use a moment ago is not asked whether it is alive.
        while let Err(error) = db.server().unwrap().query("SELECT 1", PgArguments::default()).await {
            assert!(error.is_retryable(), "{error:?}");
        }
        assert_eq!(notes(&db).await.len(), (round + 1) * 2);
        assert_eq!(ear.hear().await.unwrap(), None, "the connection broke");
        let news = async {
            loop {
                let send =
                    db.server().unwrap().query("SELECT pg_notify('here', 'news')", PgArguments::default());
                send.await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            heard = ear.hear() => assert_eq!(heard.unwrap().as_deref(), Some("news")),
            () = news => {}
        }
    }
}
