//! The hot path of a transport: publish, fetch, settle, renew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{Database, DbTx};
use celeriac_protocol::{Envelope, JobId, Timestamp};

use crate::{
    BrokerAdmin, BrokerError, Cancellation, Capabilities, Delivery, Found, LeaseTag, Notifier, Renewal,
    Settled, Settlement,
};

/// Moves messages. It knows nothing of what they mean.
///
/// Every transport passes the same conformance suite, so what is written here holds for all.
/// Time comes from the clock that the transport was made with. Every call is done, or has failed,
/// within the transport's deadline; none waits for messages to come (see [`Notifier`] for that).
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Says what this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// Stores messages, all or none, and returns one answer for each in the given order.
    ///
    /// RabbitMQ stores one after the other: where it fails there, those may be stored that came before, and
    /// [`BrokerError::NotTaken`] tells which. Messages for exchanges come first, which alone may be refused because nobody
    /// wants them.
    ///
    /// Once it returns they are as durable as the transport is. A message whose id or unique key
    /// is in a queue already is not stored again and answers [`Publication::Duplicate`].
    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError>;

    /// Leases up to `request.max` messages that are due, without waiting.
    ///
    /// The highest priority comes first within each queue, then the oldest; queues take turns at
    /// being asked first. A transport that [pushes](Capabilities::push) may give fewer than there are while others are on
    /// their way to it, and nothing only where there is nothing. A message whose holder let its lease end is among them again, with `lost`
    /// counted up. Paused queues give nothing. A caller that goes away while it waits may have been
    /// given messages all the same; they come back when their leases end.
    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError>;

    /// Settles deliveries, all or none, and returns one answer for each in the given order.
    ///
    /// Fenced: a delivery whose lease has ended *and* was handed on or swept answers
    /// [`Settled::LeaseLost`] and changes nothing.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError>;

    /// Lengthens leases to `lease` from now and returns one answer for each in the given order.
    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError>;

    /// Notes that `holder` takes from these queues no more; it holds nothing of them.
    ///
    /// Where messages wait in a place that only workers of ours look at, the last of them puts them
    /// back where others find them. A worker that was killed never says so: nothing may rest on it.
    async fn leave(&self, _queues: &[String], _holder: &str) -> Result<(), BrokerError> {
        Ok(())
    }

    /// Turns a priority as Celery's messages write it for this transport into ours, of which 9 is served first.
    fn priority_from_wire(&self, number: u8) -> u8 {
        number
    }

    /// Returns the wake-up line between the processes that use this transport.
    fn notifier(&self) -> Arc<dyn Notifier>;

    /// Returns what is off the hot path: find, cancel, depth, purge, pause, dead letters.
    fn admin(&self) -> &dyn BrokerAdmin;

    /// Returns the transactional side, where the queue lives in a database.
    fn sql(&self) -> Option<&dyn SqlBroker> {
        None
    }
}

/// The side of a transport that takes part in the caller's own transaction.
#[async_trait]
pub trait SqlBroker: Send + Sync {
    /// Returns the database that the queue lives in.
    fn database(&self) -> &Database;

    /// Does what [`Broker::publish`] does, as part of `tx`; listeners are woken when it commits.
    async fn publish_in(&self, tx: &DbTx, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError>;

    /// Does what [`Broker::settle`] does, as part of `tx`.
    async fn settle_in(&self, tx: &DbTx, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError>;

    /// Does what [`BrokerAdmin::cancel`] does, as part of `tx`.
    async fn cancel_in(&self, tx: &DbTx, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError>;

    /// Returns up to `max` messages of a queue that wait there, in no certain order, and leaves them where they are.
    async fn waiting(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError>;

    /// Does what [`BrokerAdmin::revive`] does, as part of `tx`.
    async fn revive_in(
        &self,
        tx: &DbTx,
        key: i64,
        envelope: Envelope,
    ) -> Result<Option<Publication>, BrokerError>;
}

/// Asks for messages.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// The queues to take from.
    pub queues: &'a [String],
    /// How many at most: the worker's free slots, never more.
    pub max: usize,
    /// How long each is leased.
    pub lease: Duration,
    /// Who holds them: the worker's name, shown to operators.
    pub holder: &'a str,
}

/// What a fetch gave.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The leased messages.
    pub deliveries: Vec<Delivery>,
    /// The next instant at which a delayed message falls due or a lease ends, where one is known:
    /// no later than that a fetch is worth trying again.
    pub next_due_at: Option<Timestamp>,
}

/// What became of a message that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It is in its queue.
    Accepted,
    /// A message with this id or unique key is there already, as this job; nothing was stored.
    Duplicate(JobId),
}
