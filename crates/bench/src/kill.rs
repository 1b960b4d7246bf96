//! `soak kill`: workers are killed with SIGKILL at named points of a job's path, under load, and
//! then every job is looked for.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use celeriac_broker::MessageState;
use celeriac_engine::{Checkpoints, Client, JobHandle};
use celeriac_protocol::{JobId, JobStatus};

use crate::process::Second;
use crate::setup::{self, Records};
use crate::tasks;
use crate::worker::worker_name;

/// How `soak kill` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many workers are killed.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// How many jobs are enqueued for each worker.
    #[arg(long, default_value_t = 300)]
    jobs_per_kill: u64,
    /// How many jobs a worker runs at a time.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// The lease, short so that the soak is.
    #[arg(long, default_value_t = 1_000)]
    lease_ms: u64,
    /// Jobs that leave no record: their journal alone tells that they ran.
    #[arg(long)]
    quiet: bool,
}

const LONGEST_WAIT: Duration = Duration::from_secs(120);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (db, journal) = (folder.path().join("kill.db"), folder.path().join("journal"));
    let client = setup::client(&db, false, Records::All).await?;
    let (mut enqueued, mut open) = (Vec::new(), Vec::new());
    let mut in_flight_at_kills = 0_u64;
    let mut kills_at: HashMap<String, usize> = HashMap::new();
    for kill in 0..options.kills {
        let numbers = enqueued.len() as u64..enqueued.len() as u64 + options.jobs_per_kill;
        let jobs = enqueue(&client, numbers, options.quiet).await?;
        open.extend_from_slice(&jobs);
        enqueued.extend(jobs);
        let point = Checkpoints::ALL[kill % Checkpoints::ALL.len()];
        let nth = nth(point, kill);
        let mut worker = Second::start(&arguments(&options, &db, &journal, Some(format!("{point}:{nth}"))))?;
        while let Some(line) = worker.line()? {
            if line.starts_with("parked") {
                break;
            }
        }
        let name = worker_name(worker.pid());
        worker.kill()?;
        in_flight_at_kills += held_by(&client, &name, &mut open).await?;
        *kills_at.entry(point.to_owned()).or_default() += 1;
    }
    let last = Second::start(&arguments(&options, &db, &journal, None))?;
    wait_until_empty(&client).await?;
    last.stop()?;
    let verdict = check(&client, &enqueued, &journal, options.quiet).await?;
    println!("workers killed with SIGKILL: {}", options.kills);
    for point in Checkpoints::ALL {
        println!("  at {point:<9} {}", kills_at.get(point).copied().unwrap_or(0));
    }
    println!("jobs enqueued:              {}", enqueued.len());
    println!("enqueued minus completed:   {}", verdict.missing.len());
    println!("records left running:       {}", verdict.running);
    println!("runs beyond the expected:   {}", verdict.surplus);
    println!("jobs in flight at kills:    {in_flight_at_kills}");
    anyhow::ensure!(verdict.missing.is_empty(), "jobs were lost: {:?}", verdict.missing);
    anyhow::ensure!(verdict.running == 0, "records say that jobs run which do not");
    anyhow::ensure!(verdict.surplus <= in_flight_at_kills, "more jobs ran twice than were in flight");
    Ok(())
}

async fn enqueue(client: &Client, numbers: Range<u64>, quiet: bool) -> anyhow::Result<Vec<JobId>> {
    fn ids<R>(handles: Vec<JobHandle<R>>) -> Vec<JobId> {
        handles.iter().map(|job| job.id().clone()).collect()
    }
    if quiet {
        return Ok(ids(client.enqueue_many(numbers.map(tasks::quiet_journal)).await?));
    }
    Ok(ids(client.enqueue_many(numbers.map(tasks::journal)).await?))
}

fn arguments(options: &Options, db: &Path, journal: &Path, park: Option<String>) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["worker", "--records", "all", "--db"].into_iter().map(str::to_owned).collect();
    arguments.push(db.display().to_string());
    arguments.extend(["--journal".to_owned(), journal.display().to_string()]);
    arguments.extend(["--concurrency".to_owned(), options.concurrency.to_string()]);
    arguments.extend(["--lease-ms".to_owned(), options.lease_ms.to_string()]);
    arguments.extend(park.map(|park| format!("--park={park}")));
    arguments
}

/// Counts what the killed worker held, and forgets the jobs that have left the queue.
async fn held_by(client: &Client, name: &str, open: &mut Vec<JobId>) -> anyhow::Result<u64> {
    let (mut held, mut left) = (0, Vec::new());
    for id in open.drain(..) {
        let Some(found) = client.broker().admin().find(&id).await? else { continue };
        held += u64::from(matches!(found.state, MessageState::Held { holder, .. } if holder == name));
        left.push(id);
    }
    *open = left;
    Ok(held)
}

/// Says when a worker parks. Points of a job are reached more often than points of a batch, and
/// each worker gets some work done first, so that it is killed under load.
fn nth(point: &str, kill: usize) -> usize {
    let of_a_job = [Checkpoints::FETCHED, Checkpoints::STARTING, Checkpoints::RAN].contains(&point);
    if of_a_job { 100 + 17 * (kill % 10) } else { 5 + kill % 20 }
}

async fn wait_until_empty(client: &Client) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    loop {
        let depths = client.broker().admin().depths().await?;
        let left: u64 = depths.iter().map(|depth| depth.ready + depth.held + depth.delayed).sum();
        if left == 0 {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed() < LONGEST_WAIT, "{left} messages are left after {LONGEST_WAIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Verdict {
    missing: Vec<JobId>,
    running: usize,
    surplus: u64,
}

/// Compares what was enqueued with the records, and the journal with what should stand in it.
///
/// Of `quiet` jobs there are no records; those that should have run and did not are missing.
async fn check(client: &Client, enqueued: &[JobId], journal: &Path, quiet: bool) -> anyhow::Result<Verdict> {
    let mut runs: HashMap<String, u64> = HashMap::new();
    for line in std::fs::read_to_string(journal)?.lines() {
        if let Some((id, _)) = line.split_once(' ') {
            *runs.entry(id.to_owned()).or_default() += 1;
        }
    }
    let mut verdict = Verdict { missing: Vec::new(), running: 0, surplus: 0 };
    for (number, id) in enqueued.iter().enumerate() {
        // Every tenth fails once and so runs twice.
        let expected = if number % 10 == 0 { 2 } else { 1 };
        let ran = runs.get(id.as_str()).copied().unwrap_or(0);
        let status = client.snapshot(id).await?.map(|snapshot| snapshot.status);
        verdict.running += usize::from(status == Some(JobStatus::Running));
        let is_done = if quiet { ran >= expected } else { status == Some(JobStatus::Completed) };
        if !is_done {
            verdict.missing.push(id.clone());
            continue;
        }
        anyhow::ensure!(!quiet || status.is_none(), "job {id} left a record");
        anyhow::ensure!(ran >= expected, "job {id} is completed but ran {ran} of {expected} times");
        verdict.surplus += ran - expected;
    }
    Ok(verdict)
}
