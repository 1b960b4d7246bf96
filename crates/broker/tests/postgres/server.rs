//! What only a server can go through: its clock, its plans, its restarts, its clients' deaths.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use celeriac_broker::{Broker, Delivery, FetchRequest, Notice, PostgresBroker, Settle, Settlement};
use celeriac_db::postgres::PgArguments;
use celeriac_db::sea_orm::sqlx::Row as _;
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbError, PostgresOptions};
use celeriac_peers::Postgres;
use celeriac_protocol::{Clock, Content, Envelope, JobId, ManualClock, Timestamp, WhenReached};
use tokio::task::JoinSet;

const LEASE: Duration = Duration::from_secs(30);

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the server goes by the machine's clock, too")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        Box::pin(tokio::time::sleep(instant.since(self.now())))
    }
}

fn message(id: &str) -> Envelope {
    Envelope {
        id: JobId::parse(id).unwrap(),
        queue: "celery".into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content::default(),
    }
}

fn messages(count: usize) -> Vec<Envelope> {
    (0..count).map(|number| message(&format!("m{number:05}"))).collect()
}

async fn fetch(broker: &PostgresBroker, max: usize, lease: Duration) -> Vec<Delivery> {
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max, lease, holder: "w" };
    broker.fetch(&request).await.unwrap().deliveries
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|one| one.envelope.id.as_str()).collect()
}

fn acks(deliveries: Vec<Delivery>) -> Vec<Settlement> {
    deliveries.into_iter().map(|delivery| Settlement { delivery, settle: Settle::Ack }).collect()
}

async fn open(db: &Database) -> PostgresBroker {
    PostgresBroker::open(db.clone(), Arc::new(SystemClock)).await.unwrap()
}

#[tokio::test]
async fn messages_outlive_the_process_that_published_them() {
    let db = TestDatabase::open_postgres().await.unwrap();
    let broker = open(&db).await;
    broker.publish(vec![message("a"), message("b")]).await.unwrap();
    broker.admin().pause("other").await.unwrap();
    db.close().await;
    let again = open(&db.again().await.unwrap()).await;
    assert_eq!(ids(&fetch(&again, 5, LEASE).await), ["a", "b"]);
    assert!(again.admin().depths().await.unwrap().iter().any(|depth| depth.paused_at.is_some()));
}

#[tokio::test]
async fn tables_migrate_up_down_and_up_again() {
    let db = TestDatabase::open_postgres().await.unwrap();
    let broker = open(&db).await;
    broker.publish(vec![message("a")]).await.unwrap();
    PostgresBroker::MIGRATIONS.down_to(&db, None).await.unwrap();
    assert!(broker.publish(vec![message("b")]).await.is_err());
    PostgresBroker::MIGRATIONS.up(&db, 2).await.unwrap();
    broker.publish(vec![message("c")]).await.unwrap();
    assert_eq!(ids(&fetch(&broker, 5, LEASE).await), ["c"]);
}

/// The clock of one node is an hour behind, and nobody's lease is the shorter for it.
#[tokio::test]
async fn leases_go_by_the_servers_clock_whatever_the_nodes_say() {
    let db = TestDatabase::open_postgres().await.unwrap();
    let behind = ManualClock::at(Timestamp::from_micros(SystemClock.now().as_micros() - 3_600_000_000));
    let right = open(&db).await;
    let late = PostgresBroker::new(db.again().await.unwrap(), Arc::new(behind.clone()));
    late.publish(vec![message("a")]).await.unwrap();
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 5, lease: LEASE, holder: "late" };
    let fetched = late.fetch(&request).await.unwrap();
    assert_eq!(fetched.deliveries[0].leased_until, behind.now() + LEASE, "told by the clock of who asked");
    let next = fetched.next_due_at.unwrap();
    assert!(next <= behind.now() + LEASE && next > behind.now() + LEASE / 2, "{next}");
    assert!(fetch(&right, 5, LEASE).await.is_empty(), "it is held, though its holder's clock is behind");
}

/// Counts the rows of the queue that a transaction read without an index, or with one.
const READ: &str = "SELECT seq_tup_read::bigint, idx_tup_fetch::bigint, seq_scan::bigint \
    FROM pg_stat_xact_user_tables WHERE relname = 'celeriac_queue' AND schemaname = current_schema()";

