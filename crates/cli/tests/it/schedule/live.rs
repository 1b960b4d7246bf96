//! A beat and a worker that run: what is due is enqueued, and what is changed is in force at once.

use serde_json::Value;

use crate::support::{Bed, Running};

/// Starts a beat and returns when it works.
fn beat(bed: &Bed) -> Running {
    let mut running = Running::start(&mut bed.command(&["beat", "--json"]));
    assert_eq!(running.next_json()["event"], "started");
    running
}

/// Returns the results of the jobs of a task that have completed.
fn results(bed: &Bed, task: &str) -> Vec<Value> {
    let jobs = bed.json(&["jobs", "list", "--task", task, "--status", "completed"]);
    jobs.iter().map(|job| bed.job(job["id"].as_str().unwrap())["result"].clone()).collect()
}

fn firings(bed: &Bed, name: &str) -> Vec<Value> {
    bed.json(&["schedule", "history", name])
}

#[test]
fn what_is_due_each_second_is_run_and_what_is_changed_is_in_force_at_once() {
    let bed = Bed::new();
    bed.ok(&["schedule", "add", "hello", "every", "1s", "--task", "greet", "--args", "[\"Ada\"]"]);
    let mut beat = beat(&bed);
    let worker = bed.worker(&["--set", "beat.enabled=false"]);
    beat.until("two jobs have run", || results(&bed, "greet").len() >= 2);

    bed.ok(&["schedule", "edit", "hello", "--args", "[\"Bob\"]"]);
    beat.until("the edit is in force", || results(&bed, "greet").contains(&Value::from("Hello, Bob!")));

    bed.ok(&["schedule", "disable", "hello"]);
    let stopped = firings(&bed, "hello").len();
    bed.ok(&["schedule", "add", "other", "every", "1s", "--task", "math.add", "--args", "[1, 2]"]);
    beat.until("another fires twice", || firings(&bed, "other").len() >= 2);
    assert_eq!(firings(&bed, "hello").len(), stopped, "one that is switched off fires no more");

    let fired = firings(&bed, "hello");
    let due: std::collections::BTreeSet<&str> =
        fired.iter().map(|firing| firing["due_at"].as_str().unwrap()).collect();
    assert_eq!(due.len(), fired.len(), "each due time has one firing");
    worker.stop();
    beat.stop();
}

#[test]
fn a_worker_is_a_beat_too_unless_it_is_told_not_to_be() {
    let bed = Bed::new();
    bed.ok(&["schedule", "add", "hello", "every", "1s", "--task", "greet", "--args", "[\"Ada\"]"]);
    let mut worker = bed.worker(&[]);
    worker.until("a job has run", || !results(&bed, "greet").is_empty());
    worker.stop();
}

#[test]
fn a_job_out_of_turn_is_waited_for_and_written_down() {
    let bed = Bed::new();
    bed.ok(&["schedule", "add", "yearly", "@yearly", "--task", "greet", "--args", "[\"Ada\"]"]);
    let worker = bed.worker(&[]);
    let result = bed.ok(&["schedule", "run-now", "yearly", "--wait", "--timeout", "20s"]);
    assert!(result.contains("Hello, Ada!"), "{result}");
    let fired = firings(&bed, "yearly");
    assert_eq!((fired.len(), &fired[0]["outcome"]), (1, &Value::from("manual")));
    worker.stop();
}
