//! Schedules written to a file and read from one.

use serde_json::Value;

use crate::support::{Bed, Outcome, lines_of};

/// Schedules of every kind and with every policy, in the words of `schedule add`.
const ADDED: [&[&str]; 5] = [
    &[
        "nightly",
        "30 2 * * mon-fri",
        "--zone=Europe/Berlin",
        "--task=greet",
        "--args=[ \"Ada\" ]",
        "--kwargs={\"greeting\": \"it's\"}",
        "--headers={\"big\": 12345678901234567890123, \"none\": null}",
        "--queue=math",
        "--priority=7",
        "--expires=90s",
        "--except=sat,sun,12-25",
        "--start=2027-01-01",
        "--end=2028-01-01T12:00:00.5",
        "--overlap=queue_one",
        "--max-instances=3",
        "--catch-up=17",
        "--catch-up-window=2d",
        "--coalesce",
        "--jitter=1m30s",
        "--misfire-grace=5m",
        "--description=Greets\nAda.",
        "--owner=me",
    ],
    &["every.day", "@daily", "--task=greet", "--args=[\"Ada\"]", "--overlap=skip", "--catch-up=none"],
    &["often", "every 5m", "--task=greet", "--args=[\"Ada\"]", "--overlap=cancel_older", "--catch-up=all"],
    &["once", "at 2099-01-01T10:00", "--task=greet", "--args=[\"Ada\"]", "--one-off", "--expires=2099-06-01"],
    &["dusk", "solar sunset 52.5,13.4", "--task=greet", "--args=[\"Ada\"]", "--disabled"],
];

fn with_entries() -> Bed {
    let bed = Bed::new();
    for words in ADDED {
        bed.ok(&[&["schedule", "add"], words].concat());
    }
    bed
}

/// Returns what the schedule says of itself, entry by entry.
fn definitions(bed: &Bed) -> Vec<Value> {
    let names = bed.json(&["schedule", "list"]);
    let definition = |entry: &Value| {
        let shown = bed.json(&["schedule", "show", entry["name"].as_str().unwrap()]).remove(0);
        shown["definition"].clone()
    };
    names.iter().map(definition).collect()
}

/// Imports a text that comes from standard input.
fn import_piped(bed: &Bed, text: &str, flags: &[&str]) -> Outcome {
    bed.write("piped", text);
    let piped = std::fs::File::open(bed.path("piped")).unwrap();
    Outcome::of(bed.command(&[&["schedule", "import", "-"], flags].concat()).stdin(piped))
}

#[test]
fn what_is_exported_is_the_same_where_it_is_imported() {
    let bed = with_entries();
    let before = definitions(&bed);
    for format in ["toml", "json"] {
        let file = bed.ok(&["schedule", "export", "--format", format]);
        let other = Bed::new();
        other.write("schedules", &file);
        let imported = other.json(&["schedule", "import", "schedules"]);
        assert!(
            imported.iter().all(|one| one["outcome"] == "added" && one["written"] == true),
            "{imported:?}"
        );
        assert_eq!(definitions(&other), before, "{file}");
        let again = import_piped(&other, &file, &["--json"]).ok();
        assert!(lines_of(&again).iter().all(|one| one["outcome"] == "unchanged"), "{again}");
        assert_eq!(other.ok(&["schedule", "export", "--format", format]), file);
    }
}

#[test]
fn an_export_may_be_put_into_the_configuration() {
    let bed = with_entries();
    let other = Bed::new();
    other.write("celeriac.toml", bed.ok(&["schedule", "export"]));
    other.ok(&["migrate", "up"]);
    other.worker(&[]).stop();
    assert_eq!(definitions(&other), definitions(&bed));
}

