//! Where each entry of the schedule stands: the narrow rows that the beat writes.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// Where one entry stands. Whoever changes an entry or its firings locks this row first.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_schedule_states")]
pub struct Model {
    /// The entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub schedule_id: i64,
    /// When the beat looks at it next; absent where there is nothing to do.
    pub wake_at: Option<Micros>,
    /// When it is due next.
    pub next_due_at: Option<Micros>,
    /// The newest due time that has been dealt with.
    pub last_due_at: Option<Micros>,
    /// A due time whose job waits until an earlier one has ended.
    pub waiting_due_at: Option<Micros>,
    /// When it last enqueued a job.
    pub last_run_at: Option<Micros>,
    /// How many jobs it has enqueued.
    pub total_run_count: i64,
    /// Why the last due time came to nothing, where it did.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
