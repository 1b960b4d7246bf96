//! Links and chains, as a client of Celery sends them, on the queue in memory.

use std::time::Duration;

use celeriac_broker::Broker;
use celeriac_engine::testing::TestKit;
use celeriac_engine::{JobHandle, States};
use celeriac_protocol::{Arguments, Continuation, ErrorKind, JobId, JobStatus, RawValue, TaskMessage};

use crate::tasks::{self, Gate, Runs};

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
