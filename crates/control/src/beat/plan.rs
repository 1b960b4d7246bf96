//! What of an entry is due by now, what was missed, and when it is due next: the calculus, with an entry's own words.

use std::fmt;
use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{
    self, Calendar, ClockStep, Count, Due, Life, Policy, Schedule, Skipped, Timetable, Zone, due_times,
};
use celeriac_store::query::schedules::{
    CatchUp, Disabled, DisabledReason, Firing, FiringOutcome, ScheduleEntry, ScheduleRecord, ScheduleState,
};

/// What of an entry is due by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Due times whose jobs are to be enqueued, oldest first.
    pub(super) fire: Vec<Timestamp>,
    /// What is written down of those that are left out.
    pub(super) missed: Vec<Firing>,
    /// The newest due time that has been dealt with.
    pub(super) last_due: Option<Timestamp>,
    /// When it is due next.
    pub(super) next: Option<Timestamp>,
    /// Why it is due no more, where it is not.
    pub(super) ending: Ending,
}

/// Why an entry has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It runs once, and has.
    HasRun,
    /// Its end has passed, or the next due time lies behind it.
    End(Timestamp),
    /// It has expired, or will have by the next due time.
    Expired(Timestamp),
    /// Its schedule has no due time any more.
    #[default]
    NeverDue,
}

impl Ending {
    /// Returns what is kept of it.
    pub(super) fn disabled(self) -> Disabled {
        let reason = match self {
            Self::HasRun => DisabledReason::HasRun,
            Self::End(_) => DisabledReason::Ended,
            Self::Expired(_) => DisabledReason::Expired,
            Self::NeverDue => DisabledReason::NeverDue,
        };
        Disabled { reason, detail: self.to_string() }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HasRun => f.write_str("it was to run once, and has"),
            Self::End(at) => write!(f, "it is not due after its end, {at}"),
            Self::Expired(at) => write!(f, "it has expired, at {at}"),
            Self::NeverDue => f.write_str("its schedule has no further due time"),
        }
    }
}

/// Why an entry's words can't be read: the field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// Reads when an entry is due that was, or is to be, made at an instant: an interval counts from its anchor, else from
/// its start, else from then.
pub(super) fn timetable(entry: &ScheduleEntry, created_at: Timestamp) -> Result<Timetable, Fault> {
    let fault = |field| move |error: schedule::ScheduleError| Fault { field, reason: error.to_string() };
    let zone: Zone = entry.zone.parse().map_err(fault("zone"))?;
    let schedule = Schedule::parse_in(&entry.spec, &zone).map_err(fault("spec"))?;
    let calendar = entry.calendar.as_deref().map(|text| Calendar::parse_in(text, &zone));
    let calendar = calendar.transpose().map_err(fault("calendar"))?.unwrap_or_default();
    let anchor = entry.anchor_at.or(entry.start_at).unwrap_or(created_at);
    Ok(Timetable { schedule: schedule.anchored(anchor), calendar })
}

/// Finds what of an entry is due by now. `grace` is the platform's own, where the entry has none.
pub(super) fn plan(
    timetable: &Timetable,
    record: &ScheduleRecord,
    state: &ScheduleState,
    grace: Duration,
    now: Timestamp,
) -> Plan {
    // What was put off is not late for that.
    let put_off = state.next_due_at.map_or(Duration::ZERO, |due_at| jitter(record, due_at));
    let upto = now - put_off;
    let (end, ending) = ending(&record.entry);
    let life =
        Life { since: record.enabled_at, last_due: state.last_due_at, start: record.entry.start_at, end };
    let planned = due_times(timetable, &life, upto, &policy(&record.entry, grace), &record.uid);
    let last_due = match planned.clock {
        // What was dealt with in a future that never came is not kept.
        Some(ClockStep::WasAhead { .. }) => Some(upto),
        _ => planned.last_due().max(state.last_due_at),
    };
    Plan {
        fire: planned.fire.iter().map(|fire| fire.due.at).collect(),
        missed: planned.skipped.iter().map(|skipped| missed(skipped, now)).collect(),
        last_due,
        next: planned.next.map(|due| due.at),
        ending,
    }
}

/// Returns the first due time behind an instant that an entry's start and end allow.
pub(super) fn next_after(timetable: &Timetable, entry: &ScheduleEntry, after: Timestamp) -> Option<Due> {
    let before_start = entry.start_at.map(|start| start - Duration::from_micros(1));
    let next = timetable.next_after(before_start.map_or(after, |start| after.max(start)))?;
    Some(next).filter(|next| ending(entry).0.is_none_or(|end| next.at <= end))
}

fn policy(entry: &ScheduleEntry, grace: Duration) -> Policy {
    Policy {
        grace: entry.misfire_grace.unwrap_or(grace),
        catch_up: match entry.catch_up {
            CatchUp::None => schedule::CatchUp::None,
            CatchUp::Last => schedule::CatchUp::Last,
            CatchUp::All => schedule::CatchUp::All { max: entry.catch_up_limit },
        },
        window: entry.catch_up_window,
        coalesce: entry.coalesce,
        jitter: Duration::ZERO,
    }
}

/// Makes the one row that stands for due times that are left out.
fn missed(skipped: &Skipped, now: Timestamp) -> Firing {
    let reason = match skipped.count {
        Count::Exactly(_) => skipped.why.to_string(),
        Count::MoreThan(count) => {
            format!("{}; there are more than the {count} that were counted", skipped.why)
        }
    };
    let count = skipped.count.counted();
    Firing {
        count,
        first_due_at: (count > 1).then_some(skipped.first),
        reason: Some(reason),
        ..Firing::new(skipped.last, now, FiringOutcome::Missed)
    }
}

/// Returns the last instant at which an entry may be due, if there is one, and how it ends.
pub(super) fn ending(entry: &ScheduleEntry) -> (Option<Timestamp>, Ending) {
    let end = entry.end_at.map(|at| (at, Ending::End(at)));
    let expires = entry.expires_at.map(|at| (at, Ending::Expired(at)));
    let first = [end, expires].into_iter().flatten().min_by_key(|(at, _)| *at);
    first.map_or((None, Ending::NeverDue), |(at, ending)| (Some(at), ending))
}

/// Returns when the beat is to look at an entry that is due at an instant.
pub(super) fn wake_at(record: &ScheduleRecord, due_at: Timestamp) -> Timestamp {
    due_at + jitter(record, due_at)
}

fn jitter(record: &ScheduleRecord, due_at: Timestamp) -> Duration {
    schedule::jitter(&record.uid, due_at, record.entry.jitter)
}
