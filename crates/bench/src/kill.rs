//! `soak kill`: workers are killed with SIGKILL at named points of a job's path, under load, and
//! then every job is looked for.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use celeriac_engine::{Checkpoints, Client};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::jobs::Jobs;
use crate::ground::{Ground, Transport};
use crate::lost::{self, Verdict};
use crate::process::Second;
use crate::setup::{Place, Records};
use crate::worker::worker_name;
use crate::{marks, setup};

mod jobs;

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
    let client = setup::open(&ground.place(), Records::All).await?;
    let (journal, jobs) = (ground.folder().join("journal"), Jobs::new(options.quiet));
    let mut soak = Soak { options, ground, client, journal, jobs, in_flight: 0, idle: 0 };
    let mut kills_at: HashMap<String, usize> = HashMap::new();
    let mut kill = 0;
    while kill < soak.options.kills {
        let round = kill..soak.options.kills.min(kill + soak.options.at_once);
        kill = round.end;
        for point in soak.kill(round).await? {
            *kills_at.entry(point.to_owned()).or_default() += 1;
        }
    }
    let last = Second::start(&soak.arguments(&soak.ground.place()))?;
    lost::wait_until_empty(&soak.ground, &soak.client).await?;
    last.stop()?;
    println!("workers killed with SIGKILL: {}, {} at a time", soak.options.kills, soak.options.at_once);
    for point in Checkpoints::ALL {
        println!("  at {point:<9} {}", kills_at.get(point).copied().unwrap_or(0));
    }
    println!("killed with nothing in hand: {}", soak.idle);
    let Soak { options, client, journal, jobs, in_flight, idle, .. } = soak;
    let verdict = Verdict::of(&client, jobs.ids(), &[journal], jobs.is_quiet()).await?;
    anyhow::ensure!(2 * idle <= options.kills, "most workers had nothing in hand, which proves nothing");
    verdict.conclude("jobs in flight at kills", in_flight)
}

/// A soak as it goes on.
struct Soak {
    options: Options,
    ground: Ground,
    client: Client,
    journal: PathBuf,
    jobs: Jobs,
    /// How many were in the hands of workers when these were killed, and how many were to follow them.
    in_flight: u64,
    /// How many workers had nothing in hand.
    idle: usize,
}

/// A worker that is to be killed.
struct Doomed {
    process: Second,
    /// Where it notes what it takes, where the queue can't tell.
    marks: Option<PathBuf>,
}

/// A worker that is gone.
struct Killed {
    /// Under which it held its messages.
    name: String,
    marks: Option<PathBuf>,
    /// The next one lives until what this one held is counted, since its leases last only so long.
    _turn: OwnedSemaphorePermit,
}

impl Soak {
    /// Starts workers, lets each come to its point under load, where it is killed, and returns the points.
    async fn kill(&mut self, round: Range<usize>) -> anyhow::Result<Vec<&'static str>> {
        let points: Vec<&str> =
            round.clone().map(|kill| Checkpoints::ALL[kill % Checkpoints::ALL.len()]).collect();
        self.enqueue(self.options.jobs_per_kill * round.len() as u64).await?;
        let ((killed, hear), turns) = (channel(), Arc::new(Semaphore::new(1)));
        for (kill, point) in round.zip(&points) {
            watch(self.start(kill, point)?, Arc::clone(&turns), killed.clone());
        }
        let (begun, mut left) = (std::time::Instant::now(), points.len());
        while left > 0 {
            anyhow::ensure!(begun.elapsed() < LONGEST_WAY, "{left} workers did not come to their points");
            let Ok(worker) = hear.try_recv() else {
                self.feed().await?;
                continue;
            };
            left -= 1;
            self.count_in_hand(&worker?).await?;
        }
        Ok(points)
    }

    /// Enqueues more where the queue runs low.
    async fn feed(&mut self) -> anyhow::Result<()> {
        if lost::left(&self.ground, &self.client).await?.waiting < self.options.jobs_per_kill / 4 {
            self.enqueue(self.options.jobs_per_kill / 2).await?;
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    async fn enqueue(&mut self, jobs: u64) -> anyhow::Result<()> {
        self.jobs.enqueue(&self.client, jobs).await
    }

    fn start(&self, kill: usize, point: &str) -> anyhow::Result<Doomed> {
        let can_tell = self.client.broker().capabilities().lookup;
        let marks = (!can_tell).then(|| self.ground.folder().join(format!("marks-{kill}")));
        let mut arguments = self.arguments(&Place { marks: marks.clone(), ..self.ground.place() });
        arguments.push(format!("--park={point}:{}", nth(point, kill)));
        Ok(Doomed { process: Second::start(&arguments)?, marks })
    }

    fn arguments(&self, place: &Place) -> Vec<String> {
        let options = &self.options;
        let mut arguments = vec!["worker".to_owned(), "--records".to_owned(), "all".to_owned()];
        arguments.extend(place.arguments());
        arguments.extend(["--journal".to_owned(), self.journal.display().to_string()]);
        arguments.extend(["--concurrency".to_owned(), options.concurrency.to_string()]);
        arguments.extend(["--lease-ms".to_owned(), options.lease_ms.to_string()]);
        arguments
    }

    /// Counts what a killed worker had in hand: by what the queue says, or by what the worker has noted.
    async fn count_in_hand(&mut self, killed: &Killed) -> anyhow::Result<()> {
        let in_hand = match &killed.marks {
            Some(marks) => marks::in_hand(marks)?,
            None => self.jobs.held_by(&self.client, &killed.name).await?,
        };
        // Who can't look a message up can't put it back in one step either: that is RabbitMQ.
        self.in_flight += self.jobs.may_run_again(&in_hand, killed.marks.is_none());
        self.idle += usize::from(in_hand.is_empty());
        Ok(())
    }
}

/// Waits in a thread of its own until a worker parks, or ends, and kills it as soon as nobody counts: it may hold what
/// others need, such as the write lock of a file or of a row, the soak itself among them where it enqueues.
fn watch(mut worker: Doomed, turns: Arc<Semaphore>, killed: Sender<anyhow::Result<Killed>>) {
    let runtime = Handle::current();
    std::thread::spawn(move || {
        while worker.process.line().is_ok_and(|line| line.is_some_and(|line| !line.starts_with("parked"))) {}
        let turn = runtime.block_on(turns.acquire_owned()).expect("turns are never closed");
        let (name, marks) = (worker_name(worker.process.pid()), worker.marks);
        // Nobody hears of it where the soak has failed.
        let _ = killed.send(worker.process.kill().map(|()| Killed { name, marks, _turn: turn }));
    });
}

/// Says when a worker parks. Points of a job are reached more often than points of a batch, and those more often than
/// points of a batch with a job that is followed; and each worker gets some work done first, so that it is killed
/// under load.
fn nth(point: &str, kill: usize) -> usize {
    match point {
        Checkpoints::FETCHED | Checkpoints::STARTING | Checkpoints::RAN => 100 + 17 * (kill % 10),
        Checkpoints::FOLLOWED => 3 + kill % 7,
        _ => 5 + kill % 20,
    }
}
