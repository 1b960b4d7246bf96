//! Every switch of every zone of the database from 2000 to 2040, three days each side, against an oracle that walks
//! minute by minute and properties that nobody wants broken.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;

use super::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Days each side of a switch.
const DAYS: i64 = 3;

/// Zones whose every switch until [`SETTLED`] is looked at in each run, since no two of them are alike.
const ODD: [&str; 6] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Caracas",
    "Antarctica/Casey",
    "Asia/Pyongyang",
    "Pacific/Apia",
];

/// 2020-01-01.
const SETTLED: i64 = 1_577_836_800;

/// Of the other zones, one in so many is looked at in each run, and of their switches one in [`SAMPLED_SWITCHES`].
const SAMPLED_ZONES: usize = 7;

const SAMPLED_SWITCHES: usize = 16;

/// A stretch around a switch. Zones that keep the same clocks in it have it together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    switch: i64,
    /// Since when the wall is ahead of UTC by how much; the first from before the window.
    offsets: Vec<(i64, i64)>,
}

impl Window {
    fn around(zone: &Zone, switch: i64) -> Self {
        let (from, to) = (switch - (DAYS + 1) * DAY, switch + DAYS * DAY);
        let mut offsets = vec![(from, zone.offset(from))];
        let mut at = from;
        while let Some(end) = zone.segment(at).end.filter(|end| *end < to) {
            offsets.push((end, zone.offset(end)));
            at = end;
        }
        Self { switch, offsets }
    }

    fn shift(&self) -> i64 {
        let index = self.offsets.iter().position(|(start, _)| *start == self.switch).unwrap();
        self.offsets[index].1 - self.offsets[index - 1].1
    }

    fn wall(&self, at: i64) -> i64 {
        at + self.offsets.iter().rev().find(|(start, _)| *start <= at).unwrap().1
    }

    /// Lists what the wall shows, minute by minute.
    fn minutes(&self) -> Vec<Minute> {
        let mut minutes: Vec<Minute> = Vec::new();
        let mut latest = i64::MIN;
        for at in (self.switch - (DAYS + 1) * DAY..self.switch + DAYS * DAY).step_by(MINUTE as usize) {
            let wall = self.wall(at);
            let missing = minutes
                .last()
                .filter(|before| wall > before.wall + MINUTE)
                .map(|before| before.wall + MINUTE);
            let second = wall <= latest;
            if second {
                for earlier in minutes.iter_mut().rev().take(1_500).filter(|earlier| earlier.wall == wall) {
                    earlier.again = true;
                }
            }
            latest = latest.max(wall);
            minutes.push(Minute { at, wall, missing, second, again: false });
        }
        minutes
    }
}

/// What the wall shows at a moment.
struct Minute {
    at: i64,
    wall: i64,
    /// The first minute that was jumped over to come here.
    missing: Option<i64>,
    /// Whether it has shown that before.
    second: bool,
    /// Whether it shows that again later.
    again: bool,
}

/// An entry in the oracle's own words.
struct Entry {
    minutes: Vec<i64>,
    hours: Vec<i64>,
    starred: bool,
    text: String,
}

impl Entry {
    fn new(minutes: &str, hours: &str) -> Self {
        let numbers = |text: &str, count: i64| match text.strip_prefix("*/") {
            Some(step) => (0..count).step_by(step.parse().unwrap()).collect(),
            None if text == "*" => (0..count).collect(),
            None => text.split(',').map(|number| number.parse().unwrap()).collect(),
        };
        Self {
            minutes: numbers(minutes, 60),
            hours: numbers(hours, 24),
            starred: minutes.starts_with('*'),
            text: format!("{minutes} {hours} * * *"),
        }
    }

    /// Makes entries that fall into a switch, and beside it.
    fn beside(window: &Window) -> Vec<Self> {
        let wall = window.wall(window.switch - MINUTE) + MINUTE;
        let clock = |wall: i64| (wall.rem_euclid(HOUR) / MINUTE, wall.rem_euclid(DAY) / HOUR);
        let daily = |(minute, hour): (i64, i64)| Self::new(&minute.to_string(), &hour.to_string());
        let within = clock(wall + window.shift() / 2);
        let hour = within.1.to_string();
        vec![
            Self::new("0", "0"),
            Self::new("30", "23"),
            daily(clock(wall)),
            daily(within),
            daily(clock(wall + window.shift())),
            Self::new("10,40", &format!("{hour},{}", (within.1 + 23) % 24)),
            Self::new("*/20", &hour),
            Self::new("0", "*/2"),
            Self::new("0", "*"),
            Self::new("30", "*"),
        ]
    }

