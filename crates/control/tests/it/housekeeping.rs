//! Pruner and rescuer: what they change, and what they leave alone.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, FetchRequest, MemoryBroker};
use celeriac_control::access::{AccessDesk, AccessSettings, AuditFilter, Caller, Login, Origin, Scope};
use celeriac_control::{
    Loop, LoopCtx, PassReport, Pruner, PrunerSettings, Rescuer, RescuerSettings, StoreRecorder,
};
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{Client, ClientParts, EventHub, Registry, task};
use celeriac_protocol::{Clock, ErrorKind, JobEvent, JobId, JobStatus, ManualClock, What};
use celeriac_store::query::jobs;
use celeriac_store::{AttemptOutcome, JobRecord, MIGRATIONS};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

const MINUTE: Duration = Duration::from_secs(60);

#[task(crate = celeriac_engine, name = "work")]
async fn work() {}

#[task(crate = celeriac_engine, name = "hasty", acks_late = false)]
async fn hasty() {}

/// A queue in memory, its records in a database, and a clock moved by hand.
struct House {
    db: TestDatabase,
    clock: ManualClock,
    broker: Arc<MemoryBroker>,
    client: Client,
}

impl House {
    async fn build() -> Self {
        Self::on(|broker| broker).await
    }

    /// A house whose queue others share.
    async fn shared() -> Self {
        Self::on(|broker| Arc::new(Shared(broker))).await
    }

    async fn on(as_what: impl FnOnce(Arc<MemoryBroker>) -> Arc<dyn Broker>) -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let clock = ManualClock::default();
        let broker = Arc::new(MemoryBroker::new(Arc::new(clock.clone())));
        let client = Client::new(ClientParts {
            broker: as_what(Arc::clone(&broker)),
            recorder: Arc::new(StoreRecorder::new(db.database().clone())),
            clock: Arc::new(clock.clone()),
            registry: Registry::builder().task::<work>().task::<hasty>().build().unwrap(),
            events: EventHub::default(),
            origin: "test".to_owned(),
        });
        Self { db, clock, broker, client }
    }

    fn rescuer(&self) -> Rescuer {
        let settings = RescuerSettings::default();
        Rescuer::new(self.client.clone(), self.db.database().clone(), settings).unwrap()
    }

    fn pruner(&self, settings: PrunerSettings) -> Pruner {
        Pruner::new(self.db.database().clone(), settings).unwrap()
    }

    async fn pass(&self, work: &impl Loop) -> PassReport {
        let ctx = LoopCtx::new(Arc::new(self.clock.clone()), CancellationToken::new());
        work.pass(&ctx).await.unwrap()
    }

    async fn record(&self, id: &JobId) -> JobRecord {
        jobs::find(self.db.reader(), id).await.unwrap().expect("it is recorded")
    }

    async fn status(&self, id: &JobId) -> JobStatus {
        self.record(id).await.summary.status
    }

    /// Tells of a job as its worker would.
    async fn tell(&self, id: &JobId, what: What) {
        let job = Arc::new(self.record(id).await.facts());
        let event = JobEvent { at: self.clock.now(), job, delivery: 1, attempt: 1, what };
        self.client.recorder().record(&[event]).await.unwrap();
    }

    /// A worker takes the one message that waits, and tells that it began.
    async fn take(&self, lease: Duration) -> celeriac_broker::LeaseTag {
        let queues = ["celery".to_owned()];
        let request = FetchRequest { queues: &queues, max: 1, lease, holder: "w1" };
        let delivery = self.broker.fetch(&request).await.unwrap().deliveries.pop().expect("a message waits");
        self.tell(&delivery.envelope.id, What::Started { worker: "w1".into() }).await;
        delivery.tag
    }

    async fn lose_message(&self) {
        self.broker.admin().purge("celery", 10).await.unwrap();
    }
}

fn numbers(report: &PassReport) -> Vec<u64> {
    report.numbers.iter().map(|(_, number)| *number).collect()
}

#[tokio::test]
async fn a_job_whose_worker_vanished_waits_again_on_the_screen() {
    let house = House::build().await;
    let id = house.client.enqueue(work()).await.unwrap().id().clone();
    house.take(MINUTE / 2).await;
    let rescuer = house.rescuer();
    house.clock.advance(MINUTE);
    assert_eq!(numbers(&house.pass(&rescuer).await), [0, 0, 0]);
    house.clock.advance(MINUTE);
    assert_eq!(numbers(&house.pass(&rescuer).await), [1, 1, 0]);
    let record = house.record(&id).await;
    assert_eq!(record.summary.status, JobStatus::Pending);
    assert_eq!(record.attempts[0].outcome, Some(AttemptOutcome::Lost));
    assert_eq!(numbers(&house.pass(&rescuer).await), [0, 0, 0]);
}

