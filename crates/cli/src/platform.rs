//! Opens what a command works on: the database, brought up to date, and the client on it.

use std::collections::{BTreeSet, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(feature = "amqp")]
use celeriac_broker::AmqpBroker;
use celeriac_broker::{Broker, BrokerError, Gravity, PostgresBroker, RedisBroker, SqliteBroker, sql};
use celeriac_control::{Environment, ResultRecorder, StoreRecorder};
use celeriac_db::{Database, DbError, MigrationSet, PostgresOptions, SqliteOptions, StorageFault};
use celeriac_engine::{Client, ClientParts, EventHub, Recorder, Sending, States};
use celeriac_protocol::{Address, JobId, JobStatus, error_text};
use celeriac_store::query::jobs::{self, JobFilter, StatusFilter};

use crate::config::{BrokerUrl, Opening};
use crate::context::Context;
use crate::error::{Code, Failure, Result};

mod results;

/// What a command works on.
pub(crate) struct Platform {
    /// The database.
    pub(crate) database: Database,
    /// Asks for jobs and looks after them.
    pub(crate) client: Client,
    /// Keeps results where Celery's clients look for them, if that is wanted.
    pub(crate) results: Option<ResultRecorder>,
}

/// How a command uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reads what is there; a file that may not be written is enough.
    Reading,
    /// Changes what is there.
    Changing,
    /// Changes it, and makes it where there is none.
    Creating,
    /// Does the same, and stays to hear what becomes of the jobs that are asked for.
    Hearing,
}

impl Platform {
    /// Returns the transport.
    pub(crate) fn broker(&self) -> &Arc<dyn Broker> {
        self.client.broker()
    }

    /// Returns what an app's states are made from.
    pub(crate) fn environment(&self) -> Environment {
        Environment::new(self.database.clone(), self.client.clone())
    }

    /// Makes the app's states, its workflows among them. They are made once.
    ///
    /// # Errors
    /// The first that could not be made.
    pub(crate) async fn make_states(&self, context: &mut Context) -> Result<States> {
        let environment = self.environment();
        let given = States::default().with(self.database.clone()).with(environment.clone());
        Ok(context.take_states().make(&environment, given).await?)
    }
}

/// A broker that is being opened.
type Opened = Pin<Box<dyn Future<Output = Result<Arc<dyn Broker>, BrokerError>> + Send>>;

impl Context {
    /// Returns what a worker of this process is called where nobody says otherwise: app-pid@host, and app-pid.2@host
    /// for the second one that is asked for, since leases are told apart by it.
    pub(crate) fn worker_name(&self) -> String {
        static NAMED: AtomicU32 = AtomicU32::new(0);
        let (app, process, host) = (&self.app.name, std::process::id(), host_name());
        match NAMED.fetch_add(1, Ordering::Relaxed) {
            0 => format!("{app}-{process}@{host}"),
            before => format!("{app}-{process}.{}@{host}", before + 1),
        }
    }

    /// Opens the database and brings its tables up to date where they are not.
    ///
    /// # Errors
    /// What stands in the way, each with its hint.
    pub(crate) async fn open(&self, used_for: Use) -> Result<Platform> {
        let database = self.open_database(used_for).await?;
        let (results, reply_to) = self.open_results(&database, used_for).await?;
        let recorder: Arc<dyn Recorder> = match &results {
            Some(results) => Arc::new(results.clone()),
            None => Arc::new(StoreRecorder::new(database.clone())),
        };
        let parts = ClientParts {
            broker: self.open_broker(&database).await?,
            recorder,
            clock: Arc::clone(&self.clock),
            registry: self.app.registry.clone(),
            events: EventHub::default(),
            origin: origin(),
        };
        self.opened.add_broker(&parts.broker);
        let outbox = match parts.broker.sql() {
            Some(_) => None,
            None => Some(sql::broker(database.clone(), Arc::clone(&self.clock))),
        };
        let sending = Sending { reply_to, ..self.loaded.config.tasks.sending() };
        let client = Client::with_sending(parts, outbox, sending);
        Ok(Platform { database, client, results })
    }

    /// Opens the database alone, and brings its tables up to date where they are not.
    ///
    /// # Errors
    /// What stands in the way.
    pub(crate) async fn open_database(&self, used_for: Use) -> Result<Database> {
        let database = match (self.loaded.config.database.opening(), used_for) {
            (Opening::File(options), Use::Reading) => open_for_reading(self, options).await?,
            (Opening::File(options), Use::Changing) => {
                open_for_writing(self, SqliteOptions { create: false, ..options }).await?
            }
            (Opening::File(options), Use::Creating | Use::Hearing) => open_for_writing(self, options).await?,
            (Opening::Server(options), _) => open_server(self, options).await?,
        };
        self.opened.add(&database);
        Ok(database)
    }

