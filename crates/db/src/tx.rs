//! The writer's transaction, as a write sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};

use sea_orm::sea_query::{Func, Query};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions as _};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, DeriveIden, ExecResult, QueryResult, RuntimeErr, Statement,
};

use self::wire::{Link, Wire};
use crate::direct::{DirectTx, Limits, Shared};
use crate::error::DbError;

pub(crate) mod control;
pub(crate) mod wire;

/// How many virtual-machine steps SQLite runs between two looks at the deadline.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// What PostgreSQL is asked.
#[derive(DeriveIden)]
enum Ask {
    Hashtextextended,
    PgAdvisoryXactLock,
}

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
    connection: Link,
    health: Arc<Health>,
    hooks: StdMutex<Vec<Hook>>,
}

/// What the connection, its hooks and the writer tell each other about the running transaction.
#[derive(Default)]
struct Health {
    /// SQLite rolled the transaction back (by itself or because it was told to), or PostgreSQL will
    /// store nothing of it, because a statement failed.
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
        let connection = Link::File(Shared::new(connection).await?);
        Ok(Self { connection, health, hooks: StdMutex::default() })
    }

    /// Takes charge of a connection to a server, on which nothing runs.
    #[cfg(feature = "postgres")]
    pub(crate) fn on_server(connection: sqlx::PgConnection, keeps_statements: bool) -> Self {
        let connection = Link::Server { connection: connection.into(), keeps_statements };
        Self { connection, health: Arc::default(), hooks: StdMutex::default() }
    }

    /// Runs `work` in this transaction, with statements that do not go through sqlx's thread.
    ///
    /// # Errors
    /// What `work` returned; [`DbError::WrongEngine`] in a transaction of a server.
    pub async fn direct<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&DirectTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let shared = self.file()?;
        // A statement of SeaORM's that is running comes to its end before.
        let _running = shared.connection().lock().await;
        work(&DirectTx::new(&shared.view(), self))
    }

    /// Returns the connection, where it is one to a file.
    pub(crate) fn file(&self) -> Result<&Shared, DbError> {
        match &self.connection {
            Link::File(shared) => Ok(shared),
            #[cfg(feature = "postgres")]
            Link::Server { .. } => {
                let (what, database) = ("run statements of SQLite's", "a PostgreSQL server".to_owned());
                Err(DbError::WrongEngine { what, database })
            }
        }
    }

    /// Returns the connection, whatever its transaction has come to.
    pub(crate) async fn wire(&self) -> Wire<'_> {
        self.connection.lock().await
    }

    /// Returns whether statements are kept prepared.
    #[cfg(feature = "postgres")]
    pub(crate) fn keeps_statements(&self) -> bool {
        matches!(self.connection, Link::Server { keeps_statements: true, .. })
    }

    /// Takes note that a new transaction begins.
    pub(crate) fn forget_loss(&self) {
        self.health.rolled_back.store(false, Ordering::Release);
    }

    /// Remembers that a server stores nothing of a transaction in which a statement failed; SQLite
    /// says so itself where it does the same.
    pub(crate) fn note<T>(&self, done: Result<T, DbErr>) -> Result<T, DbErr> {
        if done.is_err() && self.get_database_backend() != DbBackend::Sqlite {
            self.health.rolled_back.store(true, Ordering::Release);
        }
        done
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

    /// Waits until no other transaction of the database holds a lock of this name, and holds it until
    /// this one ends. For what is read in order to be changed and has no row to be locked; whoever
    /// changes the same takes the same lock. A SQLite file has one writer, so there it is held anyway.
    ///
    /// # Errors
    /// What the server says, where the wait is too long or would never end.
    pub async fn lock(&self, name: &str) -> Result<(), DbErr> {
        if self.get_database_backend() == DbBackend::Postgres {
            let number = Func::cust(Ask::Hashtextextended).arg(format!("celeriac {name}")).arg(0_i64);
            self.query_one(Query::select().expr(Func::cust(Ask::PgAdvisoryXactLock).arg(number))).await?;
        }
        Ok(())
    }

    /// Returns whether the database has given the transaction up.
    pub(crate) fn is_lost(&self) -> bool {
        self.health.rolled_back.load(Ordering::Acquire)
    }

    /// Stops the running statement, if there is one, and returns when it has stopped.
    pub(crate) async fn interrupt(&self) -> Result<(), sqlx::Error> {
        self.health.interrupted.store(true, Ordering::Release);
        let stopped = self.wire().await.ping().await;
        self.health.interrupted.store(false, Ordering::Release);
        stopped
    }

    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// Returns the connection, unless it would now run statements outside of the transaction.
    pub(crate) async fn inside(&self) -> Result<Wire<'_>, DbErr> {
        let wire = self.wire().await;
        if self.is_lost() {
            return Err(DbErr::Custom("the transaction was given up by the database".into()));
        }
        Ok(wire)
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
        self.connection.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut wire = self.inside().await?;
        self.note(wire.execute(statement).await.map_err(failed_execute))
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut wire = self.inside().await?;
        self.note(wire.run_text(sql).await.map_err(failed_execute))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut wire = self.inside().await?;
        self.note(wire.fetch_optional(statement).await.map_err(failed_query))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut wire = self.inside().await?;
        self.note(wire.fetch_all(statement).await.map_err(failed_query))
    }
}

pub(crate) fn failed_execute(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

pub(crate) fn failed_query(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
