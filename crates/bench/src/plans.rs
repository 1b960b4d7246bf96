//! `bench plans`: what the operations of queue, records and schedule look at on a PostgreSQL server that holds a million
//! jobs. How a file goes about them doesn't depend on what is in it: tests beside the statements hold that.
//!
//! The server itself counts the rows and index entries that are read, so this shows the plans that it really chose, in
//! functions too, and not what it would choose if asked to explain.

use std::time::{Duration, Instant};

use celeriac_broker::{Delivery, FetchRequest, Settle, Settlement};
use celeriac_db::postgres::PgArguments;
use celeriac_db::{Database, PostgresOptions};
use celeriac_engine::Client;
use celeriac_peers::Postgres;
use celeriac_protocol::{JobId, JobStatus};
use celeriac_store::query::jobs::{self, JobFilter, StatusFilter};
use comfy_table::{Table, presets};
use sea_orm::sqlx::Row as _;

use crate::setup::{self, Place, Records};
use crate::tasks;

mod schedule;

/// How `bench plans` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many jobs wait, each with its record. A tenth as many are delayed, and as many again wait in another queue.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

/// How many rows an operation may look at for each that it was asked for, and beside these.
const FOR_EACH: u64 = 10;
const BESIDE: u64 = 2_000;

/// How many jobs are enqueued in one call.
const CHUNK: u64 = 20_000;

const ANALYZE: &str = "ANALYZE";

const READ: &str = "SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)::bigint, \
    (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes)::bigint";

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let server = Postgres::start_with(&["shared_buffers=256MB", "synchronous_commit=off", "autovacuum=off"])?;
    let place = Place::server(server.url("postgres"));
    let begun = Instant::now();
    fill(&place, options.rows).await?;
    schedule::fill(&place, options.rows).await?;
    println!(
        "{} jobs, and as many firings, were made in {:.0} s",
        options.rows * 12 / 10,
        begun.elapsed().as_secs_f64()
    );
    let mut plans = Plans { place, table: table(), broken: Vec::new() };
    queue(&mut plans).await?;
    records(&mut plans).await?;
    schedule::measure(&mut plans).await?;
    walks(&mut plans, options.rows).await?;
    println!("{}", plans.table);
    println!(
        "limit: {FOR_EACH} rows and index entries for each that is asked for, and {BESIDE} beside these"
    );
    anyhow::ensure!(plans.broken.is_empty(), "looks at too much: {}", plans.broken.join(", "));
    Ok(())
}

async fn fill(place: &Place, rows: u64) -> anyhow::Result<()> {
    let (database, client) = setup::open_for(place, Records::All, tasks::registry()).await?;
    for first in (0..rows).step_by(usize::try_from(CHUNK)?) {
        client.enqueue_many((first..rows.min(first + CHUNK)).map(tasks::noop)).await?;
    }
    let later = Duration::from_secs(3_600);
    client.enqueue_many((0..rows / 10).map(|number| tasks::noop(number).countdown(later))).await?;
    client.enqueue_many((0..rows / 10).map(|number| tasks::noop(number).queue("other"))).await?;
    ask(&database, ANALYZE).await?;
    database.close().await;
    Ok(())
}

