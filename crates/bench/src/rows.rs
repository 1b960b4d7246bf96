//! `soak rows`: processes that move the rows of one table through a workflow are killed with SIGKILL in the
//! midst of it, and then every row is looked at.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use celeriac_db::{Database, DbError};
use sea_orm::{ActiveValue::Set, EntityTrait};

use crate::ground::{Ground, Transport};
use crate::process::Second;
use crate::setup::{self, Place, Records};
use crate::tasks;

#[expect(unreachable_pub, reason = "the entity macro makes public types beside it")]
mod parcel;
pub(crate) mod worker;

use parcel::{DONE, WAITING};

/// How `soak rows` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What carries the queue; the rows are in the same database, or in a file beside Redis.
    #[arg(long = "broker", value_enum, default_value = "postgres")]
    transport: Transport,
    /// How many rows there are.
    #[arg(long, default_value_t = 10_000)]
    rows: i64,
    /// How many processes move them.
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// How often one of them is killed, at even shares of the rows.
    #[arg(long, default_value_t = 20)]
    kills: i64,
    /// How many rows a claim takes.
    #[arg(long, default_value_t = 20)]
    batch: usize,
    /// How long a claim holds unless renewed.
    #[arg(long, default_value_t = 3_000)]
    lease_ms: u64,
}

/// How long the rows may stand still.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How many rows are added in one statement.
const CHUNK: i64 = 1_000;

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    anyhow::ensure!(options.processes > 0, "at least one process moves the rows");
    let ground = Ground::start(options.transport, options.transport.durabilities()[0])?;
    let place = ground.place();
    let (database, client) = setup::open_for(&place, Records::All, tasks::registry()).await?;
    parcel::TABLES.up(&database, client.clock().now().as_micros()).await?;
    add(&database, options.rows).await?;
    let journal = ground.folder().join("journal");
    let mut soak = Soak { options, place, database, journal, processes: Vec::new() };
    let begun = Instant::now();
    for _ in 0..soak.options.processes {
        soak.processes.push(soak.start()?);
    }
    let mut in_flight = 0;
    for kill in 0..soak.options.kills {
        soak.until_done(soak.options.rows * (kill + 1) / (soak.options.kills + 2)).await?;
        let killed = soak.processes.remove(0);
        let doomed = killed.pid();
        killed.kill()?;
        in_flight += soak.in_work_of(doomed).await?;
        let next = soak.start()?;
        soak.processes.push(next);
    }
    soak.until_done(soak.options.rows).await?;
    let elapsed = begun.elapsed();
    for process in std::mem::take(&mut soak.processes) {
        process.stop()?;
    }
    soak.conclude(in_flight, elapsed).await
}

async fn add(database: &Database, rows: i64) -> anyhow::Result<()> {
    for first in (0..rows).step_by(usize::try_from(CHUNK)?) {
        let parcels = (first..rows.min(first + CHUNK)).map(|id| parcel::ActiveModel {
            id: Set(id + 1),
            status: Set(WAITING.to_owned()),
            history: Set("[]".to_owned()),
            ..parcel::empty()
        });
        let parcels: Vec<_> = parcels.collect();
        let add = async move |tx: &celeriac_db::DbTx| {
            parcel::Entity::insert_many(parcels).exec_without_returning(tx).await?;
            Ok::<_, DbError>(())
        };
        database.write("add parcels", add).await?;
    }
    Ok(())
}

/// A soak as it goes on.
struct Soak {
    options: Options,
    place: Place,
    database: Database,
    journal: PathBuf,
    processes: Vec<Second>,
}

impl Soak {
    fn start(&self) -> anyhow::Result<Second> {
        let mut arguments = vec!["mover".to_owned()];
        arguments.extend(self.place.arguments());
        arguments.extend(["--journal".to_owned(), self.journal.display().to_string()]);
        arguments.extend(["--batch".to_owned(), self.options.batch.to_string()]);
        arguments.extend(["--lease-ms".to_owned(), self.options.lease_ms.to_string()]);
        arguments.extend(["--processes".to_owned(), self.options.processes.to_string()]);
        Second::start(&arguments)
    }

    /// Waits until so many rows are done.
    async fn until_done(&self, rows: i64) -> anyhow::Result<()> {
        let (mut done, mut since) = (0, Instant::now());
        while done < rows {
            let now = parcel::done(&self.database).await?;
            if now > done {
                (done, since) = (now, Instant::now());
            }
            anyhow::ensure!(since.elapsed() < LONGEST_REST, "the rows stand still with {done} done");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Counts the rows that a killed process had in work: those of the claims by which it had begun with one. What
    /// another one has in work goes on.
    async fn in_work_of(&self, process: u32) -> anyhow::Result<u64> {
        let claims: HashSet<i64> = notes(&self.journal)?
            .into_iter()
            .filter(|note| note.process == process)
            .map(|note| note.claim)
            .collect();
        parcel::processing(&self.database, claims).await
    }

    /// Looks at every row, and at how often each was processed.
    async fn conclude(&self, in_flight: u64, elapsed: Duration) -> anyhow::Result<()> {
        let mut processed: HashMap<i64, u64> = HashMap::new();
        for note in notes(&self.journal)? {
            *processed.entry(note.row).or_default() += 1;
        }
        let again: u64 = processed.values().map(|times| times - 1).sum();
        let rows = parcel::Entity::find().all(self.database.reader()).await?;
        let open = rows.iter().filter(|row| row.status != DONE).count();
        let stored_twice = rows.iter().filter(|row| row.stored != 1).count();
        println!(
            "processes:                       {}, {} killed with SIGKILL",
            self.options.processes, self.options.kills
        );
        println!("rows:                            {}, in {:.1} s", rows.len(), elapsed.as_secs_f64());
        println!("rows that are not done:          {open}");
        println!("rows not stored exactly once:    {stored_twice}");
        println!("rows that were processed again:  {again}");
        println!("rows in work at the kills:        {in_flight}");
        anyhow::ensure!(i64::try_from(rows.len())? == self.options.rows, "rows have come or gone");
        anyhow::ensure!(open == 0, "rows are left behind");
        anyhow::ensure!(stored_twice == 0, "rows were stored more than once, or not at all");
        let kills = u64::try_from(self.options.kills)?;
        anyhow::ensure!(in_flight >= kills, "the killed had next to nothing in work, which proves nothing");
        anyhow::ensure!(again <= in_flight, "more rows were processed twice than were in work");
        Ok(())
    }
}

/// A row that a process began with, as it stands in the journal.
struct Note {
    process: u32,
    claim: i64,
    row: i64,
}

fn notes(journal: &Path) -> anyhow::Result<Vec<Note>> {
    let read = |line: &str| -> anyhow::Result<Note> {
        let mut words = line.split(' ');
        let mut next = || words.next().with_context(|| format!("read \"{line}\""));
        Ok(Note { process: next()?.parse()?, claim: next()?.parse()?, row: next()?.parse()? })
    };
    std::fs::read_to_string(journal)?.lines().map(read).collect()
}
