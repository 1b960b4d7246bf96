//! What is measured on: a private server of the kind that was asked for, fresh for each row, and how durable it is.

use celeriac_peers::{Postgres, Redis};
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
        }
    }
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
        };
        Ok(Self { server, folder: tempfile::tempdir()?, durability })
    }

    /// Returns where queue and records lie.
    pub(crate) fn place(&self) -> Place {
        let file = self.folder.path().join("bench.db");
        match &self.server {
            Server::None => Place::file(&file, self.durability.name == "power"),
            Server::Redis(redis) => Place { queue: Some(redis.url(0)), ..Place::file(&file, false) },
            Server::Postgres(server) => Place { db: server.url("postgres"), queue: None, power: false },
        }
    }

    /// Says whether there is a server.
    pub(crate) fn has_server(&self) -> bool {
        !matches!(self.server, Server::None)
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill(&mut self) {
        match &mut self.server {
            Server::None => {}
            Server::Redis(redis) => redis.kill(),
            Server::Postgres(server) => server.kill(),
        }
    }

    /// Stops the server in order.
    pub(crate) fn stop(&mut self) {
        match &mut self.server {
            Server::None => {}
            Server::Redis(redis) => redis.stop(),
            Server::Postgres(server) => server.stop(),
        }
    }

    /// Starts the server again where it was.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        match &mut self.server {
            Server::None => Ok(()),
            Server::Redis(redis) => Ok(redis.restart()?),
            Server::Postgres(server) => Ok(server.restart()?),
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
        }
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
