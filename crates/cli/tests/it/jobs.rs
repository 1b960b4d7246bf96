//! Looking into jobs and changing their course.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Bed, Running};

fn ids(list: &[Value]) -> Vec<&str> {
    list.iter().map(|job| job["id"].as_str().unwrap()).collect()
}

#[test]
fn lists_are_filtered_and_paged() {
    let bed = Bed::new();
    let first = bed.enqueue(&["greet", "Ada"]);
    let second = bed.enqueue(&["math.add", "1"]);
    let third = bed.enqueue(&["greet", "Bob", "--countdown", "1h"]);
    assert_eq!(ids(&bed.json(&["jobs", "list"])), [third.as_str(), &second, &first]);
    for (filter, expected) in [
        (&["--task", "math.add"][..], vec![&second]),
        (&["--queue", "celery"], vec![&third, &first]),
        (&["--type", "arithmetic"], vec![&second]),
        (&["--status", "scheduled"], vec![&third]),
        (&["--since", "1h", "--limit", "1"], vec![&third]),
        (&["--until", "1h"], vec![]),
        (&["--status", "dead"], vec![]),
    ] {
        let arguments: Vec<&str> = ["jobs", "list"].iter().chain(filter).copied().collect();
        assert_eq!(ids(&bed.json(&arguments)), expected, "{filter:?}");
    }
    let cursor = bed.json(&["jobs", "list", "--limit", "1"])[0]["cursor"].to_string();
    assert_eq!(ids(&bed.json(&["jobs", "list", "--cursor", &cursor])), [second, first]);
    let stderr = bed.run(&["jobs", "list", "--status", "done"]).refused(2);
    assert!(stderr.contains("invalid value 'done'"), "{stderr}");
}

#[test]
fn a_job_tells_its_whole_story() {
    let bed = Bed::new();
    let id = bed.enqueue(&["fail", "disk on fire"]);
    bed.work_until_ended(&id);
    let shown = bed.ok(&["jobs", "show", &id]);
    for line in [
        "task        fail",
        "status      failed, a dead letter (error)",
        "args        [\"disk on fire\"]",
        "disk on fire",
        "attempts    1. failed after",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let error = bed.run(&["jobs", "show", "nobody", "--json"]).refused_as(3, "unknown_job");
    assert_eq!(error["message"], "there is no job nobody");
}

#[test]
fn a_job_is_named_by_the_beginning_of_its_id_where_no_other_begins_so() {
    let bed = Bed::new();
    for id in ["order-10", "order-11", "order"] {
        bed.enqueue(&["greet", "Ada", "--id", id]);
    }
    // Whole ids come first, whatever else begins so.
    assert_eq!(bed.job("order")["id"], "order");
    assert_eq!(bed.job("order-10")["id"], "order-10");
    let error = bed.run(&["jobs", "show", "order-", "--json"]).refused_as(2, "ambiguous_job");
    assert_eq!(
        error["message"],
        "several jobs' ids begin with order-: order-11 (greet, pending), order-10 (greet, pending)"
    );
    // Less than four characters are no beginning.
    bed.run(&["jobs", "show", "ord", "--json"]).refused_as(3, "unknown_job");
    let id = bed.enqueue(&["fail", "no"]);
    assert_eq!(bed.job(&id[..35])["id"], id.as_str());
    // Nothing is changed where one of several names is not clear.
    bed.run(&["jobs", "cancel", "order-10", "order-1", "--json"]).refused_as(2, "ambiguous_job");
    assert_eq!(bed.job("order-10")["status"], "pending");
    bed.work_until_ended(&id);
    let beginning = &id[..35];
    assert_eq!(bed.json(&["dead", "show", beginning])[0]["id"], id.as_str());
    assert_eq!(bed.json(&["jobs", "retry", beginning])[0]["runs_as"], id.as_str());
    assert_eq!(bed.ok(&["jobs", "cancel", beginning]), format!("{id} cancelled\n"));
}

#[test]
fn a_job_without_a_record_is_told_by_its_queue() {
    let bed = Bed::new();
    let id = bed.enqueue(&["silent"]);
    let error = bed.run(&["jobs", "show", &id, "--json"]).refused_as(3, "unknown_job");
    assert!(error["hint"].as_str().unwrap().starts_with("its message is in queue celery;"), "{error}");
}

#[test]
fn a_paused_queue_is_told_as_the_reason_why_a_job_waits() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    bed.ok(&["queues", "pause", "celery"]);
    let shown = bed.ok(&["jobs", "show", &id]);
    assert!(shown.contains("waits for a worker; its queue was paused"), "{shown}");
}

