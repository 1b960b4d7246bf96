//! `bench collect`: a documentation tree on loopback, and a sitemap as long as the protocol allows.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use celeriac_broker::{Broker, SqliteBroker};
use celeriac_collect::summary::{FailedRow, Summary, failed_rows};
use celeriac_collect::{CollectSettings, Collector, CollectorParts, domain};
use celeriac_db::{Database, SqliteOptions};
use celeriac_engine::SystemClock;
use celeriac_protocol::Clock;
use comfy_table::{Cell, CellAlignment, Table};

use crate::process::{Second, Usage};

pub(crate) mod site;
pub(crate) mod worker;

/// How `bench collect` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A folder of HTML, such as `/usr/share/doc/postgresql-doc-15/html`.
    #[arg(long)]
    dir: PathBuf,
    /// Addresses in the long sitemap; 0 leaves it out.
    #[arg(long, default_value_t = 50_000)]
    addresses: usize,
    /// Pages that are fetched at a time.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// How often the tree is collected, each time into a database of its own.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const LONGEST_RUN: Duration = Duration::from_secs(300);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.set_header(["what", "count", "seconds", "per second", "collector CPU s", "peak MiB", "site CPU s"]);
    for round in 1..=options.rounds {
        let mut site = Second::start(&["serve".into(), "--dir".into(), options.dir.display().to_string()])?;
        let run = collect(&mut site, &options, false).await?;
        let (elapsed, pages) = (run.elapsed, run.summary.pages);
        anyhow::ensure!(pages.failed == 0, "{} pages failed: {:?}", pages.failed, run.failed);
        add(
            &mut table,
            &format!("pages, round {round}"),
            pages.done,
            elapsed,
            &run.usage,
            &site_usage(site)?,
        );
    }
    if options.addresses > 0 {
        let mut site = Second::start(&["serve".into(), "--addresses".into(), options.addresses.to_string()])?;
        let run = collect(&mut site, &options, true).await?;
        let listed = run.summary.pages.total() - 1;
        anyhow::ensure!(listed == options.addresses as u64, "{:?} {:?}", run.summary, run.failed);
        add(&mut table, "sitemap addresses", listed, run.elapsed, &run.usage, &site_usage(site)?);
    }
    println!("{table}");
    println!(
        "Pauses are off, {} pages at a time, durability process. Two processes share the machine: the collector, whose\n\
         time runs from the domain's row to the last row's last status as a third process reads it, and the site.",
        options.concurrency
    );
    Ok(())
}

/// What one run came to.
struct Run {
    elapsed: Duration,
    summary: Summary,
    failed: Vec<FailedRow>,
    usage: Usage,
}

/// Lets a collector work on a site until no row waits.
async fn collect(site: &mut Second, options: &Options, lists_only: bool) -> anyhow::Result<Run> {
    let address: SocketAddr =
        site.line()?.ok_or_else(|| anyhow::anyhow!("the site did not start"))?.parse()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("collect.db");
    let mut worker = Second::start(&worker_arguments(&path, address, options, lists_only))?;
    anyhow::ensure!(worker.line()?.as_deref() == Some("ready"), "the collector did not start");
    let (database, collector) = beside(&path).await?;
    let start = Instant::now();
    let domain = domain::add(&collector, &format!("http://{address}/")).await?.id;
    let summary = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let summary = Summary::read(database.reader(), &[domain]).await?;
        let goes_on = if lists_only {
            summary.pages.total() <= 1 || summary.sitemaps.open() > 0
        } else {
            !summary.is_final()
        };
        if !goes_on {
            break summary;
        }
        anyhow::ensure!(start.elapsed() < LONGEST_RUN, "it did not end: {summary:?}");
    };
    let elapsed = start.elapsed();
    let failed = failed_rows(database.reader(), &[domain], 5).await?;
    let usage = serde_json::from_str(&worker.stop()?)?;
    Ok(Run { elapsed, summary, failed, usage })
}

fn worker_arguments(path: &Path, site: SocketAddr, options: &Options, lists_only: bool) -> Vec<String> {
    let mut arguments = vec!["collector".to_owned(), "--db".to_owned(), path.display().to_string()];
    arguments.extend(["--site".to_owned(), site.to_string()]);
    arguments.extend(["--concurrency".to_owned(), options.concurrency.to_string()]);
    arguments.extend(lists_only.then(|| "--lists-only".to_owned()));
    arguments
}

/// Opens the collector's database in this process, to begin and to look.
async fn beside(path: &Path) -> anyhow::Result<(Database, Collector)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = Database::open(SqliteOptions::at(path)).await?;
    let broker = SqliteBroker::open(database.clone(), Arc::clone(&clock)).await?;
    let parts = CollectorParts { database: database.clone(), clock, notifier: broker.notifier() };
    Ok((database, Collector::new(parts, CollectSettings::default())?))
}

fn site_usage(site: Second) -> anyhow::Result<Usage> {
    Ok(serde_json::from_str(&site.stop()?)?)
}

fn add(table: &mut Table, what: &str, count: u64, elapsed: Duration, worker: &Usage, site: &Usage) {
    let seconds = elapsed.as_secs_f64();
    let cells = [
        what.to_owned(),
        count.to_string(),
        format!("{seconds:.2}"),
        format!("{:.0}", count as f64 / seconds),
        format!("{:.2}", worker.cpu_seconds),
        format!("{:.1}", worker.peak_rss_mib),
        format!("{:.2}", site.cpu_seconds),
    ];
    table.add_row(cells.into_iter().enumerate().map(|(column, text)| {
        let alignment = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
        Cell::new(text).set_alignment(alignment)
    }));
}