#[test]
fn an_interval_may_be_exported_with_what_it_counts_from() {
    let bed = with_entries();
    let created = bed.json(&["schedule", "show", "often"]).remove(0)["created_at"].clone();
    let one = bed.json(&["schedule", "export", "often", "--anchored"]).remove(0);
    let instant = |value: &Value| value.as_str().unwrap().parse::<celeriac_protocol::Timestamp>().unwrap();
    assert_eq!(instant(&one["anchor_at"]), instant(&created));
    let named = bed.ok(&["schedule", "export", "dusk", "often"]);
    assert!(named.starts_with("[schedule.dusk]\n") && named.contains("\n\n[schedule.often]\n"), "{named}");
    bed.run(&["schedule", "export", "dsk", "--json"]).refused_as(3, "unknown_schedule");
}

#[test]
fn what_says_something_else_here_stands_in_the_way_until_it_is_said_what_becomes_of_it() {
    let bed = with_entries();
    let file = bed.ok(&["schedule", "export", "every.day", "often"]);
    let file = file.replace("every 5m", "every 7m")
        + "\n[schedule.new]\nwhen = \"@daily\"\ntask = \"greet\"\nargs = [\"Ada\"]\n";
    bed.write("s.toml", &file);
    let spec = |name: &str| bed.json(&["schedule", "show", name]).remove(0)["definition"]["spec"].clone();
    let error = bed.run(&["schedule", "import", "s.toml"]).refused(2);
    assert!(error.contains(": often: name: there is one of this name that differs in spec"), "{error}");
    assert!(error.contains("--replace") && error.contains("--keep"), "{error}");
    bed.run(&["schedule", "show", "new", "--json"]).refused_as(3, "unknown_schedule");

    let rehearsed = bed.json(&["schedule", "import", "s.toml", "--replace", "--dry-run"]);
    let outcomes: Vec<_> = rehearsed.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["unchanged", "changed", "added"]);
    assert_eq!(
        rehearsed[1]["changes"],
        serde_json::json!([{"field": "spec", "before": "\"every 5m\"", "after": "\"every 7m\""}])
    );
    assert_eq!(spec("often"), "every 5m");

    bed.ok(&["schedule", "import", "s.toml", "--keep"]);
    assert_eq!((spec("often"), spec("new")), ("every 5m".into(), "@daily".into()));
    bed.ok(&["schedule", "import", "s.toml", "--replace"]);
    assert_eq!(spec("often"), "every 7m");
    assert_eq!(bed.json(&["schedule", "show", "often"])[0]["total_run_count"], 0);
}

#[test]
fn what_is_wrong_is_told_by_line_and_field_and_nothing_is_imported() {
    let bed = Bed::new();
    let file = "[schedule.good]\nwhen = \"@daily\"\ntask = \"greet\"\nargs = [\"Ada\"]\n\n\
                [schedule.odd]\nwhen = \"0 25 * * *\"\ntask = \"greet\"\nargs = [\"Ada\"]\n\n\
                [schedule.worse]\nwhen = \"@daily\"\ntask = \"greet\"\nover_lap = \"skip\"\n";
    bed.write("s.toml", file);
    let error = bed.run(&["schedule", "import", "s.toml"]).refused(2);
    assert!(error.contains("s.toml:7: odd: when: "), "{error}");
    assert!(
        error.contains("s.toml:14: worse: over_lap: ") && error.contains("did you mean `overlap`?"),
        "{error}"
    );
    assert!(bed.json(&["schedule", "list"]).is_empty());
    let told = bed.json(&["schedule", "import", "s.toml", "--skip-invalid"]);
    let outcomes: Vec<_> = told.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["added", "invalid", "invalid"]);
    assert_eq!(bed.json(&["schedule", "list"]).len(), 1);
    let error = import_piped(&bed, "[schedule.x", &["--json"]).refused_as(2, "schedule_file");
    assert!(error["message"].as_str().unwrap().contains("-:1: "), "{error}");
    bed.run(&["schedule", "import", "none.toml", "--json"]).refused_as(2, "file_unreadable");
    bed.run(&["schedule", "import", "s.toml", "--from", "db.sqlite3", "--json"]).refused_as(2, "usage");
    bed.run(&["schedule", "import", "--json"]).refused_as(2, "usage");
}
