//! Celeriac within a web server of one's own: requests add rows and ask for jobs, and worker and scheduler run in the
//! same process. It stops in order: first the server, then what runs, then the database.
//!
//! ```sh
//! cargo run --example embedded                 # serves http://127.0.0.1:3000; Ctrl-C or SIGTERM ends it
//! curl -X POST localhost:3000/order/teapot     # adds a row, and a job with it: {"job":"…","order":1}
//! curl localhost:3000/orders/1                 # what the workflow has made of the row
//! curl localhost:3000/jobs/…                   # how far the job is
//! ```

use std::{error::Error, future::Future, pin::Pin, time::Duration};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use celeriac::db::sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, Schema};
use celeriac::db::{Migration, MigrationSet};
use celeriac::{JobId, RunError, ScheduleEntry, prelude::*, workflow::*};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[expect(unreachable_pub, reason = "the entity macro makes public types beside it")]
mod orders {
    use celeriac::db::sea_orm::{self, entity::prelude::*};

    /// An order: what is wanted, and what the workflow keeps of every row.
    #[sea_orm::model]
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "shop_orders")]
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

    async fn process(&self, _row: orders::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        Ok(Processed::done())
    }
}

/// Writes an invoice, a second for each of its pages.
#[task(name = "invoice")]
async fn invoice(order: i64, #[default(1)] pages: u32, ctx: Ctx) -> Result<String, TaskError> {
    for page in 0..pages {
        ctx.progress(u8::try_from(page * 100 / pages)?, format!("page {} of {pages}", page + 1));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(format!("invoice of order {order}, {pages} pages"))
}

/// Counts the orders; the schedule asks for it once an hour.
#[task(name = "count_orders", state(Database))]
async fn count_orders(ctx: Ctx) -> Result<u64, TaskError> {
    use celeriac::db::sea_orm::PaginatorTrait;
    Ok(orders::Entity::find().count(ctx.state::<Database>().reader()).await?)
}

fn up(tx: &DbTx) -> Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + '_>> {
    Box::pin(async move {
        let table = Schema::new(tx.get_database_backend()).create_table_from_entity(orders::Entity);
        tx.execute(&table).await.map(drop)
    })
}

const TABLES: MigrationSet =
    MigrationSet { owner: "shop", migrations: &[Migration { name: "m1", up, down: None }] };

/// What runs beside the server, as it would be given to `celeriac::main`.
fn app() -> App {
    let often = WorkflowSettings { interval: Duration::from_secs(1), ..WorkflowSettings::default() };
    App::new("shop")
        .migrations(TABLES)
        .task::<invoice>()
        .task::<count_orders>()
        .workflow(Ship, often)
        .schedule(ScheduleEntry::new("orders-of-the-hour", "count_orders", "0 * * * *"))
}

/// What a request may use.
#[derive(Clone)]
struct Shop {
    client: Client,
    database: Database,
}

fn routes(shop: Shop) -> Router {
    Router::new()
        .route("/order/{item}", post(order))
        .route("/orders/{id}", get(show_order))
        .route("/jobs/{id}", get(show_job))
        .with_state(shop)
}

/// Adds an order, and asks for its invoice in the same transaction: there are both or neither.
async fn order(
    State(Shop { client, database }): State<Shop>,
    Path(item): Path<String>,
) -> Result<Json<Value>, Failed> {
    let add = async move |tx: &DbTx| -> Result<(i64, JobId), Failed> {
        // An atlas has many pages.
        let pages = if item == "atlas" { 3 } else { 1 };
        let row = orders::ActiveModel { item: Set(item), ..Default::default() };
        let order = orders::Entity::insert(row).exec(tx).await?.last_insert_id;
        Ok((order, client.enqueue_in(tx, invoice(order, pages)).await?.id().clone()))
    };
    let (order, job) = database.write("order", add).await?;
    Ok(Json(json!({ "order": order, "job": job })))
}

/// Tells what the workflow has made of an order.
async fn show_order(State(shop): State<Shop>, Path(id): Path<i64>) -> Result<Response, Failed> {
    let found = orders::Entity::find_by_id(id).one(shop.database.reader()).await?;
    Ok(match found {
        Some(order) => Json(json!({ "item": order.item, "status": order.status })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// Tells how far a job is.
async fn show_job(State(shop): State<Shop>, Path(id): Path<JobId>) -> Result<Response, Failed> {
    let found = shop.client.snapshot(&id).await?;
    Ok(match found {
        Some(job) => {
            let status = job.status.as_str();
            Json(json!({ "status": status, "percent": job.percent, "result": job.result })).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// Any error, which a real server would tell its log and not its visitors.
struct Failed(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

/// Resolves when the program is to end: somebody says so, or what runs beside the server has failed.
async fn ending(failed: impl Future<Output = RunError>) {
    let mut terminate = signal(SignalKind::terminate()).expect("a process may listen for its signals");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        error = failed => eprintln!("{error}"),
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever starts it wants to know where it serves")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let celeriac = celeriac::start(app()).await?;
    let shop = Shop { client: celeriac.client().clone(), database: celeriac.database().clone() };
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let served = axum::serve(listener, routes(shop)).with_graceful_shutdown(ending(celeriac.failed())).await;
    // No request is under way any more, so nobody misses the database.
    celeriac.shutdown().await?;
    Ok(served?)
}
