//! The limit: what any worker would have to ask of the server for each job, with nothing around it.

use std::path::Path;
use std::time::Instant;

use celeriac_protocol::{Arguments, Clock as _, Envelope, JobId, TaskMessage};

use crate::ground::{Durability, Ground, Transport};

mod amqp;
mod postgres;
mod redis;
mod sqlite;

/// How many jobs a second each step does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) batch: usize,
    /// Put into the queue.
    pub(crate) insert: f64,
    /// Claimed in one step and removed in the next, as a worker must.
    pub(crate) drain: f64,
}

impl Rates {
    fn a_second(jobs: usize, start: Instant) -> f64 {
        jobs as f64 / start.elapsed().as_secs_f64()
    }
}

/// The batch sizes that are tried; the best counts.
const BATCHES: [usize; 6] = [1, 16, 64, 128, 512, 2_000];

/// Measures every batch size on a fresh server, prints all, and returns the best.
pub(crate) async fn sweep(
    transport: Transport,
    durability: Durability,
    jobs: usize,
) -> anyhow::Result<Rates> {
    let ground = Ground::start(transport, durability)?;
    let envelope = envelope()?;
    let mut rates = Vec::new();
    for batch in BATCHES {
        // One by one a disk that is waited for takes long.
        let jobs = if batch == 1 { jobs.min(5_000) } else { jobs };
        rates.push(measure(transport, &ground, &envelope, jobs, batch).await?);
    }
    rates.sort_by(|a, b| a.drain.total_cmp(&b.drain));
    println!("bare rates, {}, {transport:?} {} ({}):", how(transport), durability.name, durability.means);
    for rate in &rates {
        let Rates { batch, insert, drain } = rate;
        println!("  batches of {batch:>5}: {insert:>9.0} put in/s, {drain:>9.0} claimed and removed/s");
    }
    rates.last().copied().ok_or_else(|| anyhow::anyhow!("no batch size was measured"))
}

/// Says what is done for each job.
fn how(transport: Transport) -> &'static str {
    match transport {
        Transport::Sqlite => "the same rows by prepared statements",
        Transport::Redis => {
            "Celery's own commands pipelined on one connection by a loop of ours, since redis-benchmark repeats one \
             command only (LPUSH; RPOP n; HSET and ZADD each; HDEL and ZREM each)"
        }
        Transport::Amqp => {
            "the very message published with confirms, and taken and acknowledged a batch at a time, by the client library"
        }
        Transport::Postgres => "the same rows by prepared statements, each for a batch, on one connection",
    }
}

async fn measure(
    transport: Transport,
    ground: &Ground,
    envelope: &Envelope,
    jobs: usize,
    batch: usize,
) -> anyhow::Result<Rates> {
    let place = ground.place();
    match transport {
        Transport::Sqlite => {
            let file = ground.folder().join(format!("bare-{batch}.db"));
            sqlite::measure(Path::new(&file), envelope, jobs, batch, place.power)
        }
        Transport::Redis => redis::measure(place.queue.as_deref().unwrap_or_default(), envelope, jobs, batch),
        Transport::Amqp => {
            amqp::measure(place.queue.as_deref().unwrap_or_default(), envelope, jobs, batch).await
        }
        Transport::Postgres => postgres::measure(&place.db, envelope, jobs, batch).await,
    }
}

/// Makes the envelope that a job of the measurement travels in.
fn envelope() -> anyhow::Result<Envelope> {
    let args = Arguments::from_named(&serde_json::json!({"number": 12345}))?;
    let id = JobId::fresh(celeriac_engine::SystemClock.now());
    Ok(TaskMessage::new(id, "bench.noop", args).encode())
}
