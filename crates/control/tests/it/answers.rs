//! Results that are sent to whoever waits: what he is told, and what is learnt of answers that come here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use celeriac_broker::{Answers, BrokerError, KeptResult, MemoryBroker, ResultStore};
use celeriac_control::{Loop, LoopCtx, ResultReader, ResultRecorder, ResultSettings};
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{Call, Client, ClientParts, EventHub, RecordError, Recorder, Registry, Sending};
use celeriac_protocol::{
    Arguments, BodyForm, Clock, Compression, ErrorKind, JobError, JobEvent, JobFacts, JobId, JobStatus,
    ManualClock, RawValue, RecordLevel, ResultStyle, TaskMessage, TaskResult, Timestamp, What,
};
use celeriac_store::MIGRATIONS;
use celeriac_store::query::jobs;

use crate::shared::Shared;

/// Sends nothing anywhere, and remembers what it was to send.
struct Mail {
    sent: Mutex<Vec<(String, String)>>,
    come: Answers,
    is_away: Mutex<bool>,
}

impl Mail {
    /// Takes what was sent: to whom, and in which state.
    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    fn comes(&self, id: &JobId, text: &str) {
        self.come.take_in(id.as_str(), text.as_bytes().to_vec());
    }
}

#[async_trait::async_trait]
impl ResultStore for Mail {
    fn answers(&self) -> Option<&Answers> {
        Some(&self.come)
    }

    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        if *self.is_away.lock().unwrap() {
            return Err(BrokerError::Unavailable { product: "mail", source: "away".into() });
        }
        for result in results {
            let state = TaskResult::decode(&result.id, &result.body).unwrap().state.as_str().to_owned();
            assert_eq!(result.body[0], b'{', "it is neither compressed nor in another serializer");
            self.sent.lock().unwrap().push((result.reply_to.clone().unwrap().queue, state));
        }
        Ok(())
    }
}

struct House {
    db: TestDatabase,
    mail: Arc<Mail>,
    recorder: ResultRecorder,
    client: Client,
    shared: Arc<MemoryBroker>,
    clock: Arc<ManualClock>,
}

impl House {
    async fn build() -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let clock = Arc::new(ManualClock::default());
        let come = Answers::new(clock.clone());
        let mail = Arc::new(Mail { sent: Mutex::default(), come, is_away: Mutex::default() });
        let style = ResultStyle { started: true, ..ResultStyle::default() };
        let form = BodyForm { compression: Some(Compression::Zlib), ..BodyForm::default() };
        let settings = ResultSettings { style, keep: None, form };
        let recorder = ResultRecorder::new(db.database().clone(), mail.clone(), settings);
        let shared = Arc::new(MemoryBroker::new(clock.clone()));
        let parts = ClientParts {
            broker: Arc::new(Shared(Arc::clone(&shared))),
            recorder: Arc::new(recorder.clone()),
            clock: clock.clone(),
            registry: Registry::builder().build().unwrap(),
            events: EventHub::default(),
            origin: "test".into(),
        };
        let sending = Sending { reply_to: Some("here".to_owned()), ..Sending::default() };
        let client = Client::with_sending(parts, None, sending);
        Self { db, mail, recorder, client, shared, clock }
    }

    async fn tell(&self, job: &Arc<JobFacts>, what: &[What]) -> Result<(), RecordError> {
        self.tell_of_attempt(1, job, what).await
    }

    async fn tell_of_attempt(
        &self,
        attempt: u32,
        job: &Arc<JobFacts>,
        what: &[What],
    ) -> Result<(), RecordError> {
        let event = |what: &What| JobEvent {
            at: Timestamp::from_micros(1),
            job: Arc::clone(job),
            delivery: attempt,
            attempt,
            what: what.clone(),
        };
        let events: Vec<JobEvent> = what.iter().map(event).collect();
        self.recorder.record(&events).await
    }

    /// Has a worker's loop look, once everything has been silent for a while.
    async fn look(&self) {
        self.clock.advance(Duration::from_secs(6));
        let reader = ResultReader::new(self.recorder.clone(), self.client.clone());
        let ctx = LoopCtx::new(self.clock.clone(), tokio_util::sync::CancellationToken::new());
        reader.pass(&ctx).await.unwrap();
    }

    /// Enqueues the job that a Python worker runs.
    async fn enqueue(&self) {
        self.client.send(Call::new("theirs", Arguments::default()).id(a())).await.unwrap();
    }

    /// Returns where the record stands, in which generation, and whether an answer is held.
    async fn stands(&self) -> (JobStatus, u32, bool) {
        let job = jobs::find(self.db.reader(), &a()).await.unwrap().expect("it is recorded").summary;
        (job.status, job.generation, self.mail.come.of(&a()).is_some())
    }
}

