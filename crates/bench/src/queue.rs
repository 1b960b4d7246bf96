//! `bench queue`: enqueue, drain, latency and delayed jobs on one kind of queue, beside the bare rate.

use std::time::Instant;

use celeriac_engine::Client;

use self::report::{Latency, Report, Row};
use crate::ground::{Durability, Ground, Transport};
use crate::process::usage;
use crate::setup::{self, Records};
use crate::{bare, tasks};

mod delayed;
mod drain;
mod latency;
mod look;
mod report;

pub(crate) use self::drain::{start_worker, worker_arguments};
pub(crate) use self::report::table;

/// How `bench queue` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What carries the queue.
    #[arg(long = "broker", value_enum, default_value_t = Transport::Sqlite)]
    transport: Transport,
    /// Jobs in each drain.
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Only this durability: process or power; everysec, always or off (Redis); on or off (PostgreSQL).
    #[arg(long)]
    durability: Option<String>,
    /// Only this much of a record; else none and all.
    #[arg(long, value_enum)]
    records: Vec<Records>,
    /// Jobs that the worker runs at a time.
    #[arg(long, value_delimiter = ',', default_values_t = CONCURRENCIES)]
    concurrency: Vec<usize>,
    /// Jobs a second whose latency is measured, each rate for as long as `--seconds` says.
    #[arg(long, value_delimiter = ',', default_values_t = RATES)]
    rates: Vec<usize>,
    /// How long each latency is measured; 0 leaves it out.
    #[arg(long, default_value_t = 10)]
    seconds: usize,
    /// Jobs that fall due at one instant; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    delayed: usize,
}

const CONCURRENCIES: [usize; 3] = [1, 16, 128];
const RATES: [usize; 2] = [50, 1_000];

/// How many jobs of those that are measured are sent one by one, or drained one at a time.
const SINGLY: usize = 10;

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let all = options.transport.durabilities();
    let asked = options.durability.as_deref();
    let durabilities: Vec<Durability> =
        all.iter().copied().filter(|one| asked.is_none_or(|asked| asked == one.name)).collect();
    anyhow::ensure!(!durabilities.is_empty(), "durability is one of {:?}", all.iter().map(|one| one.name));
    let records =
        if options.records.is_empty() { vec![Records::None, Records::All] } else { options.records.clone() };
    let mut report = Report::default();
    for durability in durabilities {
        let bare = bare::sweep(options.transport, durability, options.jobs).await?;
        for &records in &records {
            let ground = Ground::start(options.transport, durability)?;
            let cell = Cell { ground, options: &options, records, bare };
            report.begin(durability.name, records);
            cell.measure(&mut report).await?;
        }
    }
    report.print(options.transport);
    Ok(())
}

/// What is measured on one server.
struct Cell<'o> {
    ground: Ground,
    options: &'o Options,
    records: Records,
    bare: bare::Rates,
}

impl Cell<'_> {
    async fn measure(&self, report: &mut Report) -> anyhow::Result<()> {
        let place = self.ground.place();
        let client = setup::open(&place, self.records).await?;
        self.enqueue_singly(&client, report).await?;
        for (nth, &concurrency) in self.options.concurrency.iter().enumerate() {
            let jobs = if concurrency == 1 { self.options.jobs / SINGLY } else { self.options.jobs };
            let sent = self.enqueue_in_bulk(&client, jobs).await?;
            if nth + 1 == self.options.concurrency.len() {
                report.add(sent);
            }
            self.drain(&client, jobs, concurrency, report).await?;
        }
        for &rate in &self.options.rates {
            if self.options.seconds > 0 {
                let samples = rate * self.options.seconds;
                let micros = latency::measure(&place, &client, self.records, rate, samples).await?;
                report.add_latency(Latency::of(format!("enqueue to start, {rate}/s"), micros));
            }
        }
        if self.options.delayed > 0 {
            let delayed = delayed::measure(&self.ground, &client, self.records, self.options.delayed).await?;
            report.add_latency(delayed);
        }
        Ok(())
    }

    async fn enqueue_singly(&self, client: &Client, report: &mut Report) -> anyhow::Result<()> {
        let jobs = self.options.jobs / SINGLY;
        let before = (usage()?.cpu_seconds, self.ground.cpu_seconds()?);
        let start = Instant::now();
        for number in 0..jobs as u64 {
            send_one(client, self.records, number).await?;
        }
        report.add(Row {
            what: "enqueue singly".to_owned(),
            jobs,
            seconds: start.elapsed().as_secs_f64(),
            bare: None,
            own_cpu: usage()?.cpu_seconds - before.0,
            server_cpu: self.ground.cpu_seconds()? - before.1,
            peak_mib: None,
        });
        drain::run(&self.ground, self.records, 128, client).await?;
        Ok(())
    }

    async fn enqueue_in_bulk(&self, client: &Client, jobs: usize) -> anyhow::Result<Row> {
        let before = (usage()?.cpu_seconds, self.ground.cpu_seconds()?);
        let start = Instant::now();
        send_many(client, self.records, jobs).await?;
        Ok(Row {
            what: "enqueue in bulk".to_owned(),
            jobs,
            seconds: start.elapsed().as_secs_f64(),
            bare: Some(self.bare.insert),
            own_cpu: usage()?.cpu_seconds - before.0,
            server_cpu: self.ground.cpu_seconds()? - before.1,
            peak_mib: None,
        })
    }

    async fn drain(
        &self,
        client: &Client,
        jobs: usize,
        concurrency: usize,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let before = self.ground.cpu_seconds()?;
        let (elapsed, said) = drain::run(&self.ground, self.records, concurrency, client).await?;
        report.add(Row {
            what: format!("drain, concurrency {concurrency}"),
            jobs,
            seconds: elapsed.as_secs_f64(),
            bare: Some(self.bare.drain),
            own_cpu: said.usage.cpu_seconds,
            server_cpu: self.ground.cpu_seconds()? - before,
            peak_mib: Some(said.usage.peak_rss_mib),
        });
        Ok(())
    }
}

async fn send_one(client: &Client, records: Records, number: u64) -> anyhow::Result<()> {
    match records {
        Records::All => drop(client.enqueue(tasks::noop(number)).await?),
        Records::Failures | Records::None => drop(client.enqueue(tasks::quiet(number)).await?),
    }
    Ok(())
}

/// Enqueues jobs that do nothing.
pub(crate) async fn send_many(client: &Client, records: Records, jobs: usize) -> anyhow::Result<()> {
    let numbers = 0..jobs as u64;
    match records {
        Records::All => drop(client.enqueue_many(numbers.map(tasks::noop)).await?),
        Records::Failures | Records::None => drop(client.enqueue_many(numbers.map(tasks::quiet)).await?),
    }
    Ok(())
}
