//! Jobs that are asked for within a transaction, while their queue is in a server beside the database.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use celeriac_broker::{
    Broker, BrokerAdmin, BrokerError, Cancellation, Capabilities, DeadLetter, DeadLetterPage, FetchRequest,
    Fetched, Found, LeaseTag, MemoryBroker, MessageState, Notifier, Publication, QueueDepth, Renewal, Settle,
    Settled, Settlement, sql,
};
use celeriac_control::{Driver, Loop, LoopCtx, LoopError, PassReport, Relay, StoreRecorder};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbTx, PostgresOptions};
use celeriac_engine::{Call, CancelOutcome, Client, ClientParts, EnqueueError, EventHub, Registry, task};
use celeriac_peers::Postgres;
use celeriac_protocol::{
    Arguments, Clock, Envelope, JobEvent, JobId, JobStatus, ManualClock, TaskMessage, What,
};
use celeriac_store::MIGRATIONS;
use celeriac_store::query::jobs;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);

#[task(crate = celeriac_engine, name = "work")]
async fn work() {}

/// A queue in a server, played by one in memory, that can be told to be away, or to refuse a queue.
struct Server {
    queue: MemoryBroker,
    /// How it takes what is published.
    mood: AtomicU8,
    /// How it takes it to cancel.
    cancels: AtomicU8,
    meanwhile: Mutex<Option<(Arc<dyn Broker>, JobId)>>,
    /// The database beside it, where it crashes while this stores.
    beside: Mutex<Option<Postgres>>,
}

/// It answers.
const WELL: u8 = 0;

/// It can't be reached.
const AWAY: u8 = 1;

/// It refuses whatever is for the queue `closed`, or to cancel anything.
const CHOOSY: u8 = 2;

/// It stores what it is given, and its answer is lost.
const LATE: u8 = 3;

/// Somebody cancels a job in the outbox while it stores.
const MEANWHILE: u8 = 4;

/// The database beside it crashes while it stores, and is there again.
const ALONE: u8 = 6;

/// It takes what comes before the first message for the queue `closed`, and never takes that.
const NARROW: u8 = 5;

#[async_trait::async_trait]
impl Broker for Server {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "server", ..self.queue.capabilities() }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        let is_closed = |envelope: &Envelope| envelope.queue == "closed";
        match self.mood.load(Ordering::SeqCst) {
            AWAY => Err(BrokerError::Unavailable { product: "server", source: "it is away".into() }),
            CHOOSY if envelopes.iter().any(is_closed) => {
                Err(BrokerError::Refused { product: "server", source: "the queue is closed".into() })
            }
            NARROW if envelopes.iter().any(is_closed) => {
                let mut taken: Vec<bool> = envelopes.iter().map(|envelope| !is_closed(envelope)).collect();
                let first = taken.iter().position(|taken| !taken).expect("one is closed");
                taken[first..].fill(false);
                self.queue.publish(envelopes.into_iter().take(first).collect()).await?;
                Err(BrokerError::NotTaken { product: "server", taken, source: "it is too large".into() })
            }
            MEANWHILE => {
                let meanwhile = self.meanwhile.lock().unwrap().take();
                let (outbox, id) = meanwhile.expect("it is said what happens meanwhile");
                outbox.admin().cancel(&id, "not wanted").await?;
                self.queue.publish(envelopes).await
            }
            ALONE => {
                let mut beside = self.beside.lock().unwrap().take().expect("it is said what crashes");
                beside.kill();
                beside.restart().expect("it starts again");
                *self.beside.lock().unwrap() = Some(beside);
                self.queue.publish(envelopes).await
            }
            LATE => {
                self.queue.publish(envelopes).await?;
                Err(BrokerError::Unavailable { product: "server", source: "the answer was lost".into() })
            }
            _ => self.queue.publish(envelopes).await,
        }
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        self.queue.fetch(request).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        self.queue.settle(settlements).await
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        self.queue.renew(tags, lease).await
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        self.queue.notifier()
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self
    }
}

