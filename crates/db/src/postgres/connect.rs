//! Opening connections to a server, patiently, and saying clearly why none can be opened.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _};

use crate::error::{DbError, ServerFault};
use crate::options::postgres::{PostgresOptions, name_of};
use crate::tx::{failed_execute, wire};
use crate::writer::Stopwatch;

/// The oldest server that is supported, as PostgreSQL writes its version.
const OLDEST_SERVER: u32 = 13_00_00;

/// First pause before a connection is tried for again; it doubles up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Is responsible for opening connections: where to, as whom, and how long to try.
pub(crate) struct Connector {
    pub(crate) options: PostgresOptions,
    pub(crate) name: String,
    pub(crate) target: PgConnectOptions,
}

impl Connector {
    pub(crate) fn new(options: PostgresOptions) -> Result<Self, DbError> {
        let target = options.parse()?.disable_statement_logging();
        Ok(Self { name: name_of(&target), options, target })
    }

    /// Opens a connection for transactions, which set their own limits.
    pub(super) async fn open_for_writes(&self) -> Result<PgConnection, DbError> {
        self.open(&self.target).await
    }

    /// Opens a connection for statements that are transactions of their own.
    pub(super) async fn open_for_statements(&self) -> Result<PgConnection, DbError> {
        self.open(&self.with_limits([("jit", "off"), ("default_transaction_isolation", "read committed")]))
            .await
    }

    /// Returns where to connect for statements that set no limits of their own. Behind a pooler a
    /// session has no settings, so there only the caller's patience is limited.
    pub(super) fn with_limits(&self, more: [(&str, &str); 2]) -> PgConnectOptions {
        let target = self.target.clone();
        if self.options.pooled {
            return target;
        }
        let milliseconds = |limit: Duration| limit.as_millis().max(1).to_string();
        let limits = [
            ("statement_timeout", milliseconds(self.options.statement_timeout)),
            ("lock_timeout", milliseconds(self.options.lock_timeout)),
        ];
        target.options(limits).options(more)
    }

    /// Opens a connection and proves that the server is one that can be worked with.
    pub(super) async fn check(&self) -> Result<PgConnection, DbError> {
        let mut connection = self.open_for_statements().await?;
        let found = connection.server_version_num().unwrap_or(OLDEST_SERVER);
        if found < OLDEST_SERVER {
            let (database, major) = (self.name.clone(), 10_000);
            return Err(DbError::PostgresTooOld {
                database,
                found: found / major,
                needed: OLDEST_SERVER / major,
            });
        }
        let asked = connection.fetch_one(AssertSqlSafe("SHOW transaction_read_only")).await;
        let answer = asked.and_then(|row: PgRow| row.try_get::<String, _>(0));
        match answer.map_err(|error| self.explain(error))?.as_str() {
            "off" => Ok(connection),
            _ => Err(self.refused(ServerFault::ReadOnly)),
        }
    }

    /// Does something with the server, for no longer than a connection is tried for.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbError> {
        match tokio::time::timeout(self.options.connect_timeout, work).await {
            Ok(done) => done.map_err(|error| self.explain(error)),
            Err(_) => Err(self.refused(ServerFault::Unreachable)),
        }
    }

    /// Says what was in the way.
    pub(super) fn explain(&self, error: sqlx::Error) -> DbError {
        DbError::on_server(&self.name, failed_execute(error))
    }

    pub(super) fn refused(&self, fault: ServerFault) -> DbError {
        DbError::Server { fault, database: self.name.clone(), source: None }
    }

    /// Tries until there is a connection, something is in the way that does not pass, or time is up.
    async fn open(&self, target: &PgConnectOptions) -> Result<PgConnection, DbError> {
        let (tried, mut pause) = (Stopwatch::start(), SHORTEST_PAUSE);
        loop {
            let error = match self.within(target.connect()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let passes = error.server_fault().is_some_and(ServerFault::passes);
            if !passes || tried.elapsed() + pause >= self.options.connect_timeout {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs one statement written by hand.
pub(super) async fn run(
    connection: &mut PgConnection,
    sql: &'static str,
    values: sqlx::postgres::PgArguments,
    prepared: bool,
) -> Result<Vec<PgRow>, sqlx::Error> {
    wire::by_hand(sql, values).persistent(prepared).fetch_all(connection).await
}
