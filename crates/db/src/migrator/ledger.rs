//! The ledger of migrations: the one table that this crate knows.

#![expect(unreachable_pub, reason = "the entity macro makes public types")]

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, Func, Query, SelectStatement};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, DeriveIden, QueryOrder, Schema};

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

/// Keeps other processes from migrating until the transaction ends.
pub(super) async fn lock(tx: &DbTx) -> Result<(), DbError> {
    Ok(tx.lock("migrations").await?)
}

/// Makes the table where it is missing.
pub(super) async fn create(tx: &DbTx) -> Result<(), DbError> {
    lock(tx).await?;
    let schema = Schema::new(tx.get_database_backend());
    tx.execute(schema.create_table_from_entity(Entity).if_not_exists()).await?;
    Ok(())
}

/// Returns what was made of `owner`'s line; nothing where there is no ledger yet.
pub(super) async fn applied(reader: &impl ConnectionTrait, owner: &str) -> Result<Vec<Model>, DbError> {
    if reader.query_one(&table_exists(reader.get_database_backend())).await?.is_none() {
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

/// What PostgreSQL is asked.
#[derive(DeriveIden)]
enum Ask {
    ToRegclass,
}

/// Returns a row where the table is there, in whichever schema a statement would find it.
fn table_exists(backend: DbBackend) -> SelectStatement {
    const LEDGER: &str = "celeriac_migrations";
    let mut query = Query::select();
    if backend == DbBackend::Postgres {
        let found = Expr::expr(Func::cust(Ask::ToRegclass).arg(LEDGER)).is_not_null();
        return query.expr(Expr::val(1)).and_where(found).to_owned();
    }
    query.column(SqliteSchema::Name).from(SqliteSchema::Table);
    query.and_where(Expr::col(SqliteSchema::Name).eq(LEDGER)).to_owned()
}
