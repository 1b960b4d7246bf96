//! Workers: does somebody take what is ready, and is what is recorded as running held by one?

use std::time::Duration;

use celeriac_broker::{MessageState, QueueDepth};
use celeriac_db::Database;
use celeriac_engine::Client;
use celeriac_protocol::{JobId, JobStatus, Timestamp};
use celeriac_store::query::jobs;

use super::{Finding, HealthError};
use crate::words::{ago, brief, counted, grouped};

const CHECK: &str = "workers";

/// How long a job may be ready before somebody is told that no worker seems to take from its queue. A worker looks
/// several times as often.
pub const UNTAKEN: Duration = Duration::from_secs(10);

/// How many running jobs are looked at.
const LOOKED_AT: u64 = 1_000;

/// Whoever looks here knows nobody's lease; no sensible one is longer.
const LONGEST_LEASE: Duration = Duration::from_secs(600);

/// Looks at what waits and at what runs.
pub(super) async fn check(
    client: &Client,
    database: &Database,
    now: Timestamp,
    longest: Duration,
) -> Finding {
    match look(client, database, now, longest).await {
        Ok(findings) => Finding::joined(CHECK, findings),
        Err(error) => error.found_by(CHECK),
    }
}

async fn look(
    client: &Client,
    database: &Database,
    now: Timestamp,
    longest: Duration,
) -> Result<Vec<Finding>, HealthError> {
    let depths = client.broker().admin().depths().await?;
    let running = running(client, database, now, LONGEST_LEASE).await?;
    Ok(vec![queues(&depths, now, longest), running])
}

/// Looks for queues that nobody takes from.
pub fn queues(depths: &[QueueDepth], now: Timestamp, longest: Duration) -> Finding {
    let waits_for = |depth: &QueueDepth| depth.oldest_ready_at.map_or(Duration::ZERO, |at| now.since(at));
    let open = depths.iter().filter(|depth| depth.paused_at.is_none());
    let late: Vec<&QueueDepth> = open.filter(|depth| waits_for(depth) > longest).collect();
    if !late.is_empty() {
        let told =
            late.iter().map(|depth| format!("{} has waited for {}", depth.queue, brief(waits_for(depth))));
        let detail = told.collect::<Vec<_>>().join(", ");
        return Finding::wrong("queues", detail, "no worker takes from there, or too few do; see `queues`");
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
        return Finding::warning("queues", untaken.join(", "), hint);
    }
    let paused = depths.iter().filter_map(|depth| Some((depth, depth.paused_at?)));
    let paused: Vec<String> =
        paused.map(|(depth, at)| format!("{} was paused {}", depth.queue, ago(at, now))).collect();
    if !paused.is_empty() {
        return Finding::warning("queues", paused.join(", "), "let it go on with `queues resume`");
    }
    let ready: u64 = depths.iter().map(|depth| depth.ready).sum();
    let held: u64 = depths.iter().map(|depth| depth.held).sum();
    let detail = format!("{} ready, {} in the hands of workers", counted(ready, "job"), grouped(held));
    Finding::ok("queues", detail)
}

/// Looks for jobs that are recorded as running and that nobody holds.
///
/// # Errors
/// The records can't be read, or the queue can't be asked.
pub async fn running(
    client: &Client,
    database: &Database,
    now: Timestamp,
    lease: Duration,
) -> Result<Finding, HealthError> {
    let capabilities = client.broker().capabilities();
    if !capabilities.lookup {
        let name = capabilities.name;
        return Ok(Finding::ok(
            "running",
            format!("not looked at: a queue in {name} does not tell who holds a job"),
        ));
    }
    let silent = jobs::silent(database.reader(), JobStatus::Running, now - lease * 2, 0, LOOKED_AT).await?;
    let mut stuck = Vec::new();
    for job in &silent {
        if !is_held(client, &job.id, now - lease).await? {
            stuck.push(job.id.to_string());
        }
    }
    if stuck.is_empty() {
        return Ok(Finding::ok("running", "every running job is held by a worker"));
    }
    let detail = format!("{} recorded as running and held by nobody: {}", stuck.len(), stuck.join(", "));
    Ok(Finding::wrong("running", detail, "start a worker, which takes them up or corrects the record"))
}

async fn is_held(client: &Client, id: &JobId, since: Timestamp) -> Result<bool, HealthError> {
    let found = client.broker().admin().find(id).await?;
    Ok(found.is_some_and(|found| matches!(found.state, MessageState::Held { until, .. } if until > since)))
}
