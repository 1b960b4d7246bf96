//! What people do to queues: look, pause, resume.

use std::collections::BTreeSet;

use celeriac_broker::{BrokerError, QueueDepth};
use celeriac_engine::{Client, EnqueueError};

use crate::Environment;

/// Is responsible for what people do to queues, wherever they do it: on the command line, over HTTP, on a screen.
///
/// Cloning is cheap but for the names that it knows.
#[derive(Clone, Debug)]
pub struct QueueDesk {
    client: Client,
    named: BTreeSet<String>,
}

/// A queue could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueuesError {
    /// Nothing is known of the queue that was to be paused.
    #[error("pause queue {queue}: it holds nothing, and no task of this app goes to it")]
    Unnamed {
        /// The queue.
        queue: String,
        /// Those that are known.
        known: Vec<String>,
    },
    /// The queue holds nothing and is not paused.
    #[error("use queue {queue}: it holds nothing and is not paused")]
    Empty {
        /// The queue.
        queue: String,
        /// Those that hold something or are paused.
        known: Vec<String>,
    },
    /// The queue can't be asked.
    #[error("ask the queue")]
    Broker(#[from] BrokerError),
    /// The outbox can't be asked.
    #[error("ask the outbox")]
    Outbox(#[from] EnqueueError),
}

impl QueueDesk {
    /// Makes a desk over an app's queues; `named` are those that its tasks go to or its workers take from.
    pub fn new(environment: &Environment, named: BTreeSet<String>) -> Self {
        Self { client: environment.client().clone(), named }
    }

    /// Returns the queues that hold something or are paused, and what waits in the outbox for them.
    ///
    /// # Errors
    /// Queue or outbox can't be asked.
    pub async fn list(&self) -> Result<Vec<QueueDepth>, QueuesError> {
        let mut depths = self.depths().await?;
        depths.extend(self.client.outbox_depths().await?);
        Ok(depths)
    }

    /// Stops a queue from handing out jobs; running ones go on. A queue that holds nothing may be paused, before its first
    /// job comes, if a task or a worker of this app names it.
    ///
    /// # Errors
    /// Nothing is known of the queue, or it can't be asked.
    pub async fn pause(&self, queue: &str) -> Result<(), QueuesError> {
        if !self.named.contains(queue) {
            let depths = self.depths().await?.into_iter().map(|depth| depth.queue);
            let known: BTreeSet<String> = self.named.iter().cloned().chain(depths).collect();
            if !known.contains(queue) {
                return Err(QueuesError::Unnamed {
                    queue: queue.to_owned(),
                    known: known.into_iter().collect(),
                });
            }
        }
        self.pause_unseen(queue).await
    }

    /// Does the same although nothing may be known of the queue yet.
    ///
    /// # Errors
    /// The queue can't be asked.
    pub async fn pause_unseen(&self, queue: &str) -> Result<(), QueuesError> {
        Ok(self.client.broker().admin().pause(queue).await?)
    }

    /// Lets a queue hand out again that is paused, or that holds something.
    ///
    /// # Errors
    /// It holds nothing and is not paused, or it can't be asked.
    pub async fn resume(&self, queue: &str) -> Result<(), QueuesError> {
        self.find(queue).await?;
        Ok(self.client.broker().admin().resume(queue).await?)
    }

    /// Returns the counts of a queue that holds something or is paused.
    ///
    /// # Errors
    /// It holds nothing and is not paused, or it can't be asked.
    pub async fn find(&self, queue: &str) -> Result<QueueDepth, QueuesError> {
        let depths = self.depths().await?;
        let known: Vec<String> = depths.iter().map(|depth| depth.queue.clone()).collect();
        let found = depths.into_iter().find(|depth| depth.queue == queue);
        found.ok_or_else(|| QueuesError::Empty { queue: queue.to_owned(), known })
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, QueuesError> {
        Ok(self.client.broker().admin().depths().await?)
    }
}
