//! Makes the table as SQLAlchemy would, or adds what a Celery that wrote less has left out.

use celeriac_db::{Database, DbError};
use sea_orm::sea_query::{ColumnDef, ColumnType, Index, Query, StringLen, Table};
use sea_orm::{ConnectionTrait, DbBackend};

use super::entity::{Column, Entity};
use super::failed;
use crate::BrokerError;

/// What SQLAlchemy takes the numbers of rows from, on a server.
pub(super) const SEQUENCE: &str = "task_id_sequence";

const MAKE_SEQUENCE: &str = "CREATE SEQUENCE IF NOT EXISTS task_id_sequence";

/// The columns that Celery makes for extended results alone.
const EXTENDED: [Column; 7] = [
    Column::Name,
    Column::Args,
    Column::Kwargs,
    Column::Worker,
    Column::Retries,
    Column::Queue,
    Column::Stamps,
];

/// Makes what is missing; where nothing is, no right to make tables is needed.
pub(super) async fn complete(database: &Database) -> Result<(), BrokerError> {
    if is_whole(database).await {
        return Ok(());
    }
    let make = async |tx: &celeriac_db::DbTx| {
        let backend = tx.get_database_backend();
        if backend == DbBackend::Postgres {
            make_sequence(tx).await?;
        }
        tx.execute(&table(backend)).await?;
        let by_date = Index::create()
            .if_not_exists()
            .name("ix_celery_taskmeta_date_done")
            .table(Entity)
            .col(Column::DateDone)
            .to_owned();
        tx.execute(&by_date).await?;
        Ok::<_, DbError>(())
    };
    database.write("make the results' table", make).await.map_err(failed("make the results' table"))?;
    if is_whole(database).await {
        return Ok(());
    }
    for column in EXTENDED {
        let add = Table::alter().table(Entity).add_column(definition(column)).to_owned();
        let added =
            async move |tx: &celeriac_db::DbTx| tx.execute(&add).await.map(drop).map_err(DbError::from);
        // One that is there already is refused; what is still missing after all is said below.
        if let Err(error) = database.write("add a column", added).await {
            tracing::debug!(error = %error, "column not added");
        }
    }
    let all = database.reader().execute(&probe()).await;
    all.map(drop).map_err(DbError::from).map_err(failed("read the results' table"))
}

#[expect(clippy::disallowed_methods, reason = "no builder writes a sequence")]
async fn make_sequence(tx: &celeriac_db::DbTx) -> Result<(), DbError> {
    tx.execute_unprepared(MAKE_SEQUENCE).await?;
    Ok(())
}

async fn is_whole(database: &Database) -> bool {
    database.reader().execute(&probe()).await.is_ok()
}

/// Asks for every column and no row.
fn probe() -> sea_orm::sea_query::SelectStatement {
    let mut select = Query::select();
    select.columns([Column::Id, Column::TaskId, Column::Status, Column::Result, Column::DateDone]);
    select.columns([Column::Traceback, Column::Children]).columns(EXTENDED).from(Entity).limit(0);
    select
}

fn table(backend: DbBackend) -> sea_orm::sea_query::TableCreateStatement {
    let mut id = ColumnDef::new(Column::Id);
    id.integer().not_null().primary_key();
    if backend != DbBackend::Postgres {
        id.auto_increment();
    }
    let mut table = Table::create();
    table.table(Entity).if_not_exists().col(id);
    for column in [
        Column::TaskId,
        Column::Status,
        Column::Result,
        Column::DateDone,
        Column::Traceback,
        Column::Children,
    ] {
        table.col(definition(column));
    }
    for column in EXTENDED {
        table.col(definition(column));
    }
    table
}

fn definition(column: Column) -> ColumnDef {
    let kind = match column {
        Column::TaskId | Column::Name | Column::Worker | Column::Queue => {
            ColumnType::String(StringLen::N(155))
        }
        Column::Status => ColumnType::String(StringLen::N(50)),
        Column::DateDone => ColumnType::DateTime,
        Column::Traceback => ColumnType::Text,
        Column::Id | Column::Retries => ColumnType::Integer,
        Column::Result | Column::Children | Column::Args | Column::Kwargs | Column::Stamps => {
            ColumnType::Blob
        }
    };
    let mut definition = ColumnDef::new_with_type(column, kind);
    if matches!(column, Column::TaskId) {
        definition.unique_key();
    }
    definition
}
