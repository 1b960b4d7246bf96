//! Workflows from the command line, on what a demonstration has collected.

use serde_json::{Value, json};

use crate::demo::{celeriac, collected, site};
use crate::support::{Bed, Outcome, lines_of};

fn workflow(bed: &Bed, arguments: &[&str]) -> Outcome {
    let line: Vec<&str> =
        ["workflow"].iter().chain(arguments).copied().chain(["-d", "celeriac-demo/demo.db"]).collect();
    Outcome::of(&mut celeriac(bed, &line))
}

#[track_caller]
fn told(bed: &Bed, arguments: &[&str]) -> Value {
    let line: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    lines_of(&workflow(bed, &line).ok()).remove(0)
}

#[test]
fn a_check_counts_rows_by_the_tables_own_words_and_shows_errors() {
    let bed = Bed::new();
    site(&bed, 3);
    collected(&bed);
    let check = told(&bed, &["page", "check"]);
    assert_eq!(check["counts"], json!({"pending": 0, "processing": 0, "completed": 4, "error": 1}));
    assert!(check["last_errors"][0]["reason"].as_str().unwrap().contains("404"), "{check}");
    let text = workflow(&bed, &["page"]).ok();
    assert!(text.contains("completed") && text.contains("missing.html"), "{text}");
    let listed = workflow(&bed, &["list"]).ok();
    assert_eq!(
        listed.lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>(),
        ["domain", "page", "sitemap"]
    );
}

#[test]
fn a_reset_puts_back_what_is_asked_for_and_the_demonstration_does_it_again() {
    let bed = Bed::new();
    site(&bed, 3);
    collected(&bed);
    let rows = |arguments: &[&str]| told(&bed, arguments)["rows"].as_u64().unwrap();
    assert_eq!(rows(&["page", "reset", "--dry-run"]), 1);
    assert_eq!(rows(&["page", "reset", "--status", "done,error", "--dry-run"]), 5);
    assert_eq!(rows(&["page", "reset", "--status", "error", "--dry-run"]), 1);
    assert_eq!(rows(&["page", "reset", "--status", "completed", "--older-than", "1h"]), 0);
    assert_eq!(rows(&["page", "reset", "--status", "done", "--id", "1", "--dry-run"]), 1);
    assert_eq!(rows(&["page", "reset", "--status", "error"]), 1);
    assert_eq!(told(&bed, &["page", "check"])["counts"]["pending"], 1);
    let text = workflow(&bed, &["page", "reset", "--status", "done", "--yes"]).ok();
    assert_eq!(text, "4 rows put back to waiting\n");
    bed.write("site/missing.html", "<title>Here after all</title>");
    assert_eq!(collected(&bed)["pages"]["done"], 5);
}

#[test]
fn work_that_was_done_is_thrown_away_by_nobody_who_did_not_say_so() {
    let bed = Bed::new();
    site(&bed, 3);
    let home = std::fs::read_to_string(bed.path("site/index.html")).unwrap();
    bed.write("site/index.html", home + "<a href=\"lost.html\">gone too</a>");
    collected(&bed);
    let before = told(&bed, &["page", "check"])["counts"].clone();
    for (arguments, question) in [
        (
            &["page", "reset", "--status", "completed"][..],
            "put 4 rows of workflow page back to waiting, though done",
        ),
        (
            &["page", "reset", "--status", "done,error", "--id", "1"],
            "put 1 row of workflow page back to waiting",
        ),
        (&["page", "reset"], "put 2 rows of workflow page back to waiting"),
    ] {
        let refused = workflow(&bed, arguments).refused(2);
        assert!(refused.contains(question) && refused.contains("say --yes"), "{refused}");
    }
    let asked = workflow(&bed, &["page", "reset", "--id", "1"]);
    assert!(asked.stderr.contains("only rows in error"), "{}", asked.stderr);
    assert_eq!(asked.ok(), "0 rows put back to waiting\n");
    assert_eq!(told(&bed, &["page", "check"])["counts"], before);
    assert_eq!(told(&bed, &["page", "reset", "--yes"])["rows"], 2);
}

#[test]
fn a_run_in_this_process_says_what_it_did() {
    let bed = Bed::new();
    site(&bed, 3);
    collected(&bed);
    told(&bed, &["page", "reset", "--status", "done,error", "--yes"]);
    // Outside of the demonstration nobody may reach an address of this machine.
    let report = told(&bed, &["page", "run"]);
    assert_eq!((&report["failed"], &report["more"]), (&json!(5), &json!(false)), "{report}");
}

