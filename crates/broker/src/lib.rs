#![doc = include_str!("../README.md")]

mod admin;
#[cfg(feature = "amqp")]
mod amqp;
mod broker;
mod capabilities;
#[cfg(feature = "testing")]
pub mod conformance;
mod delivery;
mod error;
mod memory;
mod notifier;
#[cfg(feature = "postgres")]
mod postgres;
mod redis;
mod replies;
mod results;
mod seldom;
mod slices;
pub mod sql;
mod sqlite;
mod tls;

pub use admin::{
    BrokerAdmin, Cancellation, Danger, DeadLetter, DeadLetterPage, Found, Gravity, MessageState, QueueDepth,
};
#[cfg(feature = "amqp")]
pub use amqp::{AmqpBroker, AmqpOptions, AmqpReplies, Binding, BindingError, ExchangeType};
pub use broker::{Broker, FetchRequest, Fetched, Publication, SqlBroker};
pub use capabilities::Capabilities;
pub use delivery::{Delivery, LeaseTag, Renewal, Settle, Settled, Settlement};
pub use error::{BrokerError, Cause};
pub use memory::MemoryBroker;
pub use notifier::{Notice, Notices, Notifier};
#[cfg(feature = "postgres")]
pub use postgres::PostgresBroker;
pub use redis::{RedbeatEntry, RedisBroker, RedisOptions, RedisReplies, RedisResults, read_redbeat};
pub use replies::{Answer, Answers, ReplyOptions};
pub use results::{KeptResult, ResultStore};
pub use slices::{SLICE_BYTES, slices};
pub use sqlite::SqliteBroker;