#[test]
fn cancelling_takes_a_waiting_job_out_and_tells_a_running_one_to_stop() {
    let bed = Bed::new();
    let waiting = bed.enqueue(&["greet", "Ada"]);
    assert_eq!(bed.ok(&["jobs", "cancel", &waiting]), format!("{waiting} cancelled\n"));
    assert_eq!(bed.job(&waiting)["cancel_reason"], "cancelled by an operator");
    assert_eq!(bed.run(&["jobs", "cancel", &waiting]).code, Some(1));
    assert_eq!(bed.run(&["jobs", "cancel", &waiting, "nobody"]).code, Some(3));
    let line = bed.line();
    let running = bed.enqueue(&["hold", line.address()]);
    let worker = bed.worker(&[]);
    let job = line.called();
    let told = bed.json(&["jobs", "cancel", &running, "--reason", "not needed"]).remove(0);
    assert_eq!(told["outcome"], "requested");
    job.hung_up();
    let stderr = bed.run(&["jobs", "wait", &running, "--timeout", "20s"]).refused(1);
    assert!(stderr.contains("was cancelled"), "{stderr}");
    assert_eq!(bed.job(&running)["cancel_reason"], "not needed");
    worker.stop();
}

#[test]
fn a_dead_job_is_retried_under_its_id_and_a_finished_one_as_a_copy() {
    let bed = Bed::new();
    let dead = bed.enqueue(&["fail", "no"]);
    bed.work_until_ended(&dead);
    assert_eq!(bed.ok(&["jobs", "retry", &dead]), format!("{dead}\n"));
    let job = bed.job(&dead);
    assert_eq!((&job["status"], &job["generation"]), (&json!("pending"), &json!(1)));
    let stderr = bed.run(&["jobs", "retry", &dead]).refused(1);
    assert!(stderr.contains("has not ended, it is pending"), "{stderr}");
    bed.ok(&["jobs", "cancel", &dead]);
    let copy = bed.json(&["jobs", "retry", &dead])[0]["runs_as"].as_str().unwrap().to_owned();
    assert_ne!(copy, dead);
    let job = bed.job(&copy);
    assert_eq!((&job["task"], &job["args"]), (&json!("fail"), &json!(["no"])));
    bed.run(&["jobs", "retry", "nobody", "--json"]).refused_as(3, "unknown_job");
}

