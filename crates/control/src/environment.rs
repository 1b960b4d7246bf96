//! What the parts of an app may use: the database, the clock, the client.

use std::fmt;
use std::sync::Arc;

use celeriac_db::Database;
use celeriac_engine::Client;
use celeriac_protocol::Clock;

/// What the parts of an app may use while it runs. Cloning is cheap.
#[derive(Clone)]
pub struct Environment {
    database: Database,
    clock: Arc<dyn Clock>,
    client: Client,
}

impl Environment {
    /// Puts an environment together; its clock is the client's.
    pub fn new(database: Database, client: Client) -> Self {
        Self { database, clock: Arc::clone(client.clock()), client }
    }

    /// Returns the database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Returns the client that enqueues.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("database", &self.database.name()).finish_non_exhaustive()
    }
}
