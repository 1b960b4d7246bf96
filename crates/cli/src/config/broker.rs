//! Where the queue is, and how it is laid out there.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "amqp")]
use celeriac_broker::AmqpOptions;
use celeriac_broker::{BrokerError, RedisOptions};
use celeriac_protocol::error_text;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parameters;
use super::secret::without_password;
use super::{Invalid, Period};

/// Where the queue is, and how it is laid out there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BrokerSection {
    pub(crate) url: BrokerUrl,
    pub(crate) master_name: String,
    pub(crate) key_prefix: String,
    pub(crate) separator: String,
    pub(crate) priority_steps: Vec<u8>,
    pub(crate) unset_priority: u8,
    pub(crate) visibility_timeout: Period,
    pub(crate) max_priority: u8,
    pub(crate) quorum: bool,
    pub(crate) bindings: Vec<String>,
    pub(crate) deadline: Period,
}

impl Default for BrokerSection {
    fn default() -> Self {
        let defaults = RedisOptions::at("");
        let RedisOptions { key_prefix, separator, priority_steps, unset_priority, .. } = defaults;
        Self {
            url: BrokerUrl::Database,
            master_name: String::new(),
            key_prefix,
            separator,
            priority_steps,
            unset_priority,
            visibility_timeout: Period(defaults.visibility_timeout),
            max_priority: 0,
            quorum: false,
            bindings: Vec::new(),
            deadline: Period(defaults.deadline),
        }
    }
}

impl BrokerSection {
    /// Returns where in Redis the queue is, if it is there.
    pub(crate) fn redis(&self) -> Option<RedisOptions> {
        let BrokerUrl::Redis(url) = &self.url else { return None };
        Some(self.options(url))
    }

    fn options(&self, url: &str) -> RedisOptions {
        RedisOptions {
            master_name: Some(self.master_name.clone()),
            key_prefix: self.key_prefix.clone(),
            separator: self.separator.clone(),
            priority_steps: self.priority_steps.clone(),
            unset_priority: self.unset_priority,
            visibility_timeout: self.visibility_timeout.0,
            deadline: self.deadline.0,
            ..RedisOptions::at(url)
        }
    }

    /// Returns where in RabbitMQ the queues are, if they are there.
    #[cfg(feature = "amqp")]
    pub(crate) fn amqp(&self) -> Option<AmqpOptions> {
        let BrokerUrl::Amqp(url) = &self.url else { return None };
        Some(AmqpOptions {
            max_priority: (self.max_priority > 0).then_some(self.max_priority),
            quorum: self.quorum,
            // What can't be read was refused by `validate`.
            bindings: self.bindings.iter().filter_map(|binding| binding.parse().ok()).collect(),
            deadline: self.deadline.0,
            ..AmqpOptions::at(url)
        })
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        #[cfg(feature = "amqp")]
        for binding in &self.bindings {
            binding.parse::<celeriac_broker::Binding>().map_err(|error| Invalid {
                key: "broker.bindings".to_owned(),
                reason: format!("\"{binding}\": {error}"),
            })?;
        }
        if !self.bindings.is_empty() && !matches!(self.url, BrokerUrl::Amqp(_)) {
            let url = self.url.shown();
            let reason =
                format!("only RabbitMQ has exchanges, and `broker.url` is {url}; take the bindings out");
            return Err(Invalid { key: "broker.bindings".to_owned(), reason });
        }
        #[cfg(feature = "amqp")]
        if let Some(options) = self.amqp() {
            let refused = |error| Invalid { key: "broker".to_owned(), reason: reason_of(&error) };
            options.validate().map_err(refused)?;
        }
        if let BrokerUrl::Redis(url) = &self.url {
            check_master_name("broker", url, &self.master_name)?;
        }
        let options = self.redis().unwrap_or_else(|| self.options("redis://localhost"));
        options.validate().map_err(|error| Invalid { key: "broker".to_owned(), reason: reason_of(&error) })
    }
}

/// Looks whether sentinels are asked for somebody.
pub(super) fn check_master_name(section: &str, url: &str, name: &str) -> Result<(), Invalid> {
    if !url.starts_with("sentinel://") || !name.is_empty() {
        return Ok(());
    }
    let reason = format!("name the master that the sentinels of `{section}.url` are to be asked for");
    Err(Invalid { key: format!("{section}.master_name"), reason })
}

/// Returns what is wrong, without who says so.
pub(super) fn reason_of(error: &BrokerError) -> String {
    match error {
        BrokerError::Refused { source, .. } => source.to_string(),
        other => error_text(other),
    }
}

/// Names where the queue is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum BrokerUrl {
    /// In the database, beside the records.
    Database,
    /// In Redis, in the words of its URL.
    Redis(String),
    /// In RabbitMQ, in the words of its URL.
    Amqp(String),
}

/// What a URL of Redis may begin with.
const REDIS: [&str; 5] = ["redis", "rediss", "redis+socket", "unix", "sentinel"];

/// Says whether a URL names a database of Redis.
pub(super) fn is_redis(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| REDIS.contains(&scheme))
}

/// What can be written.
const FORMS: &str = "write \"database\", redis://HOST:PORT/DB or amqp://USER:PASSWORD@HOST:PORT/VHOST";

