//! Processes that run jobs, schedules or the API: what each told of itself last.

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::{Condition, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, Iterable as _, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::entity::worker::{ActiveModel, Column, Entity, Model};
use crate::micros::Micros;

/// The most processes that a list has.
pub const MAX_WORKERS: u64 = 1_000;

/// The most jobs that one process names as in its hands.
pub const MAX_IN_FLIGHT: usize = 100;

/// The most loops that one process tells of.
pub const MAX_LOOPS: usize = 64;

/// How a process stands, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerState {
    /// It makes itself ready.
    Starting,
    /// It does its work.
    Running,
    /// It takes nothing more and lets what runs end.
    Draining,
    /// It has ended.
    Stopped,
}

impl WorkerState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Running, Self::Draining, Self::Stopped];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }

    /// Reads a word; one that is not known here is of a newer version, which does some work.
    fn read(word: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == word).unwrap_or(Self::Running)
    }
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerRecord {
    /// Its name in records and leases.
    pub name: String,
    /// The app's name.
    pub app: String,
    /// The machine's name.
    pub host: String,
    /// The number of the process there.
    pub pid: u32,
    /// The app's version.
    pub version: String,
    /// What it does: `worker`, `scheduler`, `server`.
    pub roles: Vec<String>,
    /// The queues that it takes from.
    pub queues: Vec<String>,
    /// How many jobs it runs at a time.
    pub concurrency: u64,
    /// How many it has in hand.
    pub running: u64,
    /// Some of them, up to [`MAX_IN_FLIGHT`].
    pub in_flight: Vec<String>,
    /// How it stands.
    pub state: WorkerState,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last told of itself.
    pub seen_at: Timestamp,
    /// When it had stopped.
    pub stopped_at: Option<Timestamp>,
    /// How much memory it has in use.
    pub memory_bytes: Option<u64>,
    /// How much processor time it has used since it started.
    pub cpu: Option<Duration>,
    /// How its loops stand, up to [`MAX_LOOPS`].
    pub loops: Vec<LoopRecord>,
}

/// How a loop of a process stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LoopRecord {
    /// Its name.
    pub name: String,
    /// How many passes have begun.
    pub passes: u64,
    /// How many have failed since one succeeded.
    pub failures: u32,
    /// When a pass last succeeded, in microseconds since 1970.
    pub succeeded_at: Option<i64>,
    /// When the next is due, likewise.
    pub next_at: Option<i64>,
    /// How long the last one took, in microseconds.
    pub took_micros: Option<u64>,
    /// What the last one did, or why it failed.
    pub last: Option<String>,
}

/// Writes down what a process tells of itself, in place of what it told before.
///
/// # Errors
/// What the database says.
pub async fn beat(tx: &DbTx, worker: &WorkerRecord) -> Result<(), StoreError> {
    let others = Column::iter().filter(|column| !matches!(column, Column::Name));
    let replace = OnConflict::column(Column::Name).update_columns(others).to_owned();
    Entity::insert(row(worker))
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await
        .map(drop)
        .map_err(StoreError::doing("write down how a worker stands"))
}

/// Lists up to [`MAX_WORKERS`] processes: those heard of last first.
///
/// # Errors
/// What the database says.
pub async fn list(reader: &impl ConnectionTrait) -> Result<Vec<WorkerRecord>, StoreError> {
    let rows = Entity::find()
        .order_by_desc(Column::SeenAt)
        .order_by_asc(Column::Name)
        .limit(MAX_WORKERS)
        .all(reader)
        .await
        .map_err(StoreError::doing("list workers"))?;
    Ok(rows.into_iter().map(record).collect())
}

/// Finds a process by its name.
///
/// # Errors
/// What the database says.
pub async fn find(reader: &impl ConnectionTrait, name: &str) -> Result<Option<WorkerRecord>, StoreError> {
    let row = Entity::find_by_id(name).one(reader).await.map_err(StoreError::doing("find worker"))?;
    Ok(row.map(record))
}

/// Forgets processes that stopped before one instant, or have not been heard of since the other, and returns how many.
///
/// # Errors
/// What the database says.
pub async fn forget(tx: &DbTx, stopped: Timestamp, silent: Timestamp) -> Result<u64, StoreError> {
    let is_over = Condition::any()
        .add(Column::StoppedAt.lt(Micros::from(stopped)))
        .add(Column::SeenAt.lt(Micros::from(silent)));
    let forgotten = Entity::delete_many()
        .filter(is_over)
        .exec(tx)
        .await
        .map_err(StoreError::doing("forget workers that are gone"))?;
    Ok(forgotten.rows_affected)
}

fn row(worker: &WorkerRecord) -> ActiveModel {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let in_flight = &worker.in_flight[..worker.in_flight.len().min(MAX_IN_FLIGHT)];
    let loops = &worker.loops[..worker.loops.len().min(MAX_LOOPS)];
    ActiveModel {
        name: Set(worker.name.clone()),
        app: Set(worker.app.clone()),
        host: Set(worker.host.clone()),
        pid: Set(worker.pid.into()),
        version: Set(worker.version.clone()),
        roles: Set(json(&worker.roles)),
        queues: Set(json(&worker.queues)),
        concurrency: Set(number(worker.concurrency)),
        running: Set(number(worker.running)),
        in_flight: Set(json(in_flight)),
        state: Set(worker.state.as_str().to_owned()),
        started_at: Set(worker.started_at.into()),
        seen_at: Set(worker.seen_at.into()),
        stopped_at: Set(worker.stopped_at.map(Into::into)),
        memory_bytes: Set(worker.memory_bytes.map(number)),
        cpu_micros: Set(worker.cpu.map(|cpu| i64::try_from(cpu.as_micros()).unwrap_or(i64::MAX))),
        loops: Set(json(loops)),
    }
}

fn record(row: Model) -> WorkerRecord {
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    WorkerRecord {
        name: row.name,
        app: row.app,
        host: row.host,
        pid: u32::try_from(row.pid).unwrap_or(0),
        version: row.version,
        roles: read(&row.roles),
        queues: read(&row.queues),
        concurrency: number(row.concurrency),
        running: number(row.running),
        in_flight: read(&row.in_flight),
        state: WorkerState::read(&row.state),
        started_at: row.started_at.into(),
        seen_at: row.seen_at.into(),
        stopped_at: row.stopped_at.map(Into::into),
        memory_bytes: row.memory_bytes.map(number),
        cpu: row.cpu_micros.map(|micros| Duration::from_micros(number(micros))),
        loops: read(&row.loops),
    }
}

fn json<T: Serialize + ?Sized>(list: &T) -> String {
    serde_json::to_string(list).expect("texts and numbers can be written as JSON")
}

/// Reads a list; what can't be read is of a newer version, and is left out.
fn read<T: DeserializeOwned>(text: &str) -> Vec<T> {
    serde_json::from_str(text).unwrap_or_default()
}
