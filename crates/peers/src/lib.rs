#![doc = include_str!("../README.md")]

mod error;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
pub mod shared;
mod tls;

pub use error::PeerError;
pub use postgres::Postgres;
pub use rabbitmq::RabbitMq;
pub use redis::{MASTER, Redis, Sentinel};
pub use tls::TlsFiles;
