//! One row per person who logs in.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// A person who logs in.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_users")]
pub struct Model {
    /// Orders users by when they were made.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The name, in lower case.
    #[sea_orm(unique)]
    pub name: String,
    /// The password's hash, as a PHC string, which says how it was made.
    #[sea_orm(column_type = "Text")]
    pub password: String,
    /// What the user may do, in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub scope: String,
    /// When the user was made.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
    /// Since when the password is this one.
    pub password_at: Micros,
    /// Since when the user may not log in.
    pub disabled_at: Option<Micros>,
    /// When the user last logged in.
    pub last_login_at: Option<Micros>,
}

impl ActiveModelBehavior for ActiveModel {}
