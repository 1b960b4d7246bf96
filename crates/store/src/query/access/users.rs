//! People who log in.

use std::fmt;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::Scope;
use super::rows::{MAX_LISTED, instant, short};
use crate::StoreError;
use crate::entity::user::{ActiveModel, Column, Entity, Model};

/// A user who is to be made.
#[derive(Clone)]
pub struct NewUser {
    /// The name, in lower case.
    pub name: String,
    /// The password's hash, a PHC string.
    pub password: String,
    /// What the user may do.
    pub scope: Scope,
    /// When the user was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

impl fmt::Debug for NewUser {
    /// Leaves the hash out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("name", &self.name)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What is known of a user, but for the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The user's number.
    pub id: i64,
    /// The name.
    pub name: String,
    /// What the user may do; `None` is a word that this version does not know, and allows nothing.
    pub scope: Option<Scope>,
    /// When the user was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Since when the password is this one.
    pub password_at: Timestamp,
    /// Since when the user may not log in.
    pub disabled_at: Option<Timestamp>,
    /// When the user last logged in.
    pub last_login_at: Option<Timestamp>,
}

/// What is to change of a user; what is `None` stays.
#[derive(Clone, Default)]
pub struct UserChange {
    /// The password's hash, a PHC string.
    pub password: Option<String>,
    /// What the user may do.
    pub scope: Option<Scope>,
    /// Whether the user may not log in.
    pub disabled: Option<bool>,
}

impl fmt::Debug for UserChange {
    /// Leaves the hash out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserChange")
            .field("password", &self.password.is_some())
            .field("scope", &self.scope)
            .field("disabled", &self.disabled)
            .finish()
    }
}

/// Makes a user; `false` where there is one of this name.
///
/// # Errors
/// What the database says.
pub async fn add(tx: &DbTx, user: &NewUser) -> Result<bool, StoreError> {
    super::lock(tx).await?;
    let row = ActiveModel {
        id: NotSet,
        name: Set(user.name.clone()),
        password: Set(user.password.clone()),
        scope: Set(user.scope.as_str().to_owned()),
        created_at: Set(user.created_at.into()),
        created_by: Set(short(&user.created_by)),
        password_at: Set(user.created_at.into()),
        disabled_at: Set(None),
        last_login_at: Set(None),
    };
    let nothing = OnConflict::column(Column::Name).do_nothing().to_owned();
    let added = Entity::insert(row).on_conflict(nothing).exec_without_returning(tx).await;
    Ok(added.map_err(StoreError::doing("add user"))? == 1)
}

/// Finds a user by name, with the hash of the password.
///
/// # Errors
/// What the database says.
pub async fn find(
    reader: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<(UserRecord, String)>, StoreError> {
    let row = Entity::find().filter(Column::Name.eq(name)).one(reader).await;
    let row = row.map_err(StoreError::doing("look up a user"))?;
    Ok(row.map(|mut row| {
        let password = std::mem::take(&mut row.password);
        (record(row), password)
    }))
}

/// Finds a user by number.
///
/// # Errors
/// What the database says.
pub async fn by_id(reader: &impl ConnectionTrait, id: i64) -> Result<Option<UserRecord>, StoreError> {
    let row = Entity::find_by_id(id).one(reader).await.map_err(StoreError::doing("look up a user"))?;
    Ok(row.map(record))
}

/// Lists users by name, at most [`MAX_LISTED`].
///
/// # Errors
/// What the database says.
pub async fn list(reader: &impl ConnectionTrait) -> Result<Vec<UserRecord>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Name).limit(MAX_LISTED).all(reader).await;
    Ok(rows.map_err(StoreError::doing("list users"))?.into_iter().map(record).collect())
}

/// Changes a user, and returns the number; `None` where there is none of this name.
///
/// # Errors
/// What the database says.
pub async fn change(
    tx: &DbTx,
    name: &str,
    change: &UserChange,
    at: Timestamp,
) -> Result<Option<i64>, StoreError> {
    super::lock(tx).await?;
    let changed = async {
        let Some(row) = Entity::find().filter(Column::Name.eq(name)).one(tx).await? else { return Ok(None) };
        let id = row.id;
        Entity::update_many().set(changed(row, change, at)).filter(Column::Id.eq(id)).exec(tx).await?;
        Ok(Some(id))
    };
    changed.await.map_err(StoreError::doing("change user"))
}

fn changed(row: Model, change: &UserChange, at: Timestamp) -> ActiveModel {
    let disabled_at = match change.disabled {
        Some(true) => row.disabled_at.or(Some(at.into())),
        Some(false) => None,
        None => row.disabled_at,
    };
    let mut row = ActiveModel { disabled_at: Set(disabled_at), ..row.into() };
    if let Some(password) = &change.password {
        (row.password, row.password_at) = (Set(password.clone()), Set(at.into()));
    }
    if let Some(scope) = change.scope {
        row.scope = Set(scope.as_str().to_owned());
    }
    row
}

/// Notes that a user has logged in.
///
/// # Errors
/// What the database says.
pub async fn note_login(tx: &DbTx, id: i64, at: Timestamp) -> Result<(), StoreError> {
    let noted = Entity::update_many()
        .col_expr(Column::LastLoginAt, Expr::value(at.as_micros()))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await;
    noted.map(drop).map_err(StoreError::doing("note a login"))
}

fn record(row: Model) -> UserRecord {
    UserRecord {
        id: row.id,
        name: row.name,
        scope: row.scope.parse().ok(),
        created_at: row.created_at.into(),
        created_by: row.created_by,
        password_at: row.password_at.into(),
        disabled_at: instant(row.disabled_at),
        last_login_at: instant(row.last_login_at),
    }
}
