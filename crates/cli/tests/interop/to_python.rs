//! Our client, Python's worker.

use serde_json::json;

use crate::house::{House, until};

/// Enqueues a task of Python's, which our app does not know, and returns the job's id.
fn enqueue(house: &House, arguments: &[&str]) -> String {
    house.ok(&[&["enqueue", "--unchecked"], arguments].concat())
}

pub(crate) fn client_of_ours_gets_the_result(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let wait = ["enqueue", "--unchecked", "--wait", "--timeout", "20s"];
    assert_eq!(house.ok(&[&wait[..], &["py.add", "2", "3"]].concat()), "5");
    assert_eq!(house.ok(&[&wait[..], &["py.add", "2", "-k", "y=4"]].concat()), "6");
    worker.stop();
}

pub(crate) fn client_of_ours_gets_the_failure(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let id = enqueue(house, &["py.fail", "boom"]);
    let (code, said) = house.run(&["jobs", "wait", &id, "--timeout", "20s"]);
    assert!(code == 1 && said.contains("boom, 42"), "{said}");
    let told = house.python(&format!("tell(AsyncResult({id:?}, app=app).state)"));
    assert_eq!(told, "FAILURE");
    worker.stop();
}

pub(crate) fn retry_of_a_python_task_ends_in_its_success(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let id = enqueue(house, &["py.flaky"]);
    assert_eq!(house.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "1");
    worker.stop();
}

pub(crate) fn delayed_job_of_ours_waits_in_python(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let before = house.python("tell(time.time())").as_f64().unwrap();
    let id = enqueue(house, &["py.when", "--countdown", "3s"]);
    let ran: f64 = house.ok(&["jobs", "wait", &id, "--timeout", "20s"]).parse().unwrap();
    assert!((3.0..15.0).contains(&(ran - before)), "{}", ran - before);
    worker.stop();
}

pub(crate) fn progress_of_python_reaches_the_record(house: &House) {
    let (theirs, ours) = (house.python_worker(&[], &[]), house.worker(&["-Q", "nothing"]));
    let id = enqueue(house, &["py.progress", &house.path("go")]);
    until(|| house.job(&id)["progress"] == 25);
    let record = house.job(&id);
    assert_eq!(
        (&record["status"], &record["progress_message"]),
        (&json!("running"), &json!("on it")),
        "{record}"
    );
    house.write("go");
    until(|| house.job(&id)["status"] == "completed");
    assert_eq!(house.job(&id)["result"], "done");
    ours.stop();
    theirs.stop();
}

pub(crate) fn result_reaches_the_record_of_whoever_did_not_wait(house: &House) {
    let (theirs, ours) = (house.python_worker(&[], &[]), house.worker(&["-Q", "nothing"]));
    let (good, bad) = (enqueue(house, &["py.add", "1"]), enqueue(house, &["py.fail", "boom"]));
    until(|| house.job(&good)["status"] == "completed" && house.job(&bad)["status"] == "failed");
    let record = house.job(&bad);
    assert_eq!(
        (&record["error"]["type"], &record["error"]["message"]),
        (&json!("ValueError"), &json!("boom, 42"))
    );
    assert!(record["error"]["traceback"].as_str().unwrap().contains("ValueError: ('boom', 42)"), "{record}");
    ours.stop();
    theirs.stop();
}

pub(crate) fn priority_of_ours_is_kept(house: &House) {
    let log = house.path("log");
    for priority in ["0", "9", "3", "6"] {
        enqueue(house, &["py.log", &format!("p{priority}"), &log, "--priority", priority]);
    }
    enqueue(house, &["py.log", "none", &log]);
    let worker = house.python_worker(&[], &[]);
    until(|| house.lines_of("log").len() == 5);
    assert_eq!(house.lines_of("log"), ["p9", "none", "p6", "p3", "p0"]);
    worker.stop();
}
