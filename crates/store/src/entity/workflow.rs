//! What is known of a workflow across the cluster.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// One workflow.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_workflows")]
pub struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// When a run last began.
    pub last_started_at: Option<Micros>,
    /// When a run last ended.
    pub last_ended_at: Option<Micros>,
    /// Whether rows were due when the last run ended.
    pub more: bool,
    /// Runs that began.
    pub runs: i64,
    /// Runs that were refused because every slot was taken.
    pub refused: i64,
    /// Since when an operator holds it back.
    pub paused_at: Option<Micros>,
    /// Settings that operators have changed, a JSON object.
    #[sea_orm(column_type = "Text", nullable)]
    pub settings: Option<String>,
    /// Due times at which no row was due.
    pub idle: i64,
}

impl ActiveModelBehavior for ActiveModel {}
