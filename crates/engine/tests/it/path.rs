//! A job's path, on the queue in memory and a clock moved by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use celeriac_broker::{Broker, FetchRequest, Settle, Settlement};
use celeriac_engine::testing::TestKit;
use celeriac_engine::{
    Call, CancelOutcome, Compression, EnqueueError, EventSink, JobHandle, Serializer, States, WaitError,
};
use celeriac_protocol::{
    Arguments, Clock, DEFAULT_QUEUE, ErrorKind, JobEvent, JobId, JobStatus, RawValue, TaskMessage, What,
};

use crate::tasks::{
    self, Args, Gate, Runs, add, add_blocking, fail, parent, picky, quiet, snooze, takes_args,
};

fn kit() -> TestKit {
    let states = States::default().with(Gate::default()).with(Runs::default());
    TestKit::new(tasks::registry(), states).unwrap()
}

async fn status<T>(job: &JobHandle<T>) -> JobStatus {
    job.status().await.unwrap().unwrap().status
}

/// Tells the history of a job in short words.
fn history(kit: &TestKit, id: &JobId) -> Vec<String> {
    let events = kit.events();
    let own = events.iter().filter(|event| event.job.id == *id);
    own.map(|event| {
        let word = match &event.what {
            What::Enqueued => "enqueued",
            What::Started { .. } => "started",
            What::Progressed { .. } => "progressed",
            What::Succeeded { .. } => "succeeded",
            What::Retried { .. } => "retried",
            What::Snoozed { .. } => "snoozed",
            What::Released => "released",
            What::Lost => "lost",
            What::Failed { .. } => "failed",
            What::Cancelled { .. } => "cancelled",
        };
        format!("{word} {}", event.attempt)
    })
    .collect()
}

fn args(positional: &str, named: &str) -> Arguments {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    Arguments { positional: raw(positional), named: raw(named) }
}

#[tokio::test]
async fn a_job_runs_and_its_result_is_read_back() {
    let kit = kit();
    let job = kit.client().enqueue(add(2, 3, None)).await.unwrap();
    assert_eq!(status(&job).await, JobStatus::Pending);
    assert_eq!(kit.drain().await, 1);
    assert_eq!(job.wait(Duration::ZERO).await.unwrap(), 5);
    assert_eq!(history(&kit, job.id()), ["enqueued 0", "started 1", "succeeded 1"]);
    assert!(kit.broker().waiting().is_empty());
}

#[tokio::test]
async fn a_blocking_task_runs_on_a_thread_and_may_call_async_code() {
    let kit = kit();
    let job = kit.client().enqueue(add_blocking(2, 3)).await.unwrap();
    kit.drain().await;
    assert_eq!(job.wait(Duration::ZERO).await.unwrap(), 5);
}

#[tokio::test]
async fn celerys_positional_and_named_calls_fit_with_defaults_and_aliases() {
    let kit = kit();
    for (positional, named, sum) in [("[1]", "{}", 11), ("[1, 2]", "{}", 3), ("[]", r#"{"y": 5, "x": 1}"#, 6)]
    {
        let job = kit.client().send(Call::new("old.add", args(positional, named))).await.unwrap();
        kit.drain().await;
        assert_eq!(job.wait(Duration::ZERO).await.unwrap(), sum);
    }
}

#[tokio::test]
async fn a_failure_is_retried_with_doubling_waits_and_then_dies() {
    let kit = kit();
    let job = kit.client().enqueue(fail("plainly".into())).await.unwrap();
    assert_eq!(kit.drain().await, 1);
    assert_eq!(status(&job).await, JobStatus::Retrying);
    assert_eq!(kit.advance(Duration::from_secs(9)).await, 0);
    assert_eq!(kit.advance(Duration::from_secs(1)).await, 1);
    assert_eq!(kit.advance(Duration::from_secs(19)).await, 0);
    assert_eq!(kit.advance(Duration::from_secs(1)).await, 1);
    let WaitError::Failed { source: Some(error), .. } = job.wait(Duration::ZERO).await.unwrap_err() else {
        unreachable!("the job has failed")
    };
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Error, "disk on fire"));
    assert_eq!(error.type_name.as_deref(), Some("std::io::error::Error"));
    let expected =
        ["enqueued 0", "started 1", "retried 1", "started 2", "retried 2", "started 3", "failed 3"];
    assert_eq!(history(&kit, job.id()), expected);
    let letter = kit.broker().admin().dead_letter(job.id()).await.unwrap().unwrap();
    assert_eq!((letter.reason.as_str(), letter.attempt), ("error", 3));
}

