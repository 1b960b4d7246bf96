//! Queues: counted, paused, resumed, emptied.

use serde_json::json;

use crate::support::Bed;

#[test]
fn queues_are_counted() {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    bed.enqueue(&["greet", "Bob", "--countdown", "1h"]);
    bed.enqueue(&["math.add", "1"]);
    let queues = bed.json(&["queues"]);
    let counts =
        |i: usize| (queues[i]["queue"].clone(), queues[i]["ready"].clone(), queues[i]["delayed"].clone());
    assert_eq!(counts(0), (json!("celery"), json!(1), json!(1)));
    assert_eq!(counts(1), (json!("math"), json!(1), json!(0)));
    assert!(queues[1]["oldest_ready_at"].is_string());
}

#[test]
fn a_paused_queue_hands_nothing_out_until_it_is_resumed() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    assert_eq!(bed.ok(&["queues", "pause", "celery"]), "queue celery paused\n");
    let unknown = bed.run(&["queues", "pause", "celry"]).refused(3);
    assert!(unknown.contains("no task of this app goes to it\n hint: did you mean `celery`?"), "{unknown}");
    assert_eq!(bed.json(&["queues"]).len(), 1, "nothing was paused");
    bed.ok(&["queues", "pause", "celry", "--force"]);
    bed.ok(&["queues", "resume", "celry"]);
    // The queue of a task that nobody has asked for yet.
    bed.ok(&["queues", "pause", "math"]);
    bed.ok(&["queues", "resume", "math"]);
    let worker = bed.worker(&["-Q", "celery,math"]);
    // A job of another queue that ends shows that the worker has looked.
    let other = bed.enqueue(&["math.add", "1"]);
    bed.ok(&["jobs", "wait", &other, "--timeout", "20s"]);
    assert_eq!(bed.job(&id)["status"], "pending");
    bed.ok(&["queues", "resume", "celery"]);
    bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]);
    worker.stop();
    let stderr = bed.run(&["queues", "resume", "mth"]).refused(3);
    assert!(stderr.contains("queue mth holds nothing and is not paused"), "{stderr}");
}

#[test]
fn purging_cancels_what_waits_and_asks_before() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    bed.enqueue(&["greet", "Bob", "--countdown", "1h"]);
    let other = bed.enqueue(&["math.add", "1"]);
    let stderr = bed.run(&["queues", "purge", "celery"]).refused(2);
    assert!(stderr.contains("failed to cancel 2 jobs in queue celery"), "{stderr}");
    assert_eq!(bed.json(&["queues", "purge", "celery", "--yes"])[0]["purged"], 2);
    let job = bed.job(&id);
    assert_eq!(
        (&job["status"], &job["cancel_reason"]),
        (&json!("cancelled"), &json!("purged by an operator"))
    );
    assert_eq!(bed.job(&other)["status"], "pending");
    bed.run(&["queues", "purge", "nothing", "--json"]).refused_as(3, "unknown_queue");
}
