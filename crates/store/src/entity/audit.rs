//! One row per change that somebody made, or was refused.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// What somebody did.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_audit")]
pub struct Model {
    /// Orders them.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// When.
    pub at: Micros,
    /// Who.
    pub who: String,
    /// By which way in, in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub via: String,
    /// What, as a noun and a verb: `jobs.cancel`.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub action: String,
    /// To what.
    pub object: String,
    /// More about it, a JSON value.
    #[sea_orm(column_type = "Text", nullable)]
    pub detail: Option<String>,
    /// What came of it, in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub outcome: String,
}

impl ActiveModelBehavior for ActiveModel {}
