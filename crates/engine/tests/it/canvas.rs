//! Links and chains, as a client of Celery sends them, on the queue in memory.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{
    Broker, BrokerAdmin, BrokerError, Capabilities, FetchRequest, Fetched, LeaseTag, MemoryBroker, Notifier,
    Publication, Renewal, SLICE_BYTES, Settled, Settlement,
};
use celeriac_engine::testing::TestKit;
use celeriac_engine::{
    Client, ClientParts, EventHub, JobHandle, MemoryRecorder, States, SystemClock, Worker, WorkerOptions,
};
use celeriac_protocol::{
    Address, Arguments, Continuation, Envelope, ErrorKind, JobId, JobStatus, RawValue, TaskMessage,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tasks::{self, Gate, Runs};

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);

fn kit() -> TestKit {
    let states = States::default().with(Gate::default()).with(Runs::default());
    TestKit::new(tasks::registry(), states).unwrap()
}

fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

/// Puts a message of `math.add` into the queue, with what is to follow it.
async fn send(kit: &TestKit, task: &str, args: &str, embed: &str) -> JobHandle {
    let mut message = TaskMessage::new(id("first"), task, Arguments::default());
    message.args.positional = RawValue::from_string(args.to_owned()).unwrap();
    message.continuation = serde_json::from_str::<Continuation>(embed).unwrap();
    kit.broker().publish(vec![message.encode()]).await.unwrap();
    kit.client().handle(id("first"))
}

async fn result(kit: &TestKit, job: &str) -> serde_json::Value {
    kit.client().handle(id(job)).wait(Duration::ZERO).await.unwrap()
}

