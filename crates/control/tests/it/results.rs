//! Results that Celery's clients and workers share with the record: what is learnt, and what is not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use celeriac_broker::{Broker, BrokerError, FetchRequest, KeptResult, MemoryBroker, ResultStore, sql};
use celeriac_control::{Loop, LoopCtx, ResultReader, ResultRecorder, ResultSettings};
use celeriac_db::DbError;
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{
    Client, ClientParts, EventHub, EventSink, Registry, States, SystemClock, TaskError, Worker,
    WorkerOptions, task,
};
use celeriac_protocol::{Clock, JobEvent, JobId, JobStatus, ManualClock, What};
use celeriac_store::query::jobs;
use celeriac_store::{JobSummary, MIGRATIONS};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);

#[task(crate = celeriac_engine, name = "double", max_retries = 0)]
async fn double(number: u32) -> Result<u32, TaskError> {
    if number == 13 { Err(std::io::Error::other("unlucky"))? } else { Ok(number * 2) }
}

/// Keeps results in memory, as Celery does: a success is the last word.
#[derive(Default)]
struct Results(Mutex<HashMap<JobId, String>>);

impl Results {
    fn write(&self, id: &JobId, text: &str) {
        self.0.lock().unwrap().insert(id.clone(), text.to_owned());
    }

    fn of(&self, id: &JobId) -> Option<String> {
        self.0.lock().unwrap().get(id).cloned()
    }
}

#[async_trait::async_trait]
impl ResultStore for Results {
    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        for result in results {
            if !self.of(&result.id).is_some_and(|known| known.contains("SUCCESS")) {
                self.write(&result.id, std::str::from_utf8(&result.body).unwrap());
            }
        }
        Ok(())
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, BrokerError> {
        Ok(ids.iter().map(|id| self.of(id).map(String::into_bytes)).collect())
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), BrokerError> {
        self.0.lock().unwrap().retain(|id, _| !ids.contains(id));
        Ok(())
    }
}

/// Remembers what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<JobStatus>>);

impl EventSink for Heard {
    fn tell(&self, event: &JobEvent) {
        self.0.lock().unwrap().push(event.status());
    }
}

/// A queue that others share, its records in a database, and results beside them.
struct House {
    db: TestDatabase,
    results: Arc<Results>,
    recorder: ResultRecorder,
    client: Client,
}

impl House {
    async fn build(clock: Arc<dyn Clock>) -> Self {
        let broker = Arc::new(MemoryBroker::new(Arc::clone(&clock)));
        Self::on(clock, async |_| Arc::new(Shared(broker)) as _).await
    }

    async fn on(clock: Arc<dyn Clock>, broker: impl AsyncFnOnce(&TestDatabase) -> Arc<dyn Broker>) -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let results = Arc::new(Results::default());
        let recorder = ResultRecorder::new(db.database().clone(), results.clone(), ResultSettings::default());
        let client = Client::new(ClientParts {
            broker: broker(&db).await,
            recorder: Arc::new(recorder.clone()),
            clock,
            registry: Registry::builder().task::<double>().build().unwrap(),
            events: EventHub::default(),
            origin: "test".into(),
        });
        Self { db, results, recorder, client }
    }

    async fn summary(&self, id: &JobId) -> JobSummary {
        jobs::find(self.db.reader(), id).await.unwrap().expect("it is recorded").summary
    }

    /// Returns where a job stands for whoever waits for it, and by its record then.
    async fn seen(&self, id: &JobId) -> [JobStatus; 2] {
        let seen = self.client.snapshot(id).await.unwrap().unwrap().status;
        [seen, self.summary(id).await.status]
    }

    /// Runs a worker until a job has ended.
    async fn work_until_ended(&self, id: &JobId) {
        let registry = self.client.registry().clone();
        let worker = Worker::new(self.client.clone(), registry, States::default(), WorkerOptions::default());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(worker.unwrap().run(stop.clone()));
        let ended = async { while !self.summary(id).await.status.is_final() {} };
        tokio::time::timeout(SOON, ended).await.expect("it ends");
        stop.cancel();
        running.join_next().await.unwrap().unwrap();
    }
}

