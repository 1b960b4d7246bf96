//! What these tests share: a broker by the real time, and a bare connection beside it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use celeriac_broker::{
    AmqpBroker, AmqpOptions, Broker, BrokerAdmin, Delivery, FetchRequest, Fetched, Notices, Settle, Settled,
    Settlement,
};
use celeriac_peers::shared::rabbitmq_corner;
use celeriac_protocol::{Clock, Content, Envelope, JobId, Timestamp, WhenReached};
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How long something is waited for before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(25);

/// The system's own time: the server's delays go by no other.
#[derive(Debug)]
pub(super) struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "the server's delays go by the real time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(since.as_micros().try_into().unwrap())
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        let left = instant.since(self.now());
        Box::pin(tokio::time::sleep(left))
    }
}

/// A broker and a connection that knows nothing of it, as a Python peer's.
pub(super) struct Corner {
    pub(super) broker: AmqpBroker,
    pub(super) url: String,
    pub(super) peer: Channel,
    _connection: Connection,
}

impl Corner {
    /// Takes an empty virtual host of the shared server.
    pub(super) async fn open() -> Self {
        Self::at(AmqpOptions::at(rabbitmq_corner().unwrap())).await
    }

    pub(super) async fn at(options: AmqpOptions) -> Self {
        let connection = Connection::connect(&options.url, ConnectionProperties::default()).await.unwrap();
        let peer = connection.create_channel().await.unwrap();
        peer.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let url = options.url.clone();
        Self { broker: open(options).await, url, peer, _connection: connection }
    }

    /// Opens the same as another process.
    pub(super) async fn another(&self) -> AmqpBroker {
        open(AmqpOptions::at(&self.url)).await
    }

    /// Publishes as a peer.
    pub(super) async fn push(&self, queue: &str, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions::default();
        let sent = self.peer.basic_publish("".into(), queue.into(), options, body, properties);
        assert!(sent.await.unwrap().await.unwrap().is_ack());
    }

    /// Takes a message as a peer.
    pub(super) async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        self.peer.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()
    }

    /// Declares a durable queue as a peer.
    pub(super) async fn declare(&self, queue: &str, arguments: FieldTable) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.peer.queue_declare(queue.into(), options, arguments).await.unwrap();
    }

    pub(super) async fn publish(&self, envelope: Envelope) {
        self.broker.publish(vec![envelope]).await.unwrap();
    }

    pub(super) fn admin(&self) -> &dyn BrokerAdmin {
        self.broker.admin()
    }
}

pub(super) async fn open(options: AmqpOptions) -> AmqpBroker {
    AmqpBroker::open(options, Arc::new(RealClock)).await.unwrap()
}

/// Fetches once.
pub(super) async fn fetch(broker: &AmqpBroker, queue: &str, max: usize) -> Fetched {
    let queues = [queue.to_owned()];
    broker.fetch(&FetchRequest { queues: &queues, max, lease: LEASE, holder: "w" }).await.unwrap()
}

/// Fetches as a worker does until a message comes: when it is told, or when it was said that there will be one.
pub(super) async fn wait_for(broker: &AmqpBroker, queue: &str) -> Delivery {
    let mut notices = broker.notifier().listen();
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let Fetched { mut deliveries, next_due_at } = fetch(broker, queue, 1).await;
            if let Some(delivery) = deliveries.pop() {
                return delivery;
            }
            let due = async {
                match next_due_at {
                    Some(due_at) => RealClock.sleep_until(due_at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = due => {}, _ = notices.recv() => {} }
        }
    });
    waited.await.expect("a message comes within twenty-five seconds")
}

/// Waits for a notice of which `is_meant` says so.
pub(super) async fn hear(notices: &mut Notices, is_meant: impl Fn(&celeriac_broker::Notice) -> bool) {
    let heard = tokio::time::timeout(PATIENCE, async {
        while !notices.recv().await.is_ok_and(|notice| is_meant(&notice)) {}
    });
    heard.await.expect("it is told within twenty-five seconds");
}

pub(super) async fn settle(broker: &AmqpBroker, delivery: Delivery, settle: Settle) -> Settled {
    broker.settle(&[Settlement { delivery, settle }]).await.unwrap()[0]
}

pub(super) fn requeue(due_at: Option<Timestamp>, charged: bool) -> Settle {
    Settle::Requeue { content: None, due_at, charged }
}

pub(super) fn in_millis(millis: u64) -> Timestamp {
    RealClock.now() + Duration::from_millis(millis)
}

pub(super) fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

pub(super) fn message(id: &str) -> Envelope {
    of_queue("celery", id)
}

pub(super) fn of_queue(queue: &str, id: &str) -> Envelope {
    Envelope {
        id: job(id),
        queue: queue.into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content {
            headers: format!(r#"{{"id":"{id}","task":"t"}}"#),
            properties: "{}".into(),
            content_type: "application/json".into(),
            content_encoding: "utf-8".into(),
            body: b"[[], {}, {}]".to_vec(),
        },
    }
}
