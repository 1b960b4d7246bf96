//! The collector that is measured, in a process of its own: a worker and the loops that start its runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, SqliteBroker};
use celeriac_collect::fetch::{GuardPolicy, HostPolicy};
use celeriac_collect::{CollectSettings, module};
use celeriac_control::workflow::{WORKFLOW_QUEUE, WorkflowSettings, WorkflowStarter, Workflows};
use celeriac_control::{App, Driver, Environment, StoreRecorder};
use celeriac_db::{Database, SqliteOptions};
use celeriac_engine::{Client, ClientParts, EventHub, States, SystemClock, Worker, WorkerOptions};
use celeriac_protocol::Clock;

use crate::process::{input_closed, usage};
use crate::worker::worker_name;

/// Collects until its input is closed, then says what it has used.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    db: PathBuf,
    /// The one address that may be asked.
    #[arg(long)]
    site: SocketAddr,
    #[arg(long)]
    concurrency: usize,
    /// Leave the pages alone.
    #[arg(long)]
    lists_only: bool,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = Database::open(SqliteOptions::at(&options.db)).await?;
    let broker: Arc<dyn Broker> = Arc::new(SqliteBroker::open(database.clone(), Arc::clone(&clock)).await?);
    let parts = module(App::new("bench"), settings(&options)).build()?;
    celeriac_store::MIGRATIONS.up(&database, clock.now().as_micros()).await?;
    for set in &parts.migrations {
        set.up(&database, clock.now().as_micros()).await?;
    }
    let client = Client::new(ClientParts {
        broker,
        recorder: Arc::new(StoreRecorder::new(database.clone())),
        clock: Arc::clone(&clock),
        registry: parts.registry.clone(),
        events: EventHub::default(),
        origin: "bench".to_owned(),
    });
    let environment = Environment::new(database.clone(), client.clone());
    let states = parts.states.make(&environment, States::default().with(database)).await?;
    let workflows = states.get::<Workflows>().cloned().unwrap_or_default();
    let worker = WorkerOptions {
        name: worker_name(std::process::id()),
        queues: vec![WORKFLOW_QUEUE.to_owned()],
        ..WorkerOptions::default()
    };
    let worker = Worker::new(client.clone(), parts.registry, states, worker)?;
    let mut driver = Driver::new(clock).woken_by(client.broker().notifier().listen());
    for starter in WorkflowStarter::all(&workflows, &environment) {
        driver = driver.with(starter.alone())?;
    }
    let stop = input_closed();
    println!("ready");
    tokio::join!(worker.run(stop.clone()), driver.run(stop));
    println!("{}", serde_json::to_string(&usage()?)?);
    Ok(())
}

/// Lets the site be asked as fast as it answers.
fn settings(options: &Options) -> CollectSettings {
    let defaults = CollectSettings::default();
    let slots = u32::try_from(options.concurrency * 2).unwrap_or(u32::MAX);
    let mut settings = CollectSettings {
        hosts: HostPolicy { concurrency: slots, min_delay: Duration::ZERO, ..HostPolicy::default() },
        page_workflow: WorkflowSettings {
            batch_size: options.concurrency,
            enabled: !options.lists_only,
            ..defaults.page_workflow.clone()
        },
        ..defaults
    };
    settings.fetch.guard = GuardPolicy::default().allow_socket(options.site);
    settings
}