#[tokio::test]
async fn a_dead_letter_is_revived_under_its_id_with_its_retries_forgotten() {
    let kit = kit();
    let job = kit.client().enqueue(fail("plainly".into())).await.unwrap();
    assert_eq!(kit.drain_all().await, 3);
    let letter = kit.broker().admin().dead_letter(job.id()).await.unwrap().unwrap();
    assert!(kit.client().revive(letter.clone()).await.unwrap());
    assert_eq!(status(&job).await, JobStatus::Pending);
    assert!(!kit.client().revive(letter).await.unwrap(), "it is no dead letter any more");
    assert_eq!(kit.drain_all().await, 3);
    assert_eq!(status(&job).await, JobStatus::Failed);
}

#[tokio::test]
async fn a_task_says_by_name_what_its_failure_wants() {
    let kit = kit();
    for (how, attempts, end) in [
        ("for good", 1, JobStatus::Failed),
        ("cancelled", 1, JobStatus::Cancelled),
        ("later", 3, JobStatus::Failed),
    ] {
        let job = kit.client().enqueue(fail(how.into())).await.unwrap();
        assert_eq!(kit.drain_all().await, attempts, "{how}");
        assert_eq!(status(&job).await, end, "{how}");
    }
}

#[tokio::test]
async fn only_errors_named_as_retryable_are_retried() {
    let kit = kit();
    let io = kit.client().enqueue(picky(true)).await.unwrap();
    let parse = kit.client().enqueue(picky(false)).await.unwrap();
    kit.drain().await;
    assert_eq!(status(&io).await, JobStatus::Retrying);
    assert_eq!(status(&parse).await, JobStatus::Failed);
}

#[tokio::test]
async fn a_panic_is_an_ordinary_failure() {
    let kit = kit();
    let job = kit.client().enqueue(fail("badly".into())).await.unwrap();
    kit.drain().await;
    let snapshot = job.status().await.unwrap().unwrap();
    let error = snapshot.error.unwrap();
    assert_eq!(snapshot.status, JobStatus::Retrying);
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Panic, "panicked badly"));
}

#[tokio::test]
async fn a_panic_before_the_task_runs_is_one_too() {
    let kit = kit();
    let job = kit.client().send(Call::new("bad_default", Arguments::default())).await.unwrap();
    let other = kit.client().enqueue(takes_args(Args { x: 7 })).await.unwrap();
    kit.drain().await;
    let error = job.status().await.unwrap().unwrap().error.unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Panic, "there is no default"));
    assert_eq!(other.wait(Duration::ZERO).await.unwrap(), 7);
}

#[tokio::test]
async fn a_listener_that_panics_takes_nobody_with_it() {
    struct Bad;
    impl EventSink for Bad {
        fn tell(&self, _: &JobEvent) {
            std::panic::panic_any("a bad listener");
        }
    }
    let kit = kit();
    kit.client().events().add(Arc::new(Bad));
    let job = kit.client().enqueue(add(2, 3, None)).await.unwrap();
    kit.drain().await;
    assert_eq!(job.wait(Duration::ZERO).await.unwrap(), 5);
}

#[tokio::test]
async fn a_revived_job_of_a_quiet_task_does_not_stay_dead() {
    let kit = kit();
    let job = kit.client().enqueue(quiet(true)).await.unwrap();
    kit.drain().await;
    let letter = kit.broker().admin().dead_letter(job.id()).await.unwrap().unwrap();
    assert!(kit.client().revive(letter).await.unwrap());
    assert_eq!(status(&job).await, JobStatus::Pending);
}

#[tokio::test]
async fn a_snooze_charges_nothing() {
    let kit = kit();
    let job = kit.client().enqueue(snooze()).await.unwrap();
    assert_eq!(kit.drain_all().await, 3);
    assert_eq!(job.wait(Duration::ZERO).await.unwrap(), 1, "the third run is still the first attempt");
}