fn a() -> JobId {
    JobId::parse("a").unwrap()
}

fn asked_for_by(client: Option<&str>) -> Arc<JobFacts> {
    let mut message = TaskMessage::new(a(), "t", Arguments::default());
    message.reply_to = client.map(str::to_owned);
    Arc::new(message.facts("t", None, RecordLevel::All))
}

fn started() -> What {
    What::Started { worker: "w".into() }
}

fn half_done() -> What {
    What::Progressed { percent: 50, message: None, partial: None }
}

fn done() -> What {
    let result = Some(RawValue::from_string("5".to_owned()).unwrap());
    What::Succeeded { result, runtime_micros: None }
}

#[tokio::test]
async fn who_waits_is_told_every_state_once_in_order() {
    let house = House::build().await;
    let told = |states: &[&str]| -> Vec<(String, String)> {
        states.iter().map(|state| ("client".to_owned(), (*state).to_owned())).collect()
    };
    let job = asked_for_by(Some("client"));
    house.tell(&job, &[started()]).await.unwrap();
    assert_eq!(house.mail.take(), told(&["STARTED"]));
    // The outcome tells the whole story once more.
    house.tell(&job, &[started(), half_done(), done()]).await.unwrap();
    assert_eq!(house.mail.take(), told(&["PROGRESS", "SUCCESS"]));
    let retried =
        What::Retried { error: JobError::new(ErrorKind::Error, "no"), retry_at: Timestamp::from_micros(9) };
    house.tell_of_attempt(2, &job, &[started(), retried]).await.unwrap();
    assert_eq!(house.mail.take(), told(&["STARTED", "RETRY"]));
    house.tell_of_attempt(3, &job, &[What::Cancelled { reason: "expired".into() }]).await.unwrap();
    assert_eq!(house.mail.take(), told(&["REVOKED"]));
}

#[tokio::test]
async fn nobody_is_told_who_has_not_asked() {
    let house = House::build().await;
    house.tell(&asked_for_by(None), &[started(), done()]).await.unwrap();
    house.tell(&asked_for_by(Some("")), &[started(), done()]).await.unwrap();
    let ignored = JobFacts { ignore_result: true, ..(*asked_for_by(Some("client"))).clone() };
    house.tell(&Arc::new(ignored), &[started(), done()]).await.unwrap();
    assert_eq!(house.mail.take(), []);
}

/// Else the message would be acknowledged, and who waits would wait for ever.
#[tokio::test]
async fn what_could_not_be_sent_is_sent_the_next_time() {
    let house = House::build().await;
    let job = asked_for_by(Some("client"));
    *house.mail.is_away.lock().unwrap() = true;
    let error = house.tell(&job, &[started(), done()]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    *house.mail.is_away.lock().unwrap() = false;
    house.tell(&job, &[started(), done()]).await.unwrap();
    let states: Vec<String> = house.mail.take().into_iter().map(|(_, state)| state).collect();
    // It may have been sent in part, and that it had begun is of no use to anybody after its end.
    assert_eq!(states, ["SUCCESS"]);
}

#[tokio::test]
async fn beginning_is_not_told_after_the_end_when_an_outcome_is_written_again() {
    let house = House::build().await;
    let job = asked_for_by(Some("client"));
    for _ in 0..2 {
        house.tell(&job, &[started(), done()]).await.unwrap();
    }
    let states: Vec<String> = house.mail.take().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["STARTED", "SUCCESS", "SUCCESS"]);
}