    /// Says whether the queue is in a server beside the database, which has an outbox then.
    pub(crate) fn has_outbox(&self) -> bool {
        self.loaded.config.broker.url != BrokerUrl::Database
    }

    /// Opens the queue: in the database, or in the server that the settings name.
    async fn open_broker(&self, database: &Database) -> Result<Arc<dyn Broker>> {
        let recorded = match self.loaded.config.broker.url {
            BrokerUrl::Amqp(_) => queues_of_open_jobs(database).await,
            BrokerUrl::Database | BrokerUrl::Redis(_) => Vec::new(),
        };
        match self.open_queue_server(recorded).await? {
            Some(broker) => Ok(broker),
            None => Ok(sql::broker(database.clone(), Arc::clone(&self.clock))),
        }
    }

    /// Connects to the server that the queue is in, where it is in one. One that tells no names of queues counts those
    /// of the settings, of tasks, and `more`.
    ///
    /// # Errors
    /// The server can't be reached, or does not let us in.
    pub(crate) async fn open_queue_server(&self, more: Vec<String>) -> Result<Option<Arc<dyn Broker>>> {
        let broker = &self.loaded.config.broker;
        let clock = Arc::clone(&self.clock);
        let opened: Result<Arc<dyn Broker>, BrokerError> = if let Some(options) = broker.redis() {
            RedisBroker::open(options, clock).await.map(|redis| Arc::new(redis) as _)
        } else if let Some(opening) = self.open_rabbitmq(more) {
            opening.await
        } else {
            return Ok(None);
        };
        opened.map(Some).map_err(|error| Failure::from(error).used_for("queue", &broker.url.shown()))
    }

    /// Begins to connect to RabbitMQ, where the queue is there. All queues that its tasks and its worker
    /// name are counted, and `more`.
    #[cfg(feature = "amqp")]
    fn open_rabbitmq(&self, more: Vec<String>) -> Option<Opened> {
        let mut options = self.loaded.config.broker.amqp()?;
        options.queues.clone_from(&self.loaded.config.worker.queues);
        options.queues.extend(more);
        let of_tasks = self.app.registry.tasks().filter_map(|task| Some(task.options.queue?.to_owned()));
        options.queues.extend(of_tasks);
        options.queues.extend(options.bindings.iter().map(|binding| binding.queue.clone()));
        let clock = Arc::clone(&self.clock);
        Some(Box::pin(async move {
            AmqpBroker::open(options, clock).await.map(|broker| Arc::new(broker) as Arc<dyn Broker>)
        }))
    }

    /// Without RabbitMQ no URL of it is understood.
    #[cfg(not(feature = "amqp"))]
    fn open_rabbitmq(&self, _more: Vec<String>) -> Option<Opened> {
        None
    }
}

/// Returns the queues of jobs that have not ended, as far as the newest ones of each status tell. That they can't be
/// read is said by whoever needs more of the database.
async fn queues_of_open_jobs(database: &Database) -> Vec<String> {
    let mut queues = BTreeSet::new();
    for status in [JobStatus::Pending, JobStatus::Scheduled, JobStatus::Retrying, JobStatus::Running] {
        let filter = JobFilter { status: Some(StatusFilter::In(status)), ..JobFilter::default() };
        if let Ok(page) = jobs::list(database.reader(), &filter, None, jobs::MAX_PAGE).await {
            queues.extend(page.jobs.into_iter().map(|job| job.queue));
        }
    }
    queues.retain(|queue| Address::is_queue(queue));
    queues.into_iter().collect()
}

impl Platform {
    /// Returns which of these jobs the database has a record of.
    ///
    /// # Errors
    /// The records can't be read.
    pub(crate) async fn recorded(&self, ids: impl IntoIterator<Item = &JobId>) -> Result<HashSet<JobId>> {
        let ids: Vec<JobId> = ids.into_iter().cloned().collect();
        let known = self.client.recorder().generations(&ids).await?;
        Ok(known.into_keys().collect())
    }

