//! A database with its queue, records and schedule, a clock moved by hand, and as many schedulers as a test wants.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, Found, sql};
use celeriac_control::{
    Beat, BeatClock, BeatSettings, Environment, Loop as _, LoopCtx, LoopError, PassReport, StoreRecorder,
};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbTx};
use celeriac_engine::{Client, ClientParts, EventHub, Registry, task};
use celeriac_protocol::{Clock as _, JobEvent, JobFacts, JobId, ManualClock, TaskMessage, Timestamp, What};
use celeriac_store::query::schedules::{
    self, Firing, FiringOutcome, Origin, ScheduleEntry, ScheduleRecord, ScheduleState,
};
use celeriac_store::query::{jobs, schedules as store};
use celeriac_store::{MIGRATIONS, StoreError};
use tokio_util::sync::CancellationToken;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

#[task(crate = celeriac_engine, name = "work")]
async fn work() {}

pub(super) struct House {
    pub(super) db: TestDatabase,
    pub(super) clock: ManualClock,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) client: Client,
    pub(super) beat: Beat,
}

/// One scheduler as another process would have it, on the same clock.
pub(super) async fn scheduler(database: Database, clock: &ManualClock) -> (Arc<dyn Broker>, Client, Beat) {
    let registry = Registry::builder().task::<work>().build().unwrap();
    let (broker, client) = client(database.clone(), clock, registry).await;
    // The test's clock is not the server's.
    let settings = BeatSettings { clock: BeatClock::Own, ..BeatSettings::default() };
    let beat = Beat::new(&Environment::new(database, client.clone()).by_own_clock(), settings).unwrap();
    (broker, client, beat)
}

/// A client of a newer version of the app, which has no task.
pub(super) async fn client_without_tasks(house: &House) -> (Arc<dyn Broker>, Client) {
    client(house.db.database().clone(), &house.clock, Registry::default()).await
}

async fn client(database: Database, clock: &ManualClock, registry: Registry) -> (Arc<dyn Broker>, Client) {
    let broker = sql::open(database.clone(), Arc::new(clock.clone())).await.unwrap();
    let client = Client::new(ClientParts {
        broker: Arc::clone(&broker),
        recorder: Arc::new(StoreRecorder::new(database.clone())),
        clock: Arc::new(clock.clone()),
        registry,
        events: EventHub::default(),
        origin: "test".to_owned(),
    });
    (broker, client)
}

impl House {
    pub(super) async fn build() -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let clock = ManualClock::default();
        let (broker, client, beat) = scheduler(db.database().clone(), &clock).await;
        Self { db, clock, broker, client, beat }
    }

    /// Adds an entry as it would be made now, and returns its number.
    pub(super) async fn add(&self, entry: ScheduleEntry) -> i64 {
        let now = self.clock.now();
        let record = ScheduleRecord {
            id: 0,
            uid: JobId::fresh(now).to_string(),
            entry,
            enabled_at: now,
            origin: Origin::Operator,
            declared: None,
            disabled: None,
            created_at: now,
            changed_at: now,
            revision: 0,
        };
        // The first pass finds out when it is due.
        let state = ScheduleState { wake_at: Some(now), ..ScheduleState::default() };
        let added = self.write(async move |tx| schedules::add(tx, &record, &state).await).await;
        let id = added.expect("the name is free");
        self.pass().await;
        id
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&DbTx) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.db.database().write("test", work).await.unwrap()
    }

    pub(super) async fn try_pass(&self) -> Result<PassReport, LoopError> {
        pass(&self.beat, &self.clock).await
    }

    pub(super) async fn pass(&self) -> PassReport {
        self.try_pass().await.unwrap()
    }

    /// Lets time pass, and the scheduler look.
    pub(super) async fn advance(&self, by: Duration) -> PassReport {
        self.clock.advance(by);
        self.pass().await
    }

    /// Returns what came of an entry's due times, oldest first.
    pub(super) async fn firings(&self, id: i64) -> Vec<Firing> {
        let mut firings = store::firings(self.db.reader(), id, None, None, 1_000).await.unwrap().firings;
        firings.reverse();
        firings
    }

    /// Returns what came of an entry's due times, oldest first, in words: seconds after the test began, and the outcome.
    pub(super) async fn story(&self, id: i64) -> Vec<(u64, FiringOutcome)> {
        let firings = self.firings(id).await;
        firings.iter().map(|firing| (seconds(firing.due_at), firing.outcome)).collect()
    }

    pub(super) async fn state(&self, name: &str) -> ScheduleState {
        store::find(self.db.reader(), name).await.unwrap().unwrap().state
    }

    pub(super) async fn record(&self, name: &str) -> ScheduleRecord {
        store::find(self.db.reader(), name).await.unwrap().unwrap().record.unwrap()
    }

    /// Returns the message of a job, where it waits.
    pub(super) async fn message(&self, job_id: &str) -> Option<TaskMessage> {
        let found: Option<Found> = self.broker.admin().find(&JobId::parse(job_id).unwrap()).await.unwrap();
        found.map(|found| TaskMessage::decode(&found.envelope).unwrap())
    }

    /// Counts the jobs that wait.
    pub(super) async fn waiting(&self) -> usize {
        let depths = self.broker.admin().depths().await.unwrap();
        depths.iter().map(|depth| usize::try_from(depth.ready + depth.delayed).unwrap()).sum()
    }

    /// Tells the record that a job has begun.
    pub(super) async fn begin(&self, job_id: &str) {
        self.tell(job_id, What::Started { worker: "w1".into() }).await;
    }

    /// Tells the record that a job has ended.
    pub(super) async fn end(&self, job_id: &str) {
        self.begin(job_id).await;
        self.tell(job_id, What::Succeeded { result: None, runtime_micros: Some(1) }).await;
    }

    async fn tell(&self, job_id: &str, what: What) {
        let facts = self.facts(job_id).await;
        let event = JobEvent { at: self.clock.now(), job: Arc::new(facts), delivery: 1, attempt: 1, what };
        self.client.recorder().record(&[event]).await.unwrap();
    }

    async fn facts(&self, job_id: &str) -> JobFacts {
        let id = JobId::parse(job_id).unwrap();
        jobs::find(self.db.reader(), &id).await.unwrap().expect("the job is recorded").facts()
    }
}

pub(super) async fn pass(beat: &Beat, clock: &ManualClock) -> Result<PassReport, LoopError> {
    beat.pass(&LoopCtx::new(Arc::new(clock.clone()), CancellationToken::new())).await
}

/// Returns how many seconds after the test's beginning an instant lies.
pub(super) fn seconds(at: Timestamp) -> u64 {
    at.since(ManualClock::default().now()).as_secs()
}

/// Returns the instant so many seconds after the test's beginning.
pub(super) fn at(seconds: u64) -> Timestamp {
    ManualClock::default().now() + Duration::from_secs(seconds)
}

pub(super) fn entry(name: &str, spec: &str) -> ScheduleEntry {
    ScheduleEntry::new(name, "work", spec)
}

/// Returns a number of a report.
pub(super) fn number(report: &PassReport, name: &str) -> u64 {
    report.numbers.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number)
}
