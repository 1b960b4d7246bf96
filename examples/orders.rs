//! A workflow over a table of one's own: orders are added by a task, and each is shipped by the workflow.
//!
//! ```sh
//! cargo run --example orders -- worker               # in one terminal
//! cargo run --example orders -- enqueue order teapot # in another
//! cargo run --example orders -- workflow order check
//! ```

use std::{pin::Pin, process::ExitCode, time::Duration};

use celeriac::db::sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, Schema};
use celeriac::db::{DbError, Migration, MigrationSet};
use celeriac::{prelude::*, workflow::*};

#[expect(unreachable_pub, reason = "the entity macro makes public types beside it")]
mod orders {
    use celeriac::db::sea_orm::{self, entity::prelude::*};

    /// An order: what is wanted, and what the loop keeps of every row, with what a new row begins with.
    #[sea_orm::model]
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "orders")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub item: String,
        #[sea_orm(default_value = "new")]
        pub status: String,
        #[sea_orm(default_value = 0)]
        pub due_at: i64,
        pub claimed_until: Option<i64>,
        pub claim: Option<i64>,
        #[sea_orm(default_value = 0)]
        pub attempts: i32,
        pub error: Option<String>,
        #[sea_orm(default_value = "[]")]
        pub history: String,
        #[sea_orm(default_value = 0)]
        pub updated_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

impl WorkflowTable for orders::Entity {
    const STATUSES: Statuses =
        Statuses { waiting: "new", processing: "packing", done: "shipped", error: "lost" };

    fn columns() -> Columns<Self> {
        use orders::Column::*;
        Columns {
            id: Id,
            status: Status,
            due_at: DueAt,
            claimed_until: ClaimedUntil,
            claim: Claim,
            attempts: Attempts,
            error: Error,
            history: History,
            updated_at: UpdatedAt,
        }
    }

    fn state(row: &orders::Model) -> RowState {
        let attempts = row.attempts.unsigned_abs();
        RowState { id: row.id, label: row.item.clone(), attempts, history: row.history.clone() }
    }
}

struct Ship;

impl Workflow for Ship {
    type Table = orders::Entity;
    const NAME: &'static str = "order";
    const JOB: &'static str = "process_pending_orders";
    const DESCRIPTION: &'static str = "ships what was ordered";

    async fn process(&self, row: orders::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        match row.item.as_str() {
            "unicorn" => Err(ItemError::permanent("there are no unicorns")),
            _ => Ok(Processed::done()),
        }
    }
}

/// Adds an order.
#[task(name = "order", state(Database))]
async fn order(item: String, ctx: Ctx) -> Result<(), TaskError> {
    let row = orders::ActiveModel { item: Set(item), ..Default::default() };
    let database = ctx.state::<Database>();
    let add = async move |tx: &DbTx| orders::Entity::insert(row).exec(tx).await.map_err(DbError::from);
    database.write("add order", add).await?;
    Ok(())
}

fn up(tx: &DbTx) -> Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + '_>> {
    Box::pin(async move {
        let table = Schema::new(tx.get_database_backend()).create_table_from_entity(orders::Entity);
        tx.execute(&table).await.map(drop)
    })
}

const TABLES: MigrationSet =
    MigrationSet { owner: "orders", migrations: &[Migration { name: "m1", up, down: None }] };

fn main() -> ExitCode {
    // Rows that nobody announces are found once an interval.
    let settings = WorkflowSettings { interval: Duration::from_secs(1), ..WorkflowSettings::default() };
    celeriac::main(App::new("orders").migrations(TABLES).task::<order>().workflow(Ship, settings))
}
