//! `schedule explain`: both switches of four zones, and what is no schedule.

use crate::support::Bed;

/// What is explained: its name, the expression, the zone, and from when.
const EXPLAINED: &[(&str, &str, &str, &str)] = &[
    ("berlin-skipped", "30 2 * * *", "Europe/Berlin", "2027-03-27"),
    ("berlin-twice", "30 2 * * *", "Europe/Berlin", "2027-10-30"),
    ("berlin-repeats", "*/30 2 * * *", "Europe/Berlin", "2027-10-30 12:00"),
    ("berlin-workdays", "0 9,17 * * mon-fri", "Europe/Berlin", "2027-03-26 12:00"),
    ("new-york-skipped", "15 2 * * *", "America/New_York", "2027-03-13"),
    ("new-york-twice", "0 1 * * sun", "America/New_York", "2027-11-01"),
    ("new-york-friday-13", "0 0 13 * fri", "America/New_York", "2027-01-01"),
    ("new-york-cron", "0 0 13 * fri vixie", "America/New_York", "2027-01-01"),
    ("lord-howe-skipped", "15 2 * * *", "Australia/Lord_Howe", "2027-10-02"),
    ("lord-howe-hourly", "45 * * * *", "Australia/Lord_Howe", "2027-04-03T14:00Z"),
    ("casablanca-ramadan", "30 2 * * *", "Africa/Casablanca", "2027-02-05"),
    ("casablanca-half-hours", "*/30 * * * *", "Africa/Casablanca", "2027-02-07 01:30"),
    ("every", "every 90m from 2027-03-28T00:00Z", "Europe/Berlin", "2027-03-28T00:00Z"),
    ("once", "at 2027-03-28 02:30", "Europe/Berlin", "2027-01-01"),
    ("sunset", "solar sunset 52.5,13.4", "Europe/Berlin", "2027-03-27"),
];

#[test]
fn what_is_due_around_a_change_of_the_clocks_is_told_in_words() {
    let bed = Bed::new();
    for (name, when, zone, from) in EXPLAINED {
        let told = bed.ok(&["schedule", "explain", when, "--zone", zone, "--from", from]);
        insta::assert_snapshot!(*name, told);
    }
    assert!(!bed.path("celeriac.db").exists(), "nothing is opened");
}

#[test]
fn programs_get_the_same_as_json() {
    let bed = Bed::new();
    let from = ["--from", "2027-03-28", "-n", "1"];
    let told =
        bed.json(&[&["schedule", "explain", "30 2 * * * Europe/Berlin"], &from[..]].concat()).remove(0);
    assert_eq!(told["schedule"], "crontab \"30 2 * * *\" Europe/Berlin");
    assert_eq!(told["words"], "at 02:30 every day, Europe/Berlin");
    assert_eq!(told["next"][0]["at"], "2027-03-28T01:00:00+00:00");
    assert_eq!(told["next"][0]["local"], "2027-03-28T03:00:00+02:00");
    assert_eq!(told["next"][0]["note"], "02:30 does not exist on this day");
    assert_eq!(told["clock_changes"].as_array().unwrap().len(), 2, "{told}");
}

#[test]
fn what_is_no_schedule_is_refused_by_field_part_and_range_with_what_was_meant() {
    let bed = Bed::new();
    let refused = |when: &str| {
        let error = bed.run(&["schedule", "explain", when, "--json"]).refused_as(2, "invalid_schedule");
        error["message"].as_str().unwrap().to_owned()
    };
    for (when, part) in [
        ("30 25 * * *", "hour `25` is not within 0-23"),
        ("30 2 * * mno", "did you mean `mon`?"),
        ("30 2 * *", "crontab `30 2 * *` has 4 fields"),
        ("0 0 31 2 *", "never fires"),
        ("evry 5m", "did you mean `every`?"),
        ("every 5x", "`5x` is no length"),
        ("30 2 * * * Europe/Berln", "did you mean `Europe/Berlin`?"),
        ("solar sunst 52.5,13.4", "did you mean `sunset`?"),
    ] {
        let message = refused(when);
        assert!(message.contains(part), "{when}: {message}");
    }
    let zone = bed.run(&["schedule", "explain", "@daily", "--zone", "Berln"]).refused(2);
    assert!(zone.contains("did you mean `Europe/Berlin`?"), "{zone}");
}