    fn matches(&self, wall: i64) -> bool {
        let (minute, hour) = (wall.rem_euclid(HOUR) / MINUTE, wall.rem_euclid(DAY) / HOUR);
        wall % MINUTE == 0 && self.minutes.contains(&minute) && self.hours.contains(&hour)
    }

    fn every_hour(&self) -> bool {
        self.hours.len() == 24
    }

    fn repeats(&self) -> bool {
        self.starred || self.every_hour()
    }

    /// Walks over the minutes by the rule as it is written down for users.
    fn oracle(&self, minutes: &[Minute]) -> Vec<Due> {
        minutes.iter().filter_map(|minute| self.at(minute).map(|note| due(minute.at, note))).collect()
    }

    fn at(&self, minute: &Minute) -> Option<Option<DstNote>> {
        let shown = self.matches(minute.wall) && (self.repeats() || !minute.second);
        let made_up = minute.missing.and_then(|first| self.made_up(first, minute.wall));
        match (shown, made_up) {
            (true, _) if self.repeats() && minute.second => Some(Some(DstNote::Second)),
            (true, _) if self.repeats() => Some(minute.again.then_some(DstNote::First)),
            (_, Some(wall)) => Some(Some(DstNote::Missing { wall: zone::civil(wall) })),
            (true, None) => Some(minute.again.then_some(DstNote::FirstOnly)),
            (false, None) => None,
        }
    }

    fn made_up(&self, first: i64, end: i64) -> Option<i64> {
        if self.every_hour() && end - first >= HOUR {
            return None;
        }
        let whole_day_gone = |wall: i64| {
            let midnight = wall - wall.rem_euclid(DAY);
            midnight >= first && midnight + DAY <= end
        };
        (first..end).step_by(MINUTE as usize).find(|wall| self.matches(*wall) && !whole_day_gone(*wall))
    }
}

fn due(at: i64, note: Option<DstNote>) -> Due {
    Due { at: Timestamp::from_micros(at * 1_000_000), note }
}

fn second(at: Timestamp) -> i64 {
    at.as_micros() / 1_000_000
}

/// Finds the windows of all zones, each with a zone that has it; those of the system's database and of the one that is
/// built in apart, since they keep the same switches in different forms. Of the zones that are not odd it takes one in
/// so many.
fn windows(one_in: usize, look: impl Fn(&Zone, zone::Switch)) -> Vec<(Window, Zone)> {
    let databases = [jiff::tz::db().clone(), TimeZoneDatabase::bundled()];
    databases.iter().flat_map(|database| windows_of(database, one_in, &look)).collect()
}

fn windows_of(
    database: &TimeZoneDatabase,
    one_in: usize,
    look: impl Fn(&Zone, zone::Switch),
) -> BTreeMap<Window, Zone> {
    let (from, to) = ("2000-01-01".parse::<Timestamp>().unwrap(), "2040-01-01".parse::<Timestamp>().unwrap());
    let mut windows = BTreeMap::new();
    for (index, name) in database.available().enumerate() {
        let odd = ODD.contains(&name.as_str());
        if !odd && index % one_in != 0 {
            continue;
        }
        let Ok(zone) = database.get(name.as_str()).map(Zone) else { continue };
        let mut at = second(from);
        while let Some(switch) = zone.next_switch(at).filter(|switch| switch.at < second(to)) {
            look(&zone, switch);
            at = switch.at;
            let window = windows.entry(Window::around(&zone, at)).or_insert_with(|| zone.clone());
            if odd {
                *window = zone.clone();
            }
        }
    }
    windows
}

/// Looks at a switch from either side, near and far.
fn assert_segments_meet(zone: &Zone, switch: zone::Switch) {
    let (before, after) = (zone.segment(switch.at - 1), zone.segment(switch.at));
    assert_eq!((before.end, before.offset), (Some(switch.at), switch.before), "{zone} before {}", switch.at);
    assert_eq!((after.start, after.offset), (Some(switch.at), switch.after), "{zone} after {}", switch.at);
    let end = after.end.unwrap_or(switch.at + 400 * DAY);
    for at in [switch.at + HOUR, (switch.at + end) / 2, end - 1] {
        assert_eq!(zone.segment(at).start, Some(switch.at), "{zone} at {at}");
    }
}

