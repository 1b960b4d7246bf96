//! Schedules against switches of the clocks: what an operator would look for.

use super::*;

mod explained;
mod zones;

/// Writes due times as the wall shows them, with the offset, and the note in brackets.
fn listed(text: &str, from: &str, to: &str) -> Vec<String> {
    let schedule: Schedule = text.parse().unwrap();
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    let due: Vec<Due> = schedule.between(from, to).take(100).collect();
    assert_backwards_too(&schedule, &due, from, to);
    due.iter().map(|due| on_the_wall(&schedule, due)).collect()
}

fn on_the_wall(schedule: &Schedule, due: &Due) -> String {
    let zoned = due.at.to_jiff().to_zoned(schedule.zone().as_jiff().clone());
    let note = match due.note {
        None => String::new(),
        Some(DstNote::Missing { wall }) => format!(" (for {})", wall.strftime("%d %H:%M")),
        Some(DstNote::FirstOnly) => " (first only)".to_owned(),
        Some(DstNote::First) => " (first)".to_owned(),
        Some(DstNote::Second) => " (second)".to_owned(),
    };
    format!("{}{note}", zoned.strftime("%d %H:%M%:z"))
}

/// Walks the same due times backwards.
fn assert_backwards_too(schedule: &Schedule, due: &[Due], from: Timestamp, to: Timestamp) {
    if due.len() == 100 {
        return;
    }
    let mut back = Vec::new();
    let mut before = to;
    while let Some(due) = schedule.previous_before(before).filter(|due| due.at >= from) {
        back.push(due);
        before = due.at;
    }
    back.reverse();
    assert_eq!(back, due, "{schedule} backwards");
}

#[track_caller]
fn check(text: &str, from: &str, to: &str, expected: &[&str]) {
    assert_eq!(listed(text, from, to), expected, "{text}");
}

#[test]
fn a_daily_time_that_does_not_exist_fires_after_the_jump() {
    check(
        "30 2 * * * Europe/Berlin",
        "2026-03-28T00:00Z",
        "2026-03-31T00:00Z",
        &["28 02:30+01:00", "29 03:00+02:00 (for 29 02:30)", "30 02:30+02:00"],
    );
    check(
        "0,30 2 * * * Europe/Berlin",
        "2026-03-28T12:00Z",
        "2026-03-30T00:00Z",
        &["29 03:00+02:00 (for 29 02:00)"],
    );
    check(
        "0 2,3 * * * America/New_York",
        "2026-03-08T00:00Z",
        "2026-03-09T00:00Z",
        &["08 03:00-04:00 (for 08 02:00)"],
    );
}

#[test]
fn a_daily_time_that_comes_twice_fires_once() {
    check(
        "30 2 * * * Europe/Berlin",
        "2026-10-24T00:00Z",
        "2026-10-27T00:00Z",
        &["24 02:30+02:00", "25 02:30+02:00 (first only)", "26 02:30+01:00"],
    );
    check(
        "0 */2 * * * Europe/Berlin",
        "2026-10-24T22:00Z",
        "2026-10-25T04:00Z",
        &["25 00:00+02:00", "25 02:00+02:00 (first only)", "25 04:00+01:00"],
    );
}

#[test]
fn what_repeats_within_the_hour_goes_on_through_both_passes() {
    check(
        "30 * * * * Europe/Berlin",
        "2026-10-24T23:00Z",
        "2026-10-25T03:00Z",
        &["25 01:30+02:00", "25 02:30+02:00 (first)", "25 02:30+01:00 (second)", "25 03:30+01:00"],
    );
    check(
        "*/30 2 * * * Europe/Berlin",
        "2026-10-24T22:00Z",
        "2026-10-25T04:00Z",
        &[
            "25 02:00+02:00 (first)",
            "25 02:30+02:00 (first)",
            "25 02:00+01:00 (second)",
            "25 02:30+01:00 (second)",
        ],
    );
}

#[test]
fn what_repeats_has_nothing_to_make_up_in_a_jump() {
    check(
        "30 * * * * Europe/Berlin",
        "2026-03-29T00:00Z",
        "2026-03-29T03:00Z",
        &["29 01:30+01:00", "29 03:30+02:00", "29 04:30+02:00"],
    );
    check(
        "*/30 1-3 * * * Europe/Berlin",
        "2026-03-29T00:00Z",
        "2026-03-29T02:00Z",
        &["29 01:00+01:00", "29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00"],
    );
    // Only its own hour is gone, so it would have no run at all on this day.
    check(
        "*/30 2 * * * Europe/Berlin",
        "2026-03-29T00:00Z",
        "2026-03-29T20:00Z",
        &["29 03:00+02:00 (for 29 02:00)"],
    );
}

#[test]
fn a_jump_of_half_an_hour_leaves_no_hour_without_its_run() {
    check(
        "0 * * * * Australia/Lord_Howe",
        "2026-10-03T14:00Z",
        "2026-10-03T17:00Z",
        &["04 01:00+10:30", "04 02:30+11:00 (for 04 02:00)", "04 03:00+11:00"],
    );
    check(
        "15 2 * * * Australia/Lord_Howe",
        "2026-10-03T00:00Z",
        "2026-10-04T20:00Z",
        &["04 02:30+11:00 (for 04 02:15)", "05 02:15+11:00"],
    );
    check(
        "45 * * * * Australia/Lord_Howe",
        "2026-04-04T13:30Z",
        "2026-04-04T16:30Z",
        &["05 00:45+11:00", "05 01:45+11:00 (first)", "05 01:45+10:30 (second)", "05 02:45+10:30"],
    );
    check(
        "45 1 * * * Australia/Lord_Howe",
        "2026-04-04T00:00Z",
        "2026-04-05T20:00Z",
        &["05 01:45+11:00 (first only)", "06 01:45+10:30"],
    );
}

