//! One row per token by which a program calls the API. What it says itself is kept nowhere, only its hash.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// A token, in use or not any more.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_tokens")]
pub struct Model {
    /// Orders tokens by when they were made.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Its name; of those that were not revoked, one alone has it.
    pub name: String,
    /// How its text begins, for lists, and to find it by.
    #[sea_orm(column_type = "String(StringLen::N(32))")]
    pub prefix: String,
    /// SHA-256 of its whole text, in hexadecimal digits.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub hash: String,
    /// What it may do, in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub scope: String,
    /// When it was made.
    pub created_at: Micros,
    /// Who made it.
    pub created_by: String,
    /// From when on it is not accepted any more.
    pub expires_at: Option<Micros>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Micros>,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