async fn queue(plans: &mut Plans) -> anyhow::Result<()> {
    plans
        .of("enqueue, with their records", 1_000, async |_, client| {
            Ok(client.enqueue_many((0..1_000).map(tasks::noop)).await.map(drop)?)
        })
        .await?;
    plans
        .of("fetch and acknowledge", 1_000, async |_, client| {
            for _ in 0..10 {
                settle(client, fetch(client, 100).await?, || Settle::Ack).await?;
            }
            Ok(())
        })
        .await?;
    plans
        .of("fetch, renew and give back for later", 1_000, async |_, client| {
            let later = client.clock().now() + Duration::from_secs(600);
            for _ in 0..10 {
                let held = fetch(client, 100).await?;
                let tags: Vec<_> = held.iter().map(|delivery| delivery.tag).collect();
                client.broker().renew(&tags, LEASE).await?;
                settle(client, held, || Settle::Requeue {
                    content: None,
                    due_at: Some(later),
                    charged: true,
                })
                .await?;
            }
            Ok(())
        })
        .await?;
    plans
        .of("find messages", 100, async |database, client| {
            for id in some_ids(database, 100).await? {
                client.find(&id).await?;
            }
            Ok(())
        })
        .await?;
    plans
        .of("cancel jobs, with their records", 100, async |database, client| {
            for id in some_ids(database, 100).await? {
                client.cancel(&id, "measured").await?;
            }
            Ok(())
        })
        .await?;
    plans
        .of("reject, list, find and drop dead letters", 100, async |_, client| {
            let held = fetch(client, 100).await?;
            let ids: Vec<JobId> = held.iter().map(|delivery| delivery.envelope.id.clone()).collect();
            let reject = || Settle::Reject { reason: "measured".into(), detail: "measured".into() };
            settle(client, held, reject).await?;
            let admin = client.broker().admin();
            let page = admin.dead_letters(None, 100).await?;
            for id in ids {
                admin.dead_letter(&id).await?;
            }
            let keys: Vec<i64> = page.letters.iter().map(|letter| letter.key).collect();
            Ok(admin.drop_dead(&keys).await.map(drop)?)
        })
        .await?;
    plans
        .of("pause, fetch nothing, resume", 1, async |_, client| {
            client.broker().admin().pause("celery").await?;
            anyhow::ensure!(fetch(client, 100).await?.is_empty(), "a paused queue gave something");
            Ok(client.broker().admin().resume("celery").await?)
        })
        .await?;
    plans
        .of("purge a part of a queue", 1_000, async |_, client| {
            Ok(client.broker().admin().purge("other", 1_000).await.map(drop)?)
        })
        .await
}

