//! What came of each due time: one row for each, so that none is met twice.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// What came of one due time, or of several that were missed together.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_firings")]
pub struct Model {
    /// The entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub schedule_id: i64,
    /// When it was due; of several, the last.
    #[sea_orm(primary_key, auto_increment = false)]
    pub due_at: Micros,
    /// When that was dealt with.
    pub handled_at: Micros,
    /// What came of it, in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub outcome: String,
    /// How many due times it stands for.
    pub count: i64,
    /// The first of several.
    pub first_due_at: Option<Micros>,
    /// The job.
    #[sea_orm(column_type = "String(StringLen::N(155))", nullable)]
    pub job_id: Option<String>,
    /// Whether its job is still to be counted among those under way.
    pub open: bool,
    /// Jobs that are yet to be cancelled because of it, a JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub cancels: Option<String>,
    /// Why it came to nothing, or else what is worth knowing.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
