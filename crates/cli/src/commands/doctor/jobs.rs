//! What is in the database: times, queues, dead letters, jobs that nobody runs.

use std::time::Duration;

use celeriac_control::health::{self, Finding};
use celeriac_protocol::Timestamp;
use celeriac_store::query::jobs::{self, JobFilter};

use super::DoctorArgs;
use super::finding::failed;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::{brief, counted, grouped};
use crate::platform::Platform;

/// No clock of ours was ever before this instant: 2026-01-01T00:00:00Z.
const EARLIEST: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// How far two clocks may differ.
const SKEW: Duration = Duration::from_secs(60);

/// How many dead letters are counted.
const LETTERS: usize = 1_000;

/// Runs the checks of what is in the database.
pub(super) async fn check(
    context: &Context,
    platform: &Platform,
    args: &DoctorArgs,
    findings: &mut Vec<Finding>,
) {
    let now = context.clock.now();
    let or_failed = |check, found: Result<Finding>| found.unwrap_or_else(|error| failed(check, &error));
    findings.push(or_failed("clock", clock(platform, now).await));
    findings.push(or_failed("queues", queues(platform, now, args.max_wait.0).await));
    findings.push(or_failed("dead", dead(platform).await));
    let lease = context.loaded.config.worker.lease.0;
    let running = health::running(&platform.client, &platform.database, now, lease).await;
    findings.push(or_failed("running", running.map_err(Failure::from)));
    let schedules = health::schedules(&platform.database, now, health::OVERDUE).await;
    findings.push(or_failed("schedules", schedules.map_err(Failure::from)));
}

/// Compares the clock with the newest record.
async fn clock(platform: &Platform, now: Timestamp) -> Result<Finding> {
    let newest = jobs::list(platform.database.reader(), &JobFilter::default(), None, 1).await?;
    let newest = newest.jobs.first().map(|job| job.created_at);
    Ok(match fault_of_clock(now, newest) {
        Some(fault) => {
            let hint = "set the clock, best by NTP: leases and due times depend on it";
            Finding::wrong("clock", format!("it is {now}, {fault}"), hint)
        }
        None => Finding::ok("clock", now.to_string()),
    })
}

fn fault_of_clock(now: Timestamp, newest: Option<Timestamp>) -> Option<String> {
    if now < EARLIEST {
        return Some("which can't be".to_owned());
    }
    let newest = newest.filter(|newest| *newest > now + SKEW)?;
    Some(format!("but the newest job is from {} later", brief(newest.since(now))))
}

/// Looks for queues that nobody takes from.
async fn queues(platform: &Platform, now: Timestamp, longest: Duration) -> Result<Finding> {
    Ok(health::queues(&platform.broker().admin().depths().await?, now, longest))
}

/// Counts dead letters, as `dead list` shows them.
async fn dead(platform: &Platform) -> Result<Finding> {
    let (mut ids, mut before) = (Vec::new(), Some(None));
    while let Some(from) = before
        && ids.len() < LETTERS
    {
        let page = platform.client.dead_letters(from, LETTERS - ids.len()).await?;
        ids.extend(page.letters.into_iter().map(|letter| letter.envelope.id));
        before = page.next.map(Some);
    }
    if ids.is_empty() {
        return Ok(Finding::ok("dead", "no dead letters"));
    }
    let known = platform.recorded(&ids).await?;
    let foreign = ids.iter().filter(|id| !known.contains(*id)).count() as u64;
    let more = if before.is_some() { "at least " } else { "" };
    let mut detail = format!("{more}{}", counted(ids.len() as u64, "dead letter"));
    if foreign > 0 {
        detail.push_str(&format!(", {} of jobs that this database has no record of", grouped(foreign)));
    }
    let hint = "look at them with `dead list`, then `dead retry` or `dead drop`";
    Ok(Finding::warning("dead", detail, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(now: Timestamp, newest: Option<Timestamp>, expected: Option<&str>) {
        assert_eq!(fault_of_clock(now, newest).as_deref(), expected, "{now} {newest:?}");
    }

    #[test]
    fn clock_before_its_time_or_behind_the_records_is_wrong() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        check(EARLIEST - second, None, Some("which can't be"));
        check(EARLIEST, None, None);
        check(EARLIEST, Some(EARLIEST + SKEW), None);
        check(EARLIEST, Some(EARLIEST + hour), Some("but the newest job is from 1h later"));
        check(EARLIEST + hour, Some(EARLIEST), None);
    }
}
