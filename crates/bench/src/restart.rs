//! `soak restart`: the queue's server is stopped and started under load, and then every job is looked for.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use celeriac_engine::Client;
use celeriac_protocol::JobId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ground::{Ground, Transport};
use crate::lost::{self, Verdict};
use crate::process::Second;
use crate::setup::{self, Place, Records};
use crate::tasks;

/// How `soak restart` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What carries the queue; a file can't be restarted.
    #[arg(long = "broker", value_enum, default_value = "redis")]
    transport: Transport,
    /// How often its server is stopped: by SIGKILL and in order, by turns.
    #[arg(long, default_value_t = 20)]
    restarts: usize,
    /// How many workers there are.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// How many jobs each runs at a time.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// The lease.
    #[arg(long, default_value_t = 5_000)]
    lease_ms: u64,
}

/// How many jobs are enqueued in one call.
const BATCH: u64 = 20;

/// How long it rests between two calls.
const REST: Duration = Duration::from_millis(50);

/// How long a call that failed rests before it is made again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long the server is up under load, and how long it is down: the n-th time n times this, up to five.
const UP: Duration = Duration::from_secs(1);
const DOWN: Duration = Duration::from_millis(400);

/// How soon each worker must be busy again.
const BUSY_WITHIN: Duration = Duration::from_secs(10);

/// How often journals are looked at.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut ground = Ground::start(options.transport, options.transport.durabilities()[0])?;
    anyhow::ensure!(ground.has_server(), "a file has no server that could be restarted");
    let place = ground.place();
    let client = setup::open(&place, Records::All).await?;
    let crew = Crew::start(&options, &place, ground.folder())?;
    let load = Load::begin(&client);
    let (mut returns, mut excused) = (Vec::new(), 0);
    for nth in 0..options.restarts {
        crew.until_busy(crew.written()?).await?;
        tokio::time::sleep(UP).await;
        let stored = load.stored();
        let left = lost::left(&ground, &client).await?;
        match nth % 2 {
            0 => ground.kill(),
            _ => ground.stop(),
        }
        // A moment passes between the look and the end: what waited or came since may be in flight by then.
        let since = load.begun.load(Ordering::Acquire) - stored;
        excused += left.held + left.waiting + since;
        tokio::time::sleep(DOWN * u32::try_from(nth % 5 + 1)?).await;
        let before = crew.written()?;
        ground.restart()?;
        returns.push(crew.until_busy(before).await?);
    }
    let (enqueued, failed, doubted) = load.end().await?;
    excused += doubted;
    lost::wait_until_empty(&ground, &client).await?;
    let journals = crew.stop()?;
    print(&options, &mut returns, failed);
    let verdict = Verdict::of(&client, &enqueued, &journals, false).await?;
    verdict.conclude("in flight or in doubt", excused)
}

fn print(options: &Options, returns: &mut [Duration], failed: u64) {
    returns.sort_unstable();
    let median = returns.get(returns.len() / 2).copied().unwrap_or_default();
    let longest = returns.last().copied().unwrap_or_default();
    let killed = options.restarts.div_ceil(2);
    println!("restarts:                   {} ({killed} by SIGKILL)", options.restarts);
    println!("workers:                    {}, {} jobs at a time each", options.workers, options.concurrency);
    println!("all busy after a return:    {median:.2?} (median), {longest:.2?} (longest)");
    println!("enqueue calls that failed:  {failed}, made again under the same ids");
}

/// The workers, each with a journal of its own.
struct Crew {
    workers: Vec<Second>,
    journals: Vec<PathBuf>,
}

