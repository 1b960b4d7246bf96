//! Asking for jobs.

use serde_json::json;

use crate::support::{Bed, Outcome, Running, lines_of};

#[test]
fn a_job_enqueued_in_one_process_is_run_by_another_and_waited_for_in_a_third() {
    let bed = Bed::new();
    let mut waiting = Running::start(&mut bed.command(&["enqueue", "greet", "Ada", "--wait"]));
    let id = waiting.hear("enqueued greet as ").rsplit(' ').next().unwrap().to_owned();
    let worker = bed.worker(&[]);
    assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"Hello, Ada!\"\n");
    assert_eq!(waiting.next_json(), "Hello, Ada!");
    assert!(waiting.wait().success());
    worker.stop();
}

#[test]
fn arguments_and_options_travel_as_they_were_typed() {
    let bed = Bed::new();
    let options = ["--priority", "9", "--queue", "own", "--id", "my-id"];
    let call: Vec<&str> = ["math.add", "-1", "--kwarg", "y=5"].into_iter().chain(options).collect();
    assert_eq!(bed.enqueue(&call), "my-id");
    let job = bed.job("my-id");
    assert_eq!((&job["args"], &job["kwargs"]), (&json!([-1]), &json!({"y": 5})));
    assert_eq!((&job["priority"], &job["queue"]), (&json!(9), &json!("own")));
    assert_eq!(job["job_type"], "arithmetic");
    let id = bed.enqueue(&["greet", "42", "--max-retries", "7", "--countdown", "1h"]);
    let job = bed.job(&id);
    assert_eq!((&job["args"], &job["max_retries"]), (&json!(["42"]), &json!(7)));
    assert_eq!((&job["status"], &job["message"]["state"]), (&json!("scheduled"), &json!("delayed")));
}

#[test]
fn what_could_not_run_is_refused_before_it_is_sent() {
    let bed = Bed::new();
    let refused = |arguments: &[&str], exit: i32, code: &str| {
        let arguments: Vec<&str> = ["enqueue"].iter().chain(arguments).copied().chain(["--json"]).collect();
        let error = bed.run(&arguments).refused_as(exit, code);
        (error["message"].as_str().unwrap().to_owned(), error["hint"].as_str().unwrap_or_default().to_owned())
    };
    let (message, hint) = refused(&["gret", "Ada"], 3, "unknown_task");
    assert_eq!((message.as_str(), hint.as_str()), ("unknown task `gret`", "did you mean `greet`?"));
    let (message, hint) = refused(&["greet"], 2, "invalid_arguments");
    assert_eq!(message, "failed to enqueue task \"greet\": greet() missing 1 required argument: 'name'");
    assert_eq!(hint, "`greet` takes <name: String> [greeting: String]");
    refused(&["math.add", "one"], 2, "invalid_arguments");
    refused(&["greet", "Ada", "--priority", "10"], 2, "usage");
    refused(&["greet", "Ada", "--countdown", "soon"], 2, "usage");
    refused(&["silent", "--wait"], 2, "usage");
    assert!(!bed.path("celeriac.db").exists(), "nothing was opened for what could not be sent");
}

#[test]
fn unchecked_sends_what_only_other_workers_know() {
    let bed = Bed::new();
    let id = bed.enqueue(&["python.task", "1", "two", "--unchecked"]);
    let job = bed.job(&id);
    assert_eq!((&job["task"], &job["args"]), (&json!("python.task"), &json!([1, "two"])));
}

#[test]
fn a_unique_key_or_an_id_in_use_adds_nothing() {
    let bed = Bed::new();
    let first = bed.enqueue(&["greet", "Ada", "--unique", "ada"]);
    let second = bed.json(&["enqueue", "greet", "Ada", "--unique", "ada"]).remove(0);
    assert_eq!((&second["id"], &second["duplicate"]), (&json!(first), &json!(true)));
    let again = bed.run(&["enqueue", "greet", "Ada", "--id", &first]);
    assert_eq!(again.stderr, format!("job {first} waits or runs already; nothing was added\n"));
    assert_eq!(bed.json(&["jobs", "list"]).len(), 1);
}

