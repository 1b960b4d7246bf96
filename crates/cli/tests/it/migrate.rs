//! Migrations: looked at, made, taken back.

use crate::support::{Bed, lines_of};

#[test]
fn tables_are_made_taken_back_and_made_again_with_data() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["migrate", "status"]).code, Some(4));
    let made = bed.json(&["migrate", "up"]).remove(0);
    assert!(made["migrations"].as_array().unwrap().len() >= 2);
    bed.ok(&["migrate", "status"]);
    assert_eq!(bed.run(&["migrate", "up"]).stderr, "nothing to do\n");
    bed.enqueue(&["greet", "Ada"]);
    bed.ok(&["migrate", "down", "--all-of", "platform"]);
    let status = bed.run(&["migrate", "status", "--json"]);
    assert_eq!(status.code, Some(1));
    assert!(lines_of(&status.stdout).iter().any(|line| line["state"] == "pending"));
    bed.ok(&["migrate", "up"]);
    // The queue is a line of its own and kept its message.
    assert_eq!(bed.json(&["queues"])[0]["ready"], 1);
}

#[test]
fn any_command_brings_an_older_database_up_to_date() {
    let bed = Bed::new();
    bed.ok(&["migrate", "up"]);
    bed.ok(&["migrate", "down", "--all-of", "platform"]);
    assert!(bed.json(&["jobs", "list"]).is_empty());
    bed.ok(&["migrate", "status"]);
}

#[test]
fn unknown_names_are_corrected() {
    let bed = Bed::new();
    bed.ok(&["migrate", "up"]);
    let name = bed.json(&["migrate", "status"])[0]["name"].as_str().unwrap().to_owned();
    let error = bed.run(&["migrate", "down", "--to", &format!("{name}s"), "--json"]);
    assert_eq!(error.refused_as(3, "unknown_migration")["hint"], format!("did you mean `{name}`?"));
    let error = bed.run(&["migrate", "down", "--all-of", "platfrom", "--json"]);
    assert_eq!(error.refused_as(3, "unknown_migration")["hint"], "did you mean `platform`?");
    assert_eq!(bed.run(&["migrate", "down"]).code, Some(2), "how far is to be said");
}
