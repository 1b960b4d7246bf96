//! How many jobs stand where: kept by every write, so that no screen counts rows.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

/// The number of a task's jobs in one standing.
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
    /// How many.
    pub jobs: i64,
}

impl ActiveModelBehavior for ActiveModel {}
