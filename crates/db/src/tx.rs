//! The writer's transaction, as a write sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Sqlite};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::sync::MutexGuard;

use crate::direct::{DirectTx, Limits, Shared};

pub(crate) mod control;

/// How many virtual-machine steps SQLite runs between two looks at the deadline.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// What runs after the commit, and a name by which a second one like it is known.
struct Hook {
    name: Option<String>,
    run: Box<dyn FnOnce() + Send>,
}

/// Is responsible for one write's statements: hand it on to everything that must happen together.
///
/// It is a SeaORM connection ([`ConnectionTrait`]): entities, active models and built statements run
/// on it. It is neither committed nor rolled back by its holder: a write that returns an error is
/// undone, one that returns `Ok` is stored together with whatever else the writer took with it.
pub struct DbTx {
    connection: Shared,
    health: Arc<Health>,
    hooks: StdMutex<Vec<Hook>>,
}

/// What SQLite's hooks and the writer tell each other about the running transaction.
#[derive(Default)]
struct Health {
    /// SQLite rolled the transaction back (by itself or because it was told to).
    rolled_back: AtomicBool,
    /// The running statement is to stop.
    interrupted: AtomicBool,
    /// How long statements may run.
    limits: Limits,
}

impl Health {
    fn allows_more(&self) -> bool {
        !self.interrupted.load(Ordering::Acquire) && !self.limits.stops()
    }
}

impl DbTx {
    pub(crate) async fn connect(options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        let health = Arc::new(Health::default());
        let mut handle = connection.lock_handle().await?;
        let seen = Arc::clone(&health);
        handle.set_rollback_hook(move || seen.rolled_back.store(true, Ordering::Release));
        let seen = Arc::clone(&health);
        handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || seen.allows_more());
        drop(handle);
        let connection = Shared::new(connection).await?;
        Ok(Self { connection, health, hooks: StdMutex::default() })
    }

    /// Runs `work` in this transaction, with statements that do not go through sqlx's thread.
    ///
    /// # Errors
    /// What `work` returned.
    pub async fn direct<T, E>(&self, work: impl FnOnce(&DirectTx<'_>) -> Result<T, E>) -> Result<T, E> {
        // A statement of SeaORM's that is running comes to its end before.
        let _running = self.connection.connection().lock().await;
        work(&DirectTx::new(&self.connection.view(), self))
    }

    /// Returns what stops statements at the deadline.
    pub(crate) fn limits(&self) -> &Limits {
        &self.health.limits
    }

    /// Runs `hook` on the writer's thread once the commit has succeeded, and never otherwise.
    ///
    /// For wake-ups: it must be short, must not block and cannot fail.
    pub fn after_commit(&self, hook: impl FnOnce() + Send + 'static) {
        self.hooks().push(Hook { name: None, run: Box::new(hook) });
    }

    /// Does what [`after_commit`](Self::after_commit) does, but once for each `name`, however many
    /// writes of the same commit ask for it.
    pub fn after_commit_once(&self, name: &str, hook: impl FnOnce() + Send + 'static) {
        let mut hooks = self.hooks();
        if !hooks.iter().any(|known| known.name.as_deref() == Some(name)) {
            hooks.push(Hook { name: Some(name.to_owned()), run: Box::new(hook) });
        }
    }

    fn hooks(&self) -> StdMutexGuard<'_, Vec<Hook>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hook_count(&self) -> usize {
        self.hooks().len()
    }

    pub(crate) fn forget_hooks_from(&self, count: usize) {
        self.hooks().truncate(count);
    }

    pub(crate) fn take_hooks(&self) -> impl Iterator<Item = Box<dyn FnOnce() + Send>> {
        std::mem::take(&mut *self.hooks()).into_iter().map(|hook| hook.run)
    }

    /// Returns whether SQLite has given the transaction up.
    pub(crate) fn is_lost(&self) -> bool {
        self.health.rolled_back.load(Ordering::Acquire)
    }

    /// Stops the running statement, if there is one, and returns when it has stopped.
    pub(crate) async fn interrupt(&self) -> Result<(), sqlx::Error> {
        self.health.interrupted.store(true, Ordering::Release);
        let stopped = self.connection.connection().lock().await.ping().await;
        self.health.interrupted.store(false, Ordering::Release);
        stopped
    }

    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// Returns the connection, unless it would now run statements outside of the transaction.
    async fn inside(&self) -> Result<MutexGuard<'_, SqliteConnection>, DbErr> {
        let connection = self.connection.connection().lock().await;
        if self.is_lost() {
            return Err(DbErr::Custom("the transaction was given up by SQLite".into()));
        }
        Ok(connection)
    }
}

impl std::fmt::Debug for DbTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DbTx").field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for DbTx {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut connection = self.inside().await?;
        bound(statement).execute(&mut *connection).await.map(Into::into).map_err(failed_execute)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut connection = self.inside().await?;
        let statement = AssertSqlSafe(sql.to_owned());
        (*connection).execute(statement).await.map(Into::into).map_err(failed_execute)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut connection = self.inside().await?;
        let row = bound(statement).fetch_optional(&mut *connection).await;
        row.map(|row| row.map(Into::into)).map_err(failed_query)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.inside().await?;
        let rows = bound(statement).fetch_all(&mut *connection).await;
        rows.map(|rows| rows.into_iter().map(Into::into).collect()).map_err(failed_query)
    }
}

/// Moves text and values into sqlx's query; message bodies are not copied on their way.
fn bound(statement: Statement) -> sqlx::query::Query<'static, Sqlite, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

pub(crate) fn failed_execute(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

pub(crate) fn failed_query(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
