//! The queue in a SQLite file passes the suite, held by two connections as by two processes; and
//! what only a file can go through.

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use celeriac_broker::SqliteBroker;
    use celeriac_broker::conformance::{Fixture, skipped};
    use celeriac_db::testing::TestDatabase;
    use celeriac_db::{Database, SqliteOptions};
    use celeriac_protocol::ManualClock;

    async fn open() -> Fixture {
        let clock = ManualClock::default();
        let db = TestDatabase::open().await.unwrap();
        let second = Database::open(SqliteOptions::at(db.path())).await.unwrap();
        let broker = SqliteBroker::open(db.database().clone(), Arc::new(clock.clone())).await.unwrap();
        let other = SqliteBroker::open(second, Arc::new(clock.clone())).await.unwrap();
        Fixture::new(Arc::new(broker), Arc::new(other), clock, db)
    }

    celeriac_broker::conform!(open);

    #[tokio::test]
    async fn skips_nothing() {
        assert_eq!(skipped(&open().await.broker.capabilities()), [""; 0]);
    }
}

#[cfg(test)]
mod file {
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::Duration;

    use celeriac_broker::{
        Broker, Delivery, FetchRequest, Notice, Publication, Renewal, Settle, Settlement, SqliteBroker,
    };
    use celeriac_db::testing::TestDatabase;
    use celeriac_db::{Database, DirectTx, SqliteOptions};
    use celeriac_protocol::{Content, Envelope, JobId, ManualClock};

    const LEASE: Duration = Duration::from_secs(30);

    async fn open_at(path: &Path, clock: &ManualClock) -> SqliteBroker {
        let db = Database::open(SqliteOptions::at(path)).await.unwrap();
        SqliteBroker::open(db, Arc::new(clock.clone())).await.unwrap()
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

    async fn fetch(broker: &SqliteBroker, max: usize) -> Vec<Delivery> {
        let queues = ["celery".to_owned()];
        let request = FetchRequest { queues: &queues, max, lease: LEASE, holder: "w" };
        broker.fetch(&request).await.unwrap().deliveries
    }

    fn ids(deliveries: &[Delivery]) -> Vec<&str> {
        deliveries.iter().map(|one| one.envelope.id.as_str()).collect()
    }

    #[tokio::test]
    async fn messages_outlive_the_process_that_published_them() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let broker = open_at(db.path(), &clock).await;
        broker.publish(vec![message("a"), message("b")]).await.unwrap();
        broker.admin().pause("other").await.unwrap();
        broker.sql().unwrap().database().close().await;
        let again = open_at(db.path(), &clock).await;
        assert_eq!(ids(&fetch(&again, 5).await), ["a", "b"]);
        assert!(again.admin().depths().await.unwrap().iter().any(|depth| depth.paused_at.is_some()));
    }