#[async_trait::async_trait]
impl BrokerAdmin for Server {
    async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError> {
        self.queue.admin().find(id).await
    }

    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        match self.cancels.load(Ordering::SeqCst) {
            AWAY => Err(BrokerError::Unavailable { product: "server", source: "it is away".into() }),
            CHOOSY => Err(BrokerError::Refused { product: "server", source: "it cancels nothing".into() }),
            _ => self.queue.admin().cancel(id, reason).await,
        }
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        self.queue.admin().depths().await
    }

    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        self.queue.admin().purge(queue, max).await
    }

    async fn pause(&self, queue: &str) -> Result<(), BrokerError> {
        self.queue.admin().pause(queue).await
    }

    async fn resume(&self, queue: &str) -> Result<(), BrokerError> {
        self.queue.admin().resume(queue).await
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError> {
        self.queue.admin().dead_letters(before, limit).await
    }

    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        self.queue.admin().dead_letter(id).await
    }

    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        self.queue.admin().drop_dead(keys).await
    }

    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError> {
        self.queue.admin().revive(key, envelope).await
    }
}

/// A server's queue, and a database beside it with records and outbox.
struct House {
    db: TestDatabase,
    clock: ManualClock,
    server: Arc<Server>,
    outbox: Arc<dyn Broker>,
    client: Client,
}

impl House {
    async fn build() -> Self {
        Self::on(TestDatabase::open().await.unwrap()).await
    }

    /// A house whose leases and due times go by its clock; those of a server go by the server's.
    async fn on_file() -> Self {
        Self::on(TestDatabase::open_with(|options| options).await.unwrap()).await
    }

    async fn on(db: TestDatabase) -> Self {
        let clock = ManualClock::default();
        let queue = MemoryBroker::new(Arc::new(clock.clone()));
        let (mood, cancels) = (AtomicU8::new(WELL), AtomicU8::new(WELL));
        let (meanwhile, beside) = (Mutex::default(), Mutex::default());
        let server = Arc::new(Server { queue, mood, cancels, meanwhile, beside });
        let (client, outbox) = Self::client(db.database(), &server, &clock).await;
        Self { db, clock, server, outbox, client }
    }

    async fn client(
        database: &Database,
        server: &Arc<Server>,
        clock: &ManualClock,
    ) -> (Client, Arc<dyn Broker>) {
        MIGRATIONS.up(database, 0).await.unwrap();
        let outbox = sql::open(database.clone(), Arc::new(clock.clone())).await.unwrap();
        let parts = ClientParts {
            broker: Arc::clone(server) as Arc<dyn Broker>,
            recorder: Arc::new(StoreRecorder::new(database.clone())),
            clock: Arc::new(clock.clone()),
            registry: Registry::builder().task::<work>().build().unwrap(),
            events: EventHub::default(),
            origin: "test".to_owned(),
        };
        (Client::with_outbox(parts, Arc::clone(&outbox)), outbox)
    }

    /// Asks for jobs within one transaction.
    async fn ask(&self, calls: Vec<Call>) -> Vec<JobId> {
        let client = self.client.clone();
        let ask = async move |tx: &DbTx| client.send_many_in(tx, calls).await;
        let handles = self.db.database().write("ask", ask).await.unwrap();
        handles.iter().map(|handle| handle.id().clone()).collect()
    }

    async fn ask_for_one(&self) -> JobId {
        self.ask(vec![call()]).await.remove(0)
    }

    async fn pass(&self) -> Result<PassReport, LoopError> {
        let ctx = LoopCtx::new(Arc::new(self.clock.clone()), CancellationToken::new());
        Relay::new(self.client.clone()).pass(&ctx).await
    }