#[tokio::test]
async fn message_of_protocol_1_runs_when_it_is_due_and_not_before() {
    let kit = kit();
    kit.client().enqueue(add(1, 1, None)).await.unwrap();
    let mut early = kit.broker().waiting().remove(0);
    early.id = JobId::parse("p1").unwrap();
    let due = kit.clock().now() + Duration::from_secs(60);
    let task = serde_json::from_str::<serde_json::Value>(&early.content.headers).unwrap()["task"].take();
    early.content.headers = "{}".to_owned();
    early.content.body = format!(
        r#"{{"task": {task}, "id": "p1", "args": [2, 3], "kwargs": {{}}, "eta": "{due}", "utc": true}}"#
    )
    .into_bytes();
    kit.broker().publish(vec![early]).await.unwrap();
    kit.drain().await;
    let waiting = kit.broker().waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].id.as_str(), waiting[0].due_at), ("p1", Some(due)));
    kit.drain_all().await;
    assert!(kit.broker().waiting().is_empty());
    assert!(kit.broker().admin().dead_letters(None, 10).await.unwrap().letters.is_empty());
}

#[tokio::test]
async fn retry_goes_out_in_the_form_its_message_came_in() {
    let kit = kit();
    let call = fail("plainly".into()).serializer(Serializer::Msgpack).compression(Compression::Zlib);
    kit.client().enqueue(call).await.unwrap();
    let sent = kit.broker().waiting().remove(0).content;
    kit.drain().await;
    let again = kit.broker().waiting().remove(0);
    assert_eq!(again.content.content_type, "application/x-msgpack");
    assert!(sent.headers.contains(r#""compression":"application/x-gzip""#), "{}", sent.headers);
    assert_eq!(again.content.body, sent.body);
    assert_eq!(TaskMessage::decode(&again).unwrap().retries, 1);
}

#[tokio::test]
async fn a_call_that_its_serializer_has_no_word_for_is_refused() {
    let kit = kit();
    let call = Call::new("takes_args", args("[18446744073709551616]", "{}")).serializer(Serializer::Msgpack);
    let error = kit.client().send(call).await.unwrap_err();
    assert!(matches!(&error, EnqueueError::Option { reason, .. } if reason.contains("64 bits")), "{error}");
    assert!(kit.broker().waiting().is_empty());
}

#[tokio::test]
async fn poison_goes_to_the_dead_letters_with_its_bytes_and_the_worker_goes_on() {
    let kit = kit();
    let good = kit.client().enqueue(add(1, 1, None)).await.unwrap();
    let waiting = kit.broker().waiting().remove(0);
    let poison = |id: &str, change: &dyn Fn(&mut celeriac_protocol::Envelope)| {
        let mut envelope = waiting.clone();
        envelope.id = JobId::parse(id).unwrap();
        change(&mut envelope);
        envelope
    };
    let chord = br#"[[1],{},{"chord":{"task":"x"}}]"#.to_vec();
    let bad = vec![
        poison("body", &|e| e.content.body = b"\xff\x00 not json".to_vec()),
        poison("shape", &|e| e.content.body = b"[[],{}]".to_vec()),
        poison("headers", &|e| e.content.headers = "{".into()),
        poison("type", &|e| e.content.content_type = "application/x-python-serialize".into()),
        poison("unknown", &|e| e.content.headers = r#"{"task": "no.such", "id": "unknown"}"#.into()),
        poison("arguments", &|e| e.content.body = br#"[[],{"q":1},{}]"#.to_vec()),
        poison("chord", &|e| e.content.body.clone_from(&chord)),
    ];
    let bytes: Vec<_> = bad.iter().map(|envelope| envelope.content.body.clone()).collect();
    kit.broker().publish(bad).await.unwrap();
    assert_eq!(kit.drain_all().await, 8);
    assert_eq!(good.wait(Duration::ZERO).await.unwrap(), 2);
    let letters = kit.broker().admin().dead_letters(None, 10).await.unwrap().letters;
    let told: Vec<(&str, &str)> =
        letters.iter().rev().map(|letter| (letter.envelope.id.as_str(), letter.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("body", "undecodable"),
            ("shape", "undecodable"),
            ("headers", "undecodable"),
            ("type", "undecodable"),
            ("unknown", "unknown_task"),
            ("arguments", "invalid_arguments"),
            ("chord", "unsupported"),
        ]
    );
    for (letter, bytes) in letters.iter().rev().zip(bytes) {
        assert_eq!(letter.envelope.content.body, bytes);
        let id = letter.envelope.id.clone();
        let snapshot = kit.client().handle(id).status().await.unwrap().unwrap();
        assert_eq!(snapshot.status, JobStatus::Failed, "{}", letter.envelope.id);
    }
}

#[tokio::test]
async fn an_expired_job_is_cancelled_and_says_so() {
    let kit = kit();
    let job = kit.client().enqueue(add(1, 1, None).expires_in(Duration::from_secs(60))).await.unwrap();
    kit.clock().advance(Duration::from_secs(60));
    kit.drain().await;
    let snapshot = job.status().await.unwrap().unwrap();
    assert_eq!((snapshot.status, snapshot.cancel_reason.as_deref()), (JobStatus::Cancelled, Some("expired")));
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_before_it_begins() {
    let kit = kit();
    let now = kit.client().enqueue(add(1, 1, None)).await.unwrap();
    let later = kit.client().enqueue(add(1, 1, None).countdown(Duration::from_secs(60))).await.unwrap();
    assert_eq!(status(&later).await, JobStatus::Scheduled);
    assert_eq!(now.cancel().await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(later.cancel().await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(kit.drain_all().await, 0);
    assert_eq!(status(&now).await, JobStatus::Cancelled);
    assert_eq!(now.cancel().await.unwrap(), CancelOutcome::AlreadyFinished(JobStatus::Cancelled));
    let unknown = kit.client().handle(JobId::parse("nobody").unwrap());
    assert_eq!(unknown.cancel().await.unwrap(), CancelOutcome::NotFound);
}

/// A worker that is none of ours has taken the message, and tells nobody.
#[tokio::test]
async fn a_job_that_nobody_of_ours_holds_is_out_of_reach() {
    let kit = kit();
    let job = kit.client().enqueue(add(1, 1, None)).await.unwrap();
    let queues = [DEFAULT_QUEUE.to_owned()];
    let request =
        FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(60), holder: "somebody" };
    let delivery = kit.client().broker().fetch(&request).await.unwrap().deliveries.remove(0);
    let taken = [Settlement { delivery, settle: Settle::Ack }];
    kit.client().broker().settle(&taken).await.unwrap();
    assert_eq!(job.cancel().await.unwrap(), CancelOutcome::OutOfReach);
}

#[tokio::test]
async fn the_same_id_or_unique_key_is_queued_once() {
    let kit = kit();
    let id = JobId::parse("mine").unwrap();
    let first = kit.client().enqueue(add(1, 1, None).id(id.clone()).unique("key")).await.unwrap();
    let again = kit.client().enqueue(add(2, 2, None).id(id.clone())).await.unwrap();
    let other = kit.client().enqueue(add(3, 3, None).unique("key")).await.unwrap();
    assert_eq!((again.id(), other.id()), (&id, &id));
    assert_eq!(kit.drain_all().await, 1);
    assert_eq!(first.wait(Duration::ZERO).await.unwrap(), 2);
    kit.client().enqueue(add(3, 3, None).unique("key")).await.unwrap();
    assert_eq!(kit.drain_all().await, 1, "the key is free again once the job has ended");
}

#[tokio::test]
async fn an_id_whose_job_has_ended_runs_again_and_late_word_of_the_old_run_changes_nothing() {
    let kit = kit();
    let id = JobId::parse("daily").unwrap();
    let job = kit.client().enqueue(add(1, 1, None).id(id.clone())).await.unwrap();
    kit.drain().await;
    let old = kit.events();
    kit.client().enqueue(add(2, 2, None).id(id)).await.unwrap();
    kit.client().recorder().record(&old).await.unwrap();
    assert_eq!(status(&job).await, JobStatus::Pending);
    assert_eq!(kit.drain().await, 1);
    kit.client().recorder().record(&old).await.unwrap();
    assert_eq!(job.wait(Duration::ZERO).await.unwrap(), 4);
}

#[tokio::test]
async fn a_letter_older_than_the_last_run_of_its_id_is_revived_as_the_next() {
    let kit = kit();
    let id = JobId::parse("daily").unwrap();
    let job = kit.client().enqueue(fail("for good".into()).id(id.clone())).await.unwrap();
    kit.drain().await;
    kit.client().enqueue(add(2, 2, None).id(id.clone())).await.unwrap();
    kit.drain().await;
    assert_eq!(status(&job).await, JobStatus::Completed);
    let letter = kit.broker().admin().dead_letter(&id).await.unwrap().unwrap();
    assert!(kit.client().revive(letter).await.unwrap());
    assert_eq!(status(&job).await, JobStatus::Pending);
}

/// Keeps what it is told.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl EventSink for Listener {
    fn tell(&self, event: &JobEvent) {
        let what = format!("{:?}", event.what);
        let word = what.split([' ', '{']).next().unwrap().to_lowercase();
        self.0.lock().unwrap().push(format!("{} {word}", event.job.id));
    }
}

impl Listener {
    /// Forgets what was told so far, and returns it.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn who_listens_hears_of_jobs_that_are_enqueued_cancelled_purged_and_revived() {
    let (kit, listener) = (kit(), Arc::new(Listener::default()));
    kit.client().events().add(Arc::clone(&listener) as Arc<dyn EventSink>);
    let id = |text: &str| JobId::parse(text).unwrap();
    let client = kit.client();
    client.enqueue(quiet(true).id(id("dead"))).await.unwrap();
    client.enqueue(add(1, 1, None).id(id("stopped"))).await.unwrap();
    client.enqueue(add(1, 1, None).id(id("stopped"))).await.unwrap();
    assert_eq!(listener.told(), ["dead enqueued", "stopped enqueued"]);
    client.cancel(&id("stopped"), "not needed").await.unwrap();
    assert_eq!(listener.told(), ["stopped cancelled"]);
    kit.drain().await;
    assert_eq!(listener.told(), ["dead failed"]);
    let letter = kit.broker().admin().dead_letter(&id("dead")).await.unwrap().unwrap();
    assert!(client.revive(letter).await.unwrap());
    assert_eq!(listener.told(), ["dead enqueued"]);
    client.enqueue(quiet(false).id(id("purged")).queue("other")).await.unwrap();
    client.purge("other", "not needed").await.unwrap();
    assert_eq!(listener.told(), ["purged enqueued", "purged cancelled"]);
}

#[tokio::test]
async fn higher_priorities_run_first_and_unset_stands_in_the_middle() {
    let kit = kit();
    let mut jobs = Vec::new();
    for (x, priority) in [(0, Some(0)), (5, None), (9, Some(9)), (6, Some(6))] {
        let signature = add(x, 0, None);
        let signature = if let Some(priority) = priority { signature.priority(priority) } else { signature };
        jobs.push(kit.client().enqueue(signature).await.unwrap());
    }
    kit.drain().await;
    let events = kit.events();
    let order: Vec<&str> = events
        .iter()
        .filter(|event| matches!(event.what, What::Succeeded { .. }))
        .map(|event| event.job.kwargs.get())
        .collect();
    let first_digits: Vec<&str> = order.iter().map(|kwargs| &kwargs[5..6]).collect();
    assert_eq!(first_digits, ["9", "6", "5", "0"]);
}

#[tokio::test]
async fn a_child_names_its_parent_and_progress_is_kept() {
    let kit = kit();
    let job = kit.client().enqueue(parent()).await.unwrap();
    assert_eq!(kit.drain().await, 2);
    let snapshot = job.status().await.unwrap().unwrap();
    assert_eq!((snapshot.percent, snapshot.partial.unwrap().get()), (100, "[1,2]"));
    let child = kit.events().into_iter().find(|event| event.job.task == "math.add").unwrap();
    assert_eq!((child.job.parent_id.as_ref(), child.job.root_id.as_ref()), (Some(job.id()), Some(job.id())));
    assert_eq!(child.job.job_type, "arithmetic");
}

#[tokio::test]
async fn bulk_keeps_the_order_and_bad_options_store_nothing() {
    let kit = kit();
    let jobs = kit.client().enqueue_many((0..2_500).map(|x| add(x, 0, None))).await.unwrap();
    assert_eq!(kit.broker().waiting().len(), 2_500);
    kit.drain().await;
    assert_eq!(jobs[2_499].wait(Duration::ZERO).await.unwrap(), 2_499);
    let error = kit.client().enqueue_many([add(1, 1, None), add(2, 2, None).priority(10)]).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Option { .. }));
    assert_eq!(error.to_string(), "enqueue task \"math.add\": priority 10 is above 9");
    assert!(kit.broker().waiting().is_empty());
}

#[tokio::test]
async fn a_quiet_task_leaves_a_record_only_when_it_fails() {
    let kit = kit();
    let good = kit.client().enqueue(quiet(false)).await.unwrap();
    let bad = kit.client().enqueue(quiet(true)).await.unwrap();
    kit.drain().await;
    assert!(good.status().await.unwrap().is_none());
    assert_eq!(status(&bad).await, JobStatus::Failed);
}

#[tokio::test]
async fn what_was_enqueued_is_asserted() {
    let kit = kit();
    kit.assert_not_enqueued::<add>();
    kit.client().enqueue(add(1, 2, None).queue("mail")).await.unwrap();
    let message = kit.assert_enqueued::<add>().await;
    assert_eq!((message.queue.as_str(), message.args.named.get()), ("mail", r#"{"x":1,"y":2,"note":null}"#));
    assert_eq!(message.celeriac.sent_at, Some(kit.clock().now()));
}