#[tokio::test]
async fn a_job_whose_lease_is_renewed_is_left_alone_however_long_it_is_silent() {
    let house = House::build().await;
    let id = house.client.enqueue(work()).await.unwrap().id().clone();
    let tag = house.take(MINUTE).await;
    for _ in 0..30 {
        house.clock.advance(MINUTE / 2);
        house.broker.renew(&[tag], MINUTE).await.unwrap();
    }
    assert_eq!(numbers(&house.pass(&house.rescuer()).await), [1, 0, 0]);
    assert_eq!(house.status(&id).await, JobStatus::Running);
}

#[tokio::test]
async fn a_job_whose_message_is_gone_is_given_up_and_says_why() {
    let house = House::build().await;
    let id = house.client.enqueue(work()).await.unwrap().id().clone();
    house.lose_message().await;
    house.tell(&id, What::Started { worker: "w1".into() }).await;
    house.clock.advance(MINUTE * 9);
    house.pass(&house.rescuer()).await;
    assert_eq!(house.status(&id).await, JobStatus::Running);
    house.clock.advance(MINUTE * 2);
    assert_eq!(numbers(&house.pass(&house.rescuer()).await), [1, 0, 1]);
    let job = house.record(&id).await.summary;
    let error = job.error.unwrap();
    assert_eq!((job.status, error.kind), (JobStatus::Failed, ErrorKind::WorkerLost));
    let expected =
        "worker \"w1\" has not been heard of for 11 minutes, and the message is gone from queue \"celery\"";
    assert_eq!(error.message, expected);
}

#[tokio::test]
async fn a_worker_that_speaks_up_after_all_has_the_last_word() {
    let house = House::build().await;
    let id = house.client.enqueue(work()).await.unwrap().id().clone();
    house.lose_message().await;
    house.tell(&id, What::Started { worker: "w1".into() }).await;
    house.clock.advance(MINUTE * 11);
    house.pass(&house.rescuer()).await;
    house.tell(&id, What::Succeeded { result: None, runtime_micros: Some(1) }).await;
    assert_eq!(house.status(&id).await, JobStatus::Completed);
}

#[tokio::test]
async fn a_waiting_job_whose_message_is_gone_is_given_up_too() {
    let house = House::build().await;
    let lost = house.client.enqueue(work()).await.unwrap().id().clone();
    house.lose_message().await;
    let waiting = house.client.enqueue(work()).await.unwrap().id().clone();
    let later = house.client.enqueue(work().countdown(MINUTE * 60)).await.unwrap().id().clone();
    house.clock.advance(MINUTE * 11);
    assert_eq!(numbers(&house.pass(&house.rescuer()).await), [3, 0, 1]);
    assert_eq!(house.status(&lost).await, JobStatus::Failed);
    assert_eq!(house.status(&waiting).await, JobStatus::Pending);
    assert_eq!(house.status(&later).await, JobStatus::Scheduled);
}

#[tokio::test]
async fn a_job_whose_message_was_acknowledged_early_is_given_much_more_time() {
    let house = House::build().await;
    let id = house.client.enqueue(hasty()).await.unwrap().id().clone();
    house.lose_message().await;
    house.tell(&id, What::Started { worker: "w1".into() }).await;
    house.clock.advance(MINUTE * 600);
    house.pass(&house.rescuer()).await;
    assert_eq!(house.status(&id).await, JobStatus::Running);
    house.clock.advance(MINUTE * 900);
    house.pass(&house.rescuer()).await;
    assert_eq!(house.status(&id).await, JobStatus::Failed);
}

#[tokio::test]
async fn a_waiting_job_is_looked_for_no_sooner_than_it_may_be_given_up() {
    let house = House::shared().await;
    let id = house.client.enqueue(work()).await.unwrap().id().clone();
    house.lose_message().await;
    house.clock.advance(MINUTE * 60 * 23);
    assert_eq!(numbers(&house.pass(&house.rescuer()).await), [0, 0, 0]);
    assert_eq!(house.status(&id).await, JobStatus::Pending);
    house.clock.advance(MINUTE * 61);
    assert_eq!(numbers(&house.pass(&house.rescuer()).await), [1, 0, 1]);
    assert_eq!(house.status(&id).await, JobStatus::Failed);
}

