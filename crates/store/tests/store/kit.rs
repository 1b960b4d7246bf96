//! A migrated database and short ways to say what happened.

use std::sync::Arc;

use celeriac_db::testing::TestDatabase;
use celeriac_protocol::{
    ErrorKind, JobError, JobEvent, JobFacts, JobId, RawValue, RecordLevel, Timestamp, What,
};
use celeriac_store::query::jobs;
use celeriac_store::{JobRecord, MIGRATIONS, StoreError, record_batch};

/// Opens a database of its own for a test, with the platform's tables.
pub(crate) async fn database() -> TestDatabase {
    let db = TestDatabase::open().await.unwrap();
    MIGRATIONS.up(&db, 0).await.unwrap();
    db
}

/// Records events in one transaction.
pub(crate) async fn record(db: &TestDatabase, events: &[JobEvent]) {
    let events = events.to_vec();
    db.write("record", async move |tx| record_batch(tx, &events).await).await.unwrap();
}

/// Reads a job back.
pub(crate) async fn find(db: &TestDatabase, id: &str) -> JobRecord {
    jobs::find(db.reader(), &JobId::parse(id).unwrap()).await.unwrap().expect("the job is recorded")
}

/// Runs a write whose only outcome of interest is its value.
pub(crate) async fn write<T: Send + 'static>(
    db: &TestDatabase,
    work: impl AsyncFnOnce(&celeriac_db::DbTx) -> Result<T, StoreError> + Send + 'static,
) -> T {
    db.write("test", work).await.unwrap()
}

/// Returns the instant `seconds` after the beginning of the test's time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + seconds * 1_000)
}

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

pub(crate) fn error(message: &str) -> JobError {
    JobError::new(ErrorKind::Error, message).with_type("Boom").with_traceback("at boom()")
}

pub(crate) fn facts(id: &str) -> JobFacts {
    JobFacts {
        id: JobId::parse(id).unwrap(),
        task: "shop.scrape".into(),
        job_type: "scrape".into(),
        queue: "celery".into(),
        priority: Some(3),
        args: raw("[1, 2.50]"),
        kwargs: raw(r#"{"account_key": "shop-1"}"#),
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
        max_retries: Some(3),
        generation: 0,
        record: RecordLevel::All,
    }
}

/// Tells of one job, one thing after the other.
pub(crate) struct Story {
    pub(crate) facts: Arc<JobFacts>,
    pub(crate) delivery: u32,
    pub(crate) attempt: u32,
    pub(crate) events: Vec<JobEvent>,
    pub(crate) seconds: i64,
}

impl Story {
    pub(crate) fn of(facts: JobFacts) -> Self {
        Self { facts: Arc::new(facts), delivery: 0, attempt: 0, events: Vec::new(), seconds: 0 }
    }

    pub(crate) fn new(id: &str) -> Self {
        Self::of(facts(id))
    }

    pub(crate) fn tell(&mut self, what: What) -> &mut Self {
        self.events.push(JobEvent {
            at: at(self.seconds),
            job: Arc::clone(&self.facts),
            delivery: self.delivery,
            attempt: self.attempt,
            what,
        });
        self.seconds += 1;
        self
    }

    pub(crate) fn enqueued(&mut self) -> &mut Self {
        self.tell(What::Enqueued)
    }

    /// The message is handed out again, as the next attempt, and begun.
    pub(crate) fn started(&mut self, worker: &str) -> &mut Self {
        self.delivery += 1;
        self.attempt += 1;
        self.tell(What::Started { worker: worker.into() })
    }

    pub(crate) fn progressed(&mut self, percent: u8, message: Option<&str>) -> &mut Self {
        self.tell(What::Progressed { percent, message: message.map(Into::into), partial: None })
    }

    pub(crate) fn partial(&mut self, json: &str) -> &mut Self {
        self.tell(What::Progressed { percent: 0, message: None, partial: Some(raw(json)) })
    }

    pub(crate) fn succeeded(&mut self, result: &str) -> &mut Self {
        self.tell(What::Succeeded { result: Some(raw(result)), runtime_micros: Some(1_000_000) })
    }

    pub(crate) fn retried(&mut self, message: &str) -> &mut Self {
        let retry_at = at(self.seconds + 60);
        self.tell(What::Retried { error: error(message), retry_at })
    }

    pub(crate) fn failed(&mut self, message: &str, dead_lettered: bool) -> &mut Self {
        self.tell(What::Failed { error: error(message), dead_lettered })
    }

    pub(crate) fn given_up(&mut self) -> &mut Self {
        let error = JobError::new(ErrorKind::WorkerLost, "nobody has it");
        self.tell(What::Failed { error, dead_lettered: false })
    }

    pub(crate) fn cancelled(&mut self, reason: &str) -> &mut Self {
        self.tell(What::Cancelled { reason: reason.into() })
    }

    /// The job is revived: the same id, one generation further.
    pub(crate) fn revived(&mut self) -> &mut Self {
        let generation = self.facts.generation + 1;
        self.facts = Arc::new(JobFacts { generation, ..(*self.facts).clone() });
        (self.delivery, self.attempt) = (0, 0);
        self.enqueued()
    }

    /// A job of the same id is enqueued after this one has ended.
    pub(crate) fn enqueued_again(&mut self, facts: JobFacts) -> &mut Self {
        let generation = self.facts.generation + 1;
        self.facts = Arc::new(JobFacts { generation, ..facts });
        (self.delivery, self.attempt) = (0, 0);
        self.enqueued()
    }
}
