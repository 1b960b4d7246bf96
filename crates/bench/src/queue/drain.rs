//! A second process empties the queue, and this one looks on.

use std::time::{Duration, Instant};

use celeriac_engine::Client;

use crate::process::Second;
use crate::setup::{Place, Records};
use crate::worker::Said;

const LONGEST_DRAIN: Duration = Duration::from_secs(300);

/// How often the queue is looked at: counting costs the server time, so seldom until it is short.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(4));

/// How few jobs are a short queue.
const SHORT: u64 = 5_000;

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
    place: &Place,
    records: Records,
    concurrency: usize,
    client: &Client,
) -> anyhow::Result<(Duration, Said)> {
    let worker = start_worker(place, records, concurrency)?;
    let start = Instant::now();
    until_empty(client).await?;
    let elapsed = start.elapsed();
    Ok((elapsed, serde_json::from_str(&worker.stop()?)?))
}

/// Waits until nothing waits and nobody holds anything.
pub(super) async fn until_empty(client: &Client) -> anyhow::Result<()> {
    let (start, admin) = (Instant::now(), client.broker().admin());
    loop {
        let depths = admin.depths().await?;
        let left: u64 = depths.iter().map(|depth| depth.ready + depth.held + depth.delayed).sum();
        if left == 0 {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed() < LONGEST_DRAIN, "{left} jobs are left after {LONGEST_DRAIN:?}");
        tokio::time::sleep(if left < SHORT { LOOK.1 } else { LOOK.0 }).await;
    }
}