#[tokio::test]
async fn passes_of_the_rescuer_go_on_where_the_last_one_ended() {
    let house = House::build().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(house.client.enqueue(work()).await.unwrap().id().clone());
    }
    house.lose_message().await;
    house.clock.advance(MINUTE * 11);
    let settings = RescuerSettings { batch: 2, ..RescuerSettings::default() };
    let rescuer = Rescuer::new(house.client.clone(), house.db.database().clone(), settings).unwrap();
    let mut given_up = Vec::new();
    for _ in 0..3 {
        given_up.push(numbers(&house.pass(&rescuer).await)[2]);
    }
    assert_eq!(given_up, [2, 2, 1]);
}

#[tokio::test]
async fn finished_jobs_go_after_their_time_in_small_batches() {
    let house = House::build().await;
    for _ in 0..7 {
        let id = house.client.enqueue(work()).await.unwrap().id().clone();
        house.tell(&id, What::Succeeded { result: None, runtime_micros: Some(1) }).await;
    }
    let open = house.client.enqueue(work()).await.unwrap().id().clone();
    let pruner = house.pruner(PrunerSettings { batch: 2, batches_per_pass: 2, ..PrunerSettings::default() });
    house.clock.advance(MINUTE * 60 * 24 * 29);
    let report = house.pass(&pruner).await;
    assert_eq!((numbers(&report), report.more), (vec![0], false));
    house.clock.advance(MINUTE * 60 * 24 * 2);
    let mut removed = Vec::new();
    loop {
        let report = house.pass(&pruner).await;
        removed.extend(numbers(&report));
        if !report.more {
            break;
        }
    }
    assert_eq!(removed, [4, 3, 0]);
    assert_eq!(house.status(&open).await, JobStatus::Pending);
    assert_eq!(jobs::counts(house.db.reader(), None).await.unwrap().total(), 1);
}

#[tokio::test]
async fn what_is_to_be_kept_for_ever_is_kept() {
    let house = House::build().await;
    let id = house.client.enqueue(work()).await.unwrap().id().clone();
    house.tell(&id, What::Cancelled { reason: "operator".into() }).await;
    house.clock.advance(MINUTE * 60 * 24 * 1_000);
    let forever = PrunerSettings { keep_cancelled: None, ..PrunerSettings::default() };
    assert_eq!(numbers(&house.pass(&house.pruner(forever)).await), [0]);
    assert_eq!(numbers(&house.pass(&house.pruner(PrunerSettings::default())).await), [1]);
}

#[tokio::test]
async fn what_people_did_and_their_logins_go_after_a_year() {
    let house = House::build().await;
    let desk = desk(&house);
    let token = desk.add_token(&Caller::cli("ada"), "deploy", Scope::Read, None).await.unwrap();
    desk.log_in(Login::Token(token.text), &Origin::default()).await.unwrap();
    let pruner = house.pruner(PrunerSettings { batch: 1, ..PrunerSettings::default() });
    house.clock.advance(MINUTE * 60 * 24 * 364);
    assert_eq!(numbers(&house.pass(&pruner).await), [0]);
    house.clock.advance(MINUTE * 60 * 24 * 10);
    let forever = PrunerSettings { keep_audit: None, ..PrunerSettings::default() };
    assert_eq!(numbers(&house.pass(&house.pruner(forever)).await), [0]);
    assert_eq!(numbers(&house.pass(&pruner).await), [0, 3]);
    assert!(desk.audit_log(&AuditFilter::default(), None, 10).await.unwrap().entries.is_empty());
    assert_eq!(desk.tokens(false).await.unwrap().len(), 1, "tokens stay");
}

fn desk(house: &House) -> AccessDesk {
    let (database, clock) = (house.db.database().clone(), Arc::new(house.clock.clone()));
    AccessDesk::new(database, clock, AccessSettings::default()).unwrap()
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let pruner = |change: fn(&mut PrunerSettings)| {
        let mut settings = PrunerSettings::default();
        change(&mut settings);
        settings.validate().unwrap_err().setting
    };
    assert_eq!(pruner(|settings| settings.batch = 0), "batch");
    assert_eq!(pruner(|settings| settings.batches_per_pass = 0), "batches_per_pass");
    assert_eq!(pruner(|settings| settings.period = Duration::ZERO), "period");
    let rescuer = |change: fn(&mut RescuerSettings)| {
        let mut settings = RescuerSettings::default();
        change(&mut settings);
        settings.validate().unwrap_err().setting
    };
    assert_eq!(rescuer(|settings| settings.batch = 99_999), "batch");
    assert_eq!(rescuer(|settings| settings.give_up_after = Duration::ZERO), "give_up_after");
    assert_eq!(rescuer(|settings| settings.give_up_early_acked_after = MINUTE), "give_up_early_acked_after");
}
