//! `bench queue`: enqueue, drain and latency on SQLite.

use std::path::Path;
use std::time::{Duration, Instant};

use celeriac_engine::{Call, Client, Signature};
use celeriac_protocol::{Clock, JobId};
use comfy_table::{Cell, CellAlignment, Table};

use crate::process::{Second, usage};
use crate::setup::{self, Records};
use crate::worker::Said;
use crate::{bare, tasks};

/// How `bench queue` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Jobs in each drain.
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Only this durability.
    #[arg(long)]
    durability: Option<Durability>,
    /// Jobs that the worker runs at a time.
    #[arg(long, value_delimiter = ',', default_values_t = CONCURRENCIES)]
    concurrency: Vec<usize>,
    /// Jobs whose latency is measured, at 50 a second.
    #[arg(long, default_value_t = 500)]
    latencies: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Durability {
    /// Survives any crash of ours.
    Process,
    /// Survives power loss.
    Power,
}

const CONCURRENCIES: [usize; 3] = [1, 16, 128];
const LONGEST_DRAIN: Duration = Duration::from_secs(300);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let durabilities = match options.durability {
        Some(one) => vec![one],
        None => vec![Durability::Process, Durability::Power],
    };
    let mut table = table(&["durability", "records", "what", "jobs/s", "of bare", "CPU s/100k", "peak MiB"]);
    for durability in durabilities {
        let folder = tempfile::tempdir()?;
        let bare = bare_rates(folder.path(), options.jobs, durability)?;
        for records in [Records::None, Records::Failures, Records::All] {
            measure(folder.path(), &options, durability, records, &bare, &mut table).await?;
        }
    }
    println!("{table}");
    println!("CPU is that of the measured process alone; jobs/s of a drain is seen by another process.");
    Ok(())
}

fn bare_rates(folder: &Path, jobs: usize, durability: Durability) -> anyhow::Result<bare::Rates> {
    let call = Call::with_kwargs("bench.noop", &serde_json::json!({"number": 12345}));
    let envelope = setup_envelope(call)?;
    let rates = bare::sweep(folder, &envelope, jobs, durability == Durability::Power)?;
    println!("bare rates by prepared statements, {durability:?}:");
    for rate in &rates {
        let (batch, insert, drain) = (rate.batch, rate.insert, rate.claim_and_delete);
        println!("  batches of {batch:>5}: {insert:>9.0} inserts/s, {drain:>9.0} claimed and deleted/s");
    }
    rates.last().copied().ok_or_else(|| anyhow::anyhow!("no batch size was measured"))
}

/// Makes the envelope that a call travels in, by publishing it on a queue in memory.
fn setup_envelope(call: Call) -> anyhow::Result<celeriac_protocol::Envelope> {
    let args = celeriac_protocol::Arguments::from_named(&serde_json::json!({"number": 12345}))?;
    let id = JobId::fresh(celeriac_engine::SystemClock.now());
    Ok(celeriac_protocol::TaskMessage::new(id, call.task(), args).encode())
}

async fn measure(
    folder: &Path,
    options: &Options,
    durability: Durability,
    records: Records,
    bare: &bare::Rates,
    table: &mut Table,
) -> anyhow::Result<()> {
    let power = durability == Durability::Power;
    let mut add = |what: String, rate: f64, of: Option<f64>, cpu: Option<f64>, peak: Option<f64>| {
        let show =
            |value: Option<f64>, digits: usize| value.map_or(String::new(), |v| format!("{v:.digits$}"));
        let share = of.map_or(String::new(), |of| format!("{:.0} %", 100.0 * rate / of));
        let cells = [
            format!("{durability:?}").to_lowercase(),
            format!("{records:?}").to_lowercase(),
            what,
            format!("{rate:.0}"),
            share,
            show(cpu, 2),
            show(peak, 1),
        ];
        eprintln!("measured: {}", cells.join(" | "));
        table.add_row(cells.into_iter().enumerate().map(|(i, text)| {
            Cell::new(text).set_alignment(if i < 3 { CellAlignment::Left } else { CellAlignment::Right })
        }));
    };
    let path = folder.join(format!("{durability:?}-{records:?}.db"));
    let client = setup::client(&path, power, records).await?;
    let singly = if power { options.jobs / 50 } else { options.jobs / 10 };
    let before = usage()?.cpu_seconds;
    let start = Instant::now();
    for number in 0..singly as u64 {
        send_one(&client, records, number).await?;
    }
    let rate = singly as f64 / start.elapsed().as_secs_f64();
    let cpu = (usage()?.cpu_seconds - before) * 100_000.0 / singly as f64;
    add("enqueue singly".to_owned(), rate, None, Some(cpu), None);
    drain(&path, power, records, 128, &client).await?;
    for &concurrency in &options.concurrency {
        let before = usage()?.cpu_seconds;
        let start = Instant::now();
        send_many(&client, records, options.jobs).await?;
        let rate = options.jobs as f64 / start.elapsed().as_secs_f64();
        if Some(&concurrency) == options.concurrency.first() {
            let cpu = (usage()?.cpu_seconds - before) * 100_000.0 / options.jobs as f64;
            add("enqueue in bulk".to_owned(), rate, Some(bare.insert), Some(cpu), None);
        }
        let (elapsed, said) = drain(&path, power, records, concurrency, &client).await?;
        let rate = options.jobs as f64 / elapsed.as_secs_f64();
        let cpu = said.usage.cpu_seconds * 100_000.0 / options.jobs as f64;
        let what = format!("drain, concurrency {concurrency}");
        add(what, rate, Some(bare.claim_and_delete), Some(cpu), Some(said.usage.peak_rss_mib));
    }
    latency(&path, power, records, options.latencies, &client).await
}

