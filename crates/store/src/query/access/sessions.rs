//! Logins of the dashboard.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Condition, Expr, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::rows::{MAX_LISTED, instant, short};
use super::{Scope, StoredSecret};
use crate::StoreError;
use crate::entity::session::{ActiveModel, Column, Entity, Model};
use crate::micros::Micros;

/// Whose login it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A user's, by number.
    User(i64),
    /// That of somebody who has a token, by its number.
    Token(i64),
}

/// Which sessions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsOf {
    /// All.
    Everybody,
    /// Those of one user or token.
    One(Bearer),
}

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What is kept of the cookie's text.
    pub secret: StoredSecret,
    /// Whose it is.
    pub bearer: Bearer,
    /// The name of user or token.
    pub name: String,
    /// What it may do at most.
    pub scope: Scope,
    /// When it begins.
    pub created_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
    /// From where it was begun.
    pub address: String,
    /// With which program.
    pub user_agent: String,
}

/// What is known of a session, but for what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its number.
    pub id: i64,
    /// Whose it is; `None` is nobody's, and allows nothing.
    pub bearer: Option<Bearer>,
    /// The name of user or token.
    pub name: String,
    /// What it may do at most; `None` is a word that this version does not know, and allows nothing.
    pub scope: Option<Scope>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to a minute.
    pub seen_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
    /// When it was ended before.
    pub ended_at: Option<Timestamp>,
    /// From where it was begun.
    pub address: String,
    /// With which program.
    pub user_agent: String,
}

/// Begins a session, and ends the oldest ones of the same user or token beyond `most`.
///
/// # Errors
/// What the database says.
pub async fn add(tx: &DbTx, session: &NewSession, most: u64) -> Result<i64, StoreError> {
    let added = async {
        let id = Entity::insert(row(session)).exec(tx).await?.last_insert_id;
        let mut kept = Query::select();
        kept.column(Column::Id)
            .from(Entity)
            .cond_where(open_of(SessionsOf::One(session.bearer)))
            .order_by(Column::Id, sea_orm::Order::Desc)
            .limit(most);
        Entity::update_many()
            .col_expr(Column::EndedAt, Expr::value(session.created_at.as_micros()))
            .filter(open_of(SessionsOf::One(session.bearer)))
            .filter(Column::Id.not_in_subquery(kept))
            .exec(tx)
            .await?;
        Ok::<_, DbErr>(id)
    };
    added.await.map_err(StoreError::doing("begin a session"))
}

fn row(session: &NewSession) -> ActiveModel {
    let (user_id, token_id) = match session.bearer {
        Bearer::User(id) => (Some(id), None),
        Bearer::Token(id) => (None, Some(id)),
    };
    ActiveModel {
        id: NotSet,
        prefix: Set(session.secret.prefix.clone()),
        hash: Set(session.secret.hash_text()),
        user_id: Set(user_id),
        token_id: Set(token_id),
        name: Set(session.name.clone()),
        scope: Set(session.scope.as_str().to_owned()),
        created_at: Set(session.created_at.into()),
        seen_at: Set(session.created_at.into()),
        expires_at: Set(session.expires_at.into()),
        ended_at: Set(None),
        address: Set(short(&session.address)),
        user_agent: Set(short(&session.user_agent)),
    }
}

fn open_of(whose: SessionsOf) -> Condition {
    let whose = match whose {
        SessionsOf::Everybody => None,
        SessionsOf::One(Bearer::User(id)) => Some(Column::UserId.eq(id)),
        SessionsOf::One(Bearer::Token(id)) => Some(Column::TokenId.eq(id)),
    };
    Condition::all().add(Column::EndedAt.is_null()).add_option(whose)
}

