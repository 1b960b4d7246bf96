//! What to do with due times that have come: fire them, make up for them, or leave them out and say why.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Due, Schedule, Timetable};
use crate::Timestamp;

mod jitter;

pub use jitter::jitter;

/// Says what happens to due times that are met late, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How late a due time may be met and still be on time; what is later was missed.
    pub grace: Duration,
    /// What happens to those that were missed.
    pub catch_up: CatchUp,
    /// How far back missed ones are made up for; without it however far.
    pub window: Option<Duration>,
    /// Whether several that are to fire at once become the last of them.
    pub coalesce: bool,
    /// By how much at most a firing is put off, so that not all come at once; see [`jitter()`].
    pub jitter: Duration,
}

impl Default for Policy {
    /// A minute of grace, and the last missed one is made up for, however old: Celery's way.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(60),
            catch_up: CatchUp::Last,
            window: None,
            coalesce: false,
            jitter: Duration::ZERO,
        }
    }
}

/// Says which missed due times are made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// None.
    None,
    /// The last, unless a later one is on time and fires anyway.
    Last,
    /// All, up to a number of the latest; never more than [`MAX_FIRED`].
    All {
        /// The number.
        max: u32,
    },
}

/// Where an entry stands, and between which moments it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Since when it is as it is: made, or enabled, or given another schedule. What was due until then is nobody's.
    pub since: Timestamp,
    /// The newest due time that has been dealt with.
    pub last_due: Option<Timestamp>,
    /// Not due before.
    pub start: Option<Timestamp>,
    /// Not due after.
    pub end: Option<Timestamp>,
}

impl Life {
    /// Begins at a moment and never ends.
    pub const fn since(since: Timestamp) -> Self {
        Self { since, last_due: None, start: None, end: None }
    }
}

/// What [`due_times`] decides.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is to be fired now, earliest first; never more than [`MAX_FIRED`].
    pub fire: Vec<Fire>,
    /// What is left out, each reason at most once.
    pub skipped: Vec<Skipped>,
    /// The first due time that is yet to come; none where the entry has come to its end.
    pub next: Option<Due>,
    /// What is wrong with the clock, if anything is.
    pub clock: Option<ClockStep>,
}

impl Plan {
    /// Returns the newest due time that this plan deals with, which is the next plan's [`Life::last_due`].
    pub fn last_due(&self) -> Option<Timestamp> {
        let fired = self.fire.last().map(|fire| fire.due.at);
        self.skipped.iter().map(|skipped| skipped.last).chain(fired).max()
    }
}

/// A due time that is to be fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The due time; its moment is what makes the firing one of a kind.
    pub due: Due,
    /// When its job is to run: the due time, put off by the jitter. It may be over, and it may be ahead.
    pub run_at: Timestamp,
}

/// Due times that are left out for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The reason.
    pub why: Why,
    /// How many.
    pub count: Count,
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// Why due times are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// They were missed, and nothing is made up for.
    Missed,
    /// They were missed, and a later one stands for them.
    Superseded,
    /// They were missed longer ago than is made up for.
    TooOld,
    /// They are more than are fired at once.
    TooMany,
    /// They came at once with a later one that stands for them.
    Coalesced,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missed => "missed, and nothing is made up for",
            Self::Superseded => "missed, and a later one stands for them",
            Self::TooOld => "missed longer ago than is made up for",
            Self::TooMany => "more than are fired at once",
            Self::Coalesced => "came at once with a later one",
        })
    }
}

/// A number that is only counted up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(u64),
    /// More than so many.
    MoreThan(u64),
}

impl Count {
    /// Returns the number that was counted to.
    pub const fn counted(self) -> u64 {
        let (Self::Exactly(count) | Self::MoreThan(count)) = self;
        count
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::MoreThan(count) => write!(f, "more than {count}"),
        }
    }
}

/// A clock that can't be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockStep {
    /// It shows a time before the newest due time that has been dealt with. What lies between has fired and does not
    /// fire again.
    Back {
        /// By how much.
        by: Duration,
    },
    /// The newest due time lies so far ahead that the clock must have been wrong when it was dealt with. It is not
    /// believed, and the entry goes on from now.
    WasAhead {
        /// By how much.
        by: Duration,
    },
}

/// The most due times that are fired at once; a plan is dealt with in one transaction.
pub const MAX_FIRED: u32 = 1_000;

/// How far due times are counted where that means to walk over them: some milliseconds' work.
pub const MAX_COUNTED: u64 = 10_000;

/// How far ahead a last due time is believed: a clock that is set by hand is wrong by an hour, or by a day.
pub const MAX_BELIEVED: Duration = Duration::from_secs(26 * 3600);

/// Decides about every due time until now that has not been dealt with.
///
/// It looks at each due time that is fired, and counts those that are not: by arithmetic for an interval, by walking to
/// [`MAX_COUNTED`] otherwise. So a year's downtime of an entry that fires each second costs milliseconds.
///
/// `seed` names the entry; of two entries with the same schedule the jitter tells one from the other.
pub fn due_times(timetable: &Timetable, life: &Life, now: Timestamp, policy: &Policy, seed: &str) -> Plan {
    let (floor, clock) = floor(life, now);
    let ceiling = life.end.map_or(now, |end| end.min(now));
    let mut planner = Planner { timetable, plan: Plan { clock, ..Plan::default() } };
    let mut fire = planner.decide(Range { after: floor, until: ceiling }, now, policy);
    if policy.coalesce && fire.len() > 1 {
        let rest = fire.split_off(fire.len() - 1);
        planner.leave_out_these(&fire, Why::Coalesced);
        fire = rest;
    }
    let run_at = |due: &Due| due.at + jitter(seed, due.at, policy.jitter);
    planner.plan.fire = fire.into_iter().map(|due| Fire { due, run_at: run_at(&due) }).collect();
    let next = timetable.next_after(floor.max(ceiling));
    planner.plan.next = next.filter(|due| life.end.is_none_or(|end| due.at <= end));
    planner.plan
}

