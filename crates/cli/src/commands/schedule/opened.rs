//! What a command on the schedule works with.

use celeriac_control::{ScheduleDetails, Schedules, SchedulesError};
use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{Due, Schedule, ScheduleError, Zone};
use celeriac_protocol::suggest::did_you_mean;
use celeriac_store::query::schedules::{ScheduleEntry, ScheduleFilter, ScheduleRecord, ScheduleSummary};

use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::platform::{Platform, Use};

/// How many names are looked through for the one that was meant.
const NAMES: u64 = 1_000;

/// The schedule of an open database.
pub(super) struct Opened {
    pub(super) platform: Platform,
    pub(super) schedules: Schedules,
}

impl Opened {
    pub(super) async fn new(context: &Context, used_for: Use) -> Result<Self> {
        let platform = context.open(used_for).await?;
        let schedules = Schedules::new(&platform.environment());
        Ok(Self { platform, schedules })
    }

    /// Shows an entry.
    ///
    /// # Errors
    /// There is none of this name; the likest is named.
    pub(super) async fn find(&self, name: &str) -> Result<ScheduleDetails> {
        self.named(self.schedules.show(name).await).await
    }

    /// Turns the error of a call that named an entry into ours, with the name that was probably meant.
    pub(super) async fn named<T>(&self, done: Result<T, SchedulesError>) -> Result<T> {
        match done {
            Ok(done) => Ok(done),
            Err(SchedulesError::NotFound { name }) => Err(self.unknown(&name).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn unknown(&self, name: &str) -> Failure {
        let error = Failure::plain(Code::UnknownSchedule, format!("there is no schedule {name}"));
        let Ok(page) = self.schedules.list(&ScheduleFilter::default(), None, NAMES).await else {
            return error;
        };
        let names: Vec<&str> = page.schedules.iter().map(ScheduleSummary::name).collect();
        match did_you_mean(name, names.iter().copied()) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Returns the next due times of an entry, as they will be also where it is switched off.
    pub(super) fn next(&self, record: &ScheduleRecord, count: usize) -> Result<Vec<Due>> {
        Ok(self.schedules.preview(&anchored(record), count)?)
    }
}

/// Sets from when an entry's interval counts, as the beat does.
pub(super) fn anchored(record: &ScheduleRecord) -> ScheduleEntry {
    let entry = record.entry.clone();
    let anchor = entry.anchor_at.or(entry.start_at).unwrap_or(record.created_at);
    ScheduleEntry { anchor_at: Some(anchor), ..entry }
}

/// Reads when an entry is due.
pub(super) fn schedule_of(entry: &ScheduleEntry) -> Result<Schedule, ScheduleError> {
    Schedule::parse_in(&entry.spec, &entry.zone.parse()?)
}

/// Says in words when an entry is due; what can't be read is shown as it is.
pub(super) fn in_words(entry: &ScheduleEntry) -> String {
    let words = schedule_of(entry).map(|schedule| schedule.describe());
    let words = words.unwrap_or_else(|_| entry.spec.clone());
    entry.calendar.as_ref().map_or(words.clone(), |calendar| format!("{words}, except {calendar}"))
}

/// Returns the zone on whose wall an entry's times are shown.
pub(super) fn zone_of(entry: &ScheduleEntry) -> Zone {
    let own = entry.zone.parse().unwrap_or(Zone::UTC);
    match schedule_of(entry) {
        Ok(schedule @ (Schedule::Crontab(_) | Schedule::Clocked(_))) => schedule.zone().clone(),
        _ => own,
    }
}

/// How late a due time may be met before somebody is told that no beat seems to run.
pub(super) const OVERDUE: std::time::Duration = std::time::Duration::from_secs(60);

/// Says how late the next due time is by now, where nobody has met it in time.
pub(super) fn overdue(
    next_due_at: Option<Timestamp>,
    enabled: bool,
    now: Timestamp,
) -> Option<std::time::Duration> {
    next_due_at.filter(|due| enabled && *due + OVERDUE < now).map(|due| now.since(due))
}
