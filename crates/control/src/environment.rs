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
    own_clock: bool,
}

impl Environment {
    /// Puts an environment together; its clock is the client's.
    pub fn new(database: Database, client: Client) -> Self {
        Self { database, clock: Arc::clone(client.clock()), client, own_clock: false }
    }

    /// Has edits of the schedule go by this clock also where the database is a server's and has a time of its own: for
    /// tests that move the clock, and beside a [`Beat`](crate::Beat) that goes by its own, too.
    #[must_use]
    pub fn by_own_clock(self) -> Self {
        Self { own_clock: true, ..self }
    }

    /// Says whether edits of the schedule go by this clock in any case.
    pub(crate) fn is_by_own_clock(&self) -> bool {
        self.own_clock
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
