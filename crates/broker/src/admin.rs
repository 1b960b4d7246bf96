//! What operators ask of a transport, off the hot path.

use async_trait::async_trait;
use celeriac_protocol::{Envelope, JobId, Timestamp};

use crate::{BrokerError, Publication};

/// Looks into a transport and changes what waits there.
#[async_trait]
pub trait BrokerAdmin: Send + Sync {
    /// Finds the message of a job, wherever it stands.
    async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError>;

    /// Takes a waiting message out, or marks a held one, whose holder hears of it by
    /// [`Notice::Cancel`](crate::Notice::Cancel), which the transport sends, or at its next renewal.
    /// The mark keeps the first `reason` that was given, for whoever holds the message.
    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError>;

    /// Counts the messages of every queue that has any or is paused, by name.
    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError>;

    /// Names the queues that have a message which could be handed out now, paused ones among them. A transport that
    /// can tell without counting does.
    async fn open_queues(&self) -> Result<Vec<String>, BrokerError> {
        let mut depths = self.depths().await?;
        depths.retain(|depth| depth.ready > 0);
        Ok(depths.into_iter().map(|depth| depth.queue).collect())
    }

    /// Removes up to `max` waiting messages of a queue and returns them, so that the caller can
    /// record what became of them; held ones stay. Empty means there is none left.
    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError>;

    /// Stops a queue from handing out. Held messages go on; publishing too. Survives restarts.
    async fn pause(&self, queue: &str) -> Result<(), BrokerError>;

    /// Lets a paused queue hand out again.
    async fn resume(&self, queue: &str) -> Result<(), BrokerError>;

    /// Returns up to `limit` dead letters, newest first, older than `before` where one is given.
    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError>;

    /// Finds the newest dead letter of a job.
    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError>;

    /// Drops dead letters by key and returns how many there were.
    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError>;

    /// Puts a dead letter back into a queue as `envelope`, in one step. `None`: there is no such
    /// dead letter (any more), and nothing was published. It stays a dead letter where its id or
    /// unique key is in a queue already ([`Publication::Duplicate`]).
    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError>;

    /// Looks for what in the server's settings or state would lose messages, or soon will refuse them.
    async fn dangers(&self) -> Result<Vec<Danger>, BrokerError> {
        Ok(Vec::new())
    }
}

/// Something about the server that messages are in danger of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// How bad it is.
    pub gravity: Gravity,
    /// What it is, and what follows.
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// How bad a danger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Messages are lost, or refused, as things are.
    Serious,
    /// Messages are lost by what happens rarely: a crash of the server, a memory that fills up.
    Rare,
}

/// A message that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The message.
    pub envelope: Envelope,
    /// Where it stands.
    pub state: MessageState,
    /// How often it was handed out.
    pub delivery: u32,
    /// How many attempts were charged.
    pub attempt: u32,
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// Could be handed out now.
    Ready,
    /// Waits for its due time.
    Delayed {
        /// The due time.
        until: Timestamp,
    },
    /// Is held by a worker.
    Held {
        /// The worker's name.
        holder: String,
        /// The end of its lease.
        until: Timestamp,
    },
}

/// What a cancellation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The message was waiting and has been taken out.
    Removed(Box<Found>),
    /// The message is held; its holder has been told.
    Requested,
    /// There is no such message.
    NotFound,
}

/// The counts of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: String,
    /// Messages that could be handed out now.
    pub ready: u64,
    /// Messages that wait for their due time.
    pub delayed: u64,
    /// Messages held by workers.
    pub held: u64,
    /// When the oldest ready one was published or fell due.
    pub oldest_ready_at: Option<Timestamp>,
    /// When the queue was paused.
    pub paused_at: Option<Timestamp>,
}

impl QueueDepth {
    /// Makes the counts of a queue without messages.
    pub(crate) fn empty(queue: String) -> Self {
        Self { queue, ready: 0, delayed: 0, held: 0, oldest_ready_at: None, paused_at: None }
    }

    /// Counts messages that are ready, the first of them since `since`.
    pub(crate) fn add_ready(&mut self, messages: u64, since: Timestamp) {
        self.ready += messages;
        self.oldest_ready_at = Some(self.oldest_ready_at.map_or(since, |oldest| oldest.min(since)));
    }
}

/// A message that nobody could or would run, kept with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Finds it again; higher is newer.
    pub key: i64,
    /// The message as it was.
    pub envelope: Envelope,
    /// The kind of failure in one word.
    pub reason: String,
    /// What a person reads.
    pub detail: String,
    /// How often it had been handed out.
    pub delivery: u32,
    /// How many attempts were charged.
    pub attempt: u32,
    /// When it died.
    pub died_at: Timestamp,
}

/// Some dead letters, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterPage {
    /// The letters, newest first.
    pub letters: Vec<DeadLetter>,
    /// Pass as `before` for the next page; `None` on the last.
    pub next: Option<i64>,
}