/// Returns the sessions whose cookie begins so, each with what it is to be compared with.
///
/// # Errors
/// What the database says.
pub async fn find(
    reader: &impl ConnectionTrait,
    prefix: &str,
) -> Result<Vec<(SessionRecord, StoredSecret)>, StoreError> {
    let rows = Entity::find().filter(Column::Prefix.eq(prefix)).limit(MAX_LISTED).all(reader).await;
    let rows = rows.map_err(StoreError::doing("look up a session"))?;
    let with_secret = |row: Model| {
        let secret = StoredSecret::read(row.prefix.clone(), &row.hash)?;
        Some((record(row), secret))
    };
    Ok(rows.into_iter().filter_map(with_secret).collect())
}

/// Lists the sessions that were last seen after `seen_after` and have not ended, the one used last first; at most
/// [`MAX_LISTED`].
///
/// # Errors
/// What the database says.
pub async fn list(
    reader: &impl ConnectionTrait,
    whose: SessionsOf,
    now: Timestamp,
    seen_after: Timestamp,
) -> Result<Vec<SessionRecord>, StoreError> {
    let rows = Entity::find()
        .filter(open_of(whose))
        .filter(Column::ExpiresAt.gt(Micros::from(now)))
        .filter(Column::SeenAt.gt(Micros::from(seen_after)))
        .order_by_desc(Column::SeenAt)
        .order_by_desc(Column::Id)
        .limit(MAX_LISTED)
        .all(reader)
        .await
        .map_err(StoreError::doing("list sessions"))?;
    Ok(rows.into_iter().map(record).collect())
}

/// Ends a session by its number; `false` where none that goes on has it.
///
/// # Errors
/// What the database says.
pub async fn end(tx: &DbTx, id: i64, at: Timestamp) -> Result<bool, StoreError> {
    Ok(end_where(tx, open_of(SessionsOf::Everybody).add(Column::Id.eq(id)), at).await? > 0)
}

/// Ends sessions, and returns how many.
///
/// # Errors
/// What the database says.
pub async fn end_all(tx: &DbTx, whose: SessionsOf, at: Timestamp) -> Result<u64, StoreError> {
    end_where(tx, open_of(whose), at).await
}

async fn end_where(tx: &DbTx, which: Condition, at: Timestamp) -> Result<u64, StoreError> {
    let ended = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(at.as_micros()))
        .filter(which)
        .exec(tx)
        .await;
    Ok(ended.map_err(StoreError::doing("end sessions"))?.rows_affected)
}

/// Notes that a session was used, unless that was noted after `before`.
///
/// # Errors
/// What the database says.
pub async fn touch(tx: &DbTx, id: i64, at: Timestamp, before: Timestamp) -> Result<(), StoreError> {
    let touched = Entity::update_many()
        .col_expr(Column::SeenAt, Expr::value(at.as_micros()))
        .filter(Column::Id.eq(id))
        .filter(Column::SeenAt.lte(Micros::from(before)))
        .exec(tx)
        .await;
    touched.map(drop).map_err(StoreError::doing("note that a session was used"))
}

/// Removes up to `batch` sessions whose latest end lay before an instant, and returns how many.
///
/// # Errors
/// What the database says.
pub async fn prune(tx: &DbTx, before: Timestamp, batch: u64) -> Result<u64, StoreError> {
    let mut old = Query::select();
    old.column(Column::Id)
        .from(Entity)
        .and_where(Column::ExpiresAt.lt(Micros::from(before)))
        .order_by(Column::ExpiresAt, sea_orm::Order::Asc)
        .limit(batch);
    let removed = Entity::delete_many().filter(Column::Id.in_subquery(old)).exec(tx).await;
    Ok(removed.map_err(StoreError::doing("remove old sessions"))?.rows_affected)
}

fn record(row: Model) -> SessionRecord {
    SessionRecord {
        id: row.id,
        bearer: row.user_id.map(Bearer::User).or(row.token_id.map(Bearer::Token)),
        name: row.name,
        scope: row.scope.parse().ok(),
        created_at: row.created_at.into(),
        seen_at: row.seen_at.into(),
        expires_at: row.expires_at.into(),
        ended_at: instant(row.ended_at),
        address: row.address,
        user_agent: row.user_agent,
    }
}
