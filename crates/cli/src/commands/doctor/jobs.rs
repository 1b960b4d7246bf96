//! What is in the database: times, queues, dead letters, jobs that nobody runs.

use std::time::Duration;

use celeriac_broker::{MessageState, QueueDepth};
use celeriac_protocol::{JobId, JobStatus, Timestamp};
use celeriac_store::query::jobs::{self, JobFilter};

use super::finding::Finding;
use super::{DoctorArgs, schedules};
use crate::context::Context;
use crate::error::Result;
use crate::output::{ago, brief, counted, grouped};
use crate::platform::Platform;

/// No clock of ours was ever before this instant: 2026-01-01T00:00:00Z.
const EARLIEST: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// How far two clocks may differ.
const SKEW: Duration = Duration::from_secs(60);

/// How long a job may be ready before somebody is told that no worker seems to take from its queue. A worker looks
/// several times as often.
pub(super) const UNTAKEN: Duration = Duration::from_secs(10);

/// How many dead letters are counted.
const LETTERS: usize = 1_000;

/// How many running jobs are looked at.
const LOOKED_AT: u64 = 1_000;

/// Runs the checks of what is in the database.
pub(super) async fn check(
    context: &Context,
    platform: &Platform,
    args: &DoctorArgs,
    findings: &mut Vec<Finding>,
) {
    let now = context.clock.now();
    let or_failed =
        |check, found: Result<Finding>| found.unwrap_or_else(|error| Finding::failed(check, &error));
    findings.push(or_failed("clock", clock(platform, now).await));
    findings.push(or_failed("queues", queues(platform, now, args.max_wait.0).await));
    findings.push(or_failed("dead", dead(platform).await));
    let lease = context.loaded.config.worker.lease.0;
    findings.push(or_failed("running", running(platform, now, lease).await));
    findings.push(or_failed("schedules", schedules::check(platform, now).await));
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
    let depths = platform.broker().admin().depths().await?;
    let waits_for = |depth: &QueueDepth| depth.oldest_ready_at.map_or(Duration::ZERO, |at| now.since(at));
    let open = depths.iter().filter(|depth| depth.paused_at.is_none());
    let late: Vec<&QueueDepth> = open.filter(|depth| waits_for(depth) > longest).collect();
    if !late.is_empty() {
        let told =
            late.iter().map(|depth| format!("{} has waited for {}", depth.queue, brief(waits_for(depth))));
        let detail = told.collect::<Vec<_>>().join(", ");
        return Ok(Finding::wrong(
            "queues",
            detail,
            "no worker takes from there, or too few do; see `queues`",
        ));
    }
    let open = depths.iter().filter(|depth| depth.paused_at.is_none() && depth.held == 0);
    let untaken: Vec<String> = open
        .filter(|depth| waits_for(depth) > UNTAKEN)
        .map(|depth| {
            format!(
                "{} ready in {}, of which no worker has taken any",
                counted(depth.ready, "job"),
                depth.queue
            )
        })
        .collect();
    if !untaken.is_empty() {
        let hint = "start a `worker` that takes from there; -Q names its queues";
        return Ok(Finding::warning("queues", untaken.join(", "), hint));
    }
    let paused = depths.iter().filter_map(|depth| Some((depth, depth.paused_at?)));
    let paused: Vec<String> =
        paused.map(|(depth, at)| format!("{} was paused {}", depth.queue, ago(at, now))).collect();
    if !paused.is_empty() {
        return Ok(Finding::warning("queues", paused.join(", "), "let it go on with `queues resume`"));
    }
    let ready: u64 = depths.iter().map(|depth| depth.ready).sum();
    let held: u64 = depths.iter().map(|depth| depth.held).sum();
    Ok(Finding::ok(
        "queues",
        format!("{} ready, {} in the hands of workers", counted(ready, "job"), grouped(held)),
    ))
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

/// Looks for jobs that are recorded as running and that nobody holds.
async fn running(platform: &Platform, now: Timestamp, lease: Duration) -> Result<Finding> {
    if !platform.broker().capabilities().lookup {
        let name = platform.broker().capabilities().name;
        return Ok(Finding::ok(
            "running",
            format!("not looked at: a queue in {name} does not tell who holds a job"),
        ));
    }
    let reader = platform.database.reader();
    let silent = jobs::silent(reader, JobStatus::Running, now - lease * 2, 0, LOOKED_AT).await?;
    let mut stuck = Vec::new();
    for job in &silent {
        if !is_held(platform, &job.id, now - lease).await? {
            stuck.push(job.id.to_string());
        }
    }
    if stuck.is_empty() {
        return Ok(Finding::ok("running", "every running job is held by a worker"));
    }
    let detail = format!("{} recorded as running and held by nobody: {}", stuck.len(), stuck.join(", "));
    Ok(Finding::wrong("running", detail, "start a worker, which takes them up or corrects the record"))
}

async fn is_held(platform: &Platform, id: &JobId, since: Timestamp) -> Result<bool> {
    let found = platform.broker().admin().find(id).await?;
    Ok(found.is_some_and(|found| matches!(found.state, MessageState::Held { until, .. } if until > since)))
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
