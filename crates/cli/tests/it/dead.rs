//! Dead letters: looked at, put back, dropped.

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

#[test]
fn letters_are_put_back_one_by_one_or_all_that_match() {
    let bed = Bed::new();
    let ids = dead(&bed, &[&["fail", "one"], &["fail", "two"], &["nobody.knows", "--unchecked"]]);
    assert_eq!(bed.ok(&["dead", "retry", &ids[0]]), "1 dead letter put back into their queues\n");
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
