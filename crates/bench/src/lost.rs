//! Looks for every job that was enqueued: in the queue, in the records, in the journals of those who ran them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use celeriac_engine::Client;
use celeriac_protocol::{JobId, JobStatus};

use crate::ground::{Ground, Left};

/// How long the queue may take to run empty.
const LONGEST_WAIT: Duration = Duration::from_secs(180);

/// How long a look at the queue may fail, while its server is coming back.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until the queue holds nothing.
pub(crate) async fn wait_until_empty(ground: &Ground, client: &Client) -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    loop {
        let left = left(ground, client).await?;
        if left.waiting + left.held == 0 {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < LONGEST_WAIT, "{left:?} after {LONGEST_WAIT:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Counts what is in the queue. Asks again while its server is coming back.
pub(crate) async fn left(ground: &Ground, client: &Client) -> anyhow::Result<Left> {
    let begun = std::time::Instant::now();
    loop {
        match count(ground, client).await {
            Err(_) if begun.elapsed() < LONGEST_SILENCE => tokio::time::sleep(LOOK).await,
            counted => return counted,
        }
    }
}

async fn count(ground: &Ground, client: &Client) -> anyhow::Result<Left> {
    if let Some(left) = ground.left_in_rabbitmq()? {
        return Ok(left);
    }
    let depths = client.broker().admin().depths().await?;
    Ok(depths.iter().fold(Left::default(), |sum, depth| Left {
        waiting: sum.waiting + depth.ready + depth.delayed,
        held: sum.held + depth.held,
    }))
}

/// What became of the jobs.
pub(crate) struct Verdict {
    enqueued: usize,
    missing: Vec<JobId>,
    running: usize,
    surplus: u64,
}

impl Verdict {
    /// Compares what was enqueued with the records, and the journals with what should stand in them.
    /// The number of a job is its place.
    ///
    /// Of `quiet` jobs there are no records; those that should have run and did not are missing.
    pub(crate) async fn of(
        client: &Client,
        enqueued: &[JobId],
        journals: &[PathBuf],
        quiet: bool,
    ) -> anyhow::Result<Self> {
        let runs = runs(journals)?;
        let mut verdict = Self { enqueued: enqueued.len(), missing: Vec::new(), running: 0, surplus: 0 };
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

    /// Prints it; an error where a job was lost, is said to run, or too many ran again: no more than
    /// `excused`, which are the jobs that `excuse` names.
    pub(crate) fn conclude(&self, excuse: &str, excused: u64) -> anyhow::Result<()> {
        println!("jobs enqueued:              {}", self.enqueued);
        println!("enqueued minus completed:   {}", self.missing.len());
        println!("records left running:       {}", self.running);
        println!("runs beyond the expected:   {}", self.surplus);
        println!("{:<27} {excused}", format!("{excuse}:"));
        anyhow::ensure!(self.missing.is_empty(), "jobs were lost: {:?}", self.missing);
        anyhow::ensure!(self.running == 0, "records say that jobs run which do not");
        anyhow::ensure!(self.surplus <= excused, "more jobs ran twice than were in flight");
        Ok(())
    }
}

/// Counts how often each job ran.
fn runs(journals: &[PathBuf]) -> anyhow::Result<HashMap<String, u64>> {
    let mut runs: HashMap<String, u64> = HashMap::new();
    for journal in journals {
        for line in std::fs::read_to_string(journal)?.lines() {
            if let Some((id, _)) = line.split_once(' ') {
                *runs.entry(id.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(runs)
}