    #[tokio::test]
    async fn tables_migrate_up_down_and_up_again() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let broker = SqliteBroker::open(db.database().clone(), Arc::new(clock)).await.unwrap();
        broker.publish(vec![message("a")]).await.unwrap();
        SqliteBroker::MIGRATIONS.down_to(&db, None).await.unwrap();
        assert!(broker.publish(vec![message("b")]).await.is_err());
        SqliteBroker::MIGRATIONS.up(&db, 2).await.unwrap();
        broker.publish(vec![message("c")]).await.unwrap();
        assert_eq!(ids(&fetch(&broker, 5).await), ["c"]);
    }

    #[tokio::test]
    async fn messages_of_a_worker_that_was_killed_go_to_another() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let broker = open_at(db.path(), &clock).await;
        broker.publish(vec![message("a"), message("b"), message("c")]).await.unwrap();
        let (mut worker, mut lines) = start("file::holds_two_messages", db.path());
        assert!(lines.any(|line| line.contains("holding [\"a\", \"b\"]")));
        worker.kill().unwrap();
        worker.wait().unwrap();
        let mine = fetch(&broker, 5).await;
        assert_eq!(ids(&mine), ["c"]);
        let settle = |delivery| Settlement { delivery, settle: Settle::Ack };
        broker.settle(&mine.into_iter().map(settle).collect::<Vec<_>>()).await.unwrap();
        clock.advance(LEASE);
        let again = fetch(&broker, 5).await;
        assert_eq!(ids(&again), ["a", "b"]);
        assert!(again.iter().all(|one| (one.delivery, one.lost) == (2, 1)));
    }

    #[tokio::test]
    async fn message_that_cannot_be_read_is_left_to_its_lease_and_stands_in_nobodys_way() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let broker = open_at(db.path(), &clock).await;
        broker.publish(vec![message("broken"), message("fine")]).await.unwrap();
        let spoil = |tx: &DirectTx<'_>| {
            tx.execute("UPDATE celeriac_queue SET id = '' WHERE id = 'broken'", []).map(drop)
        };
        broker.sql().unwrap().database().write_direct("spoil", spoil).await.unwrap();
        assert_eq!(ids(&fetch(&broker, 5).await), ["fine"]);
        assert!(fetch(&broker, 5).await.is_empty());
    }

    #[tokio::test]
    async fn lease_named_twice_in_one_renewal_is_held_both_times() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let broker = open_at(db.path(), &clock).await;
        broker.publish(vec![message("a")]).await.unwrap();
        let tag = fetch(&broker, 1).await[0].tag;
        let held = Renewal::Held { cancel_requested: None };
        assert_eq!(broker.renew(&[tag, tag], LEASE).await.unwrap(), [held.clone(), held]);
    }

    /// Starts a test of this binary as a process of its own, tells it the file, and hears what it says.
    fn start(test: &str, path: &Path) -> (Child, impl Iterator<Item = String>) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(process.stdin.take().unwrap(), "{}", path.display()).unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        (process, lines)
    }

    /// In such a process: opens the file that it was told, if it was started as one.
    async fn told_broker() -> Option<SqliteBroker> {
        let mut path = String::new();
        std::io::stdin().read_line(&mut path).unwrap();
        let path = Some(path.trim()).filter(|path| !path.is_empty())?;
        Some(open_at(Path::new(path), &ManualClock::default()).await)
    }

    #[tokio::test]
    #[ignore = "is a process that another test starts and kills"]
    async fn holds_two_messages() {
        let Some(broker) = told_broker().await else { return };
        let held = fetch(&broker, 2).await;
        println!("holding {:?}", ids(&held));
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn what_a_killed_worker_has_acknowledged_never_comes_back_and_the_rest_does() {
        for killed_after in [1, 40, 150] {
            let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
            let broker = open_at(db.path(), &clock).await;
            let all: Vec<String> = (0..500).map(|number| format!("m{number:03}")).collect();
            broker.publish(all.iter().map(|id| message(id)).collect()).await.unwrap();
            let (mut worker, lines) = start("file::acknowledges_and_says_so", db.path());
            let acked = lines.filter_map(|line| line.strip_prefix("acked ").map(str::to_owned));
            let acked: Vec<String> = acked.take(killed_after).collect();
            worker.kill().unwrap();
            worker.wait().unwrap();
            clock.advance(LEASE);
            let left = fetch(&broker, 500).await;
            let left = ids(&left);
            let back: Vec<_> = acked.iter().filter(|id| left.contains(&id.as_str())).collect();
            assert!(back.is_empty(), "came back: {back:?}");
            // It may have acknowledged a few more than it had time to say.
            assert!(left.len() <= all.len() - killed_after && left.len() > 100, "{} are left", left.len());
            assert!(left.iter().eq(all.iter().rev().take(left.len()).rev()), "the first are done, no other");
        }
    }

    #[tokio::test]
    #[ignore = "is a process that another test starts and kills"]
    async fn acknowledges_and_says_so() {
        let Some(broker) = told_broker().await else { return };
        loop {
            for delivery in fetch(&broker, 3).await {
                let id = delivery.envelope.id.clone();
                broker.settle(&[Settlement { delivery, settle: Settle::Ack }]).await.unwrap();
                println!("acked {id}");
            }
        }
    }

    async fn hears(notices: &mut celeriac_broker::Notices, queue: &str) -> bool {
        let expected = Notice::Queue(queue.into());
        let heard = tokio::time::timeout(Duration::from_secs(10), async {
            while notices.recv().await.unwrap() != expected {}
        });
        heard.await.is_ok()
    }

    #[tokio::test]
    async fn sockets_of_the_dead_are_removed_and_those_of_the_living_go_with_them() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let sockets = db.beside("test.db.sock.d");
        std::fs::create_dir(&sockets).unwrap();
        drop(std::os::unix::net::UnixDatagram::bind(sockets.join("4711-dead")).unwrap());
        let (one, two) = (open_at(db.path(), &clock).await, open_at(db.path(), &clock).await);
        let mut notices = two.notifier().listen();
        one.notifier().notify(Notice::Queue("q".into()));
        assert!(hears(&mut notices, "q").await);
        let names = |folder: &Path| std::fs::read_dir(folder).map_or(0, Iterator::count);
        assert_eq!(names(&sockets), 1);
        drop((one, two, notices));
        assert_eq!(names(&sockets), 0);
    }

    #[tokio::test]
    async fn wake_ups_work_however_deep_the_folder_lies() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let deep = db.beside(&"very-deep/".repeat(15));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("celeriac.db");
        let (one, two) = (open_at(&path, &clock).await, open_at(&path, &clock).await);
        let mut notices = two.notifier().listen();
        one.publish(vec![message("a")]).await.unwrap();
        assert!(hears(&mut notices, "celery").await);
    }

    #[tokio::test]
    async fn listener_that_comes_later_hears_what_comes_after_it() {
        let (db, clock) = (TestDatabase::open().await.unwrap(), ManualClock::default());
        let (one, two) = (open_at(db.path(), &clock).await, open_at(db.path(), &clock).await);
        let mut first = one.notifier().listen();
        one.notifier().notify(Notice::Queue("early".into()));
        assert!(hears(&mut first, "early").await);
        let mut second = two.notifier().listen();
        one.notifier().notify(Notice::Queue("late".into()));
        assert!(hears(&mut second, "late").await);
    }

    #[tokio::test]
    async fn ids_that_are_queued_already_are_named_by_a_process_that_has_written_nothing_yet() {
        let clock = ManualClock::default();
        let db = TestDatabase::open().await.unwrap();
        let messages = || ["a", "b", "c", "d", "e"].map(message).to_vec();
        open_at(db.path(), &clock).await.publish(messages()).await.unwrap();
        let fresh = open_at(db.path(), &clock).await;
        let expected: Vec<Publication> =
            messages().into_iter().map(|message| Publication::Duplicate(message.id)).collect();
        assert_eq!(fresh.publish(messages()).await.unwrap(), expected);
        assert_eq!(fetch(&fresh, 10).await.len(), 5);
    }
}