/// Every plan is made while the table is empty, when reading all of it would be cheapest.
#[tokio::test]
async fn hot_path_reads_by_indexes_alone_though_its_plans_are_as_old_as_the_table() {
    let db = TestDatabase::open_postgres().await.unwrap();
    let broker = open(&db).await;
    let options = PostgresOptions { write_connections: 1, ..db.server().unwrap().options().clone() };
    let writer = Database::open_postgres(options).await.unwrap();
    for messages in [Vec::new(), Vec::new(), messages(20_000)] {
        for some in messages.chunks(1_000) {
            broker.publish(some.to_vec()).await.unwrap();
        }
        let (seq_scans, rows) = read_by_hot_path(&broker, &writer).await;
        assert_eq!(seq_scans, 0, "with {} messages", messages.len());
        assert!(rows < 2_000, "{rows} rows were looked at to hand out and settle a hundred");
    }
}

/// Goes through a message's whole life in one transaction; returns how often the table was read whole,
/// and how many rows were looked at.
async fn read_by_hot_path(broker: &PostgresBroker, writer: &Database) -> (i64, i64) {
    const FETCH: &str = "SELECT coalesce(array_agg(seq), '{}'), coalesce(array_agg(fence), '{}') \
        FROM celeriac_queue_fetch(ARRAY['celery'], 100, 1000000, 7, 'w', NULL) WHERE seq IS NOT NULL";
    const CALLS: [&str; 5] = [
        "SELECT count(*) FROM celeriac_queue_renew($1, $2, 1000000, NULL)",
        "SELECT celeriac_queue_bury($1[1:1], $2[1:1], '{x}', '{x}', NULL)",
        "SELECT celeriac_queue_requeue($1[2:2], $2[2:2], '{NULL}', '{0}', '{NULL}', '{NULL}', '{NULL}', \
            '{NULL}', '{NULL}', NULL)",
        "SELECT celeriac_queue_ack($1, $2)",
        "SELECT count(*), $1::bigint[] IS NULL, $2::bigint[] IS NULL FROM celeriac_queue_cancel('m19999', 'x')",
    ];
    let broker = broker.clone();
    let read = async move |tx: &celeriac_db::DbTx| {
        let server = tx.server().unwrap();
        let held = &server.query(FETCH, PgArguments::default()).await?[0];
        let (seqs, fences): (Vec<i64>, Vec<i64>) = (held.get(0), held.get(1));
        for call in CALLS {
            let mut values = PgArguments::default();
            celeriac_db::sea_orm::sqlx::Arguments::add(&mut values, &seqs).unwrap();
            celeriac_db::sea_orm::sqlx::Arguments::add(&mut values, &fences).unwrap();
            server.query(call, values).await?;
        }
        broker.sql().unwrap().publish_in(tx, vec![message("one more"), message("one more")]).await.unwrap();
        let counted = &server.query(READ, PgArguments::default()).await?[0];
        Ok::<(i64, i64), DbError>((counted.get(2), counted.get::<i64, _>(0) + counted.get::<i64, _>(1)))
    };
    writer.write("hot path", read).await.unwrap()
}

/// The server looks at a queue when it has just run empty, and believes for long after that nothing is there.
#[tokio::test]
async fn what_falls_due_is_moved_by_index_though_the_table_was_analyzed_when_it_was_empty() {
    const FETCH: &str =
        "SELECT count(*) FROM celeriac_queue_fetch(ARRAY['celery'], 100, 1000000, 7, 'w', $1)";
    const ALL_DUE: i64 = 100_000_000_000_000_000;
    let db = TestDatabase::open_postgres().await.unwrap();
    let broker = open(&db).await;
    for some in messages(20_000).chunks(1_000) {
        broker.publish(some.to_vec()).await.unwrap();
        let held = fetch(&broker, 1_000, LEASE).await;
        let acked = held.into_iter().map(|delivery| Settlement { delivery, settle: Settle::Ack });
        broker.settle(&acked.collect::<Vec<_>>()).await.unwrap();
    }
    let server = db.server().unwrap();
    server.query("ANALYZE celeriac_queue", PgArguments::default()).await.unwrap();
    let sql = broker.clone();
    let look = async move |tx: &celeriac_db::DbTx| {
        let at = || {
            let mut at = PgArguments::default();
            celeriac_db::sea_orm::sqlx::Arguments::add(&mut at, ALL_DUE).unwrap();
            at
        };
        let server = tx.server().unwrap();
        // This connection makes its plan now.
        server.query(FETCH, at()).await?;
        let due_at = Some(Timestamp::from_micros(ALL_DUE - 1));
        for some in messages(20_000).chunks(1_000) {
            let delayed = some.iter().map(|one| Envelope { due_at, ..one.clone() });
            sql.sql().unwrap().publish_in(tx, delayed.collect()).await.unwrap();
        }
        server.query(FETCH, at()).await?;
        let counted = &server.query(READ, PgArguments::default()).await?[0];
        Ok::<(i64, i64), DbError>((counted.get(2), counted.get(1)))
    };
    let (seq_scans, rows) = db.write("fetch", look).await.unwrap();
    assert_eq!(seq_scans, 0);
    assert!(rows < 5_000, "{rows} rows were looked at to move a thousand and hand out a hundred");
}

