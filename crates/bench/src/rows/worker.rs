//! A process that moves rows: a worker and the loop that starts its runs.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celeriac_control::workflow::{
    ItemCtx, ItemError, Processed, WORKFLOW_QUEUE, Workflow, WorkflowSettings, WorkflowStarter, Workflows,
};
use celeriac_control::{App, Driver, Environment};
use celeriac_engine::{States, Worker, WorkerOptions};
use sea_orm::prelude::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter};

use super::parcel::{self, Column, Entity};
use crate::process::input_closed;
use crate::setup::{self, Place, Records};
use crate::worker::worker_name;

/// How long a row takes.
const WORK: Duration = Duration::from_millis(3);

/// How often one looks for rows and for claims that have lapsed.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a row may be lost before it ends in *error*; more than there are kills.
const MAX_ATTEMPTS: u32 = 1_000;

/// Moves rows until its input is closed.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Where it is noted which rows were processed.
    #[arg(long)]
    journal: PathBuf,
    #[arg(long)]
    batch: usize,
    #[arg(long)]
    lease_ms: u64,
    /// How many processes may run the workflow at a time.
    #[arg(long)]
    processes: u32,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let journal = File::options().append(true).create(true).open(&options.journal)?;
    let settings = WorkflowSettings {
        interval: INTERVAL,
        batch_size: options.batch,
        max_instances: options.processes,
        lease: Duration::from_millis(options.lease_ms),
        max_attempts: MAX_ATTEMPTS,
        ..WorkflowSettings::default()
    };
    let parts = App::new("bench").workflow(Move { journal: Mutex::new(journal) }, settings).build()?;
    let (database, client) = setup::open_for(&options.place, Records::All, parts.registry.clone()).await?;
    parcel::TABLES.check(database.reader()).await?;
    let environment = Environment::new(database.clone(), client.clone());
    let states = parts.states.make(&environment, States::default().with(database)).await?;
    let workflows = states.get::<Workflows>().cloned().unwrap_or_default();
    let worker = WorkerOptions {
        name: worker_name(std::process::id()),
        queues: vec![WORKFLOW_QUEUE.to_owned()],
        lease: Duration::from_millis(options.lease_ms),
        max_deliveries: MAX_ATTEMPTS,
        ..WorkerOptions::default()
    };
    let worker = Worker::new(client.clone(), parts.registry, states, worker)?;
    let mut driver = Driver::new(client.clock().clone()).woken_by(client.broker().notifier().listen());
    for starter in WorkflowStarter::all(&workflows, &environment) {
        driver = driver.with(starter.alone())?;
    }
    let stop = input_closed();
    println!("ready");
    tokio::join!(worker.run(stop.clone()), driver.run(stop));
    Ok(())
}

/// Notes a row in a journal with whose it is, takes a while, and counts in the row's own transaction that this was stored.
struct Move {
    journal: Mutex<File>,
}

impl Workflow for Move {
    type Table = Entity;
    const NAME: &'static str = "parcel";
    const JOB: &'static str = "process_pending_parcels";
    const DESCRIPTION: &'static str = "moves parcels";

    async fn process(&self, row: parcel::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        let line = format!("{} {} {}\n", std::process::id(), row.claim.unwrap_or_default(), row.id);
        let written = self.journal.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        written.map_err(ItemError::transient)?;
        tokio::time::sleep(WORK).await;
        Ok(Processed::with(async move |tx| {
            let count = Entity::update_many().filter(Column::Id.eq(row.id));
            count.col_expr(Column::Stored, Expr::col(Column::Stored).add(1)).exec(tx).await?;
            Ok(())
        }))
    }
}
