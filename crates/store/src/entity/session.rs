//! One row per login of the dashboard. What the cookie says is kept nowhere, only its hash.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// A login, with a password or with a token.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_sessions")]
pub struct Model {
    /// Orders sessions by when they began.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// How the cookie's text begins, to find it by.
    #[sea_orm(column_type = "String(StringLen::N(32))")]
    pub prefix: String,
    /// SHA-256 of the cookie's whole text, in hexadecimal digits.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub hash: String,
    /// The user who logged in.
    pub user_id: Option<i64>,
    /// The token that was logged in with.
    pub token_id: Option<i64>,
    /// The name of either.
    pub name: String,
    /// What it may do at most, in one word; its user or token may be allowed less by now.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub scope: String,
    /// When it began.
    pub created_at: Micros,
    /// When it was last used, to a minute.
    pub seen_at: Micros,
    /// When it ends, however much it is used.
    pub expires_at: Micros,
    /// When it was ended before.
    pub ended_at: Option<Micros>,
    /// From where it was begun.
    pub address: String,
    /// With which program.
    pub user_agent: String,
}

impl ActiveModelBehavior for ActiveModel {}