#[test]
fn ramadan_and_winter_time_that_is_called_standard_are_switches_like_others() {
    check(
        "30 2 * * * Africa/Casablanca",
        "2026-02-14T00:00Z",
        "2026-02-16T12:00Z",
        &["14 02:30+01:00", "15 02:30+01:00 (first only)", "16 02:30+00:00"],
    );
    check(
        "30 2 * * * Africa/Casablanca",
        "2026-03-21T00:00Z",
        "2026-03-23T12:00Z",
        &["21 02:30+00:00", "22 03:00+01:00 (for 22 02:30)", "23 02:30+01:00"],
    );
    check(
        "30 1 * * * Europe/Dublin",
        "2026-03-28T00:00Z",
        "2026-03-30T12:00Z",
        &["28 01:30+00:00", "29 02:00+01:00 (for 29 01:30)", "30 01:30+01:00"],
    );
    check(
        "30 1 * * * Europe/Dublin",
        "2026-10-24T12:00Z",
        "2026-10-26T12:00Z",
        &["25 01:30+01:00 (first only)", "26 01:30+00:00"],
    );
}

#[test]
fn a_day_that_a_zone_leaves_out_has_nothing_due() {
    let apia = ["29 02:30-10:00", "31 02:30+14:00", "01 02:30+14:00"];
    check("30 2 * * * Pacific/Apia", "2011-12-29T00:00Z", "2012-01-01T00:00Z", &apia);
    check(
        "0 9 * * fri Pacific/Apia",
        "2011-12-20T00:00Z",
        "2012-01-07T00:00Z",
        &["23 09:00-10:00", "06 09:00+14:00"],
    );
    check(
        "0 * * * * Pacific/Apia",
        "2011-12-30T08:30Z",
        "2011-12-30T11:30Z",
        &["29 23:00-10:00", "31 00:00+14:00", "31 01:00+14:00"],
    );
}

#[test]
fn a_jump_at_midnight_takes_nothing_from_either_day() {
    check(
        "0 0 * * * Asia/Beirut",
        "2026-03-27T00:00Z",
        "2026-03-30T12:00Z",
        &["28 00:00+02:00", "29 01:00+03:00 (for 29 00:00)", "30 00:00+03:00"],
    );
    // The last hour of the Saturday is gone; its firing falls on the first moment of the Sunday.
    check(
        "30 23 * * * America/Nuuk",
        "2026-03-28T00:00Z",
        "2026-03-30T12:00Z",
        &["27 23:30-02:00", "29 00:00-01:00 (for 28 23:30)", "29 23:30-01:00"],
    );
    check(
        "30 23 * * sat America/Nuuk",
        "2026-03-25T00:00Z",
        "2026-04-06T00:00Z",
        &["29 00:00-01:00 (for 28 23:30)", "04 23:30-01:00"],
    );
}

#[test]
fn what_is_rare_is_found_far_away_and_what_is_past_is_not() {
    let next = |text: &str, after: &str| {
        let schedule: Schedule = text.parse().unwrap();
        schedule.next_after(after.parse().unwrap()).map(|due| due.at.to_jiff().to_string())
    };
    let check = |text: &str, after: &str, expected: &str| {
        assert_eq!(next(text, after).unwrap_or_default(), expected, "{text}");
    };
    check("0 0 29 2 * Europe/Berlin", "2026-01-01", "2028-02-28T23:00:00Z");
    check("0 12 29 2 mon Europe/Berlin", "2072-03-01", "2112-02-29T11:00:00Z");
    check("0 0 31 12 * Pacific/Auckland", "2026-12-31", "2027-12-30T11:00:00Z");
    check("at 2027-01-01T10:00Z", "2027-01-01T09:59:59Z", "2027-01-01T10:00:00Z");
    check("at 2027-01-01T10:00Z", "2027-01-01T10:00:00Z", "");
    check("every 7d from 2026-11-22T10:00Z", "2026-11-22T09:00Z", "2026-11-22T10:00:00Z");
    check("every 7d from 2026-11-22T10:00Z", "2026-11-22T10:00Z", "2026-11-29T10:00:00Z");
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    for text in [
        "* * * * * Europe/Berlin",
        "0 0 29 2 *",
        "every 1us",
        "solar sunset 52.5,13.4",
        "at 2027-01-01T10:00Z",
    ] {
        let schedule: Schedule = text.parse().unwrap();
        for micros in [i64::MIN, i64::MAX, 0] {
            let at = Timestamp::from_micros(micros);
            assert!(schedule.next_after(at).is_none_or(|due| due.at > at), "{text} after {micros}");
            assert!(schedule.previous_before(at).is_none_or(|due| due.at < at), "{text} before {micros}");
        }
    }
}
