//! Entries of the schedule as they are listed.

use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::Zone;
use celeriac_store::query::schedules::{ScheduleState, ScheduleSummary};
use serde::Serialize;

use super::due::local;
use super::opened::{in_words, overdue, zone_of};
use crate::output::{Cell, Column, Paint, Table, ago, brief, until};
use crate::views::instant_or_none;

/// One entry of a list. The field names are stable.
#[derive(Serialize)]
pub(super) struct ScheduleView {
    name: String,
    task: Option<String>,
    schedule: Option<String>,
    words: String,
    zone: Option<String>,
    /// on, off, overdue, failing or unreadable.
    state: &'static str,
    enabled: bool,
    next_due_at: Option<String>,
    last_due_at: Option<String>,
    last_run_at: Option<String>,
    last_lateness_seconds: Option<f64>,
    total_run_count: u64,
    last_error: Option<String>,
    /// Why it was switched off by itself, in one word.
    disabled_reason: Option<&'static str>,
    /// The same for people.
    disabled_detail: Option<String>,
    queue: Option<String>,
    owner: String,
    description: String,
    origin: Option<&'static str>,
    #[serde(skip)]
    shown: Shown,
}

/// What tables tell relative to now.
struct Shown {
    next: Option<Timestamp>,
    last: Option<Timestamp>,
    lateness: Option<Duration>,
    overdue: Option<Duration>,
    zone: Zone,
}

impl ScheduleView {
    /// Looks at an entry, whose last firing was this late.
    pub(super) fn new(summary: &ScheduleSummary, lateness: Option<Duration>, now: Timestamp) -> Self {
        let state = &summary.state;
        let Ok(record) = &summary.record else { return Self::unreadable(summary, lateness) };
        let entry = record.entry.clone();
        let overdue = overdue(state.next_due_at, entry.enabled, now);
        let words = in_words(&entry);
        let zone = zone_of(&entry);
        Self {
            state: match () {
                () if !entry.enabled => "off",
                () if state.last_error.is_some() => "failing",
                () if overdue.is_some() => "overdue",
                () => "on",
            },
            task: Some(entry.task),
            schedule: Some(entry.spec),
            words,
            zone: Some(entry.zone),
            enabled: entry.enabled,
            disabled_reason: record.disabled.as_ref().map(|disabled| disabled.reason.as_str()),
            disabled_detail: record.disabled.as_ref().map(|disabled| disabled.detail.clone()),
            queue: entry.queue,
            owner: entry.owner,
            description: entry.description,
            origin: Some(record.origin.as_str()),
            shown: Shown { overdue, zone, ..Shown::of(state, lateness) },
            ..Self::unreadable(summary, lateness)
        }
    }

    fn unreadable(summary: &ScheduleSummary, lateness: Option<Duration>) -> Self {
        let state = &summary.state;
        let reason = summary.record.as_ref().err().map(ToString::to_string);
        Self {
            name: summary.name().to_owned(),
            task: None,
            schedule: None,
            words: reason.clone().unwrap_or_default(),
            zone: None,
            state: "unreadable",
            enabled: false,
            next_due_at: instant_or_none(state.next_due_at),
            last_due_at: instant_or_none(state.last_due_at),
            last_run_at: instant_or_none(state.last_run_at),
            last_lateness_seconds: lateness.map(|lateness| lateness.as_secs_f64()),
            total_run_count: state.total_run_count,
            last_error: state.last_error.clone().or(reason),
            disabled_reason: None,
            disabled_detail: None,
            queue: None,
            owner: String::new(),
            description: String::new(),
            origin: None,
            shown: Shown::of(state, lateness),
        }
    }

    /// Writes entries as a table.
    pub(super) fn table(views: &[Self], now: Timestamp) -> Table {
        let columns = [
            Column::new("NAME"),
            Column::elastic("DUE"),
            Column::new("STATE"),
            Column::new("NEXT"),
            Column::new("AT").spare(),
            Column::new("LAST RUN"),
            Column::new("LATE").spare(),
            Column::number("RUNS").spare(),
            Column::elastic("TASK").spare(),
        ];
        let mut table = Table::new(columns, "no schedules");
        for view in views {
            table.row(view.cells(now));
        }
        table
    }

    fn cells(&self, now: Timestamp) -> [Cell; 9] {
        let Shown { next, last, lateness, overdue, zone } = &self.shown;
        let never = || Cell::painted(Paint::Faint, "-").exactly("");
        let next_at = next.filter(|_| self.enabled);
        let relative = |at: Timestamp| match overdue {
            Some(late) => Cell::painted(Paint::Bad, format!("{} ago", brief(*late))),
            None => Cell::new(until(at, now)),
        };
        [
            Cell::painted(Paint::Strong, &self.name),
            Cell::new(&self.words),
            Cell::painted(self.paint(), self.state_for_people()).exactly(self.state),
            next_at.map_or_else(never, |at| relative(at).exactly(at.to_string())),
            next_at
                .map_or_else(never, |at| Cell::painted(Paint::Faint, local(at, zone)).exactly(zone.name())),
            last.map_or_else(never, |at| Cell::new(ago(at, now)).exactly(at.to_string())),
            lateness
                .map_or_else(never, |late| Cell::new(brief(late)).exactly(late.as_secs_f64().to_string())),
            Cell::new(self.total_run_count.to_string()),
            Cell::painted(Paint::Faint, self.task.clone().unwrap_or_default()),
        ]
    }

    /// Returns the colour of its state.
    pub(super) fn paint(&self) -> Paint {
        match self.state {
            "on" => Paint::Good,
            "off" if matches!(self.disabled_reason, Some("task_gone" | "undeclared" | "other")) => {
                Paint::Warning
            }
            "off" => Paint::Faint,
            "overdue" => Paint::Warning,
            _ => Paint::Bad,
        }
    }

    /// Returns its state, and why it is off where nobody has switched it off.
    fn state_for_people(&self) -> String {
        match self.disabled_reason {
            Some(reason) if !self.enabled => format!("{}, {}", self.state, reason.replace('_', " ")),
            _ => self.state.to_owned(),
        }
    }

    /// Returns the word for its state.
    pub(super) fn state(&self) -> &'static str {
        self.state
    }
}

impl Shown {
    fn of(state: &ScheduleState, lateness: Option<Duration>) -> Self {
        Self { next: state.next_due_at, last: state.last_run_at, lateness, overdue: None, zone: Zone::UTC }
    }
}
