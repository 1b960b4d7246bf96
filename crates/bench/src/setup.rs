//! A database with queue and records, as both processes open it.

use std::path::Path;
use std::sync::Arc;

use celeriac_broker::{Broker, SqliteBroker};
use celeriac_control::StoreRecorder;
use celeriac_db::{Database, Durability, SqliteOptions};
use celeriac_engine::{Client, ClientParts, EventHub, NoRecorder, Recorder, SystemClock};
use celeriac_protocol::Clock;

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

/// Opens the database and makes a client on it.
pub(crate) async fn client(path: &Path, power: bool, records: Records) -> anyhow::Result<Client> {
    let durability = if power { Durability::Power } else { Durability::Process };
    let database = Database::open(SqliteOptions { durability, ..SqliteOptions::at(path) }).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let broker: Arc<dyn Broker> = Arc::new(SqliteBroker::open(database.clone(), Arc::clone(&clock)).await?);
    celeriac_store::MIGRATIONS.up(&database, clock.now().as_micros()).await?;
    let recorder: Arc<dyn Recorder> =
        if records == Records::None { Arc::new(NoRecorder) } else { Arc::new(StoreRecorder::new(database)) };
    let (registry, events) = (tasks::registry(), EventHub::default());
    Ok(Client::new(ClientParts { broker, recorder, clock, registry, events, origin: "bench".to_owned() }))
}