/// What a URL of RabbitMQ may begin with; the last two are Celery's names for the first.
const AMQP: [&str; 4] = ["amqp", "amqps", "pyamqp", "pyamqps"];

/// Looks whether a URL of RabbitMQ is one.
#[cfg(feature = "amqp")]
fn check_amqp(text: &str) -> Result<(), String> {
    AmqpOptions::at(text).validate().map_err(|error| reason_of(&error))
}

/// Refuses a list of Redis servers, of which Celery takes the next when one is away: each has a queue of its own, and what
/// the first was given waits there for its return.
fn check_single(text: &str) -> Result<(), String> {
    if text.starts_with("sentinel://") || text.matches("://").count() < 2 || !text.contains(';') {
        return Ok(());
    }
    Err("a list of Redis servers is not supported, since each has a queue of its own; let Redis Sentinel choose one: sentinel://HOST:26379;sentinel://HOST:26379/DB with `broker.master_name`".to_owned())
}

/// Says how to get what this binary lacks.
#[cfg(not(feature = "amqp"))]
fn check_amqp(_text: &str) -> Result<(), String> {
    Err("this binary was built without RabbitMQ; build it with `--features amqp`".to_owned())
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text == "database" {
            return Ok(Self::Database);
        }
        match text.split_once("://") {
            Some(_) if is_redis(text) => {
                check_single(text)?;
                RedisOptions::at(text).validate_url().map_err(|error| reason_of(&error))?;
                parameters::of_redis_broker(text).check(text)?;
                Ok(Self::Redis(text.to_owned()))
            }
            Some((scheme, _)) if AMQP.contains(&scheme) => {
                check_amqp(text)?;
                parameters::RABBITMQ.check(text)?;
                Ok(Self::Amqp(text.to_owned()))
            }
            Some((scheme, _)) => {
                Err(format!("brokers of type \"{scheme}\" are not supported by this version; {FORMS}"))
            }
            None => Err(FORMS.to_owned()),
        }
    }
}

impl BrokerUrl {
    /// Returns the parameters that other programs know and that are not used here.
    pub(super) fn unused(&self) -> Vec<&str> {
        match self {
            Self::Database => Vec::new(),
            Self::Redis(url) => parameters::of_redis_broker(url).unused(url),
            Self::Amqp(url) => parameters::RABBITMQ.unused(url),
        }
    }

    /// Writes it for people, without a password.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Database => "database".to_owned(),
            Self::Redis(url) | Self::Amqp(url) => without_password(url).into_owned(),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for BrokerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Database => serializer.serialize_str("database"),
            Self::Redis(url) | Self::Amqp(url) => serializer.serialize_str(url),
        }
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_and_every_form_of_redis_are_understood() {
        assert_eq!("database".parse(), Ok(BrokerUrl::Database));
        assert_eq!("".parse(), Ok(BrokerUrl::Database));
        for url in [
            "redis://localhost",
            "redis://:secret@host:6380/3",
            "rediss://user:secret@host/1",
            "redis+socket:///run/redis.sock?virtual_host=2",
            "sentinel://one:26379;sentinel://:secret@two:26379/1",
        ] {
            assert_eq!(url.parse(), Ok(BrokerUrl::Redis(url.to_owned())));
        }
    }

    #[cfg(feature = "amqp")]
    #[test]
    fn every_form_of_rabbitmq_is_understood() {
        for url in [
            "amqp://localhost",
            "amqps://me:secret@host/shop",
            "pyamqp://guest@host:1//",
            "amqp://me:secret@one//;amqp://me:secret@two//",
        ] {
            assert_eq!(url.parse(), Ok(BrokerUrl::Amqp(url.to_owned())));
        }
        let url: BrokerUrl = "amqp://me:secret@host/shop".parse().unwrap();
        assert_eq!(format!("{url:?}"), "amqp://me:***@host/shop");
        let section = BrokerSection { url, max_priority: 9, quorum: true, ..BrokerSection::default() };
        assert!(section.validate().is_err());
    }

    #[test]
    fn bindings_beside_what_has_no_exchanges_are_refused() {
        let bindings = vec!["feeds = news topic feed.#".to_owned()];
        for url in ["database", "redis://:secret@host"] {
            let section = BrokerSection {
                url: url.parse().unwrap(),
                bindings: bindings.clone(),
                ..BrokerSection::default()
            };
            let Invalid { key, reason } = section.validate().unwrap_err();
            assert!(key == "broker.bindings" && reason.contains("RabbitMQ") && !reason.contains("secret"));
        }
    }

    #[test]
    fn other_brokers_are_refused_by_name_and_without_their_password() {
        for (url, word) in [
            ("sqs://guest:secret@host//", "\"sqs\""),
            ("redis://:secret@host/one", "database"),
            ("redis://:secret@one/0;redis://:secret@two/0", "sentinel://"),
            ("celeriac.db", "database"),
        ] {
            let refusal = url.parse::<BrokerUrl>().unwrap_err();
            assert!(refusal.contains(word) && !refusal.contains("secret"), "{refusal}");
        }
        let url: BrokerUrl = "redis://:secret@host/3".parse().unwrap();
        assert_eq!(format!("{url:?}"), "redis://:***@host/3");
    }
}
