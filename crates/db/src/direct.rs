//! The writer's transaction for statements written by hand: they run on the writer's own thread.
//!
//! SeaORM reaches SQLite through a thread of sqlx's; each statement, and each row, is handed from
//! thread to thread, which takes longer than most statements do. Here rusqlite runs the statements of
//! a queue on the very same connection, in the very same transaction, while that thread has nothing
//! to do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row};
use sea_orm::sqlx::{self, Connection as _, sqlite::SqliteConnection};
use tokio::sync::Mutex;

use crate::error::DbError;
use crate::tx::DbTx;
use crate::writer::{self, Stopwatch};

/// Statements that are kept prepared; a queue has some twenty, and those of transactions are five.
const STATEMENTS: usize = 64;

/// Is responsible for a write's statements that are written by hand, by [`Database::write_direct`]
/// or [`DbTx::direct`].
///
/// Statements are prepared once and kept, by their text. What is not SQL that a benchmark has shown
/// to need it goes through SeaORM on [`DbTx`] instead.
///
/// SQLite stops a statement that is still running at the write's deadline, and none begins after it.
/// What the work does beside its statements is not stopped by anybody: it must be short.
///
/// [`Database::write_direct`]: crate::Database::write_direct
pub struct DirectTx<'t> {
    connection: &'t Connection,
    tx: &'t DbTx,
}

impl<'t> DirectTx<'t> {
    pub(crate) fn new(connection: &'t Connection, tx: &'t DbTx) -> Self {
        Self { connection, tx }
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// [`DbError::Direct`] with what SQLite said; [`DbError::TransactionLost`] once SQLite has given
    /// the transaction up.
    pub fn execute(&self, sql: &str, values: impl Params) -> Result<usize, DbError> {
        Ok(self.statement(sql)?.execute(values)?)
    }

    /// Runs a statement and returns what `read` makes of each row.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), or with what `read` said.
    pub fn query<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DbError> {
        Ok(self.statement(sql)?.query_map(values, read)?.collect::<Result<_, _>>()?)
    }

    /// Runs a statement and returns what `read` makes of its first row, if there is one.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), or with what `read` said.
    pub fn query_first<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, DbError> {
        Ok(self.statement(sql)?.query_row(values, read).optional()?)
    }

    /// Returns the number that SQLite gave the row inserted last.
    pub fn last_insert_id(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// Does what [`DbTx::after_commit_once`] does.
    pub fn after_commit_once(&self, name: &str, hook: impl FnOnce() + Send + 'static) {
        self.tx.after_commit_once(name, hook);
    }

    /// Prepares a statement, unless it would run outside of the transaction or after the deadline.
    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, DbError> {
        let limits = self.tx.limits();
        if self.tx.is_lost() || limits.stops() {
            return Err(DbError::TransactionLost { label: writer::running_label() });
        }
        Ok(self.connection.prepare_cached(sql)?)
    }
}

impl std::fmt::Debug for DirectTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectTx").field("tx", &self.tx).finish_non_exhaustive()
    }
}

/// Is responsible for one connection with its two ways in: sqlx's, and rusqlite's view of it.
pub(crate) struct Shared {
    /// Dropped first: its statements would keep the connection open.
    view: StdMutex<Connection>,
    connection: Mutex<SqliteConnection>,
}

impl Shared {
    /// Makes the second way into a connection, which was opened in SQLite's serialized mode.
    #[expect(unsafe_code, reason = "sqlx gives its connection away as a bare handle only")]
    pub(crate) async fn new(mut connection: SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut handle = connection.lock_handle().await?;
        // SAFETY: in serialized mode (see `connect::writer_options`) any thread may use the handle at
        // any time. It is open for as long as the view lives, which closes nothing and is dropped
        // before the connection: by the order of the fields, and in `close`.
        let view = unsafe { Connection::from_handle(handle.as_raw_handle().as_ptr()) };
        let view = view.map_err(|error| sqlx::Error::Configuration(error.into()))?;
        view.set_prepared_statement_cache_capacity(STATEMENTS);
        drop(handle);
        Ok(Self { view: StdMutex::new(view), connection: Mutex::new(connection) })
    }

    /// Returns sqlx's way in.
    pub(crate) fn connection(&self) -> &Mutex<SqliteConnection> {
        &self.connection
    }

    /// Returns rusqlite's way in.
    pub(crate) fn view(&self) -> MutexGuard<'_, Connection> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        drop(self.view);
        self.connection.into_inner().close().await
    }
}

/// Is responsible for how long a write's statements may still run: SQLite asks while one does.
#[derive(Debug)]
pub(crate) struct Limits {
    since: Stopwatch,
    /// Microseconds after `since`.
    until: AtomicU64,
    /// Whether a statement was stopped, or not begun.
    stopped: AtomicBool,
}

impl Default for Limits {
    fn default() -> Self {
        let (until, stopped) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Self { since: Stopwatch::start(), until, stopped }
    }
}

impl Limits {
    /// Sets a limit that begins to run now.
    pub(crate) fn set(&self, limit: Duration) {
        let until = self.since.elapsed().saturating_add(limit);
        self.stopped.store(false, Ordering::Release);
        self.until.store(micros(until), Ordering::Release);
    }

    /// Takes the limit away; returns whether it has stopped anything.
    pub(crate) fn lift(&self) -> bool {
        self.until.store(u64::MAX, Ordering::Release);
        self.stopped.load(Ordering::Acquire)
    }

    /// Returns whether a statement is to stop, and remembers that it was told so.
    pub(crate) fn stops(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        let is_over = until != u64::MAX && micros(self.since.elapsed()) >= until;
        if is_over {
            self.stopped.store(true, Ordering::Release);
        }
        is_over
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
