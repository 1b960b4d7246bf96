//! The record of jobs in the platform's tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use celeriac_broker::{Broker, MemoryBroker, sql};
use celeriac_control::StoreRecorder;
use celeriac_db::DbError;
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{
    Client, ClientParts, Ctx, EventHub, EventSink, Recorder, Registry, States, SystemClock, TaskError,
    Worker, WorkerOptions, task,
};
use celeriac_protocol::{
    Clock, JobEvent, JobFacts, JobId, JobStatus, RawValue, RecordLevel, Timestamp, What,
};
use celeriac_store::{AttemptOutcome, MIGRATIONS, query::jobs};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);

#[task(crate = celeriac_engine, name = "count", max_retries = 2)]
async fn count(to: u32, ctx: Ctx) -> Result<u32, TaskError> {
    ctx.progress_with(50, "half way", &to)?;
    if ctx.attempt() == 1 {
        return Err(TaskError::retry_in(Duration::ZERO, "not yet"));
    }
    Ok(to)
}

async fn database() -> TestDatabase {
    let db = TestDatabase::open().await.unwrap();
    MIGRATIONS.up(&db, 0).await.unwrap();
    db
}

fn client(db: &TestDatabase, registry: &Registry) -> Client {
    client_on(db, registry, |clock| Arc::new(MemoryBroker::new(clock)))
}

/// A client whose queue lies in the same database as the record.
async fn client_of_one_database(db: &TestDatabase, registry: &Registry) -> Client {
    let broker = sql::open(db.database().clone(), Arc::new(SystemClock)).await.unwrap();
    client_on(db, registry, |_| broker)
}

fn client_on(
    db: &TestDatabase,
    registry: &Registry,
    broker: impl FnOnce(Arc<dyn Clock>) -> Arc<dyn Broker>,
) -> Client {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Client::new(ClientParts {
        broker: broker(Arc::clone(&clock)),
        recorder: Arc::new(StoreRecorder::new(db.database().clone())),
        clock,
        registry: registry.clone(),
        events: EventHub::default(),
        origin: "test".to_owned(),
    })
}

#[tokio::test]
async fn a_worker_leaves_the_whole_story_of_a_job() {
    let db = database().await;
    let registry = Registry::builder().task::<count>().build().unwrap();
    let client = client(&db, &registry);
    let options = WorkerOptions { name: "w1".to_owned(), ..WorkerOptions::default() };
    let worker = Worker::new(client.clone(), registry, States::default(), options).unwrap();
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    running.spawn(worker.run(stop.clone()));

    let job = client.enqueue(count(7)).await.unwrap();
    assert_eq!(job.wait(SOON).await.unwrap(), 7);
    stop.cancel();
    running.join_next().await.unwrap().unwrap();

    let record = jobs::find(db.reader(), job.id()).await.unwrap().unwrap();
    let summary = &record.summary;
    assert_eq!((summary.status, summary.attempt, summary.progress), (JobStatus::Completed, 2, 100));
    assert_eq!((summary.task.as_str(), summary.worker.as_deref()), ("count", Some("w1")));
    assert_eq!(summary.progress_message.as_deref(), Some("half way"));
    assert_eq!((record.kwargs.get(), record.result.unwrap().get()), (r#"{"to":7}"#, "7"));
    let outcomes: Vec<_> = record.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(AttemptOutcome::Retried), Some(AttemptOutcome::Succeeded)]);
    assert_eq!(record.attempts[0].error.as_ref().unwrap().message, "not yet");
}

#[task(crate = celeriac_engine, name = "hush", max_retries = 1, default_retry_delay = "0s", record = "failures")]
async fn hush(fails: bool, ctx: Ctx) -> Result<(), TaskError> {
    // Every first try fails, so that a quiet job goes back into the queue, too.
    if fails || ctx.attempt() == 1 {
        return Err(std::io::Error::other("no"))?;
    }
    Ok(())
}

