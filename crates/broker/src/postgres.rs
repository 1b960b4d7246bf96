//! A queue in the tables of a PostgreSQL database, shared by every process that uses it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{Database, DbTx, MigrationSet};
use celeriac_protocol::{Clock, Envelope, JobId, MAX_PRIORITY, Timestamp};

use self::fetch::Claim;
use self::keeper::Keeper;
use self::statement::Via;
use self::wake::ServerNotifier;
use crate::{
    Broker, BrokerAdmin, BrokerError, Cancellation, Capabilities, DeadLetter, DeadLetterPage, FetchRequest,
    Fetched, Found, LeaseTag, Notice, Notifier, Publication, QueueDepth, Renewal, Settle, Settled,
    Settlement, SqlBroker,
};

mod admin;
mod fetch;
mod keeper;
mod publish;
mod rows;
mod schema;
mod settle;
mod statement;
mod wake;

/// Is responsible for the queue in one PostgreSQL database; cheap to clone.
///
/// Each call is one statement, and so a transaction of its own, or part of the caller's. Leases and
/// due times go by the server's clock, whatever the clocks of its clients say. Other processes are
/// woken by `NOTIFY`.
#[derive(Clone, Debug)]
pub struct PostgresBroker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Database,
    time: Time,
    notifier: Arc<ServerNotifier>,
    keeper: Keeper,
    /// Which of its queues the next fetch asks first.
    turn: AtomicUsize,
}

/// Whose clock leases and due times go by.
#[derive(Debug)]
struct Time {
    /// This node's, by which instants are told to whoever asks.
    clock: Arc<dyn Clock>,
    /// Whether the server is told the time by it.
    is_told: bool,
}

impl Time {
    /// Returns the time that the server is told, where it is.
    fn told(&self) -> Option<i64> {
        self.is_told.then(|| self.clock.now().as_micros())
    }
}

impl PostgresBroker {
    /// The queue's tables, to be migrated before use.
    pub const MIGRATIONS: MigrationSet = schema::MIGRATIONS;

    /// Uses the queue in `db`, whose tables are up to date. Call it within a tokio runtime.
    pub fn new(db: Database, clock: Arc<dyn Clock>) -> Self {
        Self::with_time(db, Time { clock, is_told: false })
    }

    /// Does what [`new`](Self::new) does, with a clock that counts instead of the server's: one that a
    /// test moves.
    pub fn with_clock(db: Database, clock: Arc<dyn Clock>) -> Self {
        Self::with_time(db, Time { clock, is_told: true })
    }

    fn with_time(db: Database, time: Time) -> Self {
        let notifier = Arc::new(ServerNotifier::new(db.clone()));
        let keeper = Keeper::new(db.clone());
        Self { inner: Arc::new(Inner { db, time, notifier, keeper, turn: AtomicUsize::new(0) }) }
    }

    /// Migrates the queue's tables and uses them.
    ///
    /// # Errors
    /// [`BrokerError::Database`] with what the migrator said.
    pub async fn open(db: Database, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        let migrated = Self::MIGRATIONS.up(&db, clock.now().as_micros()).await;
        migrated.map_err(|source| BrokerError::Database { action: "migrate the queue's tables", source })?;
        Ok(Self::new(db, clock))
    }

    /// Begins to listen for wake-ups and returns once they are heard; whoever does not call it listens
    /// a moment after the first [`Notifier::listen`].
    ///
    /// # Errors
    /// [`BrokerError::Database`] where the server can't be reached.
    pub async fn listen_now(&self) -> Result<(), BrokerError> {
        self.inner.notifier.listen_now().await
    }

    fn now(&self) -> Timestamp {
        self.inner.time.clock.now()
    }

    fn told(&self) -> Option<i64> {
        self.inner.time.told()
    }

    fn alone(&self) -> Result<Via<'_>, BrokerError> {
        Via::alone(&self.inner.db)
    }

    fn wake(&self, notice: Notice) {
        self.inner.notifier.notify(notice);
    }

    /// Wakes whoever listens, once `tx` is committed.
    fn wake_after(&self, tx: &DbTx, notice: Notice) {
        let notifier = Arc::clone(&self.inner.notifier);
        tx.after_commit_once(&format!("{notice:?}"), move || notifier.notify(notice));
    }

    /// Begins with another queue each time.
    fn rotated<'q>(&self, queues: &'q [String]) -> Vec<&'q str> {
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % queues.len().max(1);
        queues.iter().cycle().skip(turn).take(queues.len()).map(String::as_str).collect()
    }
}

