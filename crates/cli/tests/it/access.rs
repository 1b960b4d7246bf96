//! Tokens, users, sessions and the audit log, as they are typed.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Bed, Outcome};

const PASSWORD: &str = "correct horse battery";

/// Runs a command that reads a password from standard input.
fn with_password(bed: &Bed, arguments: &[&str], password: &str) -> Outcome {
    let mut command = bed.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_token_is_printed_once_and_listed_without_its_text() {
    let bed = Bed::new();
    let made = bed.run(&["tokens", "add", "ci", "--scope", "enqueue", "--expires", "90d"]);
    let text = made.stdout.trim();
    assert!(text.starts_with("celeriac_") && text.lines().count() == 1, "{text}");
    assert!(made.stderr.contains("token ci may enqueue until ") && made.stderr.contains("this once"));
    let token = bed.json(&["tokens", "list"]).remove(0);
    assert_eq!(
        (&token["name"], &token["scope"], &token["state"]),
        (&"ci".into(), &"enqueue".into(), &"active".into())
    );
    assert_eq!(token["prefix"], text[..17]);
    assert!(token["expires_at"].is_string() && token["last_used_at"].is_null());
    assert!(!bed.ok(&["tokens", "list", "--all"]).contains(text));
    let json = bed.json(&["tokens", "add", "deploy"]).remove(0);
    assert!(json["token"].as_str().unwrap().starts_with("celeriac_") && json["scope"] == "read");
}

#[test]
fn a_name_is_free_again_once_its_token_is_revoked() {
    let bed = Bed::new();
    bed.ok(&["tokens", "add", "deploy"]);
    bed.run(&["tokens", "add", "deploy", "--json"]).refused_as(2, "name_taken");
    let unknown = bed.run(&["tokens", "revoke", "deplyo"]).refused(3);
    assert_eq!(unknown, "error: there is no token \"deplyo\" in use\n hint: did you mean `deploy`?\n");
    assert_eq!(bed.ok(&["tokens", "revoke", "deploy"]), "token deploy revoked\n");
    assert!(bed.json(&["tokens", "list"]).is_empty());
    assert_eq!(bed.json(&["tokens", "list", "--all"])[0]["state"], "revoked");
    bed.ok(&["tokens", "add", "deploy"]);
}

#[test]
fn values_that_cannot_be_are_refused_in_plain_words() {
    let bed = Bed::new();
    bed.run(&["tokens", "add", "two words", "--json"]).refused_as(2, "invalid_value");
    let late = bed.run(&["tokens", "add", "late", "--expires", "2020-01-01", "--json"]);
    let message = late.refused_as(2, "invalid_value")["message"].clone();
    assert_eq!(message, "make token \"late\": its end lies in the past");
    let scope = bed.run(&["tokens", "add", "x", "--scope", "amdin"]).refused(2);
    assert!(scope.contains("read, enqueue, operate, admin"), "{scope}");
    let short = with_password(&bed, &["users", "add", "ada", "--json"], "short");
    assert!(short.refused_as(2, "invalid_value")["message"].as_str().unwrap().contains("12 characters"));
    with_password(&bed, &["users", "add", "ada", "--json"], "").refused_as(2, "usage");
    assert!(bed.json(&["users", "list"]).is_empty());
}

#[test]
fn a_user_is_added_changed_and_disabled() {
    let bed = Bed::new();
    let added = with_password(&bed, &["users", "add", "Ada", "--scope", "operate"], PASSWORD);
    assert_eq!(added.ok(), "user Ada added; may operate\n");
    with_password(&bed, &["users", "add", "ada", "--json"], PASSWORD).refused_as(2, "name_taken");
    assert_eq!(bed.ok(&["users", "scope", "ada", "admin"]), "user ada may admin\n");
    bed.ok(&["users", "disable", "ada"]);
    let user = bed.json(&["users", "list"]).remove(0);
    assert_eq!((&user["name"], &user["scope"]), (&"ada".into(), &"admin".into()));
    assert!(user["disabled_at"].is_string());
    bed.ok(&["users", "enable", "ada"]);
    assert!(bed.json(&["users", "list"])[0]["disabled_at"].is_null());
    with_password(&bed, &["users", "password", "ada"], "another long one").ok();
    let unknown = bed.run(&["users", "disable", "eda"]).refused(3);
    assert!(unknown.ends_with("hint: did you mean `ada`?\n"), "{unknown}");
}

#[test]
fn sessions_are_ended_by_number_by_user_or_all() {
    let bed = Bed::new();
    bed.ok(&["migrate", "up"]);
    assert!(bed.json(&["sessions", "list"]).is_empty());
    assert_eq!(bed.ok(&["sessions", "revoke", "--all"]), "0 sessions ended\n");
    bed.run(&["sessions", "revoke", "7", "--json"]).refused_as(3, "unknown_session");
    bed.run(&["sessions", "revoke", "--user", "eve", "--json"]).refused_as(3, "unknown_user");
    bed.run(&["sessions", "revoke"]).refused(2);
    bed.run(&["sessions", "revoke", "7", "--all"]).refused(2);
}

#[test]
fn what_was_done_is_looked_up_page_by_page_and_holds_no_secret() {
    let bed = Bed::new();
    let token = bed.ok(&["tokens", "add", "deploy"]);
    with_password(&bed, &["users", "add", "ada"], PASSWORD).ok();
    bed.ok(&["tokens", "revoke", "deploy"]);
    let all = bed.json(&["audit", "list"]);
    let told: Vec<String> = all
        .iter()
        .map(|entry| {
            format!("{} {} {}", entry["action"].as_str().unwrap(), entry["object"], entry["outcome"])
        })
        .collect();
    let expected =
        ["tokens.revoke \"deploy\" \"done\"", "users.add \"ada\" \"done\"", "tokens.add \"deploy\" \"done\""];
    assert_eq!(told, expected);
    assert!(all[0]["who"].as_str().unwrap().contains('@') && all[0]["via"] == "cli");
    assert_eq!(all[2]["detail"]["scope"], "read");
    let text = bed.ok(&["audit", "list"]);
    assert!(!text.contains(token.trim()) && !text.contains("horse"));
    let first = bed.json(&["audit", "list", "--limit", "2"]);
    let cursor = first[1]["seq"].to_string();
    assert_eq!(bed.json(&["audit", "list", "--cursor", &cursor])[0], all[2]);
    assert_eq!(bed.json(&["audit", "list", "--action", "tokens."]).len(), 2);
    assert_eq!(bed.json(&["audit", "list", "--object", "ada", "--since", "1h"]).len(), 1);
    assert!(bed.json(&["audit", "list", "--via", "token"]).is_empty());
}