/// Tells that a job has succeeded.
#[derive(Default)]
struct Succeeded(Notify);

impl EventSink for Succeeded {
    fn tell(&self, event: &JobEvent) {
        if matches!(event.what, What::Succeeded { .. }) {
            self.0.notify_one();
        }
    }
}

#[tokio::test]
async fn quiet_job_runs_leaves_the_queue_and_is_recorded_only_if_it_fails_for_good() {
    let db = database().await;
    let registry = Registry::builder().task::<hush>().build().unwrap();
    for client in [client(&db, &registry), client_of_one_database(&db, &registry).await] {
        let worker =
            Worker::new(client.clone(), registry.clone(), States::default(), WorkerOptions::default());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(worker.unwrap().run(stop.clone()));
        let succeeded = Arc::new(Succeeded::default());
        client.events().add(Arc::clone(&succeeded) as Arc<dyn EventSink>);
        let fine = client.enqueue(hush(false)).await.unwrap();
        let failing = client.enqueue(hush(true)).await.unwrap();
        assert!(failing.wait(SOON).await.is_err());
        tokio::time::timeout(SOON, succeeded.0.notified()).await.unwrap();
        stop.cancel();
        running.join_next().await.unwrap().unwrap();
        assert!(jobs::find(db.reader(), fine.id()).await.unwrap().is_none());
        let record = jobs::find(db.reader(), failing.id()).await.unwrap().unwrap();
        assert_eq!((record.summary.status, record.summary.attempt), (JobStatus::Failed, 2));
        let admin = client.broker().admin();
        assert!(admin.find(fine.id()).await.unwrap().is_none());
        assert!(admin.dead_letter(failing.id()).await.unwrap().is_some());
    }
}

#[task(crate = celeriac_engine, name = "garble")]
async fn garble(ctx: Ctx) -> Result<(), TaskError> {
    ctx.progress(50, "half\0way");
    Err(TaskError::discard("page\0 can't be read"))
}

#[tokio::test]
async fn a_job_whose_words_hold_a_nul_ends_at_its_first_attempt() {
    let db = database().await;
    let registry = Registry::builder().task::<garble>().build().unwrap();
    for client in [client(&db, &registry), client_of_one_database(&db, &registry).await] {
        let worker =
            Worker::new(client.clone(), registry.clone(), States::default(), WorkerOptions::default());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(worker.unwrap().run(stop.clone()));
        let job = client.enqueue(garble()).await.unwrap();
        assert!(job.wait(SOON).await.is_err());
        stop.cancel();
        running.join_next().await.unwrap().unwrap();
        let record = jobs::find(db.reader(), job.id()).await.unwrap().unwrap();
        assert_eq!((record.summary.status, record.summary.attempt), (JobStatus::Failed, 1));
        assert_eq!(record.summary.error.unwrap().message, "page\u{fffd} can't be read");
        let letter = client.broker().admin().dead_letter(job.id()).await.unwrap().unwrap();
        assert_eq!((letter.reason.as_str(), letter.detail.as_str()), ("error", "page\u{fffd} can't be read"));
    }
}

