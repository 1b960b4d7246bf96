//! The queue that lies in a database, whichever engine that is.

use std::sync::Arc;

use celeriac_db::{Database, MigrationSet};
use celeriac_protocol::Clock;

use crate::{Broker, BrokerError, SqliteBroker};

mod results;

pub use results::SqlResults;

/// Returns the queue's line of migrations for the engine of `db`.
pub fn migrations(db: &Database) -> MigrationSet {
    #[cfg(feature = "postgres")]
    if db.server().is_some() {
        return crate::PostgresBroker::MIGRATIONS;
    }
    debug_assert!(db.sqlite_path().is_some(), "the queue is built for the engine");
    SqliteBroker::MIGRATIONS
}

/// Uses the queue in `db`, whose tables are up to date. Call it within a tokio runtime.
///
/// On a server leases and due times go by the server's clock.
pub fn broker(db: Database, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
    #[cfg(feature = "postgres")]
    if db.server().is_some() {
        return Arc::new(crate::PostgresBroker::new(db, clock));
    }
    Arc::new(SqliteBroker::new(db, clock))
}

/// Migrates the queue's tables in `db` and uses them.
///
/// # Errors
/// [`BrokerError::Database`] with what the migrator said.
pub async fn open(db: Database, clock: Arc<dyn Clock>) -> Result<Arc<dyn Broker>, BrokerError> {
    let migrated = migrations(&db).up(&db, clock.now().as_micros()).await;
    migrated.map_err(|source| BrokerError::Database { action: "migrate the queue's tables", source })?;
    Ok(broker(db, clock))
}
