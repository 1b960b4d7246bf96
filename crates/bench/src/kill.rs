//! `soak kill`: workers are killed with SIGKILL at named points of a job's path, under load, and
//! then every job is looked for.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use celeriac_broker::MessageState;
use celeriac_engine::{Checkpoints, Client, JobHandle};
use celeriac_protocol::JobId;

use crate::ground::{Ground, Transport};
use crate::lost::{self, Verdict};
use crate::process::Second;
use crate::setup::{self, Place, Records};
use crate::tasks;
use crate::worker::worker_name;

/// How `soak kill` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What carries the queue.
    #[arg(long = "broker", value_enum, default_value = "sqlite")]
    transport: Transport,
    /// How many workers are killed.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// How many work at a time.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
    /// How many jobs are enqueued for each worker.
    #[arg(long, default_value_t = 300)]
    jobs_per_kill: u64,
    /// How many jobs a worker runs at a time.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// The lease, short so that the soak is, and long enough that none ends while its worker lives.
    #[arg(long, default_value_t = 4_000)]
    lease_ms: u64,
    /// Jobs that leave no record: their journal alone tells that they ran.
    #[arg(long)]
    quiet: bool,
}

/// How long a worker may take to come to its point.
const LONGEST_WAY: Duration = Duration::from_secs(120);

/// How often the queue is looked at, lest it run empty before all workers have come to their points.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    anyhow::ensure!(options.at_once > 0, "at least one worker is killed at a time");
    let ground = Ground::start(options.transport, options.transport.durabilities()[0])?;
    let place = ground.place();
    let client = setup::open(&place, Records::All).await?;
    let journal = ground.folder().join("journal");
    let mut soak =
        Soak { options, place, client, journal, enqueued: Vec::new(), open: Vec::new(), in_flight: 0 };
    let mut kills_at: HashMap<String, usize> = HashMap::new();
    let mut kill = 0;
    while kill < soak.options.kills {
        let round = kill..soak.options.kills.min(kill + soak.options.at_once);
        kill = round.end;
        for point in soak.kill(round).await? {
            *kills_at.entry(point.to_owned()).or_default() += 1;
        }
    }
    let last = Second::start(&soak.arguments(None))?;
    lost::wait_until_empty(&soak.client).await?;
    last.stop()?;
    println!("workers killed with SIGKILL: {}, {} at a time", soak.options.kills, soak.options.at_once);
    for point in Checkpoints::ALL {
        println!("  at {point:<9} {}", kills_at.get(point).copied().unwrap_or(0));
    }
    let Soak { options, client, journal, enqueued, in_flight, .. } = soak;
    let verdict = Verdict::of(&client, &enqueued, &[journal], options.quiet).await?;
    verdict.conclude("jobs in flight at kills", in_flight)
}

/// A soak as it goes on.
struct Soak {
    options: Options,
    place: Place,
    client: Client,
    journal: PathBuf,
    enqueued: Vec<JobId>,
    /// Those that were in the queue when it was last looked for them.
    open: Vec<JobId>,
    /// How many were in the hands of workers when these were killed.
    in_flight: u64,
}

impl Soak {
    /// Starts workers, lets each come to its point under load, kills it there, and returns the points.
    ///
    /// A worker that has come to its point may hold what the others need, such as the write lock of a
    /// file, so it is killed at once.
    async fn kill(&mut self, round: Range<usize>) -> anyhow::Result<Vec<&'static str>> {
        let points: Vec<&str> =
            round.clone().map(|kill| Checkpoints::ALL[kill % Checkpoints::ALL.len()]).collect();
        self.enqueue(self.options.jobs_per_kill * round.len() as u64).await?;
        let (parked, hear) = channel();
        for (kill, point) in round.zip(&points) {
            let worker = Second::start(&self.arguments(Some(format!("{point}:{}", nth(point, kill)))))?;
            watch(worker, parked.clone());
        }
        let (begun, mut left) = (std::time::Instant::now(), points.len());
        while left > 0 {
            anyhow::ensure!(begun.elapsed() < LONGEST_WAY, "{left} workers did not come to their points");
            let Ok(worker) = hear.try_recv() else {
                self.feed().await?;
                continue;
            };
            left -= 1;
            let name = worker_name(worker.pid());
            worker.kill()?;
            self.count_held(&name).await?;
        }
        Ok(points)
    }

    /// Enqueues more where the queue runs low.
    async fn feed(&mut self) -> anyhow::Result<()> {
        if lost::waiting(&self.client).await? < self.options.jobs_per_kill / 4 {
            self.enqueue(self.options.jobs_per_kill / 2).await?;
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    async fn enqueue(&mut self, jobs: u64) -> anyhow::Result<()> {
        fn ids<R>(handles: Vec<JobHandle<R>>) -> Vec<JobId> {
            handles.iter().map(|job| job.id().clone()).collect()
        }
        let numbers = self.enqueued.len() as u64..self.enqueued.len() as u64 + jobs;
        let jobs = match self.options.quiet {
            true => ids(self.client.enqueue_many(numbers.map(tasks::quiet_journal)).await?),
            false => ids(self.client.enqueue_many(numbers.map(tasks::journal)).await?),
        };
        self.open.extend_from_slice(&jobs);
        self.enqueued.extend(jobs);
        Ok(())
    }

    fn arguments(&self, park: Option<String>) -> Vec<String> {
        let options = &self.options;
        let mut arguments = vec!["worker".to_owned(), "--records".to_owned(), "all".to_owned()];
        arguments.extend(self.place.arguments());
        arguments.extend(["--journal".to_owned(), self.journal.display().to_string()]);
        arguments.extend(["--concurrency".to_owned(), options.concurrency.to_string()]);
        arguments.extend(["--lease-ms".to_owned(), options.lease_ms.to_string()]);
        arguments.extend(park.map(|park| format!("--park={park}")));
        arguments
    }

    /// Counts what a killed worker held, and forgets the jobs that have left the queue.
    async fn count_held(&mut self, name: &str) -> anyhow::Result<()> {
        let mut left = Vec::new();
        for id in self.open.drain(..) {
            let Some(found) = self.client.broker().admin().find(&id).await? else { continue };
            self.in_flight +=
                u64::from(matches!(found.state, MessageState::Held { holder, .. } if holder == name));
            left.push(id);
        }
        self.open = left;
        Ok(())
    }
}

/// Waits in a thread of its own until a worker parks, or ends, and hands it over.
fn watch(mut worker: Second, parked: Sender<Second>) {
    std::thread::spawn(move || {
        while worker.line().is_ok_and(|line| line.is_some_and(|line| !line.starts_with("parked"))) {}
        // Nobody takes it where the soak has failed; then it is killed by being dropped.
        let _ = parked.send(worker);
    });
}

/// Says when a worker parks. Points of a job are reached more often than points of a batch, and
/// each worker gets some work done first, so that it is killed under load.
fn nth(point: &str, kill: usize) -> usize {
    let of_a_job = [Checkpoints::FETCHED, Checkpoints::STARTING, Checkpoints::RAN].contains(&point);
    if of_a_job { 100 + 17 * (kill % 10) } else { 5 + kill % 20 }
}