    /// Makes a pass that must succeed: how many were handed on, were there before, were refused.
    async fn relayed(&self) -> [u64; 3] {
        let numbers = self.pass().await.unwrap().numbers;
        [numbers[0].1, numbers[1].1, numbers[2].1]
    }

    fn is(&self, mood: u8) {
        self.server.mood.store(mood, Ordering::SeqCst);
    }

    /// Counts what waits in the server's queue.
    async fn waiting(&self) -> u64 {
        self.server.admin().depths().await.unwrap().iter().map(|depth| depth.ready + depth.delayed).sum()
    }

    /// Counts what waits in the outbox.
    async fn outboxed(&self) -> u64 {
        let depths = self.client.outbox_depths().await.unwrap();
        depths.iter().map(|depth| depth.ready + depth.delayed + depth.held).sum()
    }

    /// Takes one message of the outbox, as a relay does that vanishes after that.
    async fn vanish_with_one(&self) -> Envelope {
        let queues = ["outbox/celery".to_owned()];
        let request =
            FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(60), holder: "vanished" };
        let delivery = self.outbox.fetch(&request).await.unwrap().deliveries.remove(0);
        Envelope { queue: "celery".into(), ..delivery.envelope }
    }

    async fn status(&self, id: &JobId) -> JobStatus {
        jobs::find(self.db.reader(), id).await.unwrap().expect("it is recorded").summary.status
    }

    async fn tell(&self, id: &JobId, what: What) {
        let job = Arc::new(jobs::find(self.db.reader(), id).await.unwrap().unwrap().facts());
        let event = JobEvent { at: self.clock.now(), job, delivery: 1, attempt: 1, what };
        self.client.recorder().record(&[event]).await.unwrap();
    }
}

fn call() -> Call {
    Call::new("work", Arguments::default())
}

