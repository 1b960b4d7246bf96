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
}

impl ActiveModelBehavior for ActiveModel {}
