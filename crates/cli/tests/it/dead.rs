//! Dead letters: looked at, put back, dropped.

use std::sync::Arc;

use celeriac_broker::{Broker, SqliteBroker};
use celeriac_engine::SystemClock;
use celeriac_protocol::{Content, Envelope, JobId};
use serde_json::json;

use crate::support::Bed;

/// Makes a dead letter of each of these calls, and returns their ids.
fn dead(bed: &Bed, calls: &[&[&str]]) -> Vec<String> {
    let ids: Vec<String> = calls.iter().map(|call| bed.enqueue(call)).collect();
    let worker = bed.worker(&[]);
    for id in &ids {
        bed.run(&["jobs", "wait", id, "--timeout", "20s"]).refused(1);
    }
    worker.stop();
    ids
}

#[test]
fn letters_are_listed_by_task_and_reason_and_shown_with_their_bytes() {
    let bed = Bed::new();
    let unfit = ["greet", "1", "2", "3", "--unchecked"];
    let ids = dead(&bed, &[&["fail", "one"], &["nobody.knows", "1", "--unchecked"], &unfit]);
    let list = |filter: &[&str]| {
        let arguments: Vec<&str> = ["dead", "list"].iter().chain(filter).copied().collect();
        let letters = bed.json(&arguments);
        letters.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]).len(), 3);
    assert_eq!(list(&["--task", "fail"]), [ids[0].clone()]);
    assert_eq!(list(&["--reason", "unknown_task"]), [ids[1].clone()]);
    assert_eq!(list(&["--reason", "invalid_arguments"]), [ids[2].clone()]);
    let cursor = bed.json(&["dead", "list", "--limit", "2"])[1]["cursor"].to_string();
    assert_eq!(list(&["--cursor", &cursor]).len(), 1);
    let letter = bed.json(&["dead", "show", &ids[0]]).remove(0);
    assert_eq!((&letter["reason"], &letter["detail"]), (&json!("error"), &json!("one")));
    assert!(letter["body"].as_str().unwrap().starts_with(r#"[["one"],{},"#), "{letter}");
    assert!(bed.ok(&["dead", "show", &ids[0]]).contains("args        [\"one\"]"));
    bed.run(&["dead", "show", "nobody", "--json"]).refused_as(3, "unknown_dead_letter");
}

/// Puts a message into the queue that no client of ours would send.
async fn publish_raw(bed: &Bed, id: &str, headers: &str, body: &[u8]) {
    let database = bed.database().await;
    let broker = SqliteBroker::new(database.clone(), Arc::new(SystemClock));
    let content = Content {
        headers: headers.to_owned(),
        properties: "{}".to_owned(),
        content_type: "application/json".to_owned(),
        content_encoding: "utf-8".to_owned(),
        body: body.to_owned(),
    };
    let (id, queue) = (JobId::parse(id).unwrap(), "celery".to_owned());
    let poison = Envelope { id, queue, priority: None, due_at: None, unique_key: None, content };
    broker.publish(vec![poison]).await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn poison_is_buried_with_its_bytes_and_its_reason_and_the_worker_goes_on() {
    let bed = Bed::new();
    bed.ok(&["migrate", "up"]);
    let headers = r#"{"task": "greet", "id": "x"}"#;
    publish_raw(&bed, "bytes", headers, b"\x80\x04 not json").await;
    publish_raw(&bed, "shape", headers, br#"[["Ada"], {}]"#).await;
    publish_raw(&bed, "headers", "{", br#"[["Ada"], {}, {}]"#).await;
    let told = tokio::task::spawn_blocking(move || {
        let good = bed.enqueue(&["greet", "Ada"]);
        bed.work_until_ended(&good);
        assert_eq!(bed.job(&good)["status"], "completed");
        ["bytes", "shape", "headers"].map(|id| {
            let job = bed.job(id);
            assert_eq!((&job["status"], &job["dead_reason"]), (&json!("failed"), &json!("undecodable")));
            bed.json(&["dead", "show", id]).remove(0)
        })
    });
    let [bytes, shape, headers] = told.await.unwrap();
    assert_eq!((&bytes["body_hex"], &bytes["body_bytes"]), (&json!("8004206e6f74206a736f6e"), &json!(11)));
    assert!(bytes["detail"].as_str().unwrap().starts_with("failed to read body"), "{bytes}");
    assert_eq!(shape["body"], r#"[["Ada"], {}]"#);
    assert!(
        shape["unreadable"].as_str().unwrap().starts_with("read body as [args, kwargs, embed]"),
        "{shape}"
    );
    assert_eq!((&headers["headers"], &headers["task"]), (&json!("{"), &json!(null)));
}

#[test]
fn letters_are_put_back_one_by_one_or_all_that_match() {
    let bed = Bed::new();
    let ids = dead(&bed, &[&["fail", "one"], &["fail", "two"], &["nobody.knows", "--unchecked"]]);
    assert_eq!(bed.ok(&["dead", "retry", &ids[0]]), "1 dead letter put back into its queue\n");
    bed.run(&["dead", "retry", &ids[1], "nobody", "--json"]).refused_as(3, "unknown_dead_letter");
    assert_eq!(bed.json(&["dead", "retry", "--all", "--task", "fail"])[0]["retried"], 1);
    assert_eq!(bed.json(&["dead", "list"]).len(), 1);
    assert_eq!(bed.job(&ids[1])["generation"], 1);
    assert!(bed.run(&["dead", "retry"]).refused(2).contains("--all"));
}

#[test]
fn letters_are_dropped_for_good() {
    let bed = Bed::new();
    let ids = dead(&bed, &[&["fail", "one"], &["fail", "two"]]);
    assert_eq!(bed.ok(&["dead", "drop", &ids[0]]), "1 dead letter dropped\n");
    assert_eq!(bed.json(&["dead", "drop", "--all"])[0]["dropped"], 1);
    assert!(bed.json(&["dead", "list"]).is_empty());
    let job = bed.job(&ids[0]);
    assert_eq!((&job["status"], &job["dead"]), (&json!("failed"), &json!(false)));
    assert!(bed.ok(&["doctor"]).contains("no dead letters"));
}