/// Returns until when due times have been dealt with, or are nobody's.
fn floor(life: &Life, now: Timestamp) -> (Timestamp, Option<ClockStep>) {
    // Who was enabled in the clock's future is enabled now.
    let mut floor = life.since.min(now);
    if let Some(start) = life.start {
        floor = floor.max(Timestamp::from_micros(start.as_micros().saturating_sub(1)));
    }
    let Some(last) = life.last_due else { return (floor, None) };
    let by = last.since(now);
    if by > MAX_BELIEVED {
        return (floor.max(now), Some(ClockStep::WasAhead { by }));
    }
    (floor.max(last), (by > Duration::ZERO).then_some(ClockStep::Back { by }))
}

/// A stretch of time, without its beginning and with its end.
#[derive(Clone, Copy)]
struct Range {
    after: Timestamp,
    until: Timestamp,
}

impl Range {
    /// Splits into what is not later than a moment, and what is.
    fn split(self, at: Timestamp) -> (Self, Self) {
        let at = at.clamp(self.after, self.until.max(self.after));
        (Self { until: at, ..self }, Self { after: at, ..self })
    }
}

struct Planner<'a> {
    timetable: &'a Timetable,
    plan: Plan,
}

impl Planner<'_> {
    fn decide(&mut self, range: Range, now: Timestamp, policy: &Policy) -> Vec<Due> {
        let (missed, on_time) = range.split(just_before(now - policy.grace));
        let mut fire = self.latest(on_time, MAX_FIRED, Why::TooMany);
        let (too_old, missed) = match policy.window {
            Some(window) => missed.split(just_before(now - window)),
            None => (Range { until: missed.after, ..missed }, missed),
        };
        let made_up = match policy.catch_up {
            CatchUp::None => self.latest(missed, 0, Why::Missed),
            CatchUp::Last => self.latest(missed, u32::from(fire.is_empty()), Why::Superseded),
            CatchUp::All { max } => {
                let room = MAX_FIRED - u32::try_from(fire.len()).unwrap_or(MAX_FIRED);
                self.latest(missed, max.min(room), Why::TooMany)
            }
        };
        let why = if policy.catch_up == CatchUp::None { Why::Missed } else { Why::TooOld };
        self.leave_out(too_old, why);
        fire.splice(0..0, made_up);
        fire
    }

    /// Returns the latest due times of a stretch, earliest first, and leaves out what was before them.
    fn latest(&mut self, range: Range, max: u32, why: Why) -> Vec<Due> {
        let mut found = Vec::new();
        let mut before = Timestamp::from_micros(range.until.as_micros().saturating_add(1));
        while found.len() < max as usize
            && let Some(due) = self.timetable.previous_before(before).filter(|due| due.at > range.after)
        {
            before = due.at;
            found.push(due);
        }
        self.leave_out(Range { until: just_before(before), ..range }, why);
        found.reverse();
        found
    }

    fn leave_out(&mut self, range: Range, why: Why) {
        let first = self.timetable.next_after(range.after).filter(|due| due.at <= range.until);
        let end = Timestamp::from_micros(range.until.as_micros().saturating_add(1));
        let last = self.timetable.previous_before(end).filter(|due| due.at > range.after);
        if let (Some(first), Some(last)) = (first, last) {
            let count = self.count(first.at, last.at);
            self.add(Skipped { why, count, first: first.at, last: last.at });
        }
    }

    fn leave_out_these(&mut self, due: &[Due], why: Why) {
        if let (Some(first), Some(last)) = (due.first(), due.last()) {
            let count = Count::Exactly(due.len() as u64);
            self.add(Skipped { why, count, first: first.at, last: last.at });
        }
    }

    /// Adds to those that are left out for the same reason.
    fn add(&mut self, more: Skipped) {
        let Some(same) = self.plan.skipped.iter_mut().find(|skipped| skipped.why == more.why) else {
            return self.plan.skipped.push(more);
        };
        let count = same.count.counted().saturating_add(more.count.counted());
        let exact = matches!((same.count, more.count), (Count::Exactly(_), Count::Exactly(_)));
        same.count = if exact { Count::Exactly(count) } else { Count::MoreThan(count) };
        same.first = same.first.min(more.first);
        same.last = same.last.max(more.last);
    }

    /// Counts from one due time to another, both of them too.
    fn count(&self, first: Timestamp, last: Timestamp) -> Count {
        if let (Schedule::Interval(interval), true) =
            (&self.timetable.schedule, self.timetable.calendar.is_empty())
        {
            let end = Timestamp::from_micros(last.as_micros().saturating_add(1));
            return Count::Exactly(interval.count(first, end));
        }
        let mut count = 1;
        let mut at = first;
        while at < last {
            if count == MAX_COUNTED {
                return Count::MoreThan(MAX_COUNTED);
            }
            let Some(due) = self.timetable.next_after(at) else { break };
            at = due.at;
            count += 1;
        }
        Count::Exactly(count)
    }
}

fn just_before(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_sub(1))
}

#[cfg(test)]
mod tests;
