//! The ledger of migrations: the one table that this crate knows.

#![expect(unreachable_pub, reason = "the entity macro makes public types")]

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, Query, SelectStatement};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DeriveIden, QueryOrder, Schema};

use crate::error::DbError;
use crate::tx::DbTx;

/// One migration that was made.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_migrations")]
pub struct Model {
    /// Whose line it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: String,
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// When it was made, in microseconds since the Unix epoch.
    pub applied_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// Makes the table where it is missing.
pub(super) async fn create(tx: &DbTx) -> Result<(), DbError> {
    let schema = Schema::new(tx.get_database_backend());
    tx.execute(schema.create_table_from_entity(Entity).if_not_exists()).await?;
    Ok(())
}

/// Returns what was made of `owner`'s line; nothing where there is no ledger yet.
pub(super) async fn applied(reader: &impl ConnectionTrait, owner: &str) -> Result<Vec<Model>, DbError> {
    if reader.query_one(&table_exists()).await?.is_none() {
        return Ok(Vec::new());
    }
    Ok(Entity::find().filter(COLUMN.owner.eq(owner)).order_by_asc(Column::AppliedAt).all(reader).await?)
}

pub(super) async fn is_applied(tx: &DbTx, owner: &str, name: &str) -> Result<bool, DbError> {
    Ok(Entity::find_by_id((owner.to_owned(), name.to_owned())).one(tx).await?.is_some())
}

pub(super) async fn insert(tx: &DbTx, owner: &str, name: &str, now: i64) -> Result<(), DbError> {
    let row = ActiveModel { owner: Set(owner.into()), name: Set(name.into()), applied_at: Set(now) };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

pub(super) async fn delete(tx: &DbTx, owner: &str, name: &str) -> Result<(), DbError> {
    Entity::delete_by_id((owner.to_owned(), name.to_owned())).exec(tx).await?;
    Ok(())
}

/// SQLite's own table of tables.
#[derive(DeriveIden)]
enum SqliteSchema {
    Table,
    Name,
}

fn table_exists() -> SelectStatement {
    let mut query = Query::select();
    query.column(SqliteSchema::Name).from(SqliteSchema::Table);
    query.and_where(Expr::col(SqliteSchema::Name).eq("celeriac_migrations")).to_owned()
}