const FAILURE: &str = r#"{"status": "FAILURE", "result": {"exc_type": "E", "exc_message": ["no"]}}"#;
const SUCCESS: &str = r#"{"status": "SUCCESS", "result": 5}"#;

/// Another process has asked for it again, and could not empty what is held here.
#[tokio::test]
async fn answer_to_an_earlier_run_does_not_end_the_next_one() {
    let house = House::build().await;
    house.enqueue().await;
    house.mail.comes(&a(), FAILURE);
    let old = house.mail.come.of(&a()).unwrap();
    house.look().await;
    assert_eq!(house.stands().await, (JobStatus::Failed, 0, false));
    house.mail.come.take_in("a", old.body);
    house.clock.advance(Duration::from_secs(1));
    // What the other process does comes to the records alone.
    let mut message = TaskMessage::new(a(), "theirs", Arguments::default());
    message.celeriac.generation = 1;
    let job = Arc::new(message.facts("theirs", None, RecordLevel::All));
    let at = house.clock.now();
    let revived = JobEvent { at, job, delivery: 0, attempt: 0, what: What::Enqueued };
    house.recorder.record(&[revived]).await.unwrap();
    assert_eq!(house.client.snapshot(&a()).await.unwrap().unwrap().status, JobStatus::Pending);
    assert_eq!(house.stands().await, (JobStatus::Pending, 1, true));
    house.look().await;
    assert_eq!(house.stands().await, (JobStatus::Pending, 1, false));
    house.mail.comes(&a(), SUCCESS);
    house.look().await;
    assert_eq!(house.stands().await, (JobStatus::Completed, 1, false));
}

#[tokio::test]
async fn answer_is_forgotten_once_the_record_tells_as_much() {
    let house = House::build().await;
    house.enqueue().await;
    house.mail.comes(&a(), r#"{"status": "STARTED", "result": {"hostname": "py"}}"#);
    house.look().await;
    assert_eq!(house.stands().await, (JobStatus::Running, 0, true));
    house.mail.comes(&a(), SUCCESS);
    assert_eq!(house.client.snapshot(&a()).await.unwrap().unwrap().status, JobStatus::Completed);
    assert_eq!(house.stands().await, (JobStatus::Completed, 0, false));
    // So is one that comes after the end, as where a worker of ours has recorded it itself, or of no job at all.
    house.mail.comes(&a(), SUCCESS);
    let unknown = JobId::parse("unknown").unwrap();
    house.mail.comes(&unknown, SUCCESS);
    house.look().await;
    assert_eq!((house.mail.come.of(&a()), house.mail.come.of(&unknown)), (None, None));
}

#[tokio::test]
async fn who_waits_here_asks_for_answers_and_sees_what_comes() {
    let house = House::build().await;
    let call = Call::new("theirs", Arguments::default()).id(a());
    house.client.send(call).await.unwrap();
    let sent = celeriac_broker::BrokerAdmin::find(&*house.shared, &a()).await.unwrap().unwrap();
    assert_eq!(TaskMessage::decode(&sent.envelope).unwrap().reply_to.as_deref(), Some("here"));
    let seen = async || {
        let seen = house.client.snapshot(&a()).await.unwrap().unwrap();
        (seen.status, seen.percent, seen.result.map(|result| result.get().to_owned()))
    };
    assert_eq!(seen().await, (JobStatus::Pending, 0, None));
    house.mail.comes(&a(), r#"{"status": "PROGRESS", "result": {"current": 1, "total": 4}}"#);
    assert_eq!(seen().await, (JobStatus::Running, 25, None));
    house.mail.comes(&a(), r#"{"status": "SUCCESS", "result": 5}"#);
    assert_eq!(seen().await, (JobStatus::Completed, 100, Some("5".to_owned())));
    // The record has learnt it, so nobody needs the answer any more.
    house.recorder.forget(&[a()]).await.unwrap();
    assert_eq!(seen().await, (JobStatus::Completed, 100, Some("5".to_owned())));
}
