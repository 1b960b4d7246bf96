//! A few connections for statements that are each a transaction of its own.
//!
//! sqlx's own pool spawns a task to take a connection back and asks each whether it is alive before
//! it lends it; a queue's statement takes hardly longer than that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor as _};
use tokio::sync::Semaphore;

use super::connect::{Connector, run};
use crate::error::{DbError, ServerFault};
use crate::tx::failed_query;
use crate::writer::Stopwatch;

/// A connection that nobody used for longer than this is asked whether it is alive: a server takes
/// longer to come back.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// A connection that nobody used for longer than this is closed by whoever comes across it.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// Is responsible for the connections of the queue's statements.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Arc<Connector>,
    /// Those that nobody uses, the last one used at the end.
    idle: Mutex<Vec<(PgConnection, Stopwatch)>>,
    slots: Semaphore,
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        let slots = Semaphore::new(connector.options.queue_connections as usize);
        Self { connector, idle: Mutex::default(), slots }
    }

    /// Runs a statement, on a connection that is opened if need be, within the time that it may take.
    pub(super) async fn query(&self, sql: &'static str, values: PgArguments) -> Result<Vec<PgRow>, DbError> {
        let options = &self.connector.options;
        // The server gives up first and says so, where it was told to.
        let limit = options.connect_timeout + options.statement_timeout;
        match tokio::time::timeout(limit, self.query_patiently(sql, values)).await {
            Ok(rows) => rows,
            Err(_) => Err(self.connector.refused(ServerFault::StatementTimeout)),
        }
    }

    /// Takes a connection that is in order.
    pub(super) fn put_back(&self, connection: PgConnection) {
        if !self.slots.is_closed() {
            self.idle().push((connection, Stopwatch::start()));
        }
    }

    /// Closes those that nobody uses; the others are closed when their statement is done.
    pub(super) fn close(&self) {
        self.slots.close();
        self.idle().clear();
    }

    async fn query_patiently(&self, sql: &'static str, values: PgArguments) -> Result<Vec<PgRow>, DbError> {
        let closed = |_| DbError::Closed { path: self.connector.name.clone().into() };
        let _slot = self.slots.acquire().await.map_err(closed)?;
        let mut connection = self.take().await?;
        // A connection of which the answer was not waited for is dropped with this future.
        let rows = self.run(&mut connection, sql, values).await;
        let fault = rows.as_ref().err().and_then(ServerFault::said_by);
        if fault.is_some_and(ServerFault::ends_connection) {
            // What ended this one has ended the others.
            self.idle().clear();
        } else {
            self.put_back(connection);
        }
        rows.map_err(|error| DbError::on_server(&self.connector.name, failed_query(error)))
    }

    async fn run(
        &self,
        connection: &mut PgConnection,
        sql: &'static str,
        values: PgArguments,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if self.connector.options.prepared_statements {
            return run(connection, sql, values, true).await;
        }
        // Only a transaction holds on to one connection behind a pooler from parsing to running.
        connection.execute(AssertSqlSafe("BEGIN ISOLATION LEVEL READ COMMITTED")).await?;
        let rows = run(connection, sql, values, false).await;
        let end = if rows.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connection.execute(AssertSqlSafe(end)).await?;
        rows
    }

    async fn take(&self) -> Result<PgConnection, DbError> {
        while let Some((mut connection, unused)) = self.pop() {
            let unused_for = unused.elapsed();
            if unused_for < TRUSTED_FOR {
                return Ok(connection);
            }
            let alive = unused_for < KEPT_FOR && self.connector.within(connection.ping()).await.is_ok();
            if alive {
                return Ok(connection);
            }
        }
        self.connector.open_for_statements().await
    }

    fn pop(&self) -> Option<(PgConnection, Stopwatch)> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PgConnection, Stopwatch)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
