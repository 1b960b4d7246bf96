//! The right to run a workflow: as many rows as instances are allowed, each leased and fenced.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// One slot of one workflow.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_workflow_slots")]
pub struct Model {
    /// The workflow.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workflow: String,
    /// The slot, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The job that holds or held it.
    pub holder: String,
    /// Tells this holding from earlier ones.
    pub fence: i64,
    /// Until when it is held; free after.
    pub held_until: Micros,
}

impl ActiveModelBehavior for ActiveModel {}
