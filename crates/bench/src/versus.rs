//! `bench versus`: our worker beside Celery's on the same server, which empty the same queue one after the other.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::celery::Prefork;
use self::watch::Drain;
use crate::ground::{Durability, Ground, Transport};
use crate::queue::{send_many, start_worker, table, worker_arguments};
use crate::setup::{self, Place, Records};

mod celery;
mod watch;

/// How `bench versus` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What carries the queue: redis or amqp.
    #[arg(long = "broker", value_enum, default_value_t = Transport::Redis)]
    transport: Transport,
    /// A Python that has Celery.
    #[arg(long)]
    python: PathBuf,
    /// Jobs that our worker drains.
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Jobs that Celery's drains at its best setting.
    #[arg(long, default_value_t = 10_000)]
    celery_jobs: usize,
    /// Jobs by which Celery's best setting is found.
    #[arg(long, default_value_t = 2_000)]
    trial_jobs: usize,
    /// Jobs that our worker runs at a time.
    #[arg(long, default_value_t = 128)]
    concurrency: usize,
    /// How durable the server is; else as durable as Redis is by its own defaults, or RabbitMQ can be.
    #[arg(long)]
    durability: Option<String>,
}

/// How many processes Celery may have, and how many messages each takes ahead.
const PROCESSES: [usize; 2] = [2, 4];
const PREFETCH: [usize; 3] = [4, 64, 1_000];

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let transport = options.transport;
    let celery_speaks_it = matches!(transport, Transport::Redis | Transport::Amqp);
    anyhow::ensure!(celery_speaks_it, "Celery and we share queues in redis and amqp");
    let durabilities = transport.durabilities();
    let asked = options.durability.as_deref();
    let durability = durabilities.iter().copied().find(|one| asked.is_none_or(|asked| asked == one.name));
    let durability = durability.with_context(|| format!("durability is one of {durabilities:?}"))?;
    let contest = Contest { options: &options, durability, transport };
    let best = contest.best_of_celery().await?;
    let theirs = contest.theirs(best, options.celery_jobs).await?;
    let mut rows = vec![contest.row(&theirs, &theirs, options.celery_jobs, format!("Celery, {best}"))];
    for records in [Records::None, Records::All] {
        let ours = contest.ours(records).await?;
        let who = format!("Celeriac, concurrency {}, records {records:?}", options.concurrency);
        rows.push(contest.row(
            &ours,
            &theirs,
            options.jobs,
            who.to_lowercase().replace("celeriac", "Celeriac"),
        ));
    }
    let header = [
        "broker",
        "durability",
        "worker",
        "jobs",
        "jobs/s",
        "of Celery",
        "jobs/CPU s",
        "server's CPU",
        "MiB",
    ];
    println!("\n{}\n", table(&header, rows));
    println!("{}", celery::versions(&options.python)?);
    println!(
        "Server: {}. Both sides drain messages that our client sent: the task does nothing, ignores its result,",
        durability.means
    );
    println!(
        "and is acknowledged late. Time and CPU are from the first message taken to the last let go, as a process beside"
    );
    println!(
        "sees it; memory is what the worker's processes have at that moment, what they share counted once. Commands:"
    );
    let shown = match transport {
        Transport::Amqp => "amqp://guest:guest@127.0.0.1:PORT//",
        _ => "redis://127.0.0.1:PORT/0",
    };
    println!("  {}", best.command(&options.python, shown));
    let queue = Some(shown.to_owned());
    let shown = Place { queue, ..Place::file(Path::new("FILE"), false) };
    println!("  celeriac-bench {}", worker_arguments(&shown, Records::None, options.concurrency).join(" "));
    Ok(())
}

/// One server's kind, on which both sides are measured.
struct Contest<'o> {
    options: &'o Options,
    durability: Durability,
    transport: Transport,
}

impl Contest<'_> {
    /// Tries Celery's settings and returns the best.
    async fn best_of_celery(&self) -> anyhow::Result<Prefork> {
        let mut best: Option<(f64, Prefork)> = None;
        for (processes, prefetch) in PROCESSES.into_iter().flat_map(|n| PREFETCH.map(|each| (n, each))) {
            let setting = Prefork { processes, prefetch };
            let rate = self.theirs(setting, self.options.trial_jobs).await?.rate(self.options.trial_jobs);
            println!("Celery, {setting}: {rate:.0} jobs/s ({} jobs)", self.options.trial_jobs);
            if best.is_none_or(|(best, _)| rate > best) {
                best = Some((rate, setting));
            }
        }
        best.map(|(_, setting)| setting).context("no setting was tried")
    }

    async fn theirs(&self, setting: Prefork, jobs: usize) -> anyhow::Result<Drain> {
        let ground = self.filled(jobs, Records::None).await?;
        let url = ground.place().queue.unwrap_or_default();
        let worker = setting.start(&self.options.python, &url, ground.folder())?;
        watch::drain(jobs, worker.pid(), &ground)
    }

    async fn ours(&self, records: Records) -> anyhow::Result<Drain> {
        let ground = self.filled(self.options.jobs, records).await?;
        let place = ground.place();
        let worker = start_worker(&place, records, self.options.concurrency)?;
        let drain = watch::drain(self.options.jobs, worker.pid(), &ground)?;
        worker.stop()?;
        Ok(drain)
    }

    /// Starts a server and puts jobs into its queue.
    async fn filled(&self, jobs: usize, records: Records) -> anyhow::Result<Ground> {
        let ground = Ground::start(self.transport, self.durability)?;
        let client = setup::open(&ground.place(), records).await?;
        send_many(&client, records, jobs).await?;
        Ok(ground)
    }

    fn row(&self, drain: &Drain, theirs: &Drain, jobs: usize, who: String) -> Vec<String> {
        let times = drain.rate(jobs) / theirs.rate(self.options.celery_jobs);
        vec![
            format!("{:?}", self.transport).to_lowercase(),
            self.durability.name.to_owned(),
            who,
            jobs.to_string(),
            format!("{:.0}", drain.rate(jobs)),
            format!("{times:.1} x"),
            format!("{:.0}", jobs as f64 / (drain.worker_cpu + drain.server_cpu)),
            format!("{:.0} %", 100.0 * drain.server_cpu / (drain.worker_cpu + drain.server_cpu)),
            format!("{:.1}", drain.mib),
        ]
    }
}