    /// Logs what in the server's settings or state would lose jobs.
    pub(crate) async fn warn_of_dangers(&self) {
        match self.broker().admin().dangers().await {
            Ok(dangers) => {
                for danger in dangers {
                    match danger.gravity {
                        Gravity::Serious => tracing::error!(advice = danger.advice, "{}", danger.what),
                        Gravity::Rare => tracing::warn!(advice = danger.advice, "{}", danger.what),
                    }
                }
            }
            Err(error) => tracing::warn!(error = error_text(&error), "the queue's server can't be examined"),
        }
    }
}

/// Returns all lines of migrations, in the order in which they are made.
pub(crate) fn migration_lines(context: &Context) -> Vec<MigrationSet> {
    let queue = match context.loaded.config.database.is_on_server() {
        true => PostgresBroker::MIGRATIONS,
        false => SqliteBroker::MIGRATIONS,
    };
    let mut lines = vec![queue, celeriac_store::MIGRATIONS];
    lines.extend(context.app.migrations.iter().copied());
    lines
}

/// Opens the database for its schema's sake, making it where it is a file and `creates` says so.
///
/// # Errors
/// What stands in the way.
pub(crate) async fn open_bare(context: &Context, creates: bool) -> Result<Database> {
    open_at(match context.loaded.config.database.opening() {
        Opening::File(options) => Opening::File(SqliteOptions { create: creates, ..options }),
        server => server,
    })
    .await
}

async fn open_at(opening: Opening) -> Result<Database> {
    Ok(match opening {
        Opening::File(options) => Database::open(options).await?,
        Opening::Server(options) => Database::open_postgres(options).await?,
    })
}

/// Opens the database to look at its schema, as far as it can be looked at without being changed.
///
/// # Errors
/// What stands in the way.
pub(crate) async fn open_to_look(context: &Context) -> Result<Database> {
    Ok(match context.loaded.config.database.opening() {
        Opening::File(options) => Database::open_read_only(options).await?,
        Opening::Server(options) => Database::open_postgres(options).await?,
    })
}

/// Opens a database that others share: its schema is changed by who says so, and by nobody else.
async fn open_server(context: &Context, options: PostgresOptions) -> Result<Database> {
    let database = Database::open_postgres(options).await?;
    let pending = pending(context, &database).await?;
    if pending == 0 {
        return Ok(database);
    }
    database.close().await;
    let missing = format_args!("{pending} migrations are to be made first").to_string();
    Err(Failure::failed_to(Code::DatabaseOlder, format_args!("use database {}", database.name()))
        .because(missing))
}

async fn open_for_reading(context: &Context, options: SqliteOptions) -> Result<Database> {
    let database = Database::open_read_only(options.clone()).await?;
    if pending(context, &database).await? == 0 {
        return Ok(database);
    }
    database.close().await;
    open_for_writing(context, SqliteOptions { create: false, ..options }).await
}

async fn open_for_writing(context: &Context, options: SqliteOptions) -> Result<Database> {
    let database = Database::open(options).await?;
    // Looking first spares every command but the first a wait for the writer.
    if pending(context, &database).await? > 0 {
        migrate(context, &database).await?;
    }
    Ok(database)
}

async fn pending(context: &Context, database: &Database) -> Result<usize> {
    let mut count = 0;
    for line in migration_lines(context) {
        count += line.check(database.reader()).await.map_err(|error| on_file(database, error))?.len();
    }
    Ok(count)
}

/// Makes all migrations that are pending and returns them as (owner, name).
pub(crate) async fn migrate(
    context: &Context,
    database: &Database,
) -> Result<Vec<(&'static str, &'static str)>> {
    let mut made = Vec::new();
    for line in migration_lines(context) {
        let names = line
            .up(database, context.clock.now().as_micros())
            .await
            .map_err(|error| on_file(database, error))?;
        made.extend(names.into_iter().map(|name| (line.owner, name)));
    }
    tracing::debug!(database = database.name(), migrations = made.len(), "database is up to date");
    Ok(made)
}

/// Names the file where an error of a statement does not.
fn on_file(database: &Database, error: DbError) -> DbError {
    match error.fault() {
        Some(fault) if !matches!(error, DbError::Storage { .. }) => storage(database, fault),
        _ => error,
    }
}

fn storage(database: &Database, fault: StorageFault) -> DbError {
    DbError::Storage { fault, path: database.path().to_owned(), source: None }
}

/// Says who sends, in Celery's manner.
fn origin() -> String {
    format!("gen{}@{}", std::process::id(), host_name())
}

/// Returns the machine's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
