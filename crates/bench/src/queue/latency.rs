//! How long a job takes from its enqueue to its start in another process, while the queue is short.

use std::time::Duration;

use celeriac_engine::Client;
use tokio::task::JoinSet;

use super::start_worker;
use crate::setup::{Place, Records};
use crate::tasks;
use crate::worker::Said;

/// Jobs that the worker runs at a time.
const CONCURRENCY: usize = 16;

/// How long the worker is left alone before the first job and after the last.
const REST: Duration = Duration::from_millis(500);

/// Enqueues `rate` jobs a second, whether or not earlier ones are stored yet, and returns the
/// microseconds of each.
pub(super) async fn measure(
    place: &Place,
    client: &Client,
    records: Records,
    rate: usize,
    samples: usize,
) -> anyhow::Result<Vec<i64>> {
    let worker = start_worker(place, records, CONCURRENCY)?;
    tokio::time::sleep(REST).await;
    let mut beat = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let mut sending = JoinSet::new();
    for _ in 0..samples {
        beat.tick().await;
        let sent_at = client.clock().now().as_micros();
        let client = client.clone();
        sending.spawn(async move { client.enqueue(tasks::stamp(sent_at)).await.map(drop) });
        while let Some(sent) = sending.try_join_next() {
            sent??;
        }
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    tokio::time::sleep(REST).await;
    let said: Said = serde_json::from_str(&worker.stop()?)?;
    let started = said.latencies_micros.len();
    anyhow::ensure!(started == samples, "{started} of {samples} jobs were started");
    Ok(said.latencies_micros)
}
