//! Many jobs fall due at one instant, and a second process that waits for them runs them all.

use std::time::{Duration, Instant};

use celeriac_engine::Client;
use celeriac_protocol::Timestamp;

use super::drain::until_empty;
use super::report::Latency;
use super::start_worker;
use crate::ground::{Ground, Transport};
use crate::setup::Records;
use crate::tasks;
use crate::worker::Said;

/// Jobs that the worker runs at a time.
const CONCURRENCY: usize = 128;

/// How long before their time they are enqueued, which must be done by then.
const AHEAD: Duration = Duration::from_secs(4);

/// The same in RabbitMQ, where the 28 levels of delayed messages are made first and each message passes several.
const AHEAD_IN_RABBITMQ: Duration = Duration::from_secs(30);

/// Returns how long after their time they were started, and the last one was done with.
pub(super) async fn measure(
    ground: &Ground,
    client: &Client,
    records: Records,
    jobs: usize,
) -> anyhow::Result<Latency> {
    let worker = start_worker(&ground.place(), records, CONCURRENCY)?;
    let ahead = if ground.transport() == Transport::Amqp { AHEAD_IN_RABBITMQ } else { AHEAD };
    let (due_at, due): (Timestamp, Instant) = (client.clock().now() + ahead, Instant::now() + ahead);
    let stamped = (0..jobs).map(|_| tasks::stamp(due_at.as_micros()).eta(due_at));
    client.enqueue_many(stamped).await?;
    anyhow::ensure!(Instant::now() < due, "{jobs} jobs take longer to enqueue than {ahead:?}");
    tokio::time::sleep_until(due.into()).await;
    until_empty(ground, client).await?;
    let finished = due.elapsed();
    let said: Said = serde_json::from_str(&worker.stop()?)?;
    let started = said.latencies_micros.len();
    anyhow::ensure!(started == jobs, "{started} of {jobs} jobs were started");
    let what = format!("due to start, {jobs} at one instant; all done after {:.0} ms", millis(finished));
    Ok(Latency::of(what, said.latencies_micros))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
