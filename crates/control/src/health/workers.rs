//! Workers: does somebody take what is ready, is what is recorded as running held by one, and has one fallen silent?

use std::time::Duration;

use celeriac_broker::{MessageState, QueueDepth};
use celeriac_db::Database;
use celeriac_engine::Client;
use celeriac_protocol::{JobId, JobStatus, Timestamp};
use celeriac_store::query::jobs;
use celeriac_store::query::workers::WorkerRecord;

use super::{Finding, HealthError};
use crate::Environment;
use crate::presence::{self, WorkersSeen};
use crate::words::{ago, brief, counted, grouped};

const CHECK: &str = "workers";

/// How long a job may be ready before somebody is told that no worker seems to take from its queue. A worker looks
/// several times as often.
pub const UNTAKEN: Duration = Duration::from_secs(10);

/// How many running jobs are looked at.
const LOOKED_AT: u64 = 1_000;

/// Whoever looks here knows nobody's lease; no sensible one is longer.
const LONGEST_LEASE: Duration = Duration::from_secs(600);

/// How long a worker that has fallen silent is told of. After that it was replaced or is not missed; one whose queue nobody
/// takes from is told of by that.
const MISSED: Duration = Duration::from_secs(3_600);

/// How many silent workers are named.
const NAMED: usize = 5;

/// Looks at what waits, at what runs, and at who runs it.
pub(super) async fn check(environment: &Environment, now: Timestamp, longest: Duration) -> Finding {
    match look(environment, now, longest).await {
        Ok(findings) => Finding::joined(CHECK, findings),
        Err(error) => error.found_by(CHECK),
    }
}

async fn look(
    environment: &Environment,
    now: Timestamp,
    longest: Duration,
) -> Result<Vec<Finding>, HealthError> {
    let client = environment.client();
    let depths = client.broker().admin().depths().await?;
    let running = running(client, environment.database(), now, LONGEST_LEASE).await?;
    let present = present(&presence::workers(environment).await?);
    Ok(vec![queues(&depths, now, longest), running, present])
}

/// Looks for workers that have fallen silent.
pub fn present(seen: &WorkersSeen) -> Finding {
    let is_missed = |worker: &&WorkerRecord| seen.now.since(worker.seen_at) <= MISSED;
    let missed: Vec<&WorkerRecord> = seen.silent().filter(is_missed).collect();
    if missed.is_empty() {
        return Finding::ok("present", format!("{} there", counted(seen.present().count() as u64, "worker")));
    }
    let told = missed.iter().take(NAMED).map(|worker| {
        let had = match worker.running {
            0 => String::new(),
            jobs => format!(" with {} in hand", counted(jobs, "job")),
        };
        format!("{} was last heard of {}{had}", worker.name, ago(worker.seen_at, seen.now))
    });
    let mut told: Vec<String> = told.collect();
    if missed.len() > NAMED {
        told.push(format!("and {} more", missed.len() - NAMED));
    }
    let hint = "look whether its process still runs; jobs that it had come back when their leases end";
    Finding::warning("present", told.join(", "), hint)
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

#[cfg(test)]
mod tests {
    use celeriac_store::query::workers::WorkerState;

    use super::*;
    use crate::health::Verdict;

    fn worker(name: &str, state: WorkerState, seen_at: Timestamp) -> WorkerRecord {
        WorkerRecord {
            name: name.to_owned(),
            app: "shop".to_owned(),
            host: "box".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            roles: vec!["worker".to_owned()],
            queues: Vec::new(),
            concurrency: 8,
            running: 2,
            in_flight: Vec::new(),
            state,
            started_at: Timestamp::EPOCH,
            seen_at,
            stopped_at: None,
            memory_bytes: None,
            cpu: None,
            loops: Vec::new(),
        }
    }

    #[test]
    fn a_worker_that_has_fallen_silent_is_named_for_an_hour() {
        let now = Timestamp::from_millis(100_000_000);
        let ago = |seconds| now - Duration::from_secs(seconds);
        let there = worker("there", WorkerState::Running, ago(3));
        let stopped = worker("stopped", WorkerState::Stopped, ago(300));
        let gone = worker("gone", WorkerState::Running, ago(4_000));
        let seen = WorkersSeen { now, workers: vec![there, stopped, gone] };
        assert_eq!(present(&seen), Finding::ok("present", "1 worker there"));
        let mut workers = seen.workers;
        workers.push(worker("lost", WorkerState::Draining, ago(180)));
        let found = present(&WorkersSeen { now, workers });
        assert_eq!(found.verdict, Verdict::Warning);
        assert_eq!(found.detail, "lost was last heard of 3m ago with 2 jobs in hand");
    }
}
