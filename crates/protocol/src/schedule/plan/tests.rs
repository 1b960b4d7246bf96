//! Late, missed, doubled and stale due times, and the known faults of others that are pure arithmetic.
//!
//! Those that need a database or a loop are tested where these stand: celery#1495 and celery#251 (two schedulers fire
//! twice), and of django-celery-beat#634 that the anchor is saved.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn timetable(text: &str) -> Timetable {
    Timetable::from(text.parse::<Schedule>().unwrap())
}

/// Writes a plan as the times that fire, and those that do not with their reason.
fn written(plan: &Plan) -> String {
    let clock = |at: Timestamp| at.to_jiff().strftime("%H:%M").to_string();
    let fired: Vec<String> = plan.fire.iter().map(|fire| clock(fire.due.at)).collect();
    let mut text = fired.join(" ");
    for skipped in &plan.skipped {
        let Skipped { why, count, first, last } = skipped;
        text.push_str(&format!(" -{why:?} {count} {}-{}", clock(*first), clock(*last)));
    }
    text.trim().to_owned()
}

const HOURLY: &str = "0 * * * *";

fn life(last_due: &str) -> Life {
    Life { last_due: Some(at(last_due)), ..Life::since(at("2026-11-01T00:00Z")) }
}

#[test]
fn what_was_missed_is_made_up_for_as_the_policy_says() {
    let check = |policy: Policy, last: &str, now: &str, expected: &str| {
        let plan = due_times(&timetable(HOURLY), &life(last), at(now), &policy, "entry");
        assert_eq!(written(&plan), expected, "{policy:?}");
        let next = at(now).as_micros().div_euclid(3_600_000_000) + 1;
        assert_eq!(plan.next.unwrap().at.as_micros(), next * 3_600_000_000);
        assert_eq!(plan.last_due().is_none(), expected.is_empty());
    };
    let policy = |catch_up: CatchUp| Policy { catch_up, ..Policy::default() };
    let (nine, thirteen) = ("2026-11-22T09:00Z", "2026-11-22T13:00:59Z");
    check(policy(CatchUp::Last), nine, "2026-11-22T09:30Z", "");
    check(policy(CatchUp::Last), nine, "2026-11-22T10:00:30Z", "10:00");
    check(policy(CatchUp::Last), nine, thirteen, "13:00 -Superseded 3 10:00-12:00");
    check(policy(CatchUp::Last), nine, "2026-11-22T13:30Z", "13:00 -Superseded 3 10:00-12:00");
    check(policy(CatchUp::None), nine, thirteen, "13:00 -Missed 3 10:00-12:00");
    check(policy(CatchUp::None), nine, "2026-11-22T13:30Z", "-Missed 4 10:00-13:00");
    check(policy(CatchUp::All { max: 9 }), nine, "2026-11-22T13:30Z", "10:00 11:00 12:00 13:00");
    check(policy(CatchUp::All { max: 2 }), nine, thirteen, "11:00 12:00 13:00 -TooMany 1 10:00-10:00");
    let window = Some(Duration::from_secs(2 * 3600));
    check(
        Policy { window, ..policy(CatchUp::All { max: 9 }) },
        nine,
        "2026-11-22T13:30Z",
        "12:00 13:00 -TooOld 2 10:00-11:00",
    );
    check(Policy { window, ..policy(CatchUp::None) }, nine, "2026-11-22T13:30Z", "-Missed 4 10:00-13:00");
    let coalesce = Policy { coalesce: true, ..policy(CatchUp::All { max: 9 }) };
    check(coalesce, nine, "2026-11-22T13:30Z", "13:00 -Coalesced 3 10:00-12:00");
}