async fn send_one(client: &Client, records: Records, number: u64) -> anyhow::Result<()> {
    match records {
        Records::All => drop(client.enqueue(tasks::noop(number)).await?),
        Records::Failures | Records::None => drop(client.enqueue(tasks::quiet(number)).await?),
    }
    Ok(())
}

async fn send_many(client: &Client, records: Records, jobs: usize) -> anyhow::Result<()> {
    let numbers = 0..jobs as u64;
    match records {
        Records::All => drop(client.enqueue_many(numbers.map(tasks::noop)).await?),
        Records::Failures | Records::None => drop(client.enqueue_many(numbers.map(tasks::quiet)).await?),
    }
    Ok(())
}

fn arguments(path: &Path, power: bool, records: Records, concurrency: usize) -> Vec<String> {
    let records = format!("{records:?}").to_lowercase();
    let mut arguments = vec!["worker".to_owned(), "--db".to_owned(), path.display().to_string()];
    arguments.extend(["--concurrency".to_owned(), concurrency.to_string(), "--records".to_owned(), records]);
    arguments.extend(power.then(|| "--power".to_owned()));
    arguments
}

/// Lets a second process drain the queue, and times it from its first breath to the empty queue.
async fn drain(
    path: &Path,
    power: bool,
    records: Records,
    concurrency: usize,
    client: &Client,
) -> anyhow::Result<(Duration, Said)> {
    let mut worker = Second::start(&arguments(path, power, records, concurrency))?;
    anyhow::ensure!(worker.line()?.as_deref() == Some("ready"), "the worker did not start");
    let start = Instant::now();
    let admin = client.broker().admin();
    let mut pause = Duration::from_millis(200);
    loop {
        let left: u64 =
            admin.depths().await?.iter().map(|depth| depth.ready + depth.held + depth.delayed).sum();
        if left == 0 {
            break;
        }
        anyhow::ensure!(start.elapsed() < LONGEST_DRAIN, "{left} jobs are left after {LONGEST_DRAIN:?}");
        // Counting a long queue costs the worker time, so it is looked at rarely until it is short.
        pause = if left < 5_000 { Duration::from_millis(2) } else { pause };
        tokio::time::sleep(pause).await;
    }
    let elapsed = start.elapsed();
    Ok((elapsed, serde_json::from_str(&worker.stop()?)?))
}

async fn latency(
    path: &Path,
    power: bool,
    records: Records,
    samples: usize,
    client: &Client,
) -> anyhow::Result<()> {
    let mut worker = Second::start(&arguments(path, power, records, 16))?;
    anyhow::ensure!(worker.line()?.as_deref() == Some("ready"), "the worker did not start");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..samples {
        beat.tick().await;
        let sent_at = client.clock().now().as_micros();
        let signature: Signature<tasks::stamp> = tasks::stamp(sent_at);
        client.enqueue(signature).await?;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let said: Said = serde_json::from_str(&worker.stop()?)?;
    let mut micros = said.latencies_micros;
    anyhow::ensure!(micros.len() == samples, "{} of {samples} jobs were started", micros.len());
    micros.sort_unstable();
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    println!(
        "latency from enqueue to start in another process, {}, records {records:?}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; worker's CPU {:.2} s, peak {:.1} MiB",
        if power { "power" } else { "process" },
        at(0.5),
        at(0.99),
        at(1.0),
        said.usage.cpu_seconds,
        said.usage.peak_rss_mib,
    );
    Ok(())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(header.to_vec());
    table
}
