//! A queue in the tables of a SQLite file, shared by every process that has the file open.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{Database, DbTx, DirectTx, MigrationSet};
use celeriac_protocol::{Clock, Envelope, JobId, MAX_PRIORITY, Timestamp};

use self::fetch::Claim;
use self::settle::Order;
use self::statement::failed;
use self::wake::SocketNotifier;
use crate::{
    Broker, BrokerAdmin, BrokerError, Cancellation, Capabilities, DeadLetter, DeadLetterPage, FetchRequest,
    Fetched, Found, LeaseTag, Notice, Notifier, Publication, QueueDepth, Renewal, Settled, Settlement,
    SqlBroker,
};

mod admin;
mod dead;
mod fetch;
#[cfg(test)]
mod plans;
mod publish;
mod rows;
mod schema;
mod settle;
mod statement;
mod wake;

/// Is responsible for the queue in one SQLite file; cheap to clone.
///
/// Whatever changes goes through the file's one writer, so it is committed together with records
/// and with the caller's own rows; whatever only looks reads beside it. Other processes on the same
/// file are woken by datagrams on sockets in the folder `<file>.sock.d`.
#[derive(Clone, Debug)]
pub struct SqliteBroker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    notifier: Arc<SocketNotifier>,
    /// Which of its queues the next fetch asks first.
    turn: AtomicUsize,
}

impl SqliteBroker {
    /// The queue's tables, to be migrated before use.
    pub const MIGRATIONS: MigrationSet = schema::MIGRATIONS;

    /// Uses the queue in `db`, whose tables are up to date.
    pub fn new(db: Database, clock: Arc<dyn Clock>) -> Self {
        let notifier = Arc::new(SocketNotifier::beside(db.path()));
        Self { inner: Arc::new(Inner { db, clock, notifier, turn: AtomicUsize::new(0) }) }
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

    /// Returns the database file.
    pub fn path(&self) -> &Path {
        self.inner.db.path()
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Returns what wakes whoever listens, to run once a transaction is committed, and its name.
    fn wake(&self, notice: Notice) -> (String, impl FnOnce() + Send + 'static) {
        let notifier = Arc::clone(&self.inner.notifier);
        (format!("{notice:?}"), move || notifier.notify(notice))
    }

    fn wake_after(&self, tx: &DbTx, notice: Notice) {
        let (name, wake) = self.wake(notice);
        tx.after_commit_once(&name, wake);
    }

    fn wake_queues_after<'q>(&self, tx: &DirectTx<'_>, queues: impl Iterator<Item = &'q str>) {
        for queue in queues.collect::<BTreeSet<_>>() {
            let (name, wake) = self.wake(Notice::Queue(queue.to_owned()));
            tx.after_commit_once(&name, wake);
        }
    }

    fn publish_all(
        &self,
        tx: &DirectTx<'_>,
        envelopes: &[Envelope],
    ) -> Result<Vec<Publication>, BrokerError> {
        self.wake_queues_after(tx, envelopes.iter().map(|envelope| envelope.queue.as_str()));
        publish::publish(tx, envelopes, self.now()).map_err(failed("publish messages"))
    }

    fn settle_orders(&self, tx: &DirectTx<'_>, orders: &[Order]) -> Result<Vec<Settled>, BrokerError> {
        self.wake_queues_after(tx, orders.iter().filter_map(Order::queue_it_goes_back_to));
        settle::settle(tx, orders, self.now()).map_err(failed("settle deliveries"))
    }

    /// Begins with another queue each time.
    fn rotated(&self, queues: &[String]) -> Vec<String> {
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % queues.len().max(1);
        queues.iter().cycle().skip(turn).take(queues.len()).cloned().collect()
    }
}

#[async_trait]
impl Broker for SqliteBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "sqlite",
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
        let this = self.clone();
        self.inner.db.write_direct("publish", move |tx| this.publish_all(tx, &envelopes)).await
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        if request.max == 0 || request.queues.is_empty() {
            return Ok(Fetched::default());
        }
        let claim = Claim {
            queues: self.rotated(request.queues),
            max: request.max,
            lease: request.lease,
            holder: request.holder.to_owned(),
        };
        let this = self.clone();
        let claim = move |tx: &DirectTx<'_>| claim.run(tx, this.now()).map_err(failed("fetch messages"));
        self.inner.db.write_direct("fetch", claim).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        let this = self.clone();
        let orders: Vec<Order> = settlements.iter().map(Order::of).collect();
        self.inner.db.write_direct("settle", move |tx| this.settle_orders(tx, &orders)).await
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        let (this, tags) = (self.clone(), tags.to_vec());
        let renew = move |tx: &DirectTx<'_>| {
            fetch::renew(tx, &tags, this.now() + lease).map_err(failed("renew leases"))
        };
        self.inner.db.write_direct("renew", renew).await
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
impl SqlBroker for SqliteBroker {
    fn database(&self) -> &Database {
        &self.inner.db
    }

