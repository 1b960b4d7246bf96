//! The servers that all tests of a run share, and a corner of each for one test.
//!
//! Whoever runs the tests starts them ([`Shared::start`]) and tells where they are by the environment
//! ([`Shared::variables`]); a test finds them there and makes a database, takes a number or makes a virtual host.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{PeerError, Postgres, RabbitMq, Redis};

/// Where PostgreSQL is, without a database.
const POSTGRES: &str = "CELERIAC_TEST_POSTGRES";

/// Where Redis is, without a database.
const REDIS: &str = "CELERIAC_TEST_REDIS";

/// Where RabbitMQ is, without a virtual host.
const RABBITMQ: &str = "CELERIAC_TEST_RABBITMQ";

/// Where RabbitMQ's management API is, with a user.
const RABBITMQ_MANAGEMENT: &str = "CELERIAC_TEST_RABBITMQ_MANAGEMENT";

/// Is responsible for one of each server.
#[derive(Debug)]
pub struct Shared {
    postgres: Postgres,
    redis: Redis,
    rabbitmq: RabbitMq,
}

impl Shared {
    /// Starts one of each, side by side.
    ///
    /// # Errors
    /// One is not installed, or does not start.
    pub fn start() -> Result<Self, PeerError> {
        let rabbitmq = RabbitMq::begin()?;
        let redis = Redis::begin()?;
        let postgres = Postgres::begin()?;
        let mut shared = Self { postgres, redis, rabbitmq };
        shared.redis.wait()?;
        shared.postgres.wait()?;
        shared.rabbitmq.wait()?;
        Ok(shared)
    }

    /// Returns the variables by which tests find them.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        let [rabbitmq, management] = rabbitmq_variables(&self.rabbitmq);
        [
            (POSTGRES, self.postgres.url("").trim_end_matches('/').to_owned()),
            (REDIS, self.redis.url(0).trim_end_matches("/0").to_owned()),
            rabbitmq,
            management,
        ]
    }
}

/// Returns the variables by which tests find a RabbitMQ.
pub fn rabbitmq_variables(server: &RabbitMq) -> [(&'static str, String); 2] {
    let url = server.url("").trim_end_matches('/').to_owned();
    [(RABBITMQ, url), (RABBITMQ_MANAGEMENT, server.management_url())]
}

/// Returns where PostgreSQL's own database lies, in which others are made.
///
/// # Errors
/// Nobody has started it.
pub fn postgres_url(database: &str) -> Result<String, PeerError> {
    Ok(format!("{}/{database}", told("PostgreSQL", POSTGRES)?))
}

/// Returns an empty database of Redis that no other test of the run takes.
///
/// Where nobody has started one for the run, this process has one of its own.
///
/// # Errors
/// It can't be started, or does not answer.
pub fn redis_corner() -> Result<String, PeerError> {
    let server = told("Redis", REDIS).or_else(|_| own_redis())?;
    let address = server.trim_start_matches("redis://");
    let number = crate::redis::next_database(address).map_err(|source| PeerError::System {
        server: "Redis",
        action: "take a database",
        source,
    })?;
    Ok(format!("{server}/{number}"))
}

/// Starts a server for this process, once.
fn own_redis() -> Result<String, PeerError> {
    static OWN: Mutex<Option<String>> = Mutex::new(None);
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let url = match own.take() {
        Some(url) => url,
        None => Redis::start_for_this_process()?,
    };
    Ok(own.insert(url).clone())
}

/// Makes an empty virtual host of RabbitMQ and returns where it lies.
///
/// # Errors
/// Nobody has started it, or it refuses.
pub fn rabbitmq_corner() -> Result<String, PeerError> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    // A server may outlive so many processes that their numbers come again.
    let chance = RandomState::new().hash_one(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("test-{}-{number}-{chance:016x}", std::process::id());
    crate::rabbitmq::make_vhost(&told("RabbitMQ", RABBITMQ_MANAGEMENT)?, &name)?;
    Ok(format!("{}/{name}", told("RabbitMQ", RABBITMQ)?))
}

/// Returns where RabbitMQ's management API lies, with a user.
///
/// # Errors
/// Nobody has started it.
pub fn rabbitmq_management_url() -> Result<String, PeerError> {
    told("RabbitMQ", RABBITMQ_MANAGEMENT)
}

#[expect(clippy::disallowed_methods, reason = "whoever starts the servers tells tests by the environment")]
fn told(server: &'static str, variable: &'static str) -> Result<String, PeerError> {
    std::env::var(variable).map_err(|_| PeerError::NotStarted { server, variable })
}
