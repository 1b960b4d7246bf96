//! What a transaction of a server can do beyond one of a file.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgArguments, PgRow};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, sqlx};

use super::connect;
use crate::error::DbError;
use crate::tx::wire::Wire;
use crate::tx::{DbTx, failed_query};

/// Is responsible for a write's statements that are written by hand for a PostgreSQL server, by
/// [`DbTx::server`].
#[derive(Debug)]
pub struct ServerTx<'t> {
    tx: &'t DbTx,
}

impl DbTx {
    /// Returns the way to statements written by hand, where this is a transaction of a server.
    pub fn server(&self) -> Option<ServerTx<'_>> {
        (self.get_database_backend() == DbBackend::Postgres).then_some(ServerTx { tx: self })
    }

    /// Begins a transaction whose statements wait and run no longer than this. One round trip.
    pub(super) async fn begin(&self, lock: Duration, statement: Duration) -> Result<(), sqlx::Error> {
        self.forget_loss();
        let (lock, statement) = (lock.as_millis().max(1), statement.as_millis().max(1));
        // The server ends what we can't end any more, a little after we would have.
        let idle = statement.saturating_add(1_000);
        self.run_text(format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {lock}; \
             SET LOCAL statement_timeout = {statement}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}"
        ))
        .await
    }

    pub(super) async fn commit(&self) -> Result<(), sqlx::Error> {
        self.run_text("COMMIT".into()).await
    }

    pub(super) async fn roll_back(&self) -> Result<(), sqlx::Error> {
        self.run_text("ROLLBACK".into()).await
    }

    async fn run_text(&self, text: String) -> Result<(), sqlx::Error> {
        self.wire().await.run_text(text).await.map(drop)
    }
}

impl ServerTx<'_> {
    /// Runs a statement in the transaction and returns its rows.
    ///
    /// # Errors
    /// [`DbError::Statement`] with what the server said; the transaction is lost with it.
    pub async fn query(&self, sql: &'static str, values: PgArguments) -> Result<Vec<PgRow>, DbError> {
        let mut wire = self.tx.inside().await?;
        let rows = match &mut wire {
            Wire::Postgres(connection) => {
                let prepared = self.tx.keeps_statements();
                connect::run(connection, sql, values, prepared).await.map_err(failed_query)
            }
            Wire::Sqlite(_) => Err(DbErr::Custom("no transaction of a server".into())),
        };
        Ok(self.tx.note(rows)?)
    }
}
