//! What people do to one job: cancel, retry, edit and retry, delete.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, FetchRequest, MemoryBroker, Settle, Settlement};
use celeriac_control::jobs::{Deleted, Edits, LetterFilter, Retried, bulk_jobs};
use celeriac_control::{Environment, JobDesk, JobsError, StoreRecorder};
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{CancelOutcome, Client, ClientParts, EventHub, Registry, task};
use celeriac_protocol::{
    Clock, ErrorKind, JobError, JobEvent, JobId, JobStatus, ManualClock, RawValue, TaskMessage, What,
};
use celeriac_store::query::jobs;
use celeriac_store::{JobRecord, MIGRATIONS};

mod bulk;

#[task(crate = celeriac_engine, name = "add")]
async fn add(x: i64, #[default(1)] y: i64) -> i64 {
    x + y
}

/// A queue in memory, its records in a database, and a clock moved by hand.
pub(crate) struct House {
    pub(crate) db: TestDatabase,
    pub(crate) clock: ManualClock,
    pub(crate) broker: Arc<MemoryBroker>,
    pub(crate) environment: Environment,
    pub(crate) desk: JobDesk,
}

impl House {
    pub(crate) async fn build() -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let clock = ManualClock::default();
        let registry = Registry::builder().task::<add>().task::<bulk_jobs>();
        let broker = Arc::new(MemoryBroker::new(Arc::new(clock.clone())));
        let client = Client::new(ClientParts {
            broker: Arc::clone(&broker) as Arc<dyn Broker>,
            recorder: Arc::new(StoreRecorder::new(db.database().clone())),
            clock: Arc::new(clock.clone()),
            registry: registry.build().unwrap(),
            events: EventHub::default(),
            origin: "test".to_owned(),
        });
        let environment = Environment::new(db.database().clone(), client);
        let desk = JobDesk::new(&environment);
        Self { db, clock, broker, environment, desk }
    }

    pub(crate) fn client(&self) -> &Client {
        self.environment.client()
    }

    pub(crate) async fn enqueue(&self, x: i64) -> JobId {
        self.client().enqueue(add(x, 1)).await.unwrap().id().clone()
    }

    /// Has a worker take the job that waits, and end it so.
    pub(crate) async fn end(&self, what: What) -> JobId {
        let queues = ["celery".to_owned(), "other".to_owned()];
        let request = FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(60), holder: "w" };
        let delivery = self.broker.fetch(&request).await.unwrap().deliveries.pop().expect("a job waits");
        let id = delivery.envelope.id.clone();
        let settle = match &what {
            What::Failed { dead_lettered: true, .. } => {
                Settle::Reject { reason: "error".into(), detail: "boom".into() }
            }
            _ => Settle::Ack,
        };
        self.broker.settle(&[Settlement { delivery, settle }]).await.unwrap();
        self.tell(&id, what).await;
        id
    }

    /// Tells of a job as its worker would.
    pub(crate) async fn tell(&self, id: &JobId, what: What) {
        let job = Arc::new(self.record(id).await.facts());
        let event = JobEvent { at: self.clock.now(), job, delivery: 1, attempt: 1, what };
        self.client().recorder().record(&[event]).await.unwrap();
    }

    pub(crate) async fn dead(&self, x: i64) -> JobId {
        self.enqueue(x).await;
        self.end(died()).await
    }

    pub(crate) async fn completed(&self, x: i64) -> JobId {
        self.enqueue(x).await;
        self.end(What::Succeeded { result: None, runtime_micros: None }).await
    }

    pub(crate) async fn record(&self, id: &JobId) -> JobRecord {
        jobs::find(self.db.reader(), id).await.unwrap().expect("it is recorded")
    }

    pub(crate) async fn status(&self, id: &JobId) -> JobStatus {
        self.record(id).await.summary.status
    }

    async fn message(&self, id: &JobId) -> TaskMessage {
        let found = self.client().find(id).await.unwrap().expect("a message waits");
        TaskMessage::decode(&found.envelope).unwrap()
    }
}

pub(crate) fn died() -> What {
    What::Failed { error: JobError::new(ErrorKind::Error, "boom"), dead_lettered: true }
}

fn json(text: &str) -> Option<Box<RawValue>> {
    Some(RawValue::from_string(text.to_owned()).unwrap())
}

#[tokio::test]
async fn a_dead_letter_is_retried_under_its_id_and_a_completed_job_as_a_copy() {
    let house = House::build().await;
    let dead = house.dead(1).await;
    assert_eq!(house.desk.retry(&dead).await.unwrap(), Retried::Revived(dead.clone()));
    assert_eq!(house.status(&dead).await, JobStatus::Pending);
    let refused = house.desk.retry(&dead).await.unwrap_err();
    assert_eq!((refused.word(), refused.is_refusal()), ("not_ended", true));
    house.end(What::Succeeded { result: None, runtime_micros: None }).await;
    let Retried::Copied(copy) = house.desk.retry(&dead).await.unwrap() else { panic!("it is a copy") };
    assert_ne!(copy, dead);
    assert_eq!(house.record(&copy).await.kwargs.get(), house.record(&dead).await.kwargs.get());
    assert_eq!(house.status(&dead).await, JobStatus::Completed);
}

