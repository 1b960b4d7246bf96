//! What a host's robots.txt says to this crawler, kept apart from the host's small and busy row.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

/// The rules of one host.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_host_robots")]
pub struct Model {
    /// The host.
    #[sea_orm(primary_key, auto_increment = false)]
    pub host_id: i64,
    /// The rules that matter to this crawler and the sitemaps, as a robots.txt of their own.
    #[sea_orm(column_type = "Text")]
    pub rules: String,
}

impl ActiveModelBehavior for ActiveModel {}
