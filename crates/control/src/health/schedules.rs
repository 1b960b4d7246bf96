//! The schedule: is what is due met in time, and does every entry come to something?

use std::time::Duration;

use celeriac_db::Database;
use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{DisabledReason, ScheduleFilter, ScheduleSummary, list, server_time};

use super::{Finding, HealthError};
use crate::words::{brief, counted};

/// How late a due time may be before somebody is told that no scheduler seems to run. One looks every second.
pub const OVERDUE: Duration = Duration::from_secs(60);

/// How far the server's clock, which says what is due, may be from ours.
const SKEW: Duration = Duration::from_secs(2);

/// How many entries are looked at.
const LOOKED_AT: u64 = 1_000;

/// How many are named.
const NAMED: usize = 5;

/// Makes the check of this name for [`HealthReport`](super::HealthReport).
pub(super) async fn check(database: &Database, now: Timestamp, longest: Duration) -> Finding {
    const CHECK: &str = "schedule";
    match schedules(database, now, longest).await {
        Ok(finding) => Finding { check: CHECK.into(), ..finding },
        Err(error) => error.found_by(CHECK),
    }
}

/// Looks at entries that are late, fail, or were switched off since nothing stands behind them any more.
///
/// # Errors
/// The schedule can't be read.
pub async fn schedules(
    database: &Database,
    now: Timestamp,
    longest: Duration,
) -> Result<Finding, HealthError> {
    const CHECK: &str = "schedules";
    let reader = database.reader();
    let page = list(reader, &ScheduleFilter::default(), None, LOOKED_AT).await?;
    let theirs = server_time(reader).await?.unwrap_or(now);
    let overdue = |summary: &&ScheduleSummary| is_enabled(summary) && lateness(summary, theirs) > longest;
    if let Some(worst) = page.schedules.iter().filter(overdue).max_by_key(|late| lateness(late, theirs)) {
        let count = page.schedules.iter().filter(overdue).count() as u64;
        let late = brief(lateness(worst, theirs));
        let detail = format!("{} overdue, {} for {late}", counted(count, "schedule"), worst.name());
        return Ok(Finding::wrong(
            CHECK,
            detail,
            "no scheduler runs: start `beat`, or a worker with `beat.enabled`",
        ));
    }
    let failing =
        named(&page.schedules, |summary| summary.record.is_err() || summary.state.last_error.is_some());
    if let Some(names) = failing {
        let hint = "`schedule show NAME` tells the error of each";
        return Ok(Finding::warning(CHECK, format!("the last due time came to nothing: {names}"), hint));
    }
    let orphaned = |summary: &ScheduleSummary| {
        let disabled = summary.record.as_ref().ok().and_then(|record| record.disabled.as_ref());
        disabled.is_some_and(|disabled| disabled.reason == DisabledReason::TaskGone)
    };
    if let Some(names) = named(&page.schedules, orphaned) {
        let hint = "remove them with `schedule remove`, or bring the task back";
        return Ok(Finding::warning(CHECK, format!("switched off, since the task is gone: {names}"), hint));
    }
    let apart = theirs.since(now).max(now.since(theirs));
    if apart > SKEW {
        let detail = format!("the database's clock, which says what is due, is {} from ours", brief(apart));
        return Ok(Finding::warning(CHECK, detail, "set both clocks, best by NTP"));
    }
    let count = page.schedules.len() as u64;
    let more = if page.next.is_some() { " and more" } else { "" };
    Ok(Finding::ok(CHECK, format!("{}{more}", counted(count, "schedule"))))
}

fn is_enabled(summary: &ScheduleSummary) -> bool {
    summary.record.as_ref().is_ok_and(|record| record.entry.enabled)
}

fn lateness(summary: &ScheduleSummary, now: Timestamp) -> Duration {
    summary.state.next_due_at.map_or(Duration::ZERO, |due| now.since(due))
}

/// Names the first few that fit.
fn named(all: &[ScheduleSummary], fits: impl Fn(&ScheduleSummary) -> bool) -> Option<String> {
    let names: Vec<&str> = all.iter().filter(|summary| fits(summary)).map(ScheduleSummary::name).collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{shown}{more}"))
}
