//! Tokens by which programs call the API.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Condition, Expr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder, QuerySelect,
};

use super::rows::{MAX_LISTED, instant, short};
use super::{Scope, StoredSecret};
use crate::StoreError;
use crate::entity::token::{ActiveModel, Column, Entity, Model};
use crate::micros::Micros;

/// A token that is to be kept.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// What is kept of its text.
    pub secret: StoredSecret,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it is not accepted any more; never, where there is none.
    pub expires_at: Option<Timestamp>,
}

/// What is known of a token, but for what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How its text begins.
    pub prefix: String,
    /// What it may do; `None` is a word that this version does not know, and allows nothing.
    pub scope: Option<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it is not accepted any more.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
}

impl TokenRecord {
    /// Says whether it is accepted at this instant.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// Keeps a token and returns its number; `None` where another one that is not revoked has its name.
///
/// # Errors
/// What the database says.
pub async fn add(tx: &DbTx, token: &NewToken) -> Result<Option<i64>, StoreError> {
    super::lock(tx).await?;
    let added = async {
        if in_use(&token.name).one(tx).await?.is_some() {
            return Ok(None);
        }
        Entity::insert(row(token)).exec(tx).await.map(|inserted| Some(inserted.last_insert_id))
    };
    added.await.map_err(StoreError::doing("add token"))
}

fn row(token: &NewToken) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        name: Set(token.name.clone()),
        prefix: Set(token.secret.prefix.clone()),
        hash: Set(token.secret.hash_text()),
        scope: Set(token.scope.as_str().to_owned()),
        created_at: Set(token.created_at.into()),
        created_by: Set(short(&token.created_by)),
        expires_at: Set(token.expires_at.map(Micros::from)),
        last_used_at: Set(None),
        revoked_at: Set(None),
        revoked_by: Set(None),
    }
}

fn in_use(name: &str) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::Name.eq(name)).filter(Column::RevokedAt.is_null())
}

/// Returns the tokens whose text begins so, each with what it is to be compared with. There is one, or none, unless
/// somebody guesses.
///
/// # Errors
/// What the database says.
pub async fn find(
    reader: &impl ConnectionTrait,
    prefix: &str,
) -> Result<Vec<(TokenRecord, StoredSecret)>, StoreError> {
    let rows = Entity::find().filter(Column::Prefix.eq(prefix)).limit(MAX_LISTED).all(reader).await;
    let rows = rows.map_err(StoreError::doing("look up a token"))?;
    let with_secret = |row: Model| {
        let secret = StoredSecret::read(row.prefix.clone(), &row.hash)?;
        Some((record(row), secret))
    };
    Ok(rows.into_iter().filter_map(with_secret).collect())
}

/// Finds a token by its number.
///
/// # Errors
/// What the database says.
pub async fn by_id(reader: &impl ConnectionTrait, id: i64) -> Result<Option<TokenRecord>, StoreError> {
    let row = Entity::find_by_id(id).one(reader).await.map_err(StoreError::doing("look up a token"))?;
    Ok(row.map(record))
}

/// Lists tokens by name; those that are revoked or expired only where `all` are asked for. There are at most
/// [`MAX_LISTED`], the newest.
///
/// # Errors
/// What the database says.
pub async fn list(
    reader: &impl ConnectionTrait,
    now: Timestamp,
    all: bool,
) -> Result<Vec<TokenRecord>, StoreError> {
    let in_force = Condition::all()
        .add(Column::RevokedAt.is_null())
        .add(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(Micros::from(now))));
    let rows = Entity::find()
        .filter(Condition::all().add_option((!all).then_some(in_force)))
        .order_by_desc(Column::Id)
        .limit(MAX_LISTED)
        .all(reader)
        .await
        .map_err(StoreError::doing("list tokens"))?;
    let mut tokens: Vec<TokenRecord> = rows.into_iter().map(record).collect();
    tokens.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
    Ok(tokens)
}

/// Revokes a token by its name, and returns its number; `None` where no token in use has it. Its sessions are ended by
/// whoever looks them up.
///
/// # Errors
/// What the database says.
pub async fn revoke(tx: &DbTx, name: &str, at: Timestamp, by: &str) -> Result<Option<i64>, StoreError> {
    super::lock(tx).await?;
    let revoked = async {
        let Some(row) = in_use(name).one(tx).await? else { return Ok(None) };
        Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(at.as_micros()))
            .col_expr(Column::RevokedBy, Expr::value(short(by)))
            .filter(Column::Id.eq(row.id))
            .exec(tx)
            .await?;
        Ok(Some(row.id))
    };
    revoked.await.map_err(StoreError::doing("revoke token"))
}

/// Notes that a token was used, unless that was noted after `before`.
///
/// # Errors
/// What the database says.
pub async fn touch(tx: &DbTx, id: i64, at: Timestamp, before: Timestamp) -> Result<(), StoreError> {
    let touched = Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(at.as_micros()))
        .filter(Column::Id.eq(id))
        .filter(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lte(Micros::from(before))))
        .exec(tx)
        .await;
    touched.map(drop).map_err(StoreError::doing("note that a token was used"))
}

fn record(row: Model) -> TokenRecord {
    TokenRecord {
        id: row.id,
        name: row.name,
        prefix: row.prefix,
        scope: row.scope.parse().ok(),
        created_at: row.created_at.into(),
        created_by: row.created_by,
        expires_at: instant(row.expires_at),
        last_used_at: instant(row.last_used_at),
        revoked_at: instant(row.revoked_at),
        revoked_by: row.revoked_by,
    }
}