async fn records(plans: &mut Plans) -> anyhow::Result<()> {
    let filters: [(&'static str, JobFilter); 4] = [
        ("list the newest jobs", JobFilter::default()),
        (
            "list failed jobs, of which there are none",
            JobFilter { status: Some(StatusFilter::In(JobStatus::Failed)), ..JobFilter::default() },
        ),
        (
            "list dead jobs, of which there are none",
            JobFilter { status: Some(StatusFilter::Dead), ..JobFilter::default() },
        ),
        ("list jobs of a task", JobFilter { task: Some("bench.noop".into()), ..JobFilter::default() }),
    ];
    for (what, filter) in filters {
        plans
            .of(what, 50, async |database, _| {
                Ok(jobs::list(database.reader(), &filter, None, 50).await.map(drop)?)
            })
            .await?;
    }
    plans
        .of("show jobs", 100, async |database, _| {
            for id in some_ids(database, 100).await? {
                jobs::find(database.reader(), &id).await?;
            }
            Ok(())
        })
        .await?;
    plans
        .of("look up generations", 1_000, async |database, client| {
            let ids = some_ids(database, 1_000).await?;
            Ok(client.recorder().generations(&ids).await.map(drop)?)
        })
        .await?;
    for status in [JobStatus::Running, JobStatus::Pending, JobStatus::Retrying, JobStatus::Scheduled] {
        plans
            .of("look for silent jobs", 500, async |database, client| {
                Ok(jobs::silent(database.reader(), status, client.clock().now(), 0, 500).await.map(drop)?)
            })
            .await?;
    }
    plans
        .of("count jobs by status", 10, async |database, _| {
            Ok(jobs::counts(database.reader(), None).await.map(drop)?)
        })
        .await
}

/// What looks at all that there is, as yet; it is shown, and nothing is promised.
async fn walks(plans: &mut Plans, rows: u64) -> anyhow::Result<()> {
    plans
        .of("count what waits in every queue (all)", rows * 12 / 10, async |_, client| {
            Ok(client.broker().admin().depths().await.map(drop)?)
        })
        .await?;
    let nobody = || Some("nobody".to_owned());
    let filters: [(&'static str, JobFilter); 3] = [
        ("list jobs of a worker that has none (all)", JobFilter { worker: nobody(), ..JobFilter::default() }),
        ("list jobs of a queue that has none (all)", JobFilter { queue: nobody(), ..JobFilter::default() }),
        ("list errors with a text (all)", JobFilter { error_text: nobody(), ..JobFilter::default() }),
    ];
    for (what, filter) in filters {
        plans
            .of(what, rows * 12 / 10, async |database, _| {
                Ok(jobs::list(database.reader(), &filter, None, 50).await.map(drop)?)
            })
            .await?;
    }
    Ok(())
}

/// How long messages are held.
const LEASE: Duration = Duration::from_secs(60);

async fn fetch(client: &Client, max: usize) -> anyhow::Result<Vec<Delivery>> {
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max, lease: LEASE, holder: "bench" };
    Ok(client.broker().fetch(&request).await?.deliveries)
}

async fn settle(client: &Client, held: Vec<Delivery>, how: impl Fn() -> Settle) -> anyhow::Result<()> {
    let settlements: Vec<Settlement> =
        held.into_iter().map(|delivery| Settlement { delivery, settle: how() }).collect();
    Ok(client.broker().settle(&settlements).await.map(drop)?)
}

async fn some_ids(database: &Database, count: u64) -> anyhow::Result<Vec<JobId>> {
    let page = jobs::list(database.reader(), &JobFilter::default(), None, count).await?;
    Ok(page.jobs.into_iter().map(|job| job.id).collect())
}

/// Measures one operation after the other, each on connections of its own, since a server counts what a
/// connection has read when that ends.
struct Plans {
    place: Place,
    table: Table,
    broken: Vec<&'static str>,
}

impl Plans {
    /// Measures an operation that asks for so many rows.
    async fn of(
        &mut self,
        what: &'static str,
        asked: u64,
        operation: impl AsyncFnOnce(&Database, &Client) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let before = self.read().await?;
        let (database, client) = setup::open_for(&self.place, Records::All, tasks::registry()).await?;
        let begun = Instant::now();
        operation(&database, &client).await?;
        let elapsed = begun.elapsed();
        drop(client);
        database.close().await;
        let after = self.read().await?;
        let (scanned, by_index) = (after.0 - before.0, after.1 - before.1);
        if scanned + by_index > i64::try_from(asked * FOR_EACH + BESIDE)? {
            self.broken.push(what);
        }
        let millis = format!("{:.1}", elapsed.as_secs_f64() * 1_000.0);
        self.table.add_row([what, &asked.to_string(), &scanned.to_string(), &by_index.to_string(), &millis]);
        Ok(())
    }

    /// Reads how many rows were read in scans, and how many entries of indexes, once that stands still.
    async fn read(&self) -> anyhow::Result<(i64, i64)> {
        let mut last = None;
        loop {
            tokio::time::sleep(SETTLED_AFTER).await;
            let database = Database::open_postgres(PostgresOptions::at(&self.place.db)).await?;
            let rows = ask(&database, READ).await?;
            database.close().await;
            let now = (rows[0].try_get(0)?, rows[0].try_get(1)?);
            if last == Some(now) {
                return Ok(now);
            }
            last = Some(now);
        }
    }
}

/// How long the server may take to count what a connection that ended has read.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

async fn ask(
    database: &Database,
    statement: &'static str,
) -> anyhow::Result<Vec<celeriac_db::postgres::PgRow>> {
    let server = database.server().ok_or_else(|| anyhow::anyhow!("it is no server"))?;
    Ok(server.query(statement, PgArguments::default()).await?)
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["operation", "asked for", "rows scanned", "index entries", "ms"]);
    table
}