    async fn publish_in(&self, tx: &DbTx, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        tx.direct(|tx| self.publish_all(tx, &envelopes)).await
    }

    async fn settle_in(&self, tx: &DbTx, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        let orders: Vec<Order> = settlements.iter().map(Order::of).collect();
        tx.direct(|tx| self.settle_orders(tx, &orders)).await
    }

    async fn cancel_in(&self, tx: &DbTx, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let cancellation =
            admin::cancel(tx, id, reason, self.now()).await.map_err(failed("cancel message"))?;
        if cancellation == Cancellation::Requested {
            self.wake_after(tx, Notice::Cancel(id.clone()));
        }
        Ok(cancellation)
    }

    async fn waiting(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        admin::waiting(self.inner.db.reader(), queue, max, self.now()).await.map_err(failed("read messages"))
    }

    async fn revive_in(
        &self,
        tx: &DbTx,
        key: i64,
        envelope: Envelope,
    ) -> Result<Option<Publication>, BrokerError> {
        let revive = |tx: &DirectTx<'_>| {
            self.wake_queues_after(tx, std::iter::once(envelope.queue.as_str()));
            dead::revive(tx, key, &envelope, self.now()).map_err(failed("put dead letter back"))
        };
        tx.direct(revive).await
    }
}

#[async_trait]
impl BrokerAdmin for SqliteBroker {
    async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError> {
        let found = admin::find(self.inner.db.reader(), id, self.now()).await;
        Ok(found.map_err(failed("find message"))?.map(|(_, found)| found))
    }

    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let (this, id, reason) = (self.clone(), id.clone(), reason.to_owned());
        self.inner.db.write("cancel", async move |tx| this.cancel_in(tx, &id, &reason).await).await
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        admin::depths(self.inner.db.reader(), self.now()).await.map_err(failed("count messages"))
    }

    async fn open_queues(&self) -> Result<Vec<String>, BrokerError> {
        admin::open_queues(self.inner.db.reader(), self.now()).await.map_err(failed("name queues"))
    }

    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        let (this, queue) = (self.clone(), queue.to_owned());
        let purge = async move |tx: &DbTx| {
            admin::purge(tx, &queue, max, this.now()).await.map_err(failed("purge queue"))
        };
        self.inner.db.write("purge", purge).await
    }

    async fn pause(&self, queue: &str) -> Result<(), BrokerError> {
        let (this, queue) = (self.clone(), queue.to_owned());
        let pause =
            async move |tx: &DbTx| admin::pause(tx, &queue, this.now()).await.map_err(failed("pause queue"));
        self.inner.db.write("pause", pause).await
    }

    async fn resume(&self, queue: &str) -> Result<(), BrokerError> {
        let (this, queue) = (self.clone(), queue.to_owned());
        let resume = async move |tx: &DbTx| {
            this.wake_after(tx, Notice::Queue(queue.clone()));
            admin::resume(tx, &queue).await.map_err(failed("resume queue"))
        };
        self.inner.db.write("resume", resume).await
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError> {
        dead::page(self.inner.db.reader(), before, limit).await.map_err(failed("read dead letters"))
    }

    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        dead::find(self.inner.db.reader(), id).await.map_err(failed("find dead letter"))
    }

    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        let keys = keys.to_vec();
        let remove =
            async move |tx: &DbTx| dead::remove(tx, &keys).await.map_err(failed("drop dead letters"));
        self.inner.db.write("drop dead letters", remove).await
    }

    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError> {
        let this = self.clone();
        self.inner.db.write("revive", async move |tx| this.revive_in(tx, key, envelope).await).await
    }
}
