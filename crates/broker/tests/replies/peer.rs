//! What looks at the servers as a client of Celery does.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use celeriac_broker::{AmqpOptions, AmqpReplies, RedisOptions, RedisReplies, ReplyOptions, ResultStore};
use celeriac_peers::shared::{rabbitmq_corner, redis_corner};
use celeriac_peers::{RabbitMq, Redis};
use celeriac_protocol::{Clock, ManualClock};
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind};
use redis::aio::MultiplexedConnection;
use serde_json::Value;

/// An answer, as a client of Celery sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) correlation: String,
    pub(super) content_type: String,
    pub(super) content_encoding: String,
    pub(super) delivery_mode: u8,
    pub(super) priority: u8,
    /// How many there are.
    pub(super) headers: usize,
}

/// A server, and one who looks at it.
pub(super) trait Peer {
    /// Opens what sends results, and hears them where a queue is named.
    async fn open(&self, options: ReplyOptions, queue: Option<&str>) -> Arc<dyn ResultStore>;

    /// Makes a queue.
    async fn declare(&self, queue: &str);

    /// Takes what lies in a queue.
    async fn answers(&self, queue: &str) -> Vec<Answer>;

    /// Names a queue that nothing can be sent to.
    async fn hopeless(&self) -> String;

    /// Says whether a queue is not there, or will not be for ever.
    async fn goes_by_itself(&self, queue: &str) -> bool;

    /// Sends what is no answer.
    async fn push_junk(&self, queue: &str);

    /// Ends the server and starts it again.
    async fn restart(&mut self);
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::default())
}

pub(super) struct RedisPeer {
    url: String,
    connection: MultiplexedConnection,
    server: Option<Redis>,
}

impl RedisPeer {
    pub(super) async fn shared() -> Self {
        Self::at(redis_corner().unwrap(), None).await
    }

    pub(super) async fn alone() -> Self {
        let server = Redis::start().unwrap();
        Self::at(server.url(0), Some(server)).await
    }

    async fn at(url: String, server: Option<Redis>) -> Self {
        let client = redis::Client::open(url.as_str()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Self { url, connection, server }
    }

    async fn say<T: redis::FromRedisValue>(&self, command: &str, arguments: &[&str]) -> T {
        let mut words = redis::cmd(command);
        words.arg(arguments).query_async(&mut self.connection.clone()).await.unwrap()
    }
}

/// What stands before every key, as with Celery's `global_keyprefix`.
const PREFIX: &str = "app:";

impl Peer for RedisPeer {
    async fn open(&self, options: ReplyOptions, queue: Option<&str>) -> Arc<dyn ResultStore> {
        let redis = RedisOptions { key_prefix: PREFIX.to_owned(), ..RedisOptions::at(&self.url) };
        let replies = RedisReplies::open(&redis, options, clock()).await.unwrap();
        Arc::new(match queue {
            Some(queue) => replies.listening_on(queue),
            None => replies,
        })
    }

    async fn declare(&self, _queue: &str) {}

    async fn answers(&self, queue: &str) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(text) = self.say::<Option<String>>("RPOP", &[&format!("{PREFIX}{queue}")]).await {
            let message: Value = serde_json::from_str(&text).unwrap();
            let (properties, text) =
                (&message["properties"], |value: &Value| value.as_str().unwrap().to_owned());
            assert_eq!(
                properties["delivery_info"],
                serde_json::json!({"exchange": "", "routing_key": queue})
            );
            assert!(!text(&properties["delivery_tag"]).is_empty());
            assert_eq!(properties["body_encoding"], "base64");
            answers.push(Answer {
                body: BASE64.decode(text(&message["body"])).unwrap(),
                correlation: text(&properties["correlation_id"]),
                content_type: text(&message["content-type"]),
                content_encoding: text(&message["content-encoding"]),
                delivery_mode: properties["delivery_mode"].as_u64().unwrap() as u8,
                priority: properties["priority"].as_u64().unwrap() as u8,
                headers: message["headers"].as_object().unwrap().len(),
            });
        }
        answers
    }

