//! The table whose rows are moved.

use std::pin::Pin;

use celeriac_control::workflow::{Columns, RowState, Statuses, WorkflowTable};
use celeriac_db::{Database, DbTx, Migration, MigrationSet};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ConnectionTrait, Schema};

/// The words for the statuses.
pub(super) const WAITING: &str = "waiting";
pub(super) const PROCESSING: &str = "processing";
pub(super) const DONE: &str = "done";

/// The tables of the soak.
pub(super) const TABLES: MigrationSet =
    MigrationSet { owner: "bench", migrations: &[Migration { name: "m1_parcels", up, down: None }] };

/// A parcel, and how often what came of it was stored.
#[sea_orm::model]
#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "parcels")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub status: String,
    pub due_at: i64,
    pub claimed_until: Option<i64>,
    pub claim: Option<i64>,
    pub attempts: i32,
    pub error: Option<String>,
    pub history: String,
    pub updated_at: i64,
    pub stored: i32,
}

impl ActiveModelBehavior for ActiveModel {}

impl WorkflowTable for Entity {
    const STATUSES: Statuses =
        Statuses { waiting: WAITING, processing: PROCESSING, done: DONE, error: "error" };

    fn columns() -> Columns<Self> {
        Columns {
            id: Column::Id,
            status: Column::Status,
            due_at: Column::DueAt,
            claimed_until: Column::ClaimedUntil,
            claim: Column::Claim,
            attempts: Column::Attempts,
            error: Column::Error,
            history: Column::History,
            updated_at: Column::UpdatedAt,
        }
    }

    fn state(row: &Model) -> RowState {
        let attempts = row.attempts.unsigned_abs();
        RowState { id: row.id, label: row.id.to_string(), attempts, history: row.history.clone() }
    }
}

/// Returns a parcel that nobody has touched.
pub(super) fn empty() -> ActiveModel {
    ActiveModel {
        due_at: Set(0),
        claimed_until: Set(None),
        claim: Set(None),
        attempts: Set(0),
        error: Set(None),
        updated_at: Set(0),
        stored: Set(0),
        ..Default::default()
    }
}

/// Counts the rows that are done.
pub(super) async fn done(database: &Database) -> anyhow::Result<i64> {
    let done = Entity::find().filter(Column::Status.eq(DONE));
    Ok(i64::try_from(done.count(database.reader()).await?)?)
}

/// Counts the rows that are being worked on under some of these claims.
pub(super) async fn processing(
    database: &Database,
    claims: impl IntoIterator<Item = i64>,
) -> anyhow::Result<u64> {
    let processing = Entity::find().filter(Column::Status.eq(PROCESSING));
    Ok(processing.filter(Column::Claim.is_in(claims)).count(database.reader()).await?)
}

fn up(tx: &DbTx) -> Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + '_>> {
    Box::pin(async move {
        let table = Schema::new(tx.get_database_backend()).create_table_from_entity(Entity);
        tx.execute(&table).await.map(drop)
    })
}