#[test]
fn a_year_of_seconds_is_counted_and_not_walked() {
    let policy = Policy::default();
    let since = Life::since(at("2025-01-01T00:00Z"));
    let plan = due_times(&timetable("every 1s"), &since, at("2026-01-01T00:30Z"), &policy, "");
    // 61 are on time; the others are superseded.
    assert_eq!(plan.fire.len(), 61);
    assert_eq!(plan.skipped[0].count, Count::Exactly(31_536_000 + 1_800 - 61));
    let plan = due_times(&timetable("* * * * * *"), &since, at("2026-01-01T00:30Z"), &policy, "");
    assert_eq!((plan.fire.len(), plan.skipped[0].count), (61, Count::MoreThan(MAX_COUNTED)));
    assert_eq!(plan.skipped[0].count.to_string(), "more than 10000");
    let plan = due_times(&timetable("every 1us"), &since, at("2026-01-01T00:30Z"), &policy, "");
    assert_eq!(plan.fire.len(), MAX_FIRED as usize);
    assert_eq!(plan.skipped[0].why, Why::TooMany);
}

#[test]
fn start_and_end_bound_an_entry() {
    let life = Life {
        start: Some(at("2026-11-22T10:00Z")),
        end: Some(at("2026-11-22T12:00Z")),
        ..life("2026-11-20T00:00Z")
    };
    let policy = Policy { catch_up: CatchUp::All { max: 9 }, ..Policy::default() };
    let check = |now: &str, expected: &str, next: Option<&str>| {
        let plan = due_times(&timetable(HOURLY), &life, at(now), &policy, "");
        assert_eq!(written(&plan), expected, "{now}");
        assert_eq!(plan.next.map(|due| due.at), next.map(at), "{now}");
    };
    check("2026-11-21T00:00Z", "", Some("2026-11-22T10:00Z"));
    check("2026-11-22T10:00Z", "10:00", Some("2026-11-22T11:00Z"));
    check("2026-11-22T11:30Z", "10:00 11:00", Some("2026-11-22T12:00Z"));
    check("2026-11-23T00:00Z", "10:00 11:00 12:00", None);
}

#[test]
fn a_clock_that_steps_back_fires_nothing_twice_and_one_that_was_far_ahead_stops_nothing() {
    let plan = |last: &str, now: &str| {
        due_times(&timetable("*/30 * * * *"), &life(last), at(now), &Policy::default(), "")
    };
    let back = plan("2026-11-22T10:00Z", "2026-11-22T09:05Z");
    assert_eq!(
        (written(&back).as_str(), back.clock),
        ("", Some(ClockStep::Back { by: Duration::from_secs(55 * 60) }))
    );
    assert_eq!(back.next.unwrap().at, at("2026-11-22T10:30Z"));
    let forth = plan("2026-11-22T10:00Z", "2026-11-22T11:05Z");
    assert_eq!((written(&forth).as_str(), forth.clock), ("11:00 -Superseded 1 10:30-10:30", None));
    let far = plan("2040-01-01T00:00Z", "2026-11-22T09:05Z");
    assert!(matches!(far.clock, Some(ClockStep::WasAhead { .. })));
    assert_eq!((written(&far).as_str(), far.next.unwrap().at), ("", at("2026-11-22T09:30Z")));
}

#[test]
fn an_entry_enabled_by_a_clock_that_then_stepped_back_is_not_silent_until_it_has_caught_up() {
    let life = Life::since(at("2026-11-22T10:00Z"));
    let plan = due_times(&timetable("*/30 * * * *"), &life, at("2026-11-22T09:05Z"), &Policy::default(), "");
    assert_eq!(plan.next.unwrap().at, at("2026-11-22T09:30Z"));
}

#[test]
fn jitter_puts_off_the_run_and_not_the_due_time() {
    let policy = Policy { jitter: Duration::from_secs(300), ..Policy::default() };
    let plan =
        due_times(&timetable(HOURLY), &life("2026-11-22T09:00Z"), at("2026-11-22T10:00Z"), &policy, "entry");
    let fire = plan.fire[0];
    assert_eq!(fire.due.at, at("2026-11-22T10:00Z"));
    assert!(fire.run_at >= fire.due.at && fire.run_at <= at("2026-11-22T10:05Z"));
}

/// Beat crashed on an interval whose last run lay in the hour that comes twice.
#[test]
fn django_celery_beat_604_an_interval_goes_evenly_through_an_hour_that_comes_twice() {
    let every = timetable("every 20m from 2022-11-06T07:15Z");
    for minute in 0..180 {
        let now = at("2022-11-06T07:15Z") + Duration::from_secs(minute * 60);
        let due = every.next_after(now).unwrap().at;
        assert!(due.since(now) <= Duration::from_secs(20 * 60), "{now}");
        assert_eq!(
            every.previous_before(due).unwrap().at,
            Timestamp::from_micros(due.as_micros() - 1_200_000_000)
        );
    }
}