#[test]
fn a_job_that_fails_ends_the_wait_with_its_reason_and_exit_code_1() {
    let bed = Bed::new();
    let worker = bed.worker(&[]);
    let stderr = bed.run(&["enqueue", "fail", "disk on fire", "--wait"]).refused(1);
    assert!(stderr.contains("failed: disk on fire\n hint: `jobs show "), "{stderr}");
    let ended = bed.run(&["enqueue", "fail", "disk on fire", "--wait", "--json"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(lines_of(&ended.stdout)[0]["error"]["message"], "disk on fire");
    worker.stop();
}

#[test]
fn waiting_ends_with_exit_code_6_when_its_time_is_over() {
    let bed = Bed::new();
    let stderr = bed.run(&["enqueue", "greet", "Ada", "--wait", "--timeout", "10ms"]).refused(6);
    assert!(stderr.contains("has not ended in time, it is pending"), "{stderr}");
}

#[test]
fn eager_runs_the_job_here_with_its_retries_and_without_a_worker() {
    let bed = Bed::new();
    assert_eq!(bed.ok(&["enqueue", "greet", "Ada", "--eager"]), "\"Hello, Ada!\"\n");
    assert!(bed.run(&["enqueue", "fail", "no", "--eager"]).refused(1).contains("failed: no"));
    let mut by_environment = bed.command(&["enqueue", "math.add", "1"]);
    assert_eq!(Outcome::of(by_environment.env("CELERY_TASK_ALWAYS_EAGER", "1")).ok(), "11\n");
    assert!(bed.json(&["jobs", "list"]).is_empty());
}

#[test]
fn a_file_of_calls_is_enqueued_line_by_line() {
    let bed = Bed::new();
    let mut lines = vec![r#"["Ada"]"#.to_owned(), String::new()];
    let call = r#"{"task": "math.add", "args": [1], "kwargs": {"y": 2}, "countdown": "5m", "priority": 1}"#;
    lines.push(call.to_owned());
    lines.extend((0..2_500).map(|n| format!(r#"{{"args": ["{n}"], "id": "bulk-{n}"}}"#)));
    bed.write("calls.jsonl", lines.join("\n"));
    assert_eq!(bed.ok(&["enqueue", "greet", "--bulk", "calls.jsonl"]), "2 502 jobs enqueued\n");
    let queues = bed.json(&["queues"]);
    assert_eq!((&queues[0]["ready"], &queues[1]["delayed"]), (&json!(2_501), &json!(1)));
    assert_eq!(bed.job("bulk-2499")["args"], json!(["2499"]));
}

#[test]
fn a_line_that_cannot_be_used_is_named_and_what_was_sent_before_is_counted() {
    let bed = Bed::new();
    let mut lines: Vec<String> = (0..1_000).map(|n| format!("[\"{n}\"]")).collect();
    lines.extend(["[\"fine\"]".to_owned(), "[1, 2, 3]".to_owned()]);
    bed.write("calls.jsonl", lines.join("\n"));
    let error = bed.run(&["enqueue", "greet", "--bulk", "calls.jsonl", "--json"]).refused_as(2, "bulk_line");
    let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert!(message.starts_with("failed to enqueue line 1002 of \"calls.jsonl\": "), "{message}");
    assert!(hint.ends_with("the jobs of the 1 000 lines before line 1001 are enqueued"), "{hint}");
    for (line, reason) in [
        ("{\"arg\": []}", "unknown field `arg`"),
        ("Ada", "expected value at column 1"),
        ("{\"task\": \"gret\"}", "unknown task `gret`"),
        ("{\"kwargs\": []}", "kwargs must be an object"),
    ] {
        bed.write("calls.jsonl", line);
        let stderr = bed.run(&["enqueue", "greet", "--bulk", "calls.jsonl"]).refused(2);
        assert!(stderr.contains(reason) && stderr.contains("nothing was enqueued"), "{stderr}");
    }
    assert!(bed.run(&["enqueue", "--bulk", "none.jsonl"]).refused(2).contains("No such file"));
}
