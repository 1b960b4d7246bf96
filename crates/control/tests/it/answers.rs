//! Results that are sent to whoever waits: what he is told, and what is learnt of answers that come here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use celeriac_broker::{BrokerError, KeptResult, MemoryBroker, ResultStore};
use celeriac_control::{ResultRecorder, ResultSettings};
use celeriac_db::testing::TestDatabase;
use celeriac_engine::{
    Call, Client, ClientParts, EventHub, RecordError, Recorder, Registry, Sending, SystemClock,
};
use celeriac_protocol::{
    Arguments, BodyForm, Compression, ErrorKind, JobError, JobEvent, JobFacts, JobId, JobStatus, RawValue,
    RecordLevel, ResultStyle, TaskMessage, TaskResult, Timestamp, What,
};
use celeriac_store::MIGRATIONS;

use crate::shared::Shared;

/// Sends nothing anywhere, and remembers what it was to send.
#[derive(Default)]
struct Mail {
    sent: Mutex<Vec<(String, String)>>,
    come: Mutex<HashMap<JobId, String>>,
    is_away: Mutex<bool>,
}

impl Mail {
    /// Takes what was sent: to whom, and in which state.
    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    fn comes(&self, id: &JobId, text: &str) {
        self.come.lock().unwrap().insert(id.clone(), text.to_owned());
    }
}

#[async_trait::async_trait]
impl ResultStore for Mail {
    fn is_sent(&self) -> bool {
        true
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

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, BrokerError> {
        let come = self.come.lock().unwrap();
        Ok(ids.iter().map(|id| come.get(id).cloned().map(String::into_bytes)).collect())
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), BrokerError> {
        self.come.lock().unwrap().retain(|id, _| !ids.contains(id));
        Ok(())
    }
}

struct House {
    _db: TestDatabase,
    mail: Arc<Mail>,
    recorder: ResultRecorder,
    client: Client,
    shared: Arc<MemoryBroker>,
}

impl House {
    async fn build() -> Self {
        let db = TestDatabase::open().await.unwrap();
        MIGRATIONS.up(&db, 0).await.unwrap();
        let mail = Arc::new(Mail::default());
        let style = ResultStyle { started: true, ..ResultStyle::default() };
        let form = BodyForm { compression: Some(Compression::Zlib), ..BodyForm::default() };
        let settings = ResultSettings { style, keep: None, form };
        let recorder = ResultRecorder::new(db.database().clone(), mail.clone(), settings);
        let shared = Arc::new(MemoryBroker::new(Arc::new(SystemClock)));
        let parts = ClientParts {
            broker: Arc::new(Shared(Arc::clone(&shared))),
            recorder: Arc::new(recorder.clone()),
            clock: Arc::new(SystemClock),
            registry: Registry::builder().build().unwrap(),
            events: EventHub::default(),
            origin: "test".into(),
        };
        let sending = Sending { reply_to: Some("here".to_owned()), ..Sending::default() };
        let client = Client::with_sending(parts, None, sending);
        Self { _db: db, mail, recorder, client, shared }
    }

    async fn tell(&self, job: &Arc<JobFacts>, what: &[What]) -> Result<(), RecordError> {
        let event = |what: &What| JobEvent {
            at: Timestamp::from_micros(1),
            job: Arc::clone(job),
            delivery: 1,
            attempt: 1,
            what: what.clone(),
        };
        let events: Vec<JobEvent> = what.iter().map(event).collect();
        self.recorder.record(&events).await
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
    What::Succeeded { result, runtime_micros: 0 }
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
    house.tell(&job, &[started(), retried]).await.unwrap();
    assert_eq!(house.mail.take(), told(&["STARTED", "RETRY"]));
    house.tell(&job, &[What::Cancelled { reason: "expired".into() }]).await.unwrap();
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
    assert_eq!(states, ["STARTED", "SUCCESS"]);
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