fn step(task: &str, args: &str, job: &str) -> String {
    format!(r#"{{"task": "{task}", "args": {args}, "options": {{"task_id": "{job}"}}}}"#)
}

#[tokio::test]
async fn a_chain_runs_to_its_end_and_tells_who_was_the_parent() {
    let kit = kit();
    let (second, third) = (step("math.add", "[10]", "second"), step("old.add", "[100]", "third"));
    send(&kit, "math.add", "[1, 2]", &format!(r#"{{"chain": [{third}, {second}]}}"#)).await;
    assert_eq!(kit.drain().await, 3);
    assert_eq!((result(&kit, "second").await, result(&kit, "third").await), (13.into(), 113.into()));
    let events = kit.events();
    let last = &events.iter().rfind(|event| event.job.id == id("third")).unwrap().job;
    assert_eq!((&last.parent_id, &last.root_id), (&Some(id("second")), &Some(id("first"))));
}

#[tokio::test]
async fn a_success_that_comes_again_publishes_what_follows_under_the_same_id() {
    let kit = kit();
    let link = r#"{"callbacks": [{"task": "math.add", "args": [1], "options": {"countdown": 60}}]}"#;
    send(&kit, "math.add", "[1, 2]", link).await;
    kit.drain().await;
    let waiting = |kit: &TestKit| kit.broker().waiting().iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    let before = waiting(&kit);
    assert_eq!(before.len(), 1);
    // Its worker was killed before it acknowledged.
    send(&kit, "math.add", "[1, 2]", link).await;
    kit.drain().await;
    assert_eq!(waiting(&kit), before);
    kit.clock().advance(Duration::from_secs(60));
    assert_eq!(kit.drain().await, 1);
    assert_eq!(result(&kit, before[0].as_str()).await, 4);
}

#[tokio::test]
async fn the_rest_of_a_chain_is_told_that_it_fails_and_runs_once_the_letter_is_revived() {
    let kit = kit();
    let chain = format!(r#"{{"chain": [{}]}}"#, step("math.add", "[1]", "second"));
    let first = send(&kit, "fail", r#"["for good"]"#, &chain).await;
    kit.drain().await;
    for job in [&first, &kit.client().handle(id("second"))] {
        let snapshot = job.status().await.unwrap().unwrap();
        assert_eq!(
            (snapshot.status, snapshot.error.unwrap().message.as_str()),
            (JobStatus::Failed, "no such account")
        );
    }
    assert!(kit.broker().waiting().is_empty());
    let mut letters = kit.broker().admin().dead_letters(None, 10).await.unwrap().letters;
    assert_eq!(letters.len(), 1);
    // As if the fault had been mended meanwhile.
    let letter = letters.remove(0);
    let mut mended = TaskMessage::decode(&letter.envelope).unwrap();
    (mended.task, mended.args.positional) =
        ("math.add".to_owned(), RawValue::from_string("[1, 2]".into()).unwrap());
    let letter = celeriac_broker::DeadLetter { envelope: mended.encode(), ..letter };
    assert!(kit.client().revive(letter).await.unwrap());
    kit.drain().await;
    assert_eq!(result(&kit, "second").await, 4);
}

#[tokio::test]
async fn a_message_with_a_chord_or_error_callback_is_never_begun() {
    let chord = r#"{"task": "celery.chord", "kwargs": {}, "subtask_type": "chord"}"#;
    for (embed, reason) in [
        (r#"{"chord": {"task": "math.add"}}"#.to_owned(), "a chord"),
        (r#"{"errbacks": [{"task": "math.add"}]}"#.to_owned(), "an error callback"),
        (format!(r#"{{"chain": [{chord}, {}]}}"#, step("math.add", "[1]", "second")), "a chord"),
    ] {
        let kit = kit();
        let job = send(&kit, "math.add", "[1, 2]", &embed).await;
        kit.drain().await;
        let snapshot = job.status().await.unwrap().unwrap();
        let error = snapshot.error.unwrap();
        assert_eq!((snapshot.status, error.kind), (JobStatus::Failed, ErrorKind::Unsupported));
        assert!(error.message.contains(reason), "{error}");
        let letters = kit.broker().admin().dead_letters(None, 10).await.unwrap().letters;
        assert_eq!(letters.len(), 1);
        assert!(String::from_utf8_lossy(&letters[0].envelope.content.body).contains("task"));
        assert!(kit.broker().waiting().is_empty());
    }
}

fn to(exchange: &str, task: &str, more: &str, job: &str) -> String {
    let options =
        format!(r#"{{"task_id": "{job}", "exchange": "{exchange}", "routing_key": "sport"{more}}}"#);
    format!(r#"{{"task": "{task}", "args": [10], "options": {options}}}"#)
}

#[tokio::test]
async fn a_message_is_never_begun_where_what_follows_can_not_be_sent() {
    let kit = kit();
    let (far, near) = (to("news", "math.add", "", "third"), step("math.add", "[1]", "second"));
    let job = send(&kit, "math.add", "[1, 2]", &format!(r#"{{"chain": [{far}, {near}]}}"#)).await;
    kit.drain().await;
    let error = job.status().await.unwrap().unwrap().error.unwrap();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("has no exchanges"), "{error}");
    assert!(kit.broker().waiting().is_empty());
    assert_eq!(kit.broker().admin().dead_letters(None, 10).await.unwrap().letters.len(), 1);
    let rest = kit.client().handle(id("third")).status().await.unwrap().unwrap();
    assert_eq!(rest.status, JobStatus::Failed);
}

/// A queue in memory that has exchanges, to which no queue is bound, and a deadline that is too short for more than so
/// many bytes together.
struct Unbound(Arc<MemoryBroker>);

#[async_trait::async_trait]
impl Broker for Unbound {
    fn capabilities(&self) -> Capabilities {
        Capabilities { exchanges: true, ..self.0.capabilities() }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        if envelopes.iter().any(|envelope| !Address::is_queue(&envelope.queue)) {
            return Err(BrokerError::Refused { product: "a test", source: "no queue is bound".into() });
        }
        let bytes: usize = envelopes.iter().map(|envelope| envelope.content.body.len()).sum();
        if envelopes.len() > 1 && bytes > SLICE_BYTES {
            return Err(BrokerError::Unavailable { product: "a test", source: "it takes too long".into() });
        }
        self.0.publish(envelopes).await
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        self.0.fetch(request).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        self.0.settle(settlements).await
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        self.0.renew(tags, lease).await
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        self.0.notifier()
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self.0.admin()
    }
}

/// Runs a job, and what follows it, where no exchange has a queue.
async fn run_unbound(embed: &str, last: &str) -> (Client, Arc<MemoryBroker>) {
    let broker = Arc::new(MemoryBroker::new(Arc::new(SystemClock)));
    let client = Client::new(ClientParts {
        broker: Arc::new(Unbound(Arc::clone(&broker))),
        recorder: Arc::new(MemoryRecorder::default()),
        clock: Arc::new(SystemClock),
        registry: tasks::registry(),
        events: EventHub::default(),
        origin: "test".to_owned(),
    });
    let states = States::default().with(Gate::default()).with(Runs::default());
    let worker = Worker::new(client.clone(), tasks::registry(), states, WorkerOptions::default()).unwrap();
    let stop = CancellationToken::new();
    let running = TaskTracker::new().spawn(worker.run(stop.clone()));
    let mut message = TaskMessage::new(id("first"), "math.add", Arguments::default());
    message.args.positional = RawValue::from_string("[1, 2]".to_owned()).unwrap();
    message.continuation = serde_json::from_str::<Continuation>(embed).unwrap();
    client.broker().publish(vec![message.encode()]).await.unwrap();
    for job in ["first", last] {
        client.handle(id(job)).wait_ended(SOON).await.unwrap();
    }
    stop.cancel();
    running.await.unwrap();
    (client, broker)
}

#[tokio::test]
async fn a_job_succeeds_though_what_follows_is_refused_and_the_rest_is_told() {
    let link = step("math.add", "[1]", "link");
    let (refused, rest) = (to("news", "math.add", "", "second"), step("math.add", "[1]", "third"));
    let embed = format!(r#"{{"callbacks": [{link}], "chain": [{rest}, {refused}]}}"#);
    let (client, broker) = run_unbound(&embed, "link").await;
    let result = |job| client.handle(id(job));
    assert_eq!(result("first").wait(SOON).await.unwrap(), 3);
    assert_eq!(result("link").wait(SOON).await.unwrap(), 4);
    for job in ["second", "third"] {
        let snapshot = result(job).status().await.unwrap().unwrap();
        let error = snapshot.error.unwrap();
        assert_eq!((snapshot.status, error.type_name.as_deref()), (JobStatus::Failed, Some("Undeliverable")));
        assert!(
            error.message.contains("exchange://news/sport") && error.message.contains("no queue is bound")
        );
    }
    assert!(broker.waiting().is_empty());
    assert!(broker.admin().dead_letters(None, 10).await.unwrap().letters.is_empty());
}

#[tokio::test]
async fn followers_too_large_for_one_deadline_are_published_in_parts() {
    let note = "x".repeat(SLICE_BYTES / 3);
    let link = |number| step("math.add", &format!(r#"[10, "{note}"]"#), &format!("link-{number}"));
    let links: Vec<String> = (1..=3).map(link).collect();
    let (client, _) = run_unbound(&format!(r#"{{"callbacks": [{}]}}"#, links.join(", ")), "link-3").await;
    for job in ["link-1", "link-2", "link-3"] {
        assert_eq!(client.handle(id(job)).wait(SOON).await.unwrap(), 13);
    }
}

#[tokio::test]
async fn what_would_have_to_wait_before_an_exchange_keeps_a_job_from_its_beginning() {
    for more in [r#", "countdown": 10"#, r#", "eta": "2036-01-02T03:05:00""#] {
        let embed = format!(r#"{{"chain": [{}]}}"#, to("news", "math.add", more, "second"));
        let (client, broker) = run_unbound(&embed, "second").await;
        let error = client.handle(id("first")).status().await.unwrap().unwrap().error.unwrap();
        assert!(error.message.contains("can't wait for a time"), "{error}");
        assert_eq!(broker.admin().dead_letters(None, 10).await.unwrap().letters.len(), 1);
    }
}
