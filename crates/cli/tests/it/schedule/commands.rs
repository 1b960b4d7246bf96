//! The schedule in an operator's hands.

use serde_json::Value;

use crate::support::Bed;

/// Adds an entry that is due at half past two on workdays in Berlin.
fn with_nightly() -> Bed {
    let bed = Bed::new();
    let added = bed.ok(&[
        "schedule",
        "add",
        "nightly",
        "30 2 * * mon-fri",
        "--zone",
        "Europe/Berlin",
        "--task",
        "greet",
        "--args",
        "[\"Ada\"]",
        "--overlap",
        "skip",
        "--description",
        "Greets Ada.",
    ]);
    assert!(added.starts_with("added nightly: at 02:30 on weekdays, Europe/Berlin\nnext due "), "{added}");
    bed
}

#[test]
fn an_entry_is_listed_shown_changed_switched_and_removed() {
    let bed = with_nightly();
    let listed = bed.json(&["schedule", "list"]).remove(0);
    assert_eq!(listed["name"], "nightly");
    assert_eq!((&listed["state"], &listed["origin"]), (&Value::from("on"), &Value::from("operator")));
    let shown = bed.ok(&["schedule", "show", "nightly"]);
    for part in ["Greets Ada.", "at 02:30 on weekdays", "greet [\"Ada\"]", "skipped while one is under way"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = bed.json(&["schedule", "show", "nightly"]).remove(0);
    assert_eq!(shown["definition"]["overlap"], "skip");
    assert_eq!(shown["next"].as_array().unwrap().len(), 5);

    bed.ok(&[
        "schedule",
        "edit",
        "nightly",
        "--queue",
        "night",
        "--rename",
        "every-night",
        "--when",
        "0 3 * * *",
    ]);
    let shown = bed.json(&["schedule", "show", "every-night"]).remove(0);
    assert_eq!(
        (&shown["definition"]["queue"], &shown["definition"]["overlap"]),
        (&"night".into(), &"skip".into())
    );
    assert_eq!(shown["words"], "at 03:00 every day, Europe/Berlin");
    bed.ok(&["schedule", "edit", "every-night", "--queue", ""]);
    bed.ok(&["schedule", "edit", "every-night", "--overlap", "", "--kwargs", "", "--zone", ""]);
    let definition = bed.json(&["schedule", "show", "every-night"])[0]["definition"].clone();
    assert_eq!(definition["queue"], Value::Null);
    assert_eq!((&definition["overlap"], &definition["zone"]), (&"allow".into(), &"UTC".into()));
    bed.ok(&["schedule", "edit", "every-night", "--zone", "Europe/Berlin"]);

    let off = bed.ok(&["schedule", "disable", "every-night"]);
    assert!(!off.contains("next due"), "{off}");
    assert!(bed.json(&["schedule", "list", "--enabled"]).is_empty());
    assert!(bed.json(&["schedule", "next"]).is_empty());
    bed.ok(&["schedule", "enable", "every-night"]);
    assert_eq!(bed.json(&["schedule", "list", "night", "--due-within", "25h"]).len(), 1);
    assert!(bed.json(&["schedule", "list", "--due-within", "1ms"]).is_empty());

    let refused = bed.run(&["schedule", "remove", "every-night"]).refused(2);
    assert!(refused.contains("--yes"), "{refused}");
    bed.ok(&["schedule", "remove", "every-night", "--yes"]);
    assert!(bed.json(&["schedule", "list"]).is_empty());
}

#[test]
fn due_times_to_come_are_told_of_one_and_of_all() {
    let bed = with_nightly();
    bed.ok(&["schedule", "add", "hourly", "0 * * * *", "--task", "greet", "--args", "[\"Bob\"]"]);
    let all = bed.json(&["schedule", "next", "-n", "8"]);
    assert_eq!(all.len(), 8);
    assert!(all.windows(2).all(|two| two[0]["at"].as_str() <= two[1]["at"].as_str()), "{all:?}");
    let one = bed.json(&["schedule", "next", "nightly", "-n", "2"]);
    assert!(one.iter().all(|due| due["local"].as_str().unwrap().contains("T02:30:00+0")), "{one:?}");
}

#[test]
fn past_due_times_without_a_job_are_found_and_made_up_for_once() {
    let bed = with_nightly();
    let past = ["schedule", "backfill", "nightly", "--from", "2026-03-28", "--to", "2026-04-01"];
    let rehearsed = bed.json(&[&past[..], &["--dry-run"]].concat()).remove(0);
    let due = ["2026-03-30T00:30:00+00:00", "2026-03-31T00:30:00+00:00"].map(Value::from);
    assert_eq!(rehearsed["due_at"].as_array().unwrap(), &due);
    assert!(bed.json(&["jobs", "list"]).is_empty(), "a rehearsal changes nothing");
    assert_eq!(bed.json(&past).remove(0)["due_at"].as_array().unwrap(), &due);
    let jobs = bed.json(&["jobs", "list", "--schedule", "nightly"]);
    assert_eq!(jobs.iter().map(|job| job["schedule_due_at"].clone()).rev().collect::<Vec<_>>(), due);
    assert!(bed.json(&["jobs", "list", "--schedule", "other"]).is_empty());
    let shown = bed.ok(&["jobs", "show", jobs[1]["id"].as_str().unwrap()]);
    assert!(shown.contains("nightly, due 2026-03-30T00:30:00+00:00"), "{shown}");
    let again = bed.json(&past).remove(0);
    assert_eq!((again["due_at"].as_array().unwrap().len(), &again["had_jobs"]), (0, &Value::from(2)));
}

#[test]
fn what_there_is_not_or_can_not_be_is_refused_with_what_was_meant() {
    let bed = with_nightly();
    let error = bed.run(&["schedule", "show", "nihgtly", "--json"]).refused_as(3, "unknown_schedule");
    assert_eq!(error["hint"], "did you mean `nightly`?");
    let again = ["schedule", "add", "nightly", "@daily", "--task", "greet", "--args", "[\"Ada\"]", "--json"];
    bed.run(&again).refused_as(2, "schedule_exists");
    let wrong = ["schedule", "add", "x", "@daily", "--task", "greet", "--args", "[1", "--json"];
    let error = bed.run(&wrong).refused_as(2, "invalid_schedule");
    assert!(error["message"].as_str().unwrap().contains("args"), "{error}");
    bed.run(&["schedule", "edit", "nightly", "--when", "0 25 * * *", "--json"])
        .refused_as(2, "invalid_schedule");
    bed.run(&["schedule", "backfill", "nightly", "--from", "yesterday", "--json"]).refused_as(2, "usage");
    let noted = bed.run(&["schedule", "add", "x", "@daily", "--task", "gret"]);
    assert!(noted.stderr.contains("did you mean `greet`?"), "{}", noted.stderr);
}

#[test]
fn the_doctor_finds_a_schedule_that_nobody_meets() {
    let bed = Bed::new();
    bed.ok(&["schedule", "add", "minutely", "* * * * *", "--task", "greet", "--args", "[\"Ada\"]"]);
    let finding = |bed: &Bed, clock: &str| {
        let outcome =
            crate::support::Outcome::of(bed.command(&["doctor", "--json"]).env("CELERIAC_TEST_CLOCK", clock));
        let found = crate::support::lines_of(&outcome.stdout);
        found.into_iter().find(|finding| finding["check"] == "schedules").unwrap()
    };
    let now =
        bed.json(&["schedule", "show", "minutely"]).remove(0)["created_at"].as_str().unwrap().to_owned();
    assert_eq!(finding(&bed, &format!("{now}*1"))["verdict"], "ok");
    let late = finding(&bed, &format!("{now}*100000"));
    assert_eq!(late["verdict"], "failed", "{late}");
    assert!(late["detail"].as_str().unwrap().contains("minutely"), "{late}");
}

#[test]
fn what_the_file_declares_is_merged_at_the_start_and_an_operators_edit_stays() {
    let bed = Bed::new();
    bed.write(
        "celeriac.toml",
        "[schedule.nightly]\nwhen = \"30 2 * * *\"\ntask = \"greet\"\nargs = [\"Ada\"]\nzone = \"Europe/Berlin\"\n\
         overlap = \"skip\"\n\n[schedule.nightly.kwargs]\ngreeting = \"Good night\"\n",
    );
    bed.ok(&["migrate", "up"]);
    let difference = |code: i32| {
        let outcome = bed.run(&["schedule", "diff", "--json"]);
        assert_eq!(outcome.code, Some(code), "{}{}", outcome.stdout, outcome.stderr);
        crate::support::lines_of(&outcome.stdout)
    };
    assert_eq!(difference(1)[0]["step"], "add");
    bed.worker(&[]).stop();
    assert!(difference(0).is_empty());
    let shown = bed.json(&["schedule", "show", "nightly"]).remove(0);
    assert_eq!(shown["definition"]["kwargs"]["greeting"], "Good night");
    assert_eq!((&shown["origin"], &shown["declared_by"]), (&"declared".into(), &"testbed".into()));

    bed.ok(&["schedule", "edit", "nightly", "--overlap", "allow"]);
    let kept = difference(0).remove(0);
    assert_eq!((&kept["step"], &kept["fields"][0]["changed_by"]), (&"keep".into(), &"edited".into()));
    bed.worker(&[]).stop();
    let shown = bed.json(&["schedule", "show", "nightly"]).remove(0);
    assert_eq!(
        (&shown["definition"]["overlap"], &shown["edited_fields"][0]),
        (&"allow".into(), &"overlap".into())
    );

    bed.write(
        "celeriac.toml",
        "[schedule.nightly]\nwhen = \"@daily\"\ntask = \"greet\"\nover_lap = \"skip\"\n",
    );
    let error = bed.run(&["tasks", "--json"]).refused_as(2, "config_unknown_key");
    assert_eq!(error["hint"], "did you mean `overlap`?");

    bed.write("celeriac.toml", "[schedule.nightly]\nwhen = \"61 * * * *\"\ntask = \"gret\"\n");
    bed.run(&["schedule", "diff", "--json"]).refused_as(2, "config_invalid_value");
    bed.write("celeriac.toml", "[schedule.other]\nwhen = \"@daily\"\ntask = \"gret\"\n");
    let mut worker = bed.worker(&[]);
    let told = worker.hear("task that nobody knows");
    assert!(told.contains("did you mean `greet`?"), "{told}");
    worker.stop();
    let removed = bed.run(&["schedule", "remove", "nightly", "--yes"]);
    assert!(removed.stderr.contains("nightly is declared"), "{}", removed.stderr);
}