#[tokio::test]
async fn a_job_enqueued_again_under_its_id_leaves_the_story_of_both_runs() {
    let db = database().await;
    let registry = Registry::builder().task::<count>().build().unwrap();
    for (name, client) in
        [("apart", client(&db, &registry)), ("together", client_of_one_database(&db, &registry).await)]
    {
        let options = WorkerOptions { name: "w1".to_owned(), ..WorkerOptions::default() };
        let worker = Worker::new(client.clone(), registry.clone(), States::default(), options).unwrap();
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(worker.run(stop.clone()));
        let id = JobId::parse(name).unwrap();
        let first = client.enqueue(count(1).id(id.clone())).await.unwrap();
        assert_eq!(first.wait(SOON).await.unwrap(), 1);
        // Where they lie apart, the outcome is on record before its message is let go of, whose id is taken till then.
        while client.find(&id).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        let again = client.enqueue(count(2).id(id.clone())).await.unwrap();
        assert_eq!(again.wait(SOON).await.unwrap(), 2, "{name}");
        stop.cancel();
        running.join_next().await.unwrap().unwrap();

        let record = jobs::find(db.reader(), &id).await.unwrap().unwrap();
        let summary = &record.summary;
        assert_eq!((summary.status, summary.generation, summary.attempt), (JobStatus::Completed, 1, 2));
        assert_eq!((record.kwargs.get(), record.result.unwrap().get()), (r#"{"to":2}"#, "2"));
        let runs: Vec<_> = record.attempts.iter().map(|run| (run.generation, run.attempt)).collect();
        assert_eq!(runs, [(0, 1), (0, 2), (1, 1), (1, 2)]);
    }
}

#[tokio::test]
async fn who_listens_hears_of_a_job_enqueued_in_a_transaction_once_it_commits() {
    struct Counter(AtomicUsize);
    impl EventSink for Counter {
        fn tell(&self, _: &JobEvent) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let db = database().await;
    let registry = Registry::builder().task::<count>().build().unwrap();
    let client = client_of_one_database(&db, &registry).await;
    let heard = Arc::new(Counter(AtomicUsize::default()));
    client.events().add(Arc::clone(&heard) as Arc<dyn EventSink>);
    for (is_kept, expected) in [(false, 0), (true, 1)] {
        let (inner, heard_inside) = (client.clone(), Arc::clone(&heard));
        let outcome = db.write("test", async move |tx| {
            inner.enqueue_in(tx, count(1)).await.unwrap();
            assert_eq!(heard_inside.0.load(Ordering::SeqCst), 0);
            if is_kept { Ok(()) } else { Err(DbError::Closed { path: "undone".into() }) }
        });
        assert_eq!(outcome.await.is_ok(), is_kept);
        assert_eq!(heard.0.load(Ordering::SeqCst), expected);
    }
}

fn enqueued(id: &str) -> JobEvent {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    let facts = JobFacts {
        id: JobId::parse(id).unwrap(),
        task: "count".into(),
        job_type: "count".into(),
        queue: "celery".into(),
        priority: None,
        args: raw("[]"),
        kwargs: raw("{}"),
        root_id: None,
        parent_id: None,
        group: None,
        schedule: None,
        schedule_due_at: None,
        ignore_result: false,
        reply_to: None,
        created_at: None,
        eta: None,
        expires: None,
        max_retries: None,
        generation: 0,
        record: RecordLevel::All,
    };
    JobEvent { at: Timestamp::EPOCH, job: Arc::new(facts), delivery: 0, attempt: 0, what: What::Enqueued }
}

#[tokio::test]
async fn a_record_shares_the_fate_of_the_transaction_it_is_part_of() {
    let db = database().await;
    let recorder = StoreRecorder::new(db.database().clone());
    for (id, is_kept) in [("kept", true), ("undone", false)] {
        let inner = recorder.clone();
        let outcome = db.write("test", async move |tx| {
            inner.sql().unwrap().record_in(tx, &[enqueued(id)]).await.unwrap();
            if is_kept { Ok(()) } else { Err(DbError::Closed { path: "undone".into() }) }
        });
        assert_eq!(outcome.await.is_ok(), is_kept);
        let snapshot = recorder.snapshot(&JobId::parse(id).unwrap()).await.unwrap();
        assert_eq!(snapshot.map(|snapshot| snapshot.status), is_kept.then_some(JobStatus::Pending));
    }
}

#[tokio::test]
async fn a_database_without_the_tables_says_so() {
    let db = TestDatabase::open().await.unwrap();
    let recorder = StoreRecorder::new(db.database().clone());
    let error = recorder.record(&[enqueued("a")]).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}