fn check(window: &Window, zone: &Zone) {
    assert_segments_meet(zone, zone.switch(window.switch));
    let minutes = window.minutes();
    for entry in Entry::beside(window) {
        check_entry(&entry, window, zone, &minutes);
    }
}

fn check_entry(entry: &Entry, window: &Window, zone: &Zone, minutes: &[Minute]) {
    let schedule = Schedule::parse_in(&entry.text, zone).unwrap();
    let from = window.switch - DAYS * DAY;
    let to = window.switch + DAYS * DAY;
    let found: Vec<Due> = schedule.between(due(from, None).at, due(to, None).at).collect();
    let expected: Vec<Due> = entry.oracle(minutes).into_iter().filter(|due| second(due.at) >= from).collect();
    assert_eq!(found, expected, "{schedule}");
    for pair in found.windows(2) {
        assert!(pair[0].at < pair[1].at, "{schedule}: {pair:?}");
        assert_eq!(
            schedule.previous_before(pair[1].at),
            Some(pair[0]),
            "{schedule}: back from {}",
            pair[1].at
        );
        assert_hours_are_even(&schedule, entry, window, pair);
    }
    if entry.minutes.len() == 1 && entry.hours.len() == 1 {
        assert_one_a_day(&schedule, zone, &found, minutes);
    }
}

/// An hourly entry follows the hours as they pass, wherever the wall jumps by whole ones.
fn assert_hours_are_even(schedule: &Schedule, entry: &Entry, window: &Window, pair: &[Due]) {
    if entry.every_hour() {
        let apart = second(pair[1].at) - second(pair[0].at);
        let whole = window.offsets.windows(2).all(|pair| (pair[1].1 - pair[0].1) % HOUR == 0);
        assert!(apart == HOUR || (!whole && apart < 2 * HOUR), "{schedule}: {apart} s from {}", pair[0].at);
    }
}

/// A daily entry fires once for each day that the wall shows, and never for another.
fn assert_one_a_day(schedule: &Schedule, zone: &Zone, found: &[Due], minutes: &[Minute]) {
    let mut fired: BTreeMap<i64, usize> = BTreeMap::new();
    for due in found {
        let wall = match due.note {
            Some(DstNote::Missing { wall }) => zone::wall_seconds(wall),
            _ => second(due.at) + zone.offset(second(due.at)),
        };
        *fired.entry(wall.div_euclid(DAY)).or_default() += 1;
    }
    let mut days: Vec<i64> = minutes.iter().map(|minute| minute.wall.div_euclid(DAY)).collect();
    // Where the clocks go back past midnight a day is shown again after the next has begun.
    days.sort_unstable();
    days.dedup();
    // The window begins a day early, and cuts its first and last day off.
    for day in days.iter().filter(|day| **day > days[0] + 1 && **day < days[days.len() - 1]) {
        assert_eq!(fired.remove(day), Some(1), "{schedule} on {}", zone::civil(day * DAY).date());
    }
    assert!(fired.keys().all(|day| days.contains(day)), "{schedule} fires for a day that is not");
}

#[test]
fn daily_entries_fire_once_and_hourly_ones_evenly_around_the_switches_of_odd_zones_and_a_sample() {
    let windows = windows(SAMPLED_ZONES, |_, _| {});
    assert!(windows.len() > 500, "the database has hardly any switches: {}", windows.len());
    for (index, (window, zone)) in windows.iter().enumerate() {
        let odd = ODD.contains(&zone.name()) && window.switch < SETTLED;
        if odd || index % SAMPLED_SWITCHES == 0 {
            check(window, zone);
        }
    }
}

#[test]
#[ignore = "takes a minute of two processors; `cargo nextest run -p celeriac-protocol --run-ignored only every_switch` runs it"]
fn daily_entries_fire_once_and_hourly_ones_evenly_around_every_switch_of_every_zone() {
    let windows = windows(1, assert_segments_meet);
    std::thread::scope(|scope| {
        for half in windows.chunks(windows.len().div_ceil(2)) {
            scope.spawn(|| half.iter().for_each(|(window, zone)| check(window, zone)));
        }
    });
}
