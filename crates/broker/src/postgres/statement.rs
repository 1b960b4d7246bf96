//! Running the transport's statements, alone or in the caller's transaction, and reading their rows.

use celeriac_db::postgres::{PgArguments, PgRow, Server, ServerTx};
use celeriac_db::{Database, DbError, DbTx};
use sea_orm::sqlx::{ColumnIndex, Decode, Encode, Postgres, Row as _, Type};
use sea_orm::{DbErr, sqlx};

use crate::BrokerError;

/// Where a statement runs.
pub(super) enum Via<'a> {
    /// As a transaction of its own.
    Alone(&'a Server),
    /// As part of the caller's.
    In(ServerTx<'a>),
}

impl<'a> Via<'a> {
    /// Runs statements on their own.
    pub(super) fn alone(db: &'a Database) -> Result<Self, BrokerError> {
        db.server().map(Self::Alone).ok_or_else(|| wrong_engine(db.name()))
    }

    /// Runs statements in `tx`.
    pub(super) fn within(tx: &'a DbTx) -> Result<Self, BrokerError> {
        tx.server().map(Self::In).ok_or_else(|| wrong_engine("the transaction's database"))
    }

    /// Runs a statement and returns its rows; `action` is what was being done, should it fail.
    pub(super) async fn query(
        &self,
        action: &'static str,
        sql: &'static str,
        values: Values,
    ) -> Result<Vec<PgRow>, BrokerError> {
        let values = values.finish().map_err(failed(action))?;
        let rows = match self {
            Self::Alone(server) => server.query(sql, values).await,
            Self::In(tx) => tx.query(sql, values).await,
        };
        rows.map_err(|source| BrokerError::Database { action, source })
    }

    /// Runs a statement that returns one row and reads it.
    pub(super) async fn query_one<T>(
        &self,
        action: &'static str,
        sql: &'static str,
        values: Values,
        read: impl FnOnce(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<T, BrokerError> {
        let rows = self.query(action, sql, values).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        row.and_then(read).map_err(failed(action))
    }
}

/// Is responsible for the values of one statement, in the order of its `$1`, `$2` and so on.
#[derive(Default)]
pub(super) struct Values {
    values: PgArguments,
    refused: Option<sqlx::error::BoxDynError>,
}

impl Values {
    /// Adds a value.
    pub(super) fn with<'v, T: Encode<'v, Postgres> + Type<Postgres>>(mut self, value: T) -> Self {
        if let Err(refusal) = sqlx::Arguments::add(&mut self.values, value) {
            self.refused = Some(refusal);
        }
        self
    }

    fn finish(self) -> Result<PgArguments, sqlx::Error> {
        self.refused.map_or(Ok(self.values), |refusal| Err(sqlx::Error::Encode(refusal)))
    }
}

/// Reads one column by its name or place.
pub(super) fn column<'r, T, I>(row: &'r PgRow, index: I) -> Result<T, sqlx::Error>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
    I: ColumnIndex<PgRow>,
{
    row.try_get(index)
}

/// Says what was being done when a statement failed.
pub(super) fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> BrokerError {
    move |error| {
        let source = DbErr::Query(sea_orm::RuntimeErr::SqlxError(error.into()));
        BrokerError::Database { action, source: source.into() }
    }
}

fn wrong_engine(database: &str) -> BrokerError {
    DbError::WrongEngine { what: "use a queue made for PostgreSQL", database: database.to_owned() }.into()
}
