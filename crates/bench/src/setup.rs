//! A queue and records, as both processes open them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{AmqpBroker, AmqpOptions, Broker, RedisBroker, RedisOptions, sql};
use celeriac_broker::{PostgresBroker, SqliteBroker};
use celeriac_control::StoreRecorder;
use celeriac_db::{Database, Durability, MigrationSet, PostgresOptions, SqliteOptions};
use celeriac_engine::{Client, ClientParts, EventHub, NoRecorder, Recorder, Registry, SystemClock};
use celeriac_protocol::Clock;

use crate::marks::Marked;
use crate::tasks;

/// How much is recorded of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Records {
    /// Every job, from enqueue to end.
    All,
    /// Only those that fail.
    Failures,
    /// There is no recorder at all.
    None,
}

/// Where queue and records lie.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The database: a file, or `postgres://…`.
    #[arg(long)]
    pub(crate) db: String,
    /// The queue, where it is not in the database: `redis://…` or `amqp://…`.
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Lets the file survive power loss.
    #[arg(long)]
    pub(crate) power: bool,
    /// Where it is noted which messages are taken and let go.
    #[arg(long)]
    pub(crate) marks: Option<PathBuf>,
    /// How long a transaction of a server may take, where that is not as long as by default. One that stands still is
    /// cut off a second after that.
    #[arg(long)]
    pub(crate) deadline_ms: Option<u64>,
}

impl Place {
    /// Names a file that holds both.
    pub(crate) fn file(path: &Path, power: bool) -> Self {
        Self { db: path.display().to_string(), queue: None, power, marks: None, deadline_ms: None }
    }

    /// Names a database of a PostgreSQL server that holds both.
    pub(crate) fn server(url: String) -> Self {
        Self { db: url, queue: None, power: false, marks: None, deadline_ms: None }
    }

    /// Writes it as the second process is told.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--db".to_owned(), self.db.clone()];
        arguments.extend(self.queue.iter().flat_map(|url| ["--queue".to_owned(), url.clone()]));
        arguments.extend(self.power.then(|| "--power".to_owned()));
        if let Some(marks) = &self.marks {
            arguments.extend(["--marks".to_owned(), marks.display().to_string()]);
        }
        if let Some(deadline_ms) = self.deadline_ms {
            arguments.extend(["--deadline-ms".to_owned(), deadline_ms.to_string()]);
        }
        arguments
    }

    fn is_on_server(&self) -> bool {
        self.db.starts_with("postgres://")
    }

    async fn open_database(&self) -> anyhow::Result<Database> {
        if self.is_on_server() {
            let mut options = PostgresOptions::at(&self.db);
            if let Some(deadline_ms) = self.deadline_ms {
                options.write_deadline = Duration::from_millis(deadline_ms);
            }
            return Ok(Database::open_postgres(options).await?);
        }
        let durability = if self.power { Durability::Power } else { Durability::Process };
        Ok(Database::open(SqliteOptions { durability, ..SqliteOptions::at(&self.db) }).await?)
    }

    /// Returns the transport that the queue's address names. Each kind of server has one line here.
    async fn open_broker(
        &self,
        database: &Database,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Arc<dyn Broker>> {
        let clock = Arc::clone(clock);
        Ok(match self.queue.as_deref() {
            None => sql::broker(database.clone(), clock),
            Some(url) if url.starts_with("redis") => {
                Arc::new(RedisBroker::open(RedisOptions::at(url), clock).await?)
            }
            Some(url) if url.starts_with("amqp") => {
                Arc::new(AmqpBroker::open(AmqpOptions::at(url), clock).await?)
            }
            Some(url) => anyhow::bail!("no transport is known for {url}"),
        })
    }

    fn migrations(&self) -> [MigrationSet; 2] {
        let queue = if self.is_on_server() { PostgresBroker::MIGRATIONS } else { SqliteBroker::MIGRATIONS };
        [queue, celeriac_store::MIGRATIONS]
    }
}

/// Opens queue and records and makes a client on them.
pub(crate) async fn open(place: &Place, records: Records) -> anyhow::Result<Client> {
    Ok(open_for(place, records, tasks::registry()).await?.1)
}

/// Opens queue and records and makes a client on them that knows these tasks.
pub(crate) async fn open_for(
    place: &Place,
    records: Records,
    registry: Registry,
) -> anyhow::Result<(Database, Client)> {
    let database = place.open_database().await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    for line in place.migrations() {
        line.up(&database, clock.now().as_micros()).await?;
    }
    let mut broker = place.open_broker(&database, &clock).await?;
    if let Some(marks) = &place.marks {
        broker = Arc::new(Marked::new(broker, marks)?);
    }
    let recorder: Arc<dyn Recorder> = match records {
        Records::None => Arc::new(NoRecorder),
        _ => Arc::new(StoreRecorder::new(database.clone())),
    };
    let (events, origin) = (EventHub::default(), "bench".to_owned());
    // What is beside a database of a server has an outbox there; beside a file nothing is enqueued in transactions here.
    let beside_server = place.queue.is_some() && place.is_on_server();
    let outbox = beside_server.then(|| sql::broker(database.clone(), Arc::clone(&clock)));
    let parts = ClientParts { broker, recorder, clock, registry, events, origin };
    let client = match outbox {
        Some(outbox) => Client::with_outbox(parts, outbox),
        None => Client::new(parts),
    };
    Ok((database, client))
}
