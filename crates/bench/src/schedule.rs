//! `bench schedule`: a large schedule of which a hundredth is due within the minute, beside Celery's beat.

use std::path::PathBuf;
use std::time::Duration;

use crate::ground::{Ground, Transport};
use crate::queue::table;

mod celery;
mod ours;
mod tick;

use ours::{MINUTE, Run};

/// How `bench schedule` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many entries there are; a hundredth of them is due each minute.
    #[arg(long, default_value_t = 100_000)]
    entries: usize,
    /// Where they are: sqlite, postgres, or both where nothing is said.
    #[arg(long = "broker", value_enum)]
    transport: Option<Transport>,
    /// How long each scheduler is watched, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many entries Celery's beat has.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    celery_entries: Vec<usize>,
    /// A Python that has Celery.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Of how many entries one is due within the minute.
const ONE_IN: usize = 100;

/// How late ninety-nine of a hundred due times may be met.
const AIM: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let due = options.entries / ONE_IN;
    // So that every due time is a whole number of microseconds.
    let is_even = due > 0 && MINUTE.as_micros().is_multiple_of(due as u128);
    anyhow::ensure!(is_even, "a minute has no {due} parts; try a thousand entries, or ten times as many");
    let transports = options.transport.map_or(vec![Transport::Sqlite, Transport::Postgres], |one| vec![one]);
    let (mut ticks, mut runs) = (Vec::new(), Vec::new());
    for transport in &transports {
        // The same are due, with next to nothing beside them and with all the others.
        let mut filling = Duration::ZERO;
        for entries in [due, options.entries] {
            let ground = Ground::start(*transport, transport.durabilities()[0])?;
            let (row, took) = tick::row(&ground, entries, due).await?;
            ticks.push(row);
            filling = took;
        }
        let ground = Ground::start(*transport, transport.durabilities()[0])?;
        let filled = ours::Full::fill(&ground, options.entries, due, filling).await?;
        runs.push(filled.watch(&ground, Duration::from_secs(options.seconds)).await?);
    }
    println!("\nMilliseconds that a tick takes, by how many entries are due (median):\n");
    println!("{}\n", table(&tick::header(), ticks));
    let ours: Vec<Run> = runs;
    let mut rows: Vec<Vec<String>> = ours.iter().map(Run::row).collect();
    if let Some(python) = &options.python {
        for entries in &options.celery_entries {
            rows.push(celery::watch(python, *entries, Duration::from_secs(options.seconds))?.row());
        }
    }
    println!("{}\n", table(&Run::HEADER, rows));
    println!(
        "One entry in {ONE_IN} is due each minute, spread over it; the others on another day. The start is from"
    );
    println!(
        "the process's to the first job; entries that fell due meanwhile are not in the lateness, which is that"
    );
    println!(
        "of the job's row here, and of the publishing there. Celery's beat keeps its schedule in a shelve file"
    );
    println!(
        "and publishes to a private Redis. CPU is what a minute takes once the scheduler has started; memory is"
    );
    println!("the most that was resident here, and what its processes have at the end there.");
    for run in &ours {
        anyhow::ensure!(run.late(99) < AIM, "{}: the aim is {AIM:?}", run.who);
    }
    Ok(())
}