#[tokio::test]
async fn what_is_edited_is_otherwise_and_the_rest_stays() {
    let house = House::build().await;
    let dead = house.dead(1).await;
    let eta = house.clock.now() + Duration::from_secs(60);
    let edits = Edits {
        kwargs: json(r#"{"x": 5}"#),
        queue: Some("other".to_owned()),
        priority: Some(9),
        eta: Some(eta),
        ..Edits::default()
    };
    assert_eq!(house.desk.retry_with(&dead, edits.clone()).await.unwrap().runs_as(), &dead);
    let message = house.message(&dead).await;
    assert_eq!((message.queue.as_str(), message.priority, message.eta), ("other", Some(9), Some(eta)));
    let job = house.record(&dead).await;
    assert_eq!((job.kwargs.get(), job.args.get()), (r#"{"x": 5}"#, "[]"));
    assert_eq!((job.summary.status, job.summary.generation), (JobStatus::Scheduled, 1));

    let done = house.completed(2).await;
    let copy = house.desk.retry_with(&done, edits).await.unwrap().runs_as().clone();
    let message = house.message(&copy).await;
    assert_eq!((message.queue.as_str(), message.priority, message.eta), ("other", Some(9), Some(eta)));
    assert_eq!(message.args.named.get(), r#"{"x": 5}"#);
}

#[tokio::test]
async fn edits_that_can_not_be_leave_the_job_as_it_is() {
    let house = House::build().await;
    for id in [house.dead(1).await, house.completed(2).await] {
        let before = house.status(&id).await;
        for (edits, word) in [
            (Edits { kwargs: json(r#"{"z": 5}"#), ..Edits::default() }, "invalid_arguments"),
            (Edits { kwargs: json("[]"), ..Edits::default() }, "invalid_arguments"),
            (Edits { args: json("7"), ..Edits::default() }, "invalid_arguments"),
            (Edits { priority: Some(10), ..Edits::default() }, "invalid_message"),
            (Edits { queue: Some(String::new()), ..Edits::default() }, "invalid_message"),
        ] {
            let refused = house.desk.retry_with(&id, edits.clone()).await.unwrap_err();
            assert_eq!((refused.word(), refused.is_refusal()), (word, true), "{edits:?}: {refused}");
        }
        assert_eq!(house.status(&id).await, before);
    }
    assert!(house.broker.waiting().is_empty());
}

#[tokio::test]
async fn a_finished_job_is_deleted_with_its_dead_letter_and_the_counts_follow() {
    let house = House::build().await;
    let dead = house.dead(1).await;
    let done = house.completed(2).await;
    let waits = house.enqueue(3).await;
    assert_eq!(house.desk.delete(&dead).await.unwrap(), Deleted { letters: 1 });
    assert!(house.client().dead_letter(&dead).await.unwrap().is_none());
    assert_eq!(house.desk.delete(&done).await.unwrap(), Deleted { letters: 0 });
    let refused = house.desk.delete(&waits).await.unwrap_err();
    assert!(matches!(refused, JobsError::NotEnded { status: JobStatus::Pending, .. }), "{refused}");
    assert!(matches!(house.desk.delete(&dead).await, Err(JobsError::Unknown { .. })));
    let counts = jobs::counts(house.db.reader(), None).await.unwrap();
    assert_eq!((counts.total(), counts.dead, counts.of(JobStatus::Pending)), (1, 0, 1));
}

#[tokio::test]
async fn of_several_jobs_each_has_its_outcome() {
    let house = House::build().await;
    let (waits, done) = (house.enqueue(1).await, JobId::parse("nobody").unwrap());
    let each = house.desk.cancel_each(&[waits.clone(), done.clone(), waits.clone()], "enough").await;
    let outcomes: Vec<CancelOutcome> = each.into_iter().map(|each| each.result.unwrap()).collect();
    let ended = CancelOutcome::AlreadyFinished(JobStatus::Cancelled);
    assert_eq!(outcomes, [CancelOutcome::Cancelled, CancelOutcome::NotFound, ended]);
    let each = house.desk.delete_each(&[done, waits]).await;
    let told: Vec<_> = each.iter().map(|each| each.result.as_ref().map_err(JobsError::word)).collect();
    assert_eq!(told, [Err("unknown"), Ok(&Deleted { letters: 0 })]);
}

#[tokio::test]
async fn dead_letters_that_fit_are_put_back_or_dropped() {
    let house = House::build().await;
    let ids = [house.dead(1).await, house.dead(2).await];
    let nothing = LetterFilter { task: Some("other".to_owned()), ..LetterFilter::default() };
    assert_eq!(house.desk.retry_letters_that(nothing.clone()).await.unwrap().retried, 0);
    assert_eq!(house.desk.drop_letters_that(nothing).await.unwrap(), 0);
    assert_eq!(house.desk.drop_letters(&ids[..1]).await.unwrap(), 1);
    assert!(matches!(house.desk.drop_letters(&ids).await, Err(JobsError::NoLetter { .. })));
    let job = house.record(&ids[0]).await.summary;
    assert_eq!((job.status, job.dead_lettered_at), (JobStatus::Failed, None));
    assert_eq!(house.desk.retry_letters_that(LetterFilter::default()).await.unwrap().retried, 1);
    assert_eq!(house.status(&ids[1]).await, JobStatus::Pending);
}