    async fn hopeless(&self) -> String {
        self.say::<i64>("SADD", &[&format!("{PREFIX}set"), "member"]).await;
        "set".to_owned()
    }

    async fn goes_by_itself(&self, queue: &str) -> bool {
        self.say::<i64>("PTTL", &[&format!("{PREFIX}{queue}")]).await != -1
    }

    async fn push_junk(&self, queue: &str) {
        let key = format!("{PREFIX}{queue}");
        for junk in [
            "no json",
            "{}",
            r#"{"body": "!", "properties": {"correlation_id": "a", "body_encoding": "base64"}}"#,
        ] {
            self.say::<i64>("LPUSH", &[&key, junk]).await;
        }
    }

    async fn restart(&mut self) {
        self.server.as_mut().unwrap().restart().unwrap();
    }
}

pub(super) struct AmqpPeer {
    url: String,
    connection: Connection,
    server: Option<RabbitMq>,
}

impl AmqpPeer {
    pub(super) async fn shared() -> Self {
        Self::at(rabbitmq_corner().unwrap(), None).await
    }

    pub(super) async fn alone() -> Self {
        let server = RabbitMq::start().unwrap();
        Self::at(server.url("/"), Some(server)).await
    }

    async fn at(url: String, server: Option<RabbitMq>) -> Self {
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        Self { url, connection, server }
    }

    async fn channel(&self) -> Channel {
        let channel = self.connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }

    /// Declares a queue as Celery 5.7 declares its own; returns the code by which the server says no.
    pub(super) async fn declare_as_celery(&self, queue: &str, durable: bool, expires: i32) -> Option<u16> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongInt(expires));
        let options = QueueDeclareOptions { durable, auto_delete: true, ..QueueDeclareOptions::default() };
        let declared = self.channel().await.queue_declare(queue.into(), options, arguments).await;
        declared.err().map(|error| match error.kind() {
            ErrorKind::ProtocolError(error) => match error.kind() {
                AMQPErrorKind::Soft(soft) => soft.get_id(),
                AMQPErrorKind::Hard(hard) => hard.get_id(),
            },
            other => panic!("{other:?}"),
        })
    }
}

impl Peer for AmqpPeer {
    async fn open(&self, options: ReplyOptions, queue: Option<&str>) -> Arc<dyn ResultStore> {
        let replies = AmqpReplies::open(&AmqpOptions::at(&self.url), options, clock()).await.unwrap();
        Arc::new(match queue {
            Some(queue) => replies.listening_on(queue).await.unwrap(),
            None => replies,
        })
    }

    async fn declare(&self, queue: &str) {
        assert_eq!(self.declare_as_celery(queue, true, 86_400_000).await, None);
    }

    async fn answers(&self, queue: &str) -> Vec<Answer> {
        let channel = self.channel().await;
        let mut answers = Vec::new();
        while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()
        {
            let properties = &got.delivery.properties;
            answers.push(Answer {
                body: got.delivery.data.clone(),
                correlation: properties.correlation_id().as_ref().unwrap().to_string(),
                content_type: properties.content_type().as_ref().unwrap().to_string(),
                content_encoding: properties.content_encoding().as_ref().unwrap().to_string(),
                delivery_mode: properties.delivery_mode().unwrap(),
                priority: properties.priority().unwrap(),
                headers: properties.headers().as_ref().unwrap().inner().len(),
            });
        }
        answers
    }

    async fn hopeless(&self) -> String {
        "x".repeat(300)
    }

    async fn goes_by_itself(&self, queue: &str) -> bool {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.channel().await.queue_declare(queue.into(), passive, FieldTable::default()).await.is_err()
    }

    async fn push_junk(&self, queue: &str) {
        let channel = self.channel().await;
        let named = BasicProperties::default().with_correlation_id("a".into());
        for (properties, body) in [(BasicProperties::default(), "{}"), (named, "no json")] {
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
            assert!(sent.await.unwrap().await.unwrap().is_ack());
        }
    }

    async fn restart(&mut self) {
        self.server.as_mut().unwrap().restart().unwrap();
    }
}
