//! Schedules that the packages of Celery's world have stored, taken over by us.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use celeriac_db::{Database, SqliteOptions};
use celeriac_peers::Postgres;
use celeriac_store::query::schedules::{self, ScheduleFilter, ScheduleSummary};
use serde_json::Value;

use crate::house::House;

/// Whose entries a test begins with.
#[derive(Clone, Copy)]
pub(crate) enum WithEntries {
    Django,
    SqlAlchemy,
    Redbeat,
}

/// When the fixtures say that an entry has run, and how that is told.
const RAN: &str = "2026-11-20T04:00:29.147359+00:00";
const START: &str = "2026-11-01T12:00:00+00:00";

/// What both packages with tables come to, whichever database they are in. `RAN` stands for seven runs, the last at
/// that time.
const OF_TABLES: &str = r#"
clocked | at 2099-01-01T09:00 UTC, once
clocked, too late | at 2026-01-01T10:00 UTC, off, once
crontab around the week | crontab "*/7 8-10,20 * * sun,mon,fri,sat"
crontab of both days | crontab "0 0 13 jan-mar fri"
crontab with zone | crontab "30 2 * * mon-fri", in Europe/Berlin, RAN
disabled | every 10m, CHANGED, off
every 2 days | every 2d, from LAST, RAN
every 3 hours | every 3h, from LAST, RAN
every 30 seconds | every 30s, from LAST, RAN
every 5 minutes | every 5m, from LAST, RAN
never ran | every 15m, CHANGED
once | crontab "0 6 * * *", once
once, and it has | crontab "0 7 * * *", off, once, RAN
over | every 1h, from LAST, off, expires 2026-06-01T00:00:00+00:00, RAN
priority too high | every 1h, CHANGED, priority 0
sunset | solar sunset 52.52,13.405, RAN
to an exchange | every 1h, CHANGED, off
to its own exchange | every 1h, CHANGED, queue slow
until | every 1h, from LAST, expires 2099-06-01T00:00:00+00:00, RAN
with a key alone | every 1h, CHANGED
"#;

/// The one that has everything there is.
const EVERYTHING: &str = r#"with everything | every 1h, from LAST, args [1, "\u00e4", {"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}}], kwargs {"big": 123456789012345678901234567890, "none": null}, queue slow, priority 6, HEADERSstarts 2026-11-01T12:00:00+00:00, for Says what it is for., RAN"#;

const WITH_HEADERS: &str = r#"headers {"tenant": "acme", "n": 1}, expires after 90s, "#;

/// What is left out of tables, and a part of why.
const LEFT_OUT: [(&str, &str); 3] = [
    ("arguments by name only", "is not a JSON array"),
    ("arguments that are none", "is not a JSON array"),
    ("every 250 microseconds", "nothing below 100 ms"),
];

/// Imports from a place, and returns what was said of each entry.
pub(crate) fn import(house: &House, from: &str, more: &[&str]) -> BTreeMap<String, Value> {
    let said = house.ok(&[&["schedule", "import", "--from", from, "--json"], more].concat());
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["name"].as_str().unwrap().to_owned(), line)).collect()
}

/// Reads our tables, and tells of each entry what is not as usual.
fn stored(house: &House) -> String {
    let read = async {
        let options = SqliteOptions { create: false, ..SqliteOptions::at(house.path("celeriac.db")) };
        let database = Database::open_read_only(options).await.unwrap();
        schedules::list(database.reader(), &ScheduleFilter::default(), None, 1_000).await.unwrap().schedules
    };
    let found = tokio::runtime::Runtime::new().unwrap().block_on(read);
    found.iter().map(told).collect::<Vec<_>>().join("\n")
}

