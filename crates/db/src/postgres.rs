//! One database of a PostgreSQL server: transactions side by side, statements of a queue, readers.

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::postgres::PgListener;
use tokio::sync::mpsc;

pub use sea_orm::sqlx::postgres::{PgArguments, PgRow};

pub use self::tx::ServerTx;

use self::connect::Connector;
use self::pool::Pool;
use crate::error::{DbError, ServerFault};
use crate::options::postgres::PostgresOptions;
use crate::writer::Request;

mod connect;
mod pool;
mod readers;
mod tx;
mod writer;

/// Is responsible for statements written by hand for a PostgreSQL server, each a transaction of its
/// own; [`DbTx::server`](crate::DbTx::server) runs them in the caller's.
///
/// For the hot path of a queue. What is not SQL that a benchmark has shown to need it goes through
/// SeaORM instead.
#[derive(Clone, Debug)]
pub struct Server {
    connector: Arc<Connector>,
    statements: Arc<Pool>,
}

impl Server {
    /// Connects, and proves that the database can be worked with.
    pub(crate) async fn open(options: PostgresOptions) -> Result<Self, DbError> {
        options.validate()?;
        let connector = Arc::new(Connector::new(options)?);
        let statements = Arc::new(Pool::new(Arc::clone(&connector)));
        let connection = connector.check().await?;
        statements.put_back(connection);
        Ok(Self { connector, statements })
    }

    /// Starts the threads that write, each with a connection of its own.
    pub(crate) fn start_writers(&self, id: u64) -> Result<mpsc::Sender<Request>, DbError> {
        writer::start(id, &self.connector)
    }

    /// Makes the pool of connections that read; none is opened yet.
    pub(crate) fn readers(&self) -> DatabaseConnection {
        readers::pool(&self.connector)
    }

    pub(crate) fn close(&self) {
        self.statements.close();
    }

    /// Runs a statement as a transaction of its own and returns its rows.
    ///
    /// # Errors
    /// [`DbError::Server`] where the server could not be reached, refused or took too long;
    /// [`DbError::Statement`] with what else it said.
    pub async fn query(&self, sql: &'static str, values: PgArguments) -> Result<Vec<PgRow>, DbError> {
        self.statements.query(sql, values).await
    }

    /// Begins to listen on a channel, with a connection of its own that is opened anew when it breaks.
    /// `None`: a pooler stands in between, behind which nobody can listen.
    ///
    /// # Errors
    /// [`DbError::Server`] where there is no connection.
    pub async fn listen(&self, channel: &str) -> Result<Option<Listener>, DbError> {
        if self.options().pooled {
            return Ok(None);
        }
        // sqlx's futures that connect are large.
        let listener = Box::pin(self.connector.within(async {
            let mut listener = PgListener::connect_with(&readers::lone_pool(&self.connector)).await?;
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok(listener)
        }));
        Ok(Some(Listener { listener: listener.await?, connector: Arc::clone(&self.connector) }))
    }

    /// Returns the settings that it was opened with.
    pub fn options(&self) -> &PostgresOptions {
        &self.connector.options
    }

    /// Returns the database's name for people, without the password.
    pub fn name(&self) -> &str {
        &self.connector.name
    }

    /// Returns whether both see the same tables.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.connector.target, &other.connector.target);
        self.name() == other.name() && ours.get_options() == theirs.get_options()
    }
}

/// Hears what is sent to a channel.
#[derive(Debug)]
pub struct Listener {
    listener: PgListener,
    connector: Arc<Connector>,
}

impl Listener {
    /// Waits for the next text. `None`: the connection broke, and what was sent meanwhile is lost; the
    /// next call opens it anew.
    ///
    /// # Errors
    /// [`DbError::Server`] where it can't be opened.
    pub async fn hear(&mut self) -> Result<Option<String>, DbError> {
        let heard = self.listener.try_recv().await;
        match heard {
            Ok(heard) => Ok(heard.map(|heard| heard.payload().to_owned())),
            Err(error) => Err(self.connector.explain(error)),
        }
    }
}

impl DbError {
    /// Names the server where its code, or the network, says what was in the way.
    pub(crate) fn on_server(database: &str, source: sea_orm::DbErr) -> Self {
        match ServerFault::of(&source) {
            Some(fault) => {
                Self::Server { fault, database: database.to_owned(), source: Some(Box::new(source)) }
            }
            None => Self::Statement(source),
        }
    }
}