#[tokio::test]
async fn job_of_a_transaction_reaches_its_queue_once_that_commits() {
    let house = House::build().await;
    let id = house.ask_for_one().await;
    assert_eq!((house.waiting().await, house.outboxed().await), (0, 1));
    assert_eq!(house.status(&id).await, JobStatus::Pending);
    assert_eq!(house.relayed().await, [1, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (1, 0));
    let found = house.server.admin().find(&id).await.unwrap().unwrap();
    assert_eq!((found.envelope.queue.as_str(), found.state), ("celery", MessageState::Ready));
}

#[tokio::test]
async fn job_of_a_transaction_that_fails_never_was() {
    let house = House::build().await;
    let client = house.client.clone();
    let ask = async move |tx: &DbTx| {
        client.send_many_in(tx, [call()]).await?;
        Err::<(), EnqueueError>(EnqueueError::NotTransactional("it was not meant"))
    };
    house.db.database().write("ask", ask).await.unwrap_err();
    assert_eq!(house.relayed().await, [0, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (0, 0));
}

#[tokio::test]
async fn jobs_wait_in_the_outbox_while_the_server_is_away() {
    let house = House::build().await;
    house.is(AWAY);
    house.ask(vec![call(), call()]).await;
    for _ in 0..3 {
        assert!(house.pass().await.is_err());
    }
    assert_eq!(house.outboxed().await, 2);
    house.is(WELL);
    assert_eq!(house.relayed().await, [2, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (2, 0));
}

#[tokio::test]
async fn refused_job_stays_and_holds_up_no_other() {
    let house = House::on_file().await;
    house.is(CHOOSY);
    house.ask(vec![call(), call().queue("closed"), call()]).await;
    assert_eq!(house.relayed().await, [2, 0, 1]);
    assert_eq!((house.waiting().await, house.outboxed().await), (2, 1));
    // It rests before it is tried again.
    assert_eq!(house.relayed().await, [0, 0, 0]);
    house.is(WELL);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.relayed().await, [1, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (3, 0));
}

/// What the server never takes ends as a dead letter, whoever comes after it is handed on, and its bytes can be sent again.
#[tokio::test]
async fn what_the_server_never_takes_becomes_a_dead_letter_of_a_failed_job() {
    let house = House::on_file().await;
    house.is(NARROW);
    let ids = house.ask(vec![call(), call().queue("closed"), call()]).await;
    assert_eq!(house.relayed().await, [2, 0, 1]);
    assert_eq!((house.waiting().await, house.outboxed().await), (2, 1));
    let state = house.client.outbox_state().await.unwrap().unwrap();
    let refused = state.refused.expect("one was refused");
    assert_eq!((refused.messages, refused.since), (1, house.clock.now()));
    assert!(refused.error.contains("too large"), "{refused:?}");
    assert_eq!(house.status(&ids[1]).await, JobStatus::Pending);
    for _ in 1..11 {
        house.clock.advance(Duration::from_secs(301));
        assert_eq!(house.relayed().await, [0, 0, 1]);
    }
    house.clock.advance(Duration::from_secs(301));
    assert_eq!((house.relayed().await, house.outboxed().await), ([0, 0, 0], 0));
    let record = jobs::find(house.db.reader(), &ids[1]).await.unwrap().unwrap();
    assert_eq!(record.summary.status, JobStatus::Failed);
    let why = format!("{record:?}");
    assert!(why.contains("could not be sent to closed") && why.contains("too large"), "{why}");
    let page = house.client.dead_letters(None, 10).await.unwrap();
    let letter = page.letters.into_iter().next().expect("it is a dead letter");
    assert_eq!((&letter.envelope.id, letter.envelope.queue.as_str()), (&ids[1], "closed"));
    assert_eq!(letter.reason, "undeliverable");
    assert!(!letter.envelope.content.properties.contains("refusals"), "{letter:?}");
    assert_eq!(house.client.dead_letter(&ids[1]).await.unwrap(), Some(letter.clone()));
    // The server takes such now: the same message is tried anew.
    house.is(WELL);
    assert!(house.client.revive(letter).await.unwrap());
    assert_eq!((house.relayed().await, house.status(&ids[1]).await), ([1, 0, 0], JobStatus::Pending));
    let found = house.server.admin().find(&ids[1]).await.unwrap().unwrap();
    assert_eq!(found.envelope.queue, "closed");
    assert!(!found.envelope.content.properties.contains("refusals"), "{found:?}");
}

/// That the server refuses whoever asks, for wrong rights say, is nobody's end.
#[tokio::test]
async fn refusal_that_is_not_the_messages_own_buries_nobody() {
    let house = House::on_file().await;
    house.is(CHOOSY);
    let id = house.ask(vec![call().queue("closed")]).await.remove(0);
    for _ in 0..20 {
        assert_eq!(house.relayed().await, [0, 0, 1]);
        house.clock.advance(Duration::from_secs(301));
    }
    assert_eq!(house.status(&id).await, JobStatus::Pending);
    house.is(WELL);
    assert_eq!((house.relayed().await, house.outboxed().await), ([1, 0, 0], 0));
}

#[tokio::test]
async fn letters_of_the_outbox_are_listed_before_the_transports_and_dropped_by_their_keys() {
    let house = House::on_file().await;
    house.client.send(call()).await.unwrap();
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(60), holder: "w" };
    let delivery = house.server.fetch(&request).await.unwrap().deliveries.remove(0);
    let settle = Settle::Reject { reason: "error".into(), detail: "it failed".into() };
    house.server.settle(&[Settlement { delivery, settle }]).await.unwrap();
    house.is(NARROW);
    house.ask(vec![call().queue("closed"), call().queue("closed")]).await;
    for _ in 0..12 {
        house.pass().await.unwrap();
        house.clock.advance(Duration::from_secs(301));
    }
    let (mut keys, mut before) = (Vec::new(), Some(None));
    while let Some(from) = before {
        let page = house.client.dead_letters(from, 1).await.unwrap();
        keys.extend(page.letters.iter().map(|letter| letter.key));
        before = page.next.map(Some);
    }
    assert_eq!((keys.len(), keys.iter().filter(|key| **key < 0).count()), (3, 2));
    assert!(keys[..2].iter().all(|key| *key < 0), "{keys:?}");
    assert_eq!(house.client.drop_dead(&keys).await.unwrap(), 3);
    assert!(house.client.dead_letters(None, 9).await.unwrap().letters.is_empty());
}

#[tokio::test]
async fn relay_that_vanished_before_publishing_loses_nothing() {
    let house = House::on_file().await;
    house.ask_for_one().await;
    house.vanish_with_one().await;
    assert_eq!(house.relayed().await, [0, 0, 0]);
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(house.relayed().await, [1, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (1, 0));
}

#[tokio::test]
async fn relay_that_vanished_after_publishing_doubles_nothing() {
    let house = House::on_file().await;
    house.ask_for_one().await;
    let envelope = house.vanish_with_one().await;
    house.server.publish(vec![envelope]).await.unwrap();
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(house.relayed().await, [0, 1, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (1, 0));
}

#[tokio::test]
async fn job_that_began_before_its_relay_could_say_so_is_not_handed_on_again() {
    let house = House::on_file().await;
    let id = house.ask_for_one().await;
    house.vanish_with_one().await;
    house.tell(&id, What::Started { worker: "w1".into() }).await;
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(house.relayed().await, [0, 1, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (0, 0));
}

#[tokio::test]
async fn job_that_ended_before_its_relay_had_an_answer_is_not_handed_on_again() {
    let house = House::build().await;
    let id = house.ask_for_one().await;
    house.is(LATE);
    assert!(house.pass().await.is_err());
    house.server.admin().purge("celery", 9).await.unwrap();
    house.tell(&id, What::Started { worker: "w1".into() }).await;
    house.is(WELL);
    assert_eq!(house.relayed().await, [0, 1, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (0, 0));
}

#[tokio::test]
async fn message_that_may_be_the_second_of_its_run_says_so() {
    let house = House::build().await;
    let ids = house.ask(vec![call()]).await;
    house.is(LATE);
    assert!(house.pass().await.is_err());
    let first = house.server.admin().find(&ids[0]).await.unwrap().unwrap();
    assert_eq!(TaskMessage::decode(&first.envelope).unwrap().celeriac.again_at, None);
    house.server.admin().purge("celery", 9).await.unwrap();
    house.is(WELL);
    assert_eq!(house.relayed().await, [1, 0, 0]);
    let second = house.server.admin().find(&ids[0]).await.unwrap().unwrap();
    let told = TaskMessage::decode(&second.envelope).unwrap().celeriac;
    assert_eq!(told.again_at, Some(house.clock.now()));
}

/// A server of the database forgets what it did not wait for, as it does not for a message that is only handed out.
#[tokio::test]
async fn crash_of_the_database_leaves_word_of_what_was_handed_on() {
    let beside = Postgres::start_with(&["wal_writer_delay=10s", "autovacuum=off"]).unwrap();
    let house = House::on_file().await;
    let database = Database::open_postgres(PostgresOptions::at(beside.url("postgres"))).await.unwrap();
    let (client, outbox) = House::client(&database, &house.server, &house.clock).await;
    let asking = client.clone();
    let ask = async move |tx: &DbTx| asking.send_many_in(tx, [call()]).await;
    let id = database.write("ask", ask).await.unwrap()[0].id().clone();
    *house.server.beside.lock().unwrap() = Some(beside);
    house.is(ALONE);
    // It may go on over the connections that are made anew, or say that they were lost.
    drop(client.relay().await);
    assert!(house.server.admin().find(&id).await.unwrap().is_some(), "it was handed on");
    let kept = outbox.admin().find(&id).await.unwrap();
    assert!(kept.is_none_or(|kept| kept.delivery == 1), "and nobody would know");
    database.close().await;
}

#[tokio::test]
async fn second_job_of_an_id_that_waits_in_the_server_is_none() {
    let house = House::build().await;
    let named = || call().id(JobId::parse("order-7").unwrap());
    let id = house.ask(vec![named()]).await.remove(0);
    assert_eq!(house.relayed().await, [1, 0, 0]);
    house.ask(vec![call()]).await;
    let ids = house.ask(vec![call(), named(), call()]).await;
    assert_eq!((ids[1].clone(), ids.len()), (id.clone(), 3));
    assert_eq!(house.relayed().await, [3, 0, 0]);
    // The record tells of the run that waits, and of none that will never be.
    house.tell(&id, What::Started { worker: "w1".into() }).await;
    assert_eq!(house.status(&id).await, JobStatus::Running);
    let record = jobs::find(house.db.reader(), &id).await.unwrap().unwrap();
    assert_eq!(record.summary.generation, 0);
}

#[tokio::test]
async fn next_run_of_an_id_waits_until_the_old_message_is_gone() {
    let house = House::on_file().await;
    let named = || call().id(JobId::parse("order-7").unwrap());
    let id = house.ask(vec![named()]).await.remove(0);
    assert_eq!(house.relayed().await, [1, 0, 0]);
    house.tell(&id, What::Succeeded { result: None, runtime_micros: Some(1) }).await;
    house.ask(vec![named()]).await;
    assert_eq!(house.status(&id).await, JobStatus::Pending);
    assert_eq!((house.relayed().await, house.outboxed().await), ([0, 0, 0], 1));
    house.server.admin().purge("celery", 9).await.unwrap();
    house.clock.advance(Duration::from_secs(1));
    assert_eq!((house.relayed().await, house.waiting().await), ([1, 0, 0], 1));
}

#[tokio::test]
async fn job_cancelled_while_it_is_handed_on_is_cancelled_in_its_queue() {
    let house = House::build().await;
    let id = house.ask_for_one().await;
    house.is(MEANWHILE);
    *house.server.meanwhile.lock().unwrap() = Some((Arc::clone(&house.outbox), id.clone()));
    house.pass().await.unwrap();
    assert_eq!(house.status(&id).await, JobStatus::Cancelled);
    assert_eq!((house.waiting().await, house.outboxed().await), (0, 0));
}

#[tokio::test]
async fn server_that_can_cancel_nothing_holds_up_no_message() {
    let house = House::on_file().await;
    let id = house.ask(vec![call(), call()]).await.remove(0);
    house.is(MEANWHILE);
    house.server.cancels.store(CHOOSY, Ordering::SeqCst);
    *house.server.meanwhile.lock().unwrap() = Some((Arc::clone(&house.outbox), id));
    assert_eq!(house.relayed().await, [2, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (2, 0));
}

#[tokio::test]
async fn cancellation_is_made_up_for_that_met_an_absent_server() {
    let house = House::on_file().await;
    let id = house.ask(vec![call(), call()]).await.remove(0);
    house.is(MEANWHILE);
    house.server.cancels.store(AWAY, Ordering::SeqCst);
    *house.server.meanwhile.lock().unwrap() = Some((Arc::clone(&house.outbox), id.clone()));
    assert_eq!((house.relayed().await, house.outboxed().await), ([2, 0, 0], 1));
    house.server.cancels.store(WELL, Ordering::SeqCst);
    house.clock.advance(Duration::from_secs(61));
    house.pass().await.unwrap();
    assert_eq!(house.status(&id).await, JobStatus::Cancelled);
    assert_eq!((house.waiting().await, house.outboxed().await), (1, 0));
}

#[tokio::test]
async fn server_that_refuses_everything_is_not_asked_for_each_message() {
    let house = House::on_file().await;
    house.is(CHOOSY);
    house.ask((0..50).map(|_| call().queue("closed")).collect()).await;
    assert_eq!(house.relayed().await, [0, 0, 50]);
    house.is(WELL);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.relayed().await, [50, 0, 0]);
}

#[tokio::test]
async fn purge_takes_what_waits_for_a_queue_out_of_the_outbox() {
    let house = House::build().await;
    let id = house.ask_for_one().await;
    assert_eq!(house.client.purge("celery", "not wanted").await.unwrap(), 1);
    assert_eq!((house.status(&id).await, house.outboxed().await), (JobStatus::Cancelled, 0));
}

#[tokio::test]
async fn delayed_job_is_handed_on_when_it_is_due() {
    let house = House::on_file().await;
    house.ask(vec![call().countdown(Duration::from_secs(60))]).await;
    let report = house.pass().await.unwrap();
    assert_eq!(
        (report.next_at, house.outboxed().await),
        (Some(house.clock.now() + Duration::from_secs(60)), 1)
    );
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.relayed().await, [1, 0, 0]);
}

#[tokio::test]
async fn job_in_the_outbox_is_found_and_cancelled() {
    let house = House::build().await;
    let id = house.ask_for_one().await;
    assert_eq!(house.client.find(&id).await.unwrap().unwrap().envelope.queue, "celery");
    assert_eq!(house.client.cancel(&id, "not wanted").await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(house.status(&id).await, JobStatus::Cancelled);
    assert_eq!((house.relayed().await, house.waiting().await), ([0, 0, 0], 0));
}

#[tokio::test]
async fn job_cancelled_in_the_hands_of_a_relay_that_vanishes_is_cancelled_by_the_next() {
    let house = House::on_file().await;
    let id = house.ask_for_one().await;
    house.vanish_with_one().await;
    house.outbox.admin().cancel(&id, "not wanted").await.unwrap();
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(house.relayed().await, [0, 0, 0]);
    assert_eq!(house.status(&id).await, JobStatus::Cancelled);
    assert_eq!((house.waiting().await, house.outboxed().await), (0, 0));
}

#[tokio::test]
async fn job_whose_unique_key_is_taken_is_recorded_as_cancelled() {
    let house = House::build().await;
    let first = house.client.send(call().unique("k")).await.unwrap();
    let second = house.ask(vec![call().unique("k")]).await.remove(0);
    assert_eq!(house.relayed().await, [0, 1, 0]);
    assert_eq!(house.status(&second).await, JobStatus::Cancelled);
    assert_eq!((house.status(first.id()).await, house.waiting().await), (JobStatus::Pending, 1));
}

#[tokio::test]
async fn many_jobs_are_handed_on_in_one_pass() {
    let house = House::build().await;
    house.ask((0..1_200).map(|_| call()).collect()).await;
    assert_eq!(house.relayed().await, [1_200, 0, 0]);
    assert_eq!((house.waiting().await, house.outboxed().await), (1_200, 0));
}

#[tokio::test]
async fn commit_wakes_the_relay() {
    let house = House::build().await;
    let notices = house.client.outbox_notifier().unwrap().listen();
    let driver = Driver::new(Arc::new(house.clock.clone())).woken_by(notices);
    let driver = driver.with(Relay::new(house.client.clone())).unwrap();
    let (board, stop) = (driver.board(), CancellationToken::new());
    let mut running = JoinSet::new();
    running.spawn(driver.run(stop.clone()));
    let rests = async || {
        while board.status("relay").is_none_or(|status| status.next_at.is_none()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, rests()).await.expect("the first pass is over");
    let mut queued = house.server.notifier().listen();
    house.ask_for_one().await;
    // The clock stands still, so only the notice can have woken it.
    tokio::time::timeout(SOON, queued.recv()).await.expect("the job reaches its queue").unwrap();
    assert_eq!(house.waiting().await, 1);
    stop.cancel();
    tokio::time::timeout(SOON, running.join_next()).await.expect("the driver stops");
}