#[test]
fn a_run_that_waits_already_is_made_before_and_takes_no_slot_from_this_one() {
    let bed = Bed::new();
    site(&bed, 1);
    collected(&bed);
    let line = ["enqueue", "celeriac.run_workflow", "page", "-d", "celeriac-demo/demo.db"];
    Outcome::of(&mut celeriac(&bed, &line)).ok();
    assert_eq!(told(&bed, &["page", "run"])["done"], 0);
}

#[test]
fn unknown_names_and_words_are_refused_with_a_hint() {
    let bed = Bed::new();
    site(&bed, 1);
    collected(&bed);
    let unknown = workflow(&bed, &["pages", "check"]).refused(3);
    assert!(unknown.contains("did you mean `page`?"), "{unknown}");
    let word = workflow(&bed, &["page", "reset", "--status", "gone"]).refused(2);
    assert!(word.contains("pending, completed, error"), "{word}");
    let nameless = workflow(&bed, &["check"]).refused(2);
    assert!(nameless.contains("none was named") && nameless.contains("`workflow NAME check`"), "{nameless}");
    assert!(workflow(&bed, &["reset"]).refused(2).contains("`workflow NAME reset`"));
    assert!(workflow(&bed, &["page", "list"]).refused(2).contains("`workflow list` lists all"));
    let held = workflow(&bed, &["page", "reset", "--status", "processing"]).refused(2);
    assert!(held.contains("claim"), "{held}");
}

#[test]
fn settings_are_shown_changed_and_put_back_with_where_they_come_from() {
    let bed = Bed::new();
    let run = |arguments: &[&str]| Outcome::of(&mut celeriac(&bed, arguments));
    let told = |arguments: &[&str]| {
        let line: Vec<&str> = arguments.iter().copied().chain(["-d", "own.db", "--json"]).collect();
        lines_of(&run(&line).ok())
    };
    run(&["migrate", "up", "-d", "own.db"]).ok();
    bed.write("celeriac.toml", "[workflow.page]\nbatch_size = 5\n");
    let settings = told(&["workflow", "page", "settings"]);
    assert_eq!(settings.len(), 16);
    let batch = settings.iter().find(|setting| setting["key"] == "batch_size").unwrap();
    assert_eq!((&batch["value"], &batch["changed"]), (&json!(5), &json!(false)));
    // The entry of the job is declared where nothing has run yet.
    let changed = told(&["workflow", "page", "set", "batch_size=9", "interval=5m"]);
    let keys: Vec<&Value> = changed.iter().map(|setting| &setting["key"]).collect();
    assert_eq!(keys, ["interval", "cron", "batch_size"]);
    assert_eq!(changed[2]["declared"], 5);
    assert!(changed[2]["changed_by"].as_str().unwrap().contains('@'), "{changed:?}");
    let entry = told(&["schedule", "show", "process_pending_pages"]).remove(0);
    assert!(entry.to_string().contains("every 5m"), "{entry}");
    let text = run(&["workflow", "page", "settings", "-d", "own.db"]).ok();
    assert!(text.lines().any(|line| line.starts_with("batch_size\t9\tchanged by ")), "{text}");
    assert!(text.contains("; celeriac.toml:2: 5"), "{text}");
    let back = told(&["workflow", "page", "unset", "batch_size", "interval"]);
    assert_eq!((&back[1]["value"], &back[0]["value"]), (&json!(5), &json!("1m")));
    let misspelt = run(&["workflow", "page", "set", "batchsize=9", "-d", "own.db"]).refused(2);
    assert!(misspelt.contains("did you mean `batch_size`?"), "{misspelt}");
    let wrong = run(&["workflow", "page", "set", "batch_size=0", "-d", "own.db"]).refused(2);
    assert!(wrong.contains("1 to 10000 are possible"), "{wrong}");
    let unclear = run(&["workflow", "page", "set", "batch_size", "-d", "own.db"]).refused(2);
    assert!(unclear.contains("such as batch_size=50"), "{unclear}");
    assert!(run(&["workflow", "pages", "set", "a=1", "-d", "own.db"]).refused(3).contains("`page`"));
}
