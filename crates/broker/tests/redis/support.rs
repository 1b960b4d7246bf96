//! What these tests share: a broker with its clock, and a bare connection beside it.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{
    Broker, BrokerAdmin, Delivery, FetchRequest, RedisBroker, RedisOptions, Settle, Settlement,
};
use celeriac_peers::shared::redis_corner;
use celeriac_protocol::{Content, Envelope, JobId, ManualClock};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ToRedisArgs};

pub(super) const LEASE: Duration = Duration::from_secs(30);

/// What Celery 5.7 pushed for `add.delay(2, 3)`.
pub(super) const CAPTURED: &str = concat!(
    r#"{"body": "W1syLCAzXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbCwgImVycmJhY2tzIjogbnVsbCwgImNoYWluIjogbnVsbCwgImNob3JkIjogbnVsbH1d", "#,
    r#""content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", "task": "wapp.add", "#,
    r#""id": "2207d7c4-32f8-47a5-ae12-576b3f8826f8", "shadow": null, "eta": null, "expires": null, "group": null, "#,
    r#""group_index": null, "retries": 0, "timelimit": [null, null], "root_id": "2207d7c4-32f8-47a5-ae12-576b3f8826f8", "#,
    r#""parent_id": null, "argsrepr": "(2, 3)", "kwargsrepr": "{}", "origin": "gen19748@vm", "ignore_result": false, "#,
    r#""replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}}, "properties": {"#,
    r#""correlation_id": "2207d7c4-32f8-47a5-ae12-576b3f8826f8", "reply_to": "6231df7a-fcba-398b-be4c-1eac2401fd7a", "#,
    r#""delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 0, "#,
    r#""body_encoding": "base64", "delivery_tag": "37b9a8ee-5d22-410b-818b-d122a2d43158"}}"#,
);

/// The id in it.
pub(super) const CAPTURED_ID: &str = "2207d7c4-32f8-47a5-ae12-576b3f8826f8";

/// A broker and a connection that knows nothing of it, as a Python peer's.
pub(super) struct Corner {
    pub(super) broker: RedisBroker,
    pub(super) clock: ManualClock,
    pub(super) peer: MultiplexedConnection,
    pub(super) url: String,
}

impl Corner {
    /// Takes an empty database of the shared server.
    pub(super) async fn open() -> Self {
        Self::at(RedisOptions { server_time: false, ..RedisOptions::at(redis_corner().unwrap()) }).await
    }

    pub(super) async fn at(options: RedisOptions) -> Self {
        let clock = ManualClock::default();
        let client = redis::Client::open(options.url.as_str()).unwrap();
        let peer = client.get_multiplexed_async_connection().await.unwrap();
        let url = options.url.clone();
        let broker = RedisBroker::open(options, Arc::new(clock.clone())).await.unwrap();
        Self { broker, clock, peer, url }
    }

    /// Sends one command as a peer.
    pub(super) async fn say<T: FromRedisValue>(&self, command: &str, arguments: &[impl ToRedisArgs]) -> T {
        let mut words = redis::cmd(command);
        for argument in arguments {
            words.arg(argument);
        }
        words.query_async(&mut self.peer.clone()).await.unwrap()
    }

    pub(super) async fn fetch(&self, max: usize) -> Vec<Delivery> {
        fetch(&self.broker, max).await
    }

    pub(super) async fn fetch_one(&self) -> Delivery {
        self.fetch(1).await.pop().expect("a message is waiting")
    }

    pub(super) async fn publish(&self, envelope: Envelope) {
        self.broker.publish(vec![envelope]).await.unwrap();
    }

    pub(super) fn admin(&self) -> &dyn BrokerAdmin {
        self.broker.admin()
    }
}

pub(super) async fn fetch(broker: &RedisBroker, max: usize) -> Vec<Delivery> {
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max, lease: LEASE, holder: "w" };
    broker.fetch(&request).await.unwrap().deliveries
}

pub(super) fn ack(delivery: Delivery) -> [Settlement; 1] {
    [Settlement { delivery, settle: Settle::Ack }]
}

pub(super) fn message(id: &str) -> Envelope {
    Envelope {
        id: job(id),
        queue: "celery".into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content {
            headers: format!(r#"{{"task": "t", "id": "{id}"}}"#),
            properties: "{}".into(),
            content_type: "application/json".into(),
            content_encoding: "utf-8".into(),
            body: b"[[], {}, {}]".to_vec(),
        },
    }
}

pub(super) fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

pub(super) fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|one| one.envelope.id.as_str()).collect()
}
