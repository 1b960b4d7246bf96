//! A dozen crontabs around both switches of four zones, as an operator is told of them.

use std::fmt::Write as _;

use super::*;

const EXPRESSIONS: [&str; 12] = [
    "30 2 * * *",
    "0 2,3 * * *",
    "15,45 1 * * *",
    "0 0 * * *",
    "30 1 * * sun",
    "0 * * * *",
    "30 * * * *",
    "*/30 * * * *",
    "*/30 2 * * *",
    "*/20 1-3 * * *",
    "0 */2 * * *",
    "0 12 * * mon-fri",
];

/// Due times that are listed of each expression at each switch.
const LISTED: usize = 8;

/// Tells of each expression what it means, what the switches do to it, and when it fires around them.
fn explained(zone: &str, switches: [&str; 2]) -> String {
    let mut text = String::new();
    for expression in EXPRESSIONS {
        let schedule: Schedule = format!("{expression} {zone}").parse().unwrap();
        writeln!(text, "{schedule}\n  {}", schedule.describe()).unwrap();
        // Later years may be decided otherwise in a database that is newer.
        let notes = schedule.dst_notes("2025-01-01".parse().unwrap()).into_iter();
        for note in notes.filter(|note| note.starts_with("on 2025")) {
            writeln!(text, "  {note}").unwrap();
        }
        for switch in switches {
            let switch: Timestamp = switch.parse().unwrap();
            let from = switch - std::time::Duration::from_secs(2 * 3600);
            let to = switch + std::time::Duration::from_secs(26 * 3600);
            for due in schedule.between(from, to).take(LISTED) {
                let utc = due.at.to_jiff().strftime("%dT%H:%MZ");
                let local = due.at.to_jiff().to_zoned(schedule.zone().as_jiff().clone());
                let note = due.note.map(|note| format!("  {note}")).unwrap_or_default();
                writeln!(text, "    {}  {utc}{note}", local.strftime("%Y-%m-%d %H:%M %:z")).unwrap();
            }
            writeln!(text).unwrap();
        }
    }
    text
}

#[test]
fn berlin_new_york_lord_howe_and_casablanca_are_explained() {
    for (zone, switches) in [
        ("Europe/Berlin", ["2025-03-30T01:00Z", "2025-10-26T01:00Z"]),
        ("America/New_York", ["2025-03-09T07:00Z", "2025-11-02T06:00Z"]),
        ("Australia/Lord_Howe", ["2025-04-05T15:00Z", "2025-10-04T15:30Z"]),
        ("Africa/Casablanca", ["2025-02-23T02:00Z", "2025-04-06T02:00Z"]),
    ] {
        insta::assert_snapshot!(zone.replace('/', "_"), explained(zone, switches));
    }
}