/// A weekly interval never fired where beat was started anew more often than weekly: it was counted from each start.
#[test]
fn django_celery_beat_634_a_rare_interval_fires_however_often_one_starts_anew() {
    let weekly = Timetable::from("every 7d".parse::<Schedule>().unwrap().anchored(at("2026-11-01T08:00Z")));
    let mut life = Life::since(at("2026-11-01T08:00Z"));
    let mut fired = Vec::new();
    // Each pass is a new process: it knows the entry and nothing else.
    for day in 0..22 {
        let now = at("2026-11-01T09:00Z") + Duration::from_secs(day * 86_400);
        let plan = due_times(&weekly, &life, now, &Policy::default(), "");
        fired.extend(plan.fire.iter().map(|fire| fire.due.at));
        life.last_due = plan.last_due().or(life.last_due);
    }
    assert_eq!(fired, ["2026-11-08T08:00Z", "2026-11-15T08:00Z", "2026-11-22T08:00Z"].map(at));
}

/// An entry that was enabled again fired what it had missed while it was off, and then once more when it was due.
#[test]
fn django_celery_beat_537_an_entry_that_is_enabled_again_has_nothing_stale() {
    let life = Life { since: at("2026-11-22T01:55Z"), ..life("2026-11-21T23:00Z") };
    let plan = |now: &str| due_times(&timetable(HOURLY), &life, at(now), &Policy::default(), "");
    assert_eq!(plan("2026-11-22T01:56Z").fire, []);
    assert_eq!(written(&plan("2026-11-22T02:00:01Z")), "02:00");
}

/// Of crontabs, only those were loaded whose hour was near the hour at which beat was started, and no other ever fired.
#[test]
fn django_celery_beat_894_a_due_time_is_found_from_any_hour_of_the_day() {
    for hour in 0..24 {
        let entry = timetable(&format!("0 {hour} * * * Asia/Kolkata"));
        for started in 0..24 {
            let now = at("2026-11-22T00:00Z") + Duration::from_secs(started * 3600);
            let due = entry.next_after(now).unwrap().at;
            assert!(due.since(now) <= Duration::from_secs(86_400), "{hour} from {started}");
        }
    }
}

/// The next time was one that did not exist.
#[test]
fn apscheduler_1059_a_time_that_does_not_exist_is_never_handed_out() {
    let entry = timetable("0 2 * * * US/Eastern");
    let due = entry.next_after(at("2013-03-10T06:59:59Z")).unwrap();
    assert_eq!((due.at, due.note.is_some()), (at("2013-03-10T07:00:00Z"), true));
    assert_eq!(entry.next_after(due.at).unwrap().at, at("2013-03-11T06:00:00Z"));
}

/// A job was left out since it was met a second late, which is the default there.
#[test]
fn apscheduler_182_a_due_time_that_is_met_a_second_late_fires() {
    for (now, catch_up) in [
        ("2026-11-22T10:00:01.209054Z", CatchUp::None),
        ("2026-11-22T10:00:59Z", CatchUp::None),
        ("2026-11-22T10:45:00Z", CatchUp::Last),
    ] {
        let policy = Policy { catch_up, ..Policy::default() };
        let plan = due_times(&timetable(HOURLY), &life("2026-11-22T09:00Z"), at(now), &policy, "");
        assert_eq!(written(&plan), "10:00", "{now}");
    }
}

/// A job of every minute stood still for an hour when the clocks went back.
#[test]
fn sidekiq_5049_every_minute_goes_on_through_the_hour_that_comes_twice() {
    let entry: Schedule = "* * * * * America/Los_Angeles".parse().unwrap();
    let (from, to) = (at("2021-11-07T06:00Z"), at("2021-11-07T12:00Z"));
    let due: Vec<Timestamp> = entry.between(from, to).map(|due| due.at).collect();
    assert_eq!(due.len(), 360);
    assert!(due.windows(2).all(|pair| pair[1].since(pair[0]) == Duration::from_secs(60)));
}
