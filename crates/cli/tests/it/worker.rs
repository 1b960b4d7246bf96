//! Workers: how they start, stop and say what they do.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Bed, Running};

#[test]
fn ctrl_c_lets_a_running_job_finish_and_exits_with_0() {
    let bed = Bed::new();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let mut worker = bed.worker(&[]);
    let job = line.called();
    worker.signal(Signal::INT);
    job.answer("done in time");
    assert_eq!(worker.next_json()["event"], "stopped");
    assert!(worker.wait().success());
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["result"]), (&json!("completed"), &json!("done in time")));
}

#[test]
fn a_second_ctrl_c_gives_a_running_job_back_at_once() {
    let bed = Bed::new();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let mut worker = Running::start(&mut bed.command(&["worker"]));
    let job = line.called();
    worker.signal(Signal::INT);
    worker.hear("interrupted: taking no more jobs, letting running ones finish for up to 30s");
    worker.signal(Signal::INT);
    worker.hear("interrupted: giving running jobs back");
    assert_eq!(worker.wait().code(), Some(130));
    job.hung_up();
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["message"]["state"]), (&json!("pending"), &json!("ready")));
    let next = bed.worker(&[]);
    line.called().answer("second time");
    assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"second time\"\n");
    next.stop();
    assert_eq!(bed.job(&id)["attempt"], 1);
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let bed = Bed::new();
    let manager = UnixDatagram::bind(bed.path("notify")).unwrap();
    let heard = || {
        let mut text = [0; 64];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let mut command = bed.command(&["worker", "--json"]);
    let worker = Running::start(command.env("NOTIFY_SOCKET", bed.path("notify")));
    assert_eq!(heard(), "READY=1");
    worker.signal(Signal::TERM);
    assert_eq!(heard(), "STOPPING=1");
    assert!(worker.wait().success());
}

#[test]
fn a_killed_workers_job_is_taken_up_when_its_lease_ends() {
    let bed = Bed::new();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    // Long enough to be renewed in time on a busy machine.
    let killed = bed.worker(&["--set", "worker.lease=2s"]);
    let job = line.called();
    bed.until_running(&id);
    killed.signal(Signal::KILL);
    job.hung_up();
    let next = bed.worker(&[]);
    line.called().answer("after all");
    assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"after all\"\n");
    next.stop();
    let attempts = bed.job(&id)["attempts"].clone();
    assert_eq!((&attempts[0]["outcome"], &attempts[1]["outcome"]), (&json!("lost"), &json!("succeeded")));
}

#[test]
fn old_records_go_when_their_time_is_over() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    bed.work_until_ended(&id);
    bed.write("celeriac.toml", "[records]\nkeep_completed = \"0s\"\nprune_every = \"1s\"");
    let worker = bed.worker(&[]);
    while bed.run(&["jobs", "show", &id]).code == Some(0) {
        // The pruner passes when the worker starts.
    }
    worker.stop();
}

#[test]
fn patience_over_gives_the_job_back_uncharged() {
    let bed = Bed::new();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let worker = bed.worker(&["--shutdown-patience", "10ms"]);
    let job = line.called();
    worker.stop();
    job.hung_up();
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["message"]["state"]), (&json!("pending"), &json!("ready")));
}

#[test]
fn it_says_what_it_runs() {
    let bed = Bed::new();
    let arguments = ["worker", "--json", "--modules", "math", "-Q", "math", "-n", "m1", "-c", "3"];
    let mut worker = Running::start(&mut bed.command(&arguments));
    let said = worker.next_json();
    assert_eq!(said["tasks"], json!(["math.add"]));
    assert_eq!((&said["worker"], &said["concurrency"]), (&json!("m1"), &json!(3)));
    worker.stop();
}

#[test]
fn it_warns_of_tasks_whose_jobs_it_would_bury() {
    let bed = Bed::new();
    let mut worker = bed.worker(&["--modules", "math"]);
    let warning = worker.hear("would go to the dead letters");
    assert!(warning.contains("\"task.name\":\"fail\""), "{warning}");
    worker.stop();
}

#[test]
fn what_can_not_be_run_is_said_at_once() {
    let bed = Bed::new();
    let stderr = bed.run(&["worker", "--modules", "maths"]).refused(2);
    assert!(stderr.contains("did you mean `math`?"), "{stderr}");
    let stderr = bed.run(&["worker", "-c", "0"]).refused(2);
    assert!(stderr.contains("--concurrency = 0: 1 to 10000 are possible"), "{stderr}");
    let stderr = bed.run(&["worker", "-Q", ","]).refused(2);
    assert!(stderr.contains("--queues = : at least one is needed"), "{stderr}");
}

#[test]
fn logs_are_json_where_nobody_watches_and_never_on_standard_output() {
    let bed = Bed::new();
    let mut worker = Running::start(&mut bed.command(&["worker"]));
    let started: Value = serde_json::from_str(&worker.hear("worker started")).unwrap();
    assert_eq!((&started["level"], &started["message"]), (&json!("INFO"), &json!("worker started")));
    worker.signal(Signal::TERM);
    let rest = worker.rest_of_stderr();
    assert!(rest.contains("worker stopped"), "{rest}");
    assert!(worker.wait().success());
}

#[test]
fn a_worker_stays_small() {
    let bed = Bed::new();
    let lines: Vec<String> = (0..500).map(|n| format!(r#"{{"args": ["{n}"], "id": "greet-{n}"}}"#)).collect();
    bed.write("calls.jsonl", lines.join("\n"));
    bed.ok(&["enqueue", "greet", "--bulk", "calls.jsonl"]);
    let worker = bed.worker(&[]);
    bed.ok(&["jobs", "wait", "greet-499", "--timeout", "20s"]);
    let own = worker.own_kib();
    worker.stop();
    assert!(own < 10 * 1024, "the worker has {own} KiB for itself");
}
