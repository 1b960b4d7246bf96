//! Hands on what was enqueued within a transaction to the server that keeps the queues.

use std::time::Duration;

use async_trait::async_trait;
use celeriac_engine::{Client, RELAY};

use crate::r#loop::{Loop, LoopCtx, LoopError, PassReport};

/// How often it looks without being woken: how long a job may wait whose notice was lost, and how soon
/// after its return a server is tried again.
const PERIOD: Duration = Duration::from_secs(2);

/// Is responsible for the outbox of a [`Client`]: hands on what waits there to the client's transport.
///
/// Any number of them may run, in any process that opens the database; every `celeriac worker` is one.
/// Where a client has no outbox it has nothing to do.
#[derive(Debug)]
pub struct Relay {
    client: Client,
}

impl Relay {
    /// Makes a relay for what `client` enqueues, and whoever shares its outbox.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Loop for Relay {
    fn name(&self) -> &'static str {
        RELAY
    }

    fn describe(&self) -> &'static str {
        "hands on jobs that were enqueued within transactions"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    async fn pass(&self, _ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let relayed = self.client.relay().await?;
        let report = PassReport::default()
            .with("handed_on", relayed.handed_on)
            .with("duplicates", relayed.duplicates)
            .with("refused", relayed.refused)
            .with("buried", relayed.buried);
        Ok(PassReport { next_at: relayed.next_due_at, ..report.more(relayed.more) })
    }
}
