//! The second process: a worker that runs until its input is closed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use celeriac_engine::{Checkpoints, States, Worker, WorkerOptions};
use serde::{Deserialize, Serialize};

use crate::process::{Usage, input_closed, usage};
use crate::setup::{self, Place, Records};
use crate::tasks::{self, Journal, Latencies};

/// Runs a worker until its input is closed, then says what it has used.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) place: Place,
    #[arg(long)]
    pub(crate) concurrency: usize,
    #[arg(long, value_enum)]
    pub(crate) records: Records,
    /// Where executions are noted.
    #[arg(long)]
    pub(crate) journal: Option<PathBuf>,
    /// `<checkpoint>:<n>`: park for good at the n-th time that this point is reached, and say so.
    #[arg(long)]
    pub(crate) park: Option<String>,
    #[arg(long, default_value_t = 30_000)]
    pub(crate) lease_ms: u64,
}

/// What a worker says at its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) usage: Usage,
    pub(crate) latencies_micros: Vec<i64>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let client = setup::open(&options.place, options.records).await?;
    let latencies = Latencies::default();
    let journal = options.journal.unwrap_or_else(|| PathBuf::from("/dev/null"));
    let file = std::fs::OpenOptions::new().append(true).create(true).open(journal)?;
    let states = States::default().with(latencies.clone()).with(Journal(Mutex::new(file)));
    let worker = WorkerOptions {
        name: worker_name(std::process::id()),
        concurrency: options.concurrency,
        lease: Duration::from_millis(options.lease_ms),
        max_deliveries: 1_000,
        checkpoints: options.park.map_or_else(|| Ok(Checkpoints::default()), |park| parking(&park))?,
        ..WorkerOptions::default()
    };
    let worker = Worker::new(client, tasks::registry(), states, worker)?;
    let stop = input_closed();
    println!("ready");
    worker.run(stop).await;
    let latencies_micros = latencies.0.lock().expect("nobody panics with the lock").clone();
    println!("{}", serde_json::to_string(&Said { usage: usage()?, latencies_micros })?);
    Ok(())
}

/// Returns the name under which a worker process holds its messages.
pub(crate) fn worker_name(pid: u32) -> String {
    format!("bench-{pid}")
}

/// Parks the thread that reaches the point for the n-th time, after saying so.
fn parking(park: &str) -> anyhow::Result<Checkpoints> {
    let (point, n) = park.split_once(':').ok_or_else(|| anyhow::anyhow!("read --park {park}"))?;
    let (point, n): (String, u64) = (point.to_owned(), n.parse()?);
    let reached = Arc::new(AtomicU64::new(0));
    Ok(Checkpoints::listen(move |at| {
        if at == point && reached.fetch_add(1, Ordering::SeqCst) + 1 == n {
            println!("parked at {at}");
            loop {
                std::thread::park();
            }
        }
    }))
}