#[test]
fn a_job_is_retried_with_other_arguments_in_another_queue() {
    let bed = Bed::new();
    let dead = bed.enqueue(&["fail", "no"]);
    bed.work_until_ended(&dead);
    let retry = ["jobs", "retry", &dead, "--args", r#"["yes"]"#, "-Q", "math", "--priority", "7"];
    assert_eq!(bed.ok(&retry), format!("{dead}\n"));
    let job = bed.job(&dead);
    assert_eq!((&job["args"], &job["queue"], &job["priority"]), (&json!(["yes"]), &json!("math"), &json!(7)));
    let unfit = ["jobs", "retry", &dead, "--args", "[1"];
    assert!(bed.run(&unfit).refused(2).contains("failed to read --args as JSON"));
}

#[test]
fn finished_jobs_are_deleted_and_of_several_each_has_its_outcome() {
    let bed = Bed::new();
    let (dead, waits) = (bed.enqueue(&["fail", "no"]), bed.enqueue(&["greet", "Ada", "--countdown", "1h"]));
    bed.work_until_ended(&dead);
    let stderr = bed.run(&["jobs", "delete", &waits]).refused(1);
    assert!(stderr.contains("has not ended, it is scheduled"), "{stderr}");
    let told = bed.run(&["jobs", "delete", &dead, &waits, "nobody", "--json"]);
    assert_eq!(told.code, Some(3));
    let told = crate::support::lines_of(&told.stdout);
    assert_eq!(told[0], json!({"id": dead, "outcome": "deleted", "letters": 1}));
    assert_eq!((&told[1]["refused"], &told[2]["refused"]), (&json!("not_ended"), &json!("unknown")));
    assert_eq!(ids(&bed.json(&["jobs", "list"])), [&waits]);
    assert_eq!(bed.json(&["dead", "list"]), Vec::<Value>::new());
    bed.ok(&["jobs", "cancel", &waits]);
    assert_eq!(bed.ok(&["jobs", "delete", &waits]), format!("{waits} deleted\n"));
}

#[test]
fn waiting_prints_the_result_of_a_job_that_has_ended() {
    let bed = Bed::new();
    let id = bed.enqueue(&["math.add", "1", "2"]);
    bed.work_until_ended(&id);
    assert_eq!(bed.ok(&["jobs", "wait", &id]), "3\n");
    let ended = bed.json(&["jobs", "wait", &id]).remove(0);
    assert_eq!((&ended["status"], &ended["progress"]), (&json!("completed"), &json!(100)));
    bed.run(&["jobs", "wait", "nobody", "--json"]).refused_as(3, "unknown_job");
    let id = bed.enqueue(&["greet", "Ada"]);
    bed.run(&["jobs", "wait", &id, "--timeout", "0s", "--json"]).refused_as(6, "timed_out");
}

#[test]
fn a_name_that_nothing_goes_by_is_told_beside_an_empty_list() {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    for (arguments, said) in [
        (&["jobs", "list", "-t", "gret"][..], "no task of this app is called gret; did you mean `greet`?"),
        (&["jobs", "list", "-Q", "mth"], "no task of this app goes to queue mth; did you mean `math`?"),
        (&["dead", "list", "-t", "gret"], "no task of this app is called gret; did you mean `greet`?"),
    ] {
        let listed = bed.run(arguments);
        assert!(listed.stderr.contains(said), "{}", listed.stderr);
        assert_eq!(listed.ok(), "");
    }
    let reason = bed.run(&["dead", "retry", "--all", "--reason", "pannic"]).refused(2);
    assert!(reason.contains("unknown_task") && reason.contains("'panic'"), "{reason}");
    let status = bed.run(&["jobs", "list", "--status", "bogus"]).refused(2);
    assert!(
        status.contains("scheduled, pending, running, retrying, completed, failed, cancelled, dead"),
        "{status}"
    );
}

#[test]
fn whoever_waits_for_what_nobody_takes_is_told_and_ctrl_c_ends_the_waiting_alone() {
    let bed = Bed::new();
    let mut waiting = Running::start(&mut bed.command(&["enqueue", "greet", "Ada", "--wait"]));
    waiting.hear("no worker takes from queue celery");
    waiting.signal(Signal::INT);
    let said = waiting.rest_of_stderr();
    assert!(said.contains("the job goes on; `jobs wait "), "{said}");
    assert_eq!(waiting.wait().code(), Some(130));
    let id = bed.json(&["jobs", "list"])[0]["id"].as_str().unwrap().to_owned();
    let error = bed.run(&["jobs", "wait", &id, "--timeout", "0s", "--json"]).refused_as(6, "timed_out");
    assert_eq!(error["job"], json!(id));
    assert_eq!(bed.job(&id)["status"], "pending");
}