impl Crew {
    fn start(options: &Options, place: &Place, folder: &Path) -> anyhow::Result<Self> {
        let journals: Vec<PathBuf> =
            (0..options.workers).map(|n| folder.join(format!("journal-{n}"))).collect();
        let mut workers = Vec::with_capacity(options.workers);
        for journal in &journals {
            let mut arguments = vec!["worker".to_owned(), "--records".to_owned(), "all".to_owned()];
            arguments.extend(place.arguments());
            arguments.extend(["--journal".to_owned(), journal.display().to_string()]);
            arguments.extend(["--concurrency".to_owned(), options.concurrency.to_string()]);
            arguments.extend(["--lease-ms".to_owned(), options.lease_ms.to_string()]);
            let mut worker = Second::start(&arguments)?;
            anyhow::ensure!(worker.line()?.as_deref() == Some("ready"), "a worker did not start");
            workers.push(worker);
        }
        Ok(Self { workers, journals })
    }

    /// Returns how much each has written in its journal.
    fn written(&self) -> anyhow::Result<Vec<u64>> {
        self.journals.iter().map(|journal| Ok(std::fs::metadata(journal)?.len())).collect()
    }

    /// Waits until every worker has run a job more than it had at `before`.
    async fn until_busy(&self, before: Vec<u64>) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while self.written()?.iter().zip(&before).any(|(now, before)| now == before) {
            let waited = begun.elapsed();
            anyhow::ensure!(waited < BUSY_WITHIN, "not every worker was busy again after {waited:?}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(begun.elapsed())
    }

    fn stop(self) -> anyhow::Result<Vec<PathBuf>> {
        self.workers.into_iter().try_for_each(|worker| worker.stop().map(drop))?;
        Ok(self.journals)
    }
}

/// Enqueues without a pause, and makes every call again that fails, under the same ids.
struct Load {
    enqueued: Arc<Mutex<Vec<JobId>>>,
    /// How many jobs calls have been begun for; those that are stored stand in `enqueued`.
    begun: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    doubted: Arc<AtomicU64>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Load {
    fn begin(client: &Client) -> Self {
        let (enqueued, failed) = (Arc::<Mutex<Vec<JobId>>>::default(), Arc::<AtomicU64>::default());
        let (doubted, begun) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn({
            let (client, enqueued, stop) = (client.clone(), Arc::clone(&enqueued), stop.clone());
            let (failed, doubted, begun) = (Arc::clone(&failed), Arc::clone(&doubted), Arc::clone(&begun));
            async move {
                while !stop.is_cancelled() {
                    begun.fetch_add(BATCH, Ordering::Release);
                    let tries = enqueue(&client, &enqueued).await;
                    failed.fetch_add(tries - 1, Ordering::Relaxed);
                    if tries > 1 {
                        // What the failed call had stored may have run before it was made again: each tenth twice.
                        doubted.fetch_add(BATCH + BATCH / 10, Ordering::Relaxed);
                    }
                    tokio::time::sleep(REST).await;
                }
            }
        });
        Self { enqueued, begun, failed, doubted, stop, running }
    }

    /// Returns how many jobs are stored by calls that have returned.
    fn stored(&self) -> u64 {
        self.enqueued.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Ends it and returns what was enqueued, how many calls failed, and how many runs are in doubt by that.
    async fn end(mut self) -> anyhow::Result<(Vec<JobId>, u64, u64)> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended?;
        }
        let enqueued = self.enqueued.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((enqueued, self.failed.load(Ordering::Relaxed), self.doubted.load(Ordering::Relaxed)))
    }
}

/// Enqueues a batch and returns how many calls that took.
async fn enqueue(client: &Client, enqueued: &Mutex<Vec<JobId>>) -> u64 {
    let first = enqueued.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
    let ids: Vec<JobId> = (0..BATCH).map(|_| JobId::fresh(client.clock().now())).collect();
    let mut tries = 0;
    loop {
        let jobs = ids.iter().zip(first..).map(|(id, number)| tasks::journal(number).id(id.clone()));
        let jobs: Vec<_> = jobs.collect();
        tries += 1;
        match client.enqueue_many(jobs).await {
            Ok(_) => break,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
    enqueued.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    tries
}
