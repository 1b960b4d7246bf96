//! What is measured on: a private server of the kind that was asked for, fresh for each row, and how durable it is.

use std::time::Duration;

use anyhow::Context as _;
use celeriac_peers::{Postgres, RabbitMq, Redis};
use serde::Deserialize;
use tempfile::TempDir;

use crate::process::cpu_of_tree;
use crate::setup::Place;

/// What carries the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// A file.
    Sqlite,
    /// A Redis server; records are in a SQLite file.
    Redis,
    /// A PostgreSQL server; records are in the same database.
    Postgres,
    /// A RabbitMQ server; records are in a SQLite file.
    Amqp,
}

/// What a server promises of what it has answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durability {
    /// The word for it.
    pub(crate) name: &'static str,
    /// The settings behind it.
    pub(crate) means: &'static str,
}

impl Transport {
    /// Returns what its server can promise, as it is measured.
    pub(crate) fn durabilities(self) -> &'static [Durability] {
        match self {
            Self::Sqlite => &[
                Durability {
                    name: "process",
                    means: "WAL, synchronous = NORMAL: survives any crash of ours",
                },
                Durability { name: "power", means: "WAL, synchronous = FULL: survives power loss" },
            ],
            Self::Redis => &[
                Durability { name: "everysec", means: "appendonly yes, appendfsync everysec; save off" },
                Durability { name: "always", means: "appendonly yes, appendfsync always; save off" },
                Durability { name: "off", means: "appendonly no; save off" },
            ],
            Self::Postgres => &[
                Durability {
                    name: "on",
                    means: "fsync = on, synchronous_commit = on; shared_buffers = 256MB",
                },
                Durability {
                    name: "off",
                    means: "fsync = on, synchronous_commit = off; shared_buffers = 256MB",
                },
            ],
            Self::Amqp => &[Durability {
                name: "confirmed",
                means: "one node, a durable classic queue, persistent messages; our side publishes with confirms",
            }],
        }
    }
}

/// Where RabbitMQ tells what lies in its queues at this moment; without these words it would tell what it last put
/// down in its statistics, seconds ago.
const QUEUES: &str = "/api/queues/%2F?disable_stats=true&enable_queue_totals=true";

/// How often it is asked that.
const LOOK_INTO_RABBITMQ: Duration = Duration::from_millis(100);

/// What it tells of one.
#[derive(Deserialize)]
struct QueueTotals {
    name: String,
    messages_ready: u64,
    messages_unacknowledged: u64,
}

/// Is responsible for the server and the folder of one row; both are gone when it is dropped.
pub(crate) struct Ground {
    server: Server,
    folder: TempDir,
    durability: Durability,
}

enum Server {
    None,
    Redis(Redis),
    Postgres(Postgres),
    RabbitMq(RabbitMq),
}

/// How many messages are in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// They wait, for a worker or for their time.
    pub(crate) waiting: u64,
    /// They are in the hands of workers.
    pub(crate) held: u64,
}

impl Ground {
    /// Starts what `transport` needs, as durable as it says.
    pub(crate) fn start(transport: Transport, durability: Durability) -> anyhow::Result<Self> {
        let server = match transport {
            Transport::Sqlite => Server::None,
            Transport::Redis => Server::Redis(start_redis(durability)?),
            Transport::Postgres => {
                let commit = format!("synchronous_commit={}", durability.name);
                let settings = ["fsync=on", "shared_buffers=256MB", &commit];
                Server::Postgres(Postgres::start_with(&settings)?)
            }
            Transport::Amqp => Server::RabbitMq(RabbitMq::start()?),
        };
        Ok(Self { server, folder: tempfile::tempdir()?, durability })
    }

    /// Returns where queue and records lie.
    pub(crate) fn place(&self) -> Place {
        let file = self.folder.path().join("bench.db");
        match &self.server {
            Server::None => Place::file(&file, self.durability.name == "power"),
            Server::Redis(redis) => Place { queue: Some(redis.url(0)), ..Place::file(&file, false) },
            Server::Postgres(server) => Place::server(server.url("postgres")),
            Server::RabbitMq(server) => Place { queue: Some(server.url("/")), ..Place::file(&file, false) },
        }
    }

    /// Returns what carries the queue.
    pub(crate) fn transport(&self) -> Transport {
        match &self.server {
            Server::None => Transport::Sqlite,
            Server::Redis(_) => Transport::Redis,
            Server::Postgres(_) => Transport::Postgres,
            Server::RabbitMq(_) => Transport::Amqp,
        }
    }

    /// Returns how often it may be looked whether its queue is empty, so that this takes next to nothing of what is
    /// measured: RabbitMQ is asked by its management API.
    pub(crate) fn between_looks(&self, elsewhere: Duration) -> Duration {
        if self.transport() == Transport::Amqp { LOOK_INTO_RABBITMQ } else { elsewhere }
    }

    /// Says whether there is a server.
    pub(crate) fn has_server(&self) -> bool {
        !matches!(self.server, Server::None)
    }

    /// Lets a server beside the database hold its breath: connections stay open, and nobody answers.
    pub(crate) fn freeze(&self) {
        match &self.server {
            Server::None | Server::Postgres(_) => {}
            Server::Redis(redis) => redis.freeze(),
            Server::RabbitMq(server) => server.freeze(),
        }
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill(&mut self) {
        match &mut self.server {
            Server::None => {}
            Server::Redis(redis) => redis.kill(),
            Server::Postgres(server) => server.kill(),
            Server::RabbitMq(server) => server.kill(),
        }
    }

    /// Stops the server in order.
    pub(crate) fn stop(&mut self) {
        match &mut self.server {
            Server::None => {}
            Server::Redis(redis) => redis.stop(),
            Server::Postgres(server) => server.stop(),
            Server::RabbitMq(server) => server.stop(),
        }
    }

    /// Starts the server again where it was.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        match &mut self.server {
            Server::None => Ok(()),
            Server::Redis(redis) => Ok(redis.restart()?),
            Server::Postgres(server) => Ok(server.restart()?),
            Server::RabbitMq(server) => Ok(server.restart()?),
        }
    }

    /// Returns the folder that is its own.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Returns the seconds of processor time that the server has used; none where there is no server.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        match &self.server {
            Server::None => Ok(0.0),
            Server::Redis(redis) => cpu_of_tree(redis.pid()),
            Server::Postgres(server) => cpu_of_tree(server.pid()),
            Server::RabbitMq(server) => cpu_of_tree(server.pid()),
        }
    }

    /// Counts Celery's queues in RabbitMQ, those of delayed messages among them; `None` elsewhere, where the transport
    /// counts by itself. AMQP counts only what is ready.
    pub(crate) fn left_in_rabbitmq(&self) -> anyhow::Result<Option<Left>> {
        let Server::RabbitMq(server) = &self.server else { return Ok(None) };
        let told = server.ask_management(QUEUES)?;
        let queues: Vec<QueueTotals> = serde_json::from_str(&told).with_context(|| told.clone())?;
        let ours = queues.iter().filter(|queue| queue.name.starts_with("celery"));
        Ok(Some(ours.fold(Left::default(), |sum, queue| Left {
            waiting: sum.waiting + queue.messages_ready,
            held: sum.held + queue.messages_unacknowledged,
        })))
    }
}

fn start_redis(durability: Durability) -> anyhow::Result<Redis> {
    let redis = Redis::start()?;
    match durability.name {
        "off" => redis.configure("appendonly", "no")?,
        fsync => redis.configure("appendfsync", fsync)?,
    }
    Ok(redis)
}
