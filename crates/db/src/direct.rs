//! The writer's transaction for statements written by hand: they run on the writer's own thread.
//!
//! SeaORM reaches SQLite through a thread of sqlx's own; each statement, and each row, is handed from
//! thread to thread, which takes longer than most statements do. Here that thread is locked out, and
//! rusqlite runs the statements of a queue on the very same connection, in the very same transaction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row};
use sea_orm::sqlx::sqlite::LockedSqliteHandle;

use crate::error::DbError;
use crate::tx::control::Control;
use crate::tx::{DbTx, given_up};
use crate::writer::Stopwatch;

/// Is responsible for a write's statements that are written by hand, by [`Database::write_direct`]
/// or [`DbTx::direct`].
///
/// Statements are prepared once and kept, by their text. What is not SQL that a benchmark has shown
/// to need it goes through SeaORM on [`DbTx`] instead.
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
    /// [`DbError::Direct`] with what SQLite said.
    pub fn execute(&self, sql: &str, values: impl Params) -> Result<usize, DbError> {
        Ok(self.statement(sql)?.execute(values)?)
    }

    /// Runs a statement and returns what `read` makes of each row.
    ///
    /// # Errors
    /// [`DbError::Direct`] with what SQLite or `read` said.
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
    /// [`DbError::Direct`] with what SQLite or `read` said.
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

    /// Begins, ends or divides the transaction.
    pub(crate) fn control(&self, control: Control) -> Result<(), DbError> {
        if control == Control::Begin {
            self.tx.forget_loss();
        }
        for statement in control.statements() {
            self.connection.prepare_cached(statement)?.execute([])?;
        }
        Ok(())
    }

    /// Prepares a statement, unless it would now run outside of the transaction.
    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, DbError> {
        if self.tx.is_lost() {
            return Err(given_up().into());
        }
        Ok(self.connection.prepare_cached(sql)?)
    }
}

impl std::fmt::Debug for DirectTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectTx").field("tx", &self.tx).finish_non_exhaustive()
    }
}

/// Returns rusqlite's view of a connection that stays sqlx's: dropping it closes nothing.
#[expect(unsafe_code, reason = "sqlx gives its connection away as a bare handle only")]
pub(crate) fn share(handle: &mut LockedSqliteHandle<'_>) -> rusqlite::Result<Connection> {
    // SAFETY: the handle is an open connection in SQLite's serialized mode (see `writer_options`), in
    // which any thread may use it at any time, and `DbTx` drops this view before it closes the
    // connection.
    unsafe { Connection::from_handle(handle.as_raw_handle().as_ptr()) }
}

/// Is responsible for how long a write may still run; SQLite looks at it while a statement runs.
#[derive(Debug)]
pub(crate) struct Limits {
    since: Stopwatch,
    /// Microseconds after `since`.
    until: AtomicU64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { since: Stopwatch::start(), until: AtomicU64::new(u64::MAX) }
    }
}

impl Limits {
    /// Sets a limit that begins to run now.
    pub(crate) fn set(&self, limit: Duration) {
        let until = self.since.elapsed().saturating_add(limit);
        self.until.store(micros(until), Ordering::Release);
    }

    pub(crate) fn lift(&self) {
        self.until.store(u64::MAX, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until != u64::MAX && micros(self.since.elapsed()) >= until
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
