//! How many jobs stand where: kept by every write, so that no screen counts rows.
//!
//! On a server each number is the sum of several rows, or shards: writes side by side would else wait for each other's
//! commit.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

/// A part of the number of a task's jobs in one standing; alone it may be below zero.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_counts")]
pub struct Model {
    /// The task's name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task: String,
    /// A status, or `dead` for failed jobs whose message is among the dead letters (they are not
    /// counted under `failed` too).
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(16))")]
    pub standing: String,
    /// Which part.
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i16,
    /// How many.
    pub jobs: i64,
}

impl ActiveModelBehavior for ActiveModel {}