fn told(summary: &ScheduleSummary) -> String {
    let entry = &summary.record.as_ref().unwrap().entry;
    let mut text = format!("{} | {}", entry.name, entry.spec);
    let mut add = |part: String| write!(text, ", {part}").unwrap();
    if entry.zone != "UTC" {
        add(format!("in {}", entry.zone));
    }
    if let Some(anchor) = entry.anchor_at {
        add(match anchor.to_string().as_str() {
            RAN => "from LAST".to_owned(),
            START => "from START".to_owned(),
            _ => "CHANGED".to_owned(),
        });
    }
    let words = [(!entry.enabled, "off"), (entry.one_off, "once")];
    words.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, word)| add(word.to_owned()));
    let texts = [("args", &entry.args, "[]"), ("kwargs", &entry.kwargs, "{}")];
    texts
        .into_iter()
        .filter(|(_, json, empty)| json != empty)
        .for_each(|(name, json, _)| add(format!("{name} {json}")));
    entry.queue.iter().for_each(|queue| add(format!("queue {queue}")));
    entry.priority.iter().for_each(|priority| add(format!("priority {priority}")));
    if entry.headers != "{}" {
        add(format!("headers {}", entry.headers));
    }
    entry.expire_after.iter().for_each(|after| add(format!("expires after {}s", after.as_secs())));
    entry.expires_at.iter().for_each(|at| add(format!("expires {at}")));
    entry.start_at.iter().for_each(|at| add(format!("starts {at}")));
    entry.end_at.iter().for_each(|at| add(format!("ends {at}")));
    if !entry.description.is_empty() {
        add(format!("for {}", entry.description));
    }
    if let Some(at) = summary.state.last_run_at {
        let is_usual = at.to_string() == RAN && summary.state.total_run_count == 7;
        add(if is_usual { "RAN".to_owned() } else { format!("ran {}", summary.state.total_run_count) });
    }
    text
}

#[track_caller]
fn check_stored(house: &House, expected: &str) {
    let (found, expected) = (stored(house), expected.trim());
    let differ = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "found {differ:?}\nall:\n{found}");
}

/// Imports once and again, and compares what is here with what was there, row by row.
fn check_tables(house: &House, from: &str, expected: &str, left_out: &[(&str, &str)]) {
    let rehearsed = import(house, from, &["--dry-run"]);
    let imported = import(house, from, &[]);
    let outcomes = |said: &BTreeMap<String, Value>| -> Vec<Value> {
        said.values().map(|one| one["outcome"].clone()).collect()
    };
    assert_eq!(outcomes(&rehearsed), outcomes(&imported), "a rehearsal says what comes");
    let refused: Vec<&Value> = imported.values().filter(|one| one["outcome"] == "left_out").collect();
    assert_eq!(refused.len(), left_out.len(), "{refused:?}");
    for (said, (name, reason)) in refused.iter().zip(left_out) {
        assert!(said["name"] == *name && said["reason"].as_str().unwrap().contains(reason), "{said}");
    }
    check_stored(house, expected);
    let again = import(house, from, &[]);
    let is_settled = |one: &&Value| one["outcome"] != "unchanged" && one["outcome"] != "left_out";
    assert_eq!(again.values().find(is_settled), None, "a second import changes nothing");
    check_stored(house, expected);
    std::fs::remove_file(house.path("celeriac.db")).unwrap();
}

/// Returns URLs of a SQLite file and of a server's database, as SQLAlchemy writes them.
fn places(house: &House, server: &Postgres) -> [String; 2] {
    let on_server = server.url("postgres").replacen("postgres://", "postgresql+psycopg2://", 1);
    [format!("sqlite:///{}", house.path("theirs.db")), on_server]
}

