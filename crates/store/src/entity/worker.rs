//! One row per process that runs jobs, schedules or the API, written by itself every few seconds.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// A process, as it last told of itself.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_workers")]
pub struct Model {
    /// Its name in records and leases.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The app's name.
    pub app: String,
    /// The machine's name.
    pub host: String,
    /// The number of the process there.
    pub pid: i64,
    /// The app's version.
    pub version: String,
    /// What it does, a JSON array of words.
    #[sea_orm(column_type = "Text")]
    pub roles: String,
    /// The queues that it takes from, a JSON array.
    #[sea_orm(column_type = "Text")]
    pub queues: String,
    /// How many jobs it runs at a time.
    pub concurrency: i64,
    /// How many it has in hand.
    pub running: i64,
    /// Some of them, a JSON array of ids.
    #[sea_orm(column_type = "Text")]
    pub in_flight: String,
    /// How it stands, in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub state: String,
    /// When it started.
    pub started_at: Micros,
    /// When it last told of itself.
    pub seen_at: Micros,
    /// When it had stopped.
    pub stopped_at: Option<Micros>,
    /// How much memory it has in use, in bytes.
    pub memory_bytes: Option<i64>,
    /// How much processor time it has used.
    pub cpu_micros: Option<i64>,
    /// How its loops stand, a JSON array.
    #[sea_orm(column_type = "Text")]
    pub loops: String,
}

impl ActiveModelBehavior for ActiveModel {}