fn a() -> JobId {
    JobId::parse("a").unwrap()
}

#[tokio::test]
async fn a_job_enqueued_again_at_once_comes_to_its_own_end() {
    let house = House::build(Arc::new(SystemClock)).await;
    house.client.enqueue(double(1).id(a())).await.unwrap();
    house.work_until_ended(&a()).await;
    assert!(house.results.of(&a()).unwrap().contains(r#""result":2"#));
    house.client.enqueue(double(2).id(a())).await.unwrap();
    assert_eq!(house.seen(&a()).await, [JobStatus::Pending; 2]);
    house.work_until_ended(&a()).await;
    assert_eq!(house.client.snapshot(&a()).await.unwrap().unwrap().result.unwrap().get(), "4");
    assert!(house.results.of(&a()).unwrap().contains(r#""result":4"#));
}

#[tokio::test]
async fn a_job_enqueued_again_in_a_transaction_comes_to_its_own_end() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let house =
        House::on(Arc::clone(&clock), async |db| sql::open(db.database().clone(), clock).await.unwrap());
    let house = house.await;
    for expected in ["2", "4"] {
        let inner = house.client.clone();
        let asked = house.db.write("test", async move |tx| {
            inner.enqueue_in(tx, double(if expected == "2" { 1 } else { 2 }).id(a())).await.unwrap();
            Ok::<_, DbError>(())
        });
        asked.await.unwrap();
        assert_eq!(house.seen(&a()).await, [JobStatus::Pending; 2]);
        house.work_until_ended(&a()).await;
        assert!(house.results.of(&a()).unwrap().contains(&format!(r#""result":{expected}"#)));
    }
}

#[tokio::test]
async fn a_revived_job_comes_to_its_own_end() {
    let house = House::build(Arc::new(SystemClock)).await;
    house.client.enqueue(double(13).id(a())).await.unwrap();
    house.work_until_ended(&a()).await;
    let letter = house.client.broker().admin().dead_letter(&a()).await.unwrap().expect("it died");
    assert!(house.client.revive(letter).await.unwrap());
    assert_eq!(house.results.of(&a()), None);
    assert_eq!(house.seen(&a()).await, [JobStatus::Pending; 2]);
}

#[tokio::test]
async fn a_request_in_a_transaction_is_recorded_where_results_are_kept_elsewhere() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let house =
        House::on(Arc::clone(&clock), async |db| sql::open(db.database().clone(), clock).await.unwrap());
    let house = house.await;
    let inner = house.client.clone();
    let asked = house.db.write("test", async move |tx| {
        inner.enqueue_in(tx, double(1).id(a())).await.unwrap();
        Ok::<_, DbError>(())
    });
    asked.await.unwrap();
    assert_eq!(house.client.snapshot(&a()).await.unwrap().unwrap().status, JobStatus::Pending);
    // Whoever waits learns of an end that somebody else has written, and so does the record.
    house.results.write(&a(), r#"{"status": "SUCCESS", "result": 7}"#);
    let seen = house.client.snapshot(&a()).await.unwrap().unwrap();
    assert_eq!((seen.status, seen.result.unwrap().get()), (JobStatus::Completed, "7"));
    assert_eq!(house.summary(&a()).await.status, JobStatus::Completed);
}

const STARTED: &str = r#"{"status": "STARTED", "result": {"pid": 1, "hostname": "celery@there"}}"#;
const HALF: &str = r#"{"status": "PROGRESS", "result": {"current": 1, "total": 2}}"#;
const QUARTER: &str = r#"{"status": "PROGRESS", "result": {"current": 1, "total": 4}}"#;
const RETRY: &str = r#"{"status": "RETRY", "result": {"exc_type": "ValueError", "exc_message": ["no"]}}"#;
const FAILURE: &str = r#"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["no"]}}"#;

/// A house with a reader of results and somebody who listens.
struct Reading {
    house: House,
    clock: ManualClock,
    reader: ResultReader,
    heard: Arc<Heard>,
}

impl Reading {
    async fn begin() -> Self {
        let clock = ManualClock::default();
        let house = House::build(Arc::new(clock.clone())).await;
        house.client.enqueue(double(1).id(a())).await.unwrap();
        let heard = Arc::new(Heard::default());
        house.client.events().add(Arc::clone(&heard) as Arc<dyn EventSink>);
        let reader = ResultReader::new(house.recorder.clone(), house.client.clone());
        Self { house, clock, reader, heard }
    }

    /// A result is written and looked at; returns status and progress of the job, and what was told.
    async fn after(&self, text: &str) -> (JobStatus, u8, Vec<JobStatus>) {
        self.house.results.write(&a(), text);
        self.clock.advance(Duration::from_secs(10));
        let ctx = LoopCtx::new(Arc::new(self.clock.clone()), CancellationToken::new());
        self.reader.pass(&ctx).await.unwrap();
        let job = self.house.summary(&a()).await;
        (job.status, job.progress, std::mem::take(&mut self.heard.0.lock().unwrap()))
    }

    /// Tells of the job as a worker of ours would.
    async fn tell(&self, delivery: u32, what: What) {
        let record = jobs::find(self.house.db.reader(), &a()).await.unwrap().unwrap();
        let job = Arc::new(record.facts());
        let event = JobEvent { at: self.clock.now(), job, delivery, attempt: delivery, what };
        self.house.client.recorder().record(&[event]).await.unwrap();
    }

    /// A worker of ours takes the message.
    async fn take(&self) {
        let queues = ["celery".to_owned()];
        let request = FetchRequest { queues: &queues, max: 1, lease: SOON * 100, holder: "us@here" };
        assert_eq!(self.house.client.broker().fetch(&request).await.unwrap().deliveries.len(), 1);
    }
}

#[tokio::test]
async fn what_others_tell_of_their_run_is_recorded_and_told_once() {
    let on = Reading::begin().await;
    on.house.client.broker().admin().purge("celery", 1).await.unwrap();
    let running = JobStatus::Running;
    assert_eq!(on.after(STARTED).await, (running, 0, vec![running]));
    assert_eq!(on.after(STARTED).await, (running, 0, vec![]));
    assert_eq!(on.after(QUARTER).await, (running, 25, vec![running]));
    assert_eq!(on.after(HALF).await, (running, 50, vec![running]));
    assert_eq!(on.after(RETRY).await, (JobStatus::Retrying, 50, vec![JobStatus::Retrying]));
    // The record can't go back, so nobody is told that it did.
    assert_eq!(on.after(STARTED).await.2, []);
    assert_eq!(on.after(FAILURE).await.2, [JobStatus::Failed]);
}

#[tokio::test]
async fn what_an_earlier_run_left_says_nothing_of_ours() {
    let on = Reading::begin().await;
    on.take().await;
    on.tell(2, What::Started { worker: "us@here".into() }).await;
    on.tell(2, What::Progressed { percent: 40, message: None, partial: None }).await;
    for stale in [RETRY, HALF, STARTED] {
        assert_eq!(on.after(stale).await, (JobStatus::Running, 40, vec![]));
    }
    on.tell(2, What::Lost).await;
    let last_heard = on.clock.now();
    assert_eq!(on.after(HALF).await, (JobStatus::Pending, 40, vec![]));
    // Were it heard of again and again, nobody would see that its message is gone.
    assert_eq!(on.house.summary(&a()).await.updated_at, last_heard);
    // What has come to its end has, whoever brought it there.
    assert_eq!(on.after(FAILURE).await.2, [JobStatus::Failed]);
}