fn sorted(lines: &[&str]) -> String {
    let mut lines: Vec<&str> = lines.iter().flat_map(|text| text.trim().lines()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

pub(crate) fn schedules_of_django_are_imported(house: &House) {
    let server = Postgres::start().unwrap();
    let everything = EVERYTHING.replace("HEADERS", WITH_HEADERS);
    let expected = sorted(&[OF_TABLES, &everything]);
    let mut left_out = LEFT_OUT.to_vec();
    left_out.insert(2, ("celery.backend_cleanup", "results.expires"));
    for place in places(house, &server) {
        house.python(&format!("from schedules import *\nstart_django({place:?})\nof_django()"));
        let before = std::fs::read(house.path("theirs.db")).unwrap();
        check_tables(house, &place, &expected, &left_out);
        assert!(std::fs::read(house.path("theirs.db")).unwrap() == before, "nothing is written there");
    }
}

pub(crate) fn times_without_a_zone_are_read_in_the_one_that_is_named(house: &House) {
    let place = format!("sqlite:///{}", house.path("naive.db"));
    let code = format!("from schedules import *\nstart_django({place:?})\nof_django()");
    house.python_with(&[("NAIVE", "1"), ("TIME_ZONE", "Asia/Kolkata")], &code);
    import(house, &place, &["--naive-zone", "Asia/Kolkata"]);
    let everything = EVERYTHING.replace("HEADERS", WITH_HEADERS);
    check_stored(house, &sorted(&[OF_TABLES, &everything]));
}

pub(crate) fn schedules_of_sqlalchemy_are_imported(house: &House) {
    let server = Postgres::start().unwrap();
    // The first versions had neither headers nor lengths of time in which a job expires.
    let headers = if house.is_celery("5.7") { WITH_HEADERS } else { "" };
    let everything = EVERYTHING.replace("HEADERS", headers);
    // Its scheduler counts from when it starts where something has not run yet, and so do we.
    let expected = sorted(&[OF_TABLES, &everything]).replace(", CHANGED", "");
    for place in places(house, &server) {
        house.python(&format!("from schedules import *\nof_sqlalchemy({place:?})"));
        let before = std::fs::read(house.path("theirs.db")).unwrap();
        check_tables(house, &place, &expected, &LEFT_OUT);
        assert!(std::fs::read(house.path("theirs.db")).unwrap() == before, "nothing is written there");
    }
}

pub(crate) fn schedules_in_a_schema_of_their_own_are_found(house: &House) {
    let server = Postgres::start().unwrap();
    let [_, place] = places(house, &server);
    house.python(&format!("from schedules import *\nof_sqlalchemy({place:?}, schema='beat')"));
    assert_eq!(import(house, &place, &["--dry-run"]).len(), 24, "whichever schema they are in");
    house.python(&format!("from schedules import *\nof_sqlalchemy({place:?})"));
    let (code, said) = house.run(&["schedule", "import", "--from", &place, "--dry-run"]);
    assert!(code == 2 && said.contains("in schema \"beat\"") && said.contains("--schema"), "{said}");
    assert_eq!(import(house, &place, &["--schema", "beat"]).len(), 24);
    let (code, said) = house.run(&["schedule", "import", "--from", &place, "--schema", "other"]);
    assert!(code == 3 && said.contains("in schema \"other\""), "{said}");
}

/// What redbeat's entries come to, in an app whose zone is Berlin's.
const OF_REDBEAT: &str = r#"
crontab | crontab "30 2 * * mon-fri", in Europe/Berlin, RAN
crontab around the week | crontab "*/7 8-10,20 * * sun,mon,fri,sat", in Europe/Berlin
disabled | every 10m, off
interval | every 5m, from LAST, RAN
a second and a half | every 1500ms, from LAST, RAN
never ran | every 15m
relative | every 2d, CHANGED, RAN
rule of every third day | every 3d, CHANGED, starts 2026-11-02T09:30:00+00:00, RAN
rule of weekdays | crontab "30 8,20 * * mon,wed,fri", starts 2026-11-02T09:30:00+00:00, RAN
until | every 1h, from LAST, expires 2099-05-31T22:00:00+00:00, RAN
with everything | every 1h, from LAST, args [1, "\u00e4"], kwargs {"big": 123456789012345678901234567890}, queue slow, priority 6, headers {"tenant":"acme"}, expires after 90s, RAN
"#;

pub(crate) fn schedules_of_redbeat_are_imported(house: &House) {
    let from = house.broker();
    let (code, said) = house.run(&["schedule", "import", "--from", from]);
    assert!(code == 3 && said.contains("`redbeat::schedule`"), "{said}");
    for (prefix, more) in [("", vec![]), ("beat:", vec!["--key-prefix", "beat:"])] {
        house.python(&format!("from schedules import *\nof_redbeat({prefix:?})"));
        let more = [&["--zone", "Europe/Berlin"], &more[..]].concat();
        let imported = import(house, from, &more);
        let left_out = |name: &str, reason: &str| {
            let said = &imported[name];
            assert!(
                said["outcome"] == "left_out" && said["reason"].as_str().unwrap().contains(reason),
                "{said}"
            );
        };
        left_out("rule of last fridays", "`bysetpos`");
        left_out("rule that ends by count", "after 5 runs");
        let everything = imported["with everything"]["changes"].as_array().unwrap();
        assert!(everything.iter().any(|change| change["about"] == "options"), "{everything:?}");
        // One that the settings declare has run when redbeat says so, which is when it starts.
        assert_eq!(imported["static"]["schedule"], "every 1m");
        let found = stored(house);
        let found: Vec<&str> = found.lines().filter(|line| !line.starts_with("static")).collect();
        assert_eq!(sorted(&found), sorted(&[OF_REDBEAT]));
        let again = import(house, from, &more);
        assert!(
            again.values().all(|one| one["outcome"] == "unchanged" || one["outcome"] == "left_out"),
            "{again:?}"
        );
        std::fs::remove_file(house.path("celeriac.db")).unwrap();
    }
}