/// Names the queues that messages are put into, each once.
fn filled(envelopes: &[Envelope]) -> BTreeSet<Notice> {
    envelopes.iter().map(|envelope| Notice::Queue(envelope.queue.clone())).collect()
}

/// Names the queues that messages go back to, each once.
fn refilled(settlements: &[Settlement]) -> BTreeSet<Notice> {
    let back = settlements.iter().filter(|one| matches!(one.settle, Settle::Requeue { .. }));
    back.map(|one| Notice::Queue(one.delivery.envelope.queue.clone())).collect()
}

#[async_trait]
impl Broker for PostgresBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "postgres",
            native_delay: true,
            delivery_count: true,
            unique_keys: true,
            lookup: true,
            shared: false,
            exchanges: false,
            priorities: MAX_PRIORITY + 1,
            transactional: true,
            durable: true,
            keeps_place: true,
            given_clock: true,
            push: false,
        }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        let published = publish::publish(&self.alone()?, &envelopes, self.told()).await?;
        filled(&envelopes).into_iter().for_each(|notice| self.wake(notice));
        Ok(published)
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        if request.max == 0 || request.queues.is_empty() {
            return Ok(Fetched::default());
        }
        let claim = Claim {
            queues: self.rotated(request.queues),
            max: request.max,
            lease: request.lease,
            holder: request.holder,
        };
        claim.run(&self.alone()?, &self.inner.time).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        let settled = settle::settle(&self.alone()?, settlements, self.told()).await?;
        self.inner.keeper.note(settlements.len());
        refilled(settlements).into_iter().for_each(|notice| self.wake(notice));
        Ok(settled)
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        fetch::renew(&self.alone()?, tags, lease, &self.inner.time).await
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.inner.notifier) as Arc<dyn Notifier>
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self
    }

    fn sql(&self) -> Option<&dyn SqlBroker> {
        Some(self)
    }
}

#[async_trait]
impl SqlBroker for PostgresBroker {
    fn database(&self) -> &Database {
        &self.inner.db
    }

    async fn publish_in(&self, tx: &DbTx, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        filled(&envelopes).into_iter().for_each(|notice| self.wake_after(tx, notice));
        publish::publish(&Via::within(tx)?, &envelopes, self.told()).await
    }

    async fn settle_in(&self, tx: &DbTx, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        refilled(settlements).into_iter().for_each(|notice| self.wake_after(tx, notice));
        self.inner.keeper.note(settlements.len());
        settle::settle(&Via::within(tx)?, settlements, self.told()).await
    }

    async fn cancel_in(&self, tx: &DbTx, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let cancellation = admin::cancel(&Via::within(tx)?, id, reason, self.now()).await?;
        if cancellation == Cancellation::Requested {
            self.wake_after(tx, Notice::Cancel(id.clone()));
        }
        Ok(cancellation)
    }

    async fn waiting(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        admin::waiting(&self.alone()?, queue, max, self.now()).await
    }

    async fn revive_in(
        &self,
        tx: &DbTx,
        key: i64,
        envelope: Envelope,
    ) -> Result<Option<Publication>, BrokerError> {
        self.wake_after(tx, Notice::Queue(envelope.queue.clone()));
        publish::revive(&Via::within(tx)?, key, &envelope, self.told()).await
    }
}

#[async_trait]
impl BrokerAdmin for PostgresBroker {
    async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError> {
        admin::find(&self.alone()?, id, self.now()).await
    }

    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let cancellation = admin::cancel(&self.alone()?, id, reason, self.now()).await?;
        if cancellation == Cancellation::Requested {
            self.wake(Notice::Cancel(id.clone()));
        }
        Ok(cancellation)
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        admin::depths(&self.alone()?, self.now()).await
    }

    async fn open_queues(&self) -> Result<Vec<String>, BrokerError> {
        admin::open_queues(&self.alone()?, self.now()).await
    }

    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        admin::purge(&self.alone()?, queue, max, self.now()).await
    }

    async fn pause(&self, queue: &str) -> Result<(), BrokerError> {
        admin::pause(&self.alone()?, queue, self.now()).await
    }

    async fn resume(&self, queue: &str) -> Result<(), BrokerError> {
        admin::resume(&self.alone()?, queue).await?;
        self.wake(Notice::Queue(queue.to_owned()));
        Ok(())
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError> {
        admin::letters(&self.alone()?, before, limit).await
    }

    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        admin::letter(&self.alone()?, id).await
    }

    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        admin::drop_letters(&self.alone()?, keys).await
    }

    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError> {
        let revived = publish::revive(&self.alone()?, key, &envelope, self.told()).await?;
        self.wake(Notice::Queue(envelope.queue));
        Ok(revived)
    }
}