#[tokio::test]
async fn messages_of_a_worker_that_was_killed_go_to_another() {
    let db = TestDatabase::open_postgres().await.unwrap();
    let broker = open(&db).await;
    broker.publish(vec![message("a"), message("b"), message("c")]).await.unwrap();
    let (mut worker, mut lines) = start("server::holds_two_messages", &db);
    assert!(lines.any(|line| line.contains("holding [\"a\", \"b\"]")));
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(ids(&fetch(&broker, 5, LEASE).await), ["c"]);
    let again = loop {
        let again = fetch(&broker, 5, LEASE).await;
        if !again.is_empty() {
            break again;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ids(&again), ["a", "b"]);
    assert!(again.iter().all(|one| (one.delivery, one.lost) == (2, 1)));
}

/// Starts a test of this binary as a process of its own, tells it the database, and hears what it says.
fn start(test: &str, db: &TestDatabase) -> (Child, impl Iterator<Item = String>) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(process.stdin.take().unwrap(), "{}", db.server().unwrap().options().url).unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    (process, lines)
}

#[tokio::test]
#[ignore = "is a process that another test starts and kills"]
async fn holds_two_messages() {
    let mut url = String::new();
    std::io::stdin().read_line(&mut url).unwrap();
    let Some(url) = Some(url.trim()).filter(|url| !url.is_empty()) else { return };
    let db = Database::open_postgres(PostgresOptions::at(url)).await.unwrap();
    let held = fetch(&open(&db).await, 2, Duration::from_secs(1)).await;
    println!("holding {:?}", ids(&held));
    std::future::pending::<()>().await;
}

/// Publishes one message after the other and tries again while the server is away, as a client does.
async fn publish_all(broker: PostgresBroker, count: usize) {
    for message in messages(count) {
        while let Err(error) = broker.publish(vec![message.clone()]).await {
            assert!(error.is_retryable(), "{error:?}");
        }
    }
}

/// Takes and acknowledges until all are done, as a worker does.
async fn work(broker: PostgresBroker, done: Arc<Mutex<BTreeSet<String>>>, count: usize) {
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 7, lease: Duration::from_secs(2), holder: "w" };
    while done.lock().unwrap().len() < count {
        let Ok(fetched) = broker.fetch(&request).await else { continue };
        let taken: Vec<String> = ids(&fetched.deliveries).into_iter().map(str::to_owned).collect();
        if taken.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else if broker.settle(&acks(fetched.deliveries)).await.is_ok() {
            done.lock().unwrap().extend(taken);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_server_is_killed_and_comes_back() {
    const COUNT: usize = 3_000;
    let mut server = tokio::task::spawn_blocking(|| Postgres::start().unwrap()).await.unwrap();
    let options = PostgresOptions::at(server.url("postgres"));
    let db = Database::open_postgres(options.clone()).await.unwrap();
    let broker = open(&db).await;
    let ear = open(&Database::open_postgres(options.clone()).await.unwrap()).await;
    ear.listen_now().await.unwrap();
    let mut notices = ear.notifier().listen();
    let done = Arc::new(Mutex::new(BTreeSet::new()));
    let mut crowd = JoinSet::new();
    crowd.spawn(publish_all(broker.clone(), COUNT));
    for _ in 0..2 {
        let db = Database::open_postgres(options.clone()).await.unwrap();
        crowd.spawn(work(open(&db).await, Arc::clone(&done), COUNT));
    }
    for round in 1..=3 {
        while done.lock().unwrap().len() < round * 400 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server = tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
    }
    let finished = tokio::time::timeout(Duration::from_secs(60), crowd.join_all()).await;
    assert!(finished.is_ok(), "{} of {COUNT} are done", done.lock().unwrap().len());
    // A message whose acknowledgement nobody heard was acknowledged or comes again; none waits for ever.
    assert!(broker.admin().depths().await.unwrap().iter().all(|depth| depth.ready + depth.delayed == 0));
    while notices.try_recv().is_ok() {}
    let told = async { while !matches!(notices.recv().await, Ok(Notice::Queue(_))) {} };
    tokio::pin!(told);
    loop {
        broker.publish(vec![message("wake up")]).await.unwrap();
        if tokio::time::timeout(Duration::from_millis(500), &mut told).await.is_ok() {
            break;
        }
    }
    drop(server);
}
