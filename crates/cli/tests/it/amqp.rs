//! The queue in RabbitMQ, from the settings to a server that dies under its workers.

use celeriac_peers::RabbitMq;
use celeriac_peers::shared::rabbitmq_corner;
use serde_json::{Value, json};

use crate::support::{Bed, Outcome, lines_of};

/// Makes a bed whose queue is in RabbitMQ.
fn bed_at(url: &str) -> Bed {
    let bed = Bed::new();
    bed.write("celeriac.toml", format!("broker = \"{url}\"\n"));
    bed
}

fn bed() -> Bed {
    bed_at(&rabbitmq_corner().unwrap())
}

#[test]
fn job_goes_its_whole_way_and_is_recorded_in_the_database() {
    let bed = bed();
    let id = bed.enqueue(&["greet", "Ada"]);
    let record = bed.job(&id);
    // AMQP does not tell where a message stands.
    assert_eq!((&record["status"], &record["message"]), (&json!("pending"), &Value::Null));
    assert_eq!(bed.json(&["queues"])[0]["ready"], 1);
    let worker = bed.worker(&[]);
    assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"Hello, Ada!\"\n");
    worker.stop();
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["attempt"]), (&json!("completed"), &json!(1)));
    assert_eq!(bed.json(&["queues"]), Vec::<Value>::new());
}

#[test]
fn delayed_jobs_wait_and_waiting_ones_cannot_be_cancelled() {
    let bed = bed();
    let id = bed.enqueue(&["greet", "Ada", "--countdown", "1h"]);
    assert_eq!(bed.job(&id)["status"], "scheduled");
    let error = bed.run(&["jobs", "cancel", &id, "--json"]).refused_as(2, "broker_refused");
    assert!(error["message"].as_str().unwrap().contains("queue"), "{error}");
    assert_eq!(bed.job(&id)["status"], "scheduled");
}

#[test]
fn dead_letters_are_listed_retried_and_dropped() {
    let bed = bed();
    let id = bed.enqueue(&["fail", "no"]);
    bed.work_until_ended(&id);
    assert_eq!(bed.json(&["dead", "list"])[0]["id"], json!(id));
    bed.ok(&["dead", "retry", &id]);
    bed.work_until_ended(&id);
    assert_eq!(bed.job(&id)["generation"], 1);
    bed.ok(&["dead", "drop", &id]);
    assert_eq!(bed.json(&["dead", "list"]), Vec::<Value>::new());
}

#[test]
fn running_job_is_cancelled_from_another_process() {
    let bed = bed();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let worker = bed.worker(&["-c", "1"]);
    let _call = line.called();
    bed.until_running(&id);
    bed.ok(&["jobs", "cancel", &id]);
    bed.run(&["jobs", "wait", &id, "--timeout", "20s"]);
    assert_eq!(bed.job(&id)["status"], "cancelled");
    worker.stop();
}

/// Returns verdict and detail of what the doctor says of the broker.
fn doctor(bed: &Bed, url: &str) -> (String, String) {
    let outcome = bed.run(&["doctor", "--json", "-b", url]);
    let findings = lines_of(&outcome.stdout);
    let finding = findings.iter().find(|finding| finding["check"] == "broker").unwrap();
    let word = |name: &str| finding[name].as_str().unwrap().to_owned();
    (word("verdict"), word("detail"))
}

#[test]
fn doctor_says_what_keeps_us_out() {
    let (url, bed) = (rabbitmq_corner().unwrap(), Bed::new());
    let check = |url: &str, verdict: &str, words: &str| {
        let (found, detail) = doctor(&bed, url);
        assert!(
            found == verdict && detail.contains(words) && !detail.contains("wrongest"),
            "{found}: {detail}"
        );
    };
    check(&url, "ok", "amqp://guest:***@127.0.0.1");
    check(&url.replace(":guest@", ":wrongest@"), "failed", "the password is wrong");
    check(&format!("{url}-not"), "failed", "is not there");
    check("amqp://guest:guest@127.0.0.1:9//", "failed", "refused");
    for wrong in [url.replace(":guest@", ":wrongest@"), format!("{url}-not")] {
        bed.run(&["worker", "--json", "-b", &wrong]).refused_as(2, "broker_refused");
    }
    bed.run(&["worker", "--json", "-b", "amqp://127.0.0.1:9//"]).refused_as(4, "broker_unreachable");
}

/// The server tells no names: the records do.
#[test]
fn queue_that_only_a_job_names_is_counted() {
    let bed = bed();
    bed.enqueue(&["greet", "Ada", "-Q", "elsewhere"]);
    let queues = bed.json(&["queues"]);
    assert_eq!((&queues[0]["queue"], &queues[0]["ready"]), (&json!("elsewhere"), &json!(1)));
}

#[test]
fn celerys_variable_names_the_same_queue() {
    let (url, bed) = (rabbitmq_corner().unwrap(), Bed::new());
    let mut command = bed.command(&["enqueue", "greet", "Ada"]);
    Outcome::of(command.env("CELERY_BROKER_URL", url.replace("amqp://", "pyamqp://"))).ok();
    assert_eq!(bed.json(&["queues", "-b", &url])[0]["ready"], 1);
}

#[test]
fn worker_goes_on_when_the_server_comes_back() {
    let mut server = RabbitMq::start().unwrap();
    let bed = bed_at(&server.url("/"));
    let line = bed.line();
    let (running, before) = (bed.enqueue(&["hold", line.address()]), bed.enqueue(&["greet", "Ada"]));
    let worker = bed.worker(&["-c", "1"]);
    let call = line.called();
    bed.until_running(&running);
    server.kill();
    bed.run(&["queues", "--set", "broker.deadline=300ms"]).refused(4);
    server.restart().unwrap();
    // The lease ended with the connection, so it is stopped and run again: at least once.
    line.called().answer("through it all");
    drop(call);
    let after = bed.enqueue(&["greet", "Bob"]);
    for (id, answer) in
        [(running, "\"through it all\"\n"), (before, "\"Hello, Ada!\"\n"), (after, "\"Hello, Bob!\"\n")]
    {
        assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), answer);
    }
    worker.stop();
}
