//! A second process empties the queue, and this one looks on.

use std::time::{Duration, Instant};

use celeriac_engine::Client;

use super::look::Look;
use crate::ground::Ground;
use crate::process::Second;
use crate::setup::{Place, Records};
use crate::worker::Said;

const LONGEST_DRAIN: Duration = Duration::from_secs(300);

/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Returns what a worker process is started with.
pub(crate) fn worker_arguments(place: &Place, records: Records, concurrency: usize) -> Vec<String> {
    let mut arguments = vec!["worker".to_owned()];
    arguments.extend(place.arguments());
    let records = format!("{records:?}").to_lowercase();
    arguments.extend(["--concurrency".to_owned(), concurrency.to_string(), "--records".to_owned(), records]);
    arguments
}

/// Starts a worker process, and returns when it takes jobs.
pub(crate) fn start_worker(place: &Place, records: Records, concurrency: usize) -> anyhow::Result<Second> {
    let mut worker = Second::start(&worker_arguments(place, records, concurrency))?;
    anyhow::ensure!(worker.line()?.as_deref() == Some("ready"), "the worker did not start");
    Ok(worker)
}

/// Lets a second process drain the queue, and times it from its first breath to the empty queue.
pub(super) async fn run(
    ground: &Ground,
    records: Records,
    concurrency: usize,
    client: &Client,
) -> anyhow::Result<(Duration, Said)> {
    let worker = start_worker(&ground.place(), records, concurrency)?;
    let start = Instant::now();
    until_empty(ground, client).await?;
    let elapsed = start.elapsed();
    Ok((elapsed, serde_json::from_str(&worker.stop()?)?))
}

/// Waits until nothing waits and nobody holds anything.
pub(super) async fn until_empty(ground: &Ground, client: &Client) -> anyhow::Result<()> {
    let (start, mut look) = (Instant::now(), Look::at(ground, client)?);
    let pause = ground.between_looks(LOOK);
    while !look.finds_nothing().await? {
        anyhow::ensure!(start.elapsed() < LONGEST_DRAIN, "the queue is not empty after {LONGEST_DRAIN:?}");
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
