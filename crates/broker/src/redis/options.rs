//! Where Redis is, and how its queue is laid out there.

use std::fmt;
use std::time::Duration;

use celeriac_protocol::MAX_PRIORITY;
use redis::{ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use url::Url;

use super::PRODUCT;
use super::whereabouts::Whereabouts;
use crate::BrokerError;
use crate::tls::{self, Tls};

/// Says where Redis is and how the queue is laid out there. The defaults are Celery's.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS with the system's certificate
    /// authorities, or those of the file that `?ssl_ca_certs=PATH` names, as in Celery (`ssl_certfile` and
    /// `ssl_keyfile` for a certificate of our own, `ssl_cert_reqs=none` for looking at none, which is not said by
    /// `#insecure`); `redis+socket:///path?virtual_host=db` for a Unix socket;
    /// `sentinel://host:port;sentinel://host:port/db` for where sentinels say that the master is. User,
    /// password and database that stand in one of these are the master's; the sentinels ask for none.
    pub url: String,
    /// What the sentinels call the master: Celery's `master_name`.
    pub master_name: Option<String>,
    /// Stands before every key and channel: Celery's `global_keyprefix`.
    pub key_prefix: String,
    /// The steps to which priorities are rounded down, 0 first and served first: Celery's
    /// `priority_steps`. One list for each, of each queue; 10 at most.
    pub priority_steps: Vec<u8>,
    /// Stands between a queue's name and its step: Celery's `sep`.
    pub separator: String,
    /// Where a message without a priority stands, 0 to 9. Python's senders put theirs where 9 is, in
    /// the list that has the queue's plain name, and so do we: else those of one side would wait for
    /// all of the other's. A fleet of ours alone may put them in the middle.
    pub unset_priority: u8,
    /// How long a Python worker may hold a message before others put it back, us included: Celery's
    /// `visibility_timeout`. It must not be shorter than that of the Python workers.
    pub visibility_timeout: Duration,
    /// How long each call may take, a new connection included.
    pub deadline: Duration,
    /// How long it is kept in mind that a job waits, how often it was handed out, and its unique
    /// key; from the last time that somebody moved it, and from its due time. The message itself
    /// stays longer. It ends because Python workers take messages and tell us nothing.
    pub memory: Duration,
    /// Whether leases and due times go by Redis' own clock, so that nodes need not agree. Tests
    /// that move time by hand turn it off; then the clock that was handed in tells it.
    pub server_time: bool,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, key_prefix, priority_steps, .. } = self;
        // The URL may hold a password.
        let mut shown = f.debug_struct("RedisOptions");
        shown.field("key_prefix", key_prefix).field("priority_steps", priority_steps).finish_non_exhaustive()
    }
}

impl RedisOptions {
    /// Takes Celery's defaults for the server at `url`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            master_name: None,
            key_prefix: String::new(),
            priority_steps: vec![0, 3, 6, 9],
            separator: "\x06\x16".to_owned(),
            unset_priority: MAX_PRIORITY,
            visibility_timeout: Duration::from_hours(1),
            deadline: Duration::from_secs(5),
            memory: Duration::from_hours(24 * 14),
            server_time: true,
        }
    }

    /// Looks for what can't be meant.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] with what is wrong.
    pub fn validate(&self) -> Result<(), BrokerError> {
        Whereabouts::check(self)?;
        let steps = &self.priority_steps;
        let wrong = if steps.first() != Some(&0) || !steps.is_sorted_by(|one, next| one < next) {
            "priority steps begin at 0 and go up"
        } else if steps.last() > Some(&MAX_PRIORITY) {
            "priority steps end at 9"
        } else if self.separator.is_empty() {
            "the separator of priority steps is empty"
        } else if self.unset_priority > MAX_PRIORITY {
            "the place of messages without a priority is 0 to 9"
        } else if self.deadline.is_zero() || self.memory.is_zero() || self.visibility_timeout.is_zero() {
            "deadline, visibility timeout and memory are longer than nothing"
        } else {
            return Ok(());
        };
        Err(BrokerError::Refused { product: PRODUCT, source: wrong.into() })
    }

    /// Looks whether the URL is one that is understood.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] with what is wrong.
    pub fn validate_url(&self) -> Result<(), BrokerError> {
        self.connection().map(drop)
    }

    /// Reads the URL. Where it names sentinels, the address in it is that of one of them.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: it is none that is understood.
    pub(super) fn connection(&self) -> Result<ConnectionInfo, BrokerError> {
        let refused =
            |source: redis::RedisError| BrokerError::Refused { product: PRODUCT, source: source.into() };
        if parts(&self.url).any(|part| Url::parse(part).is_ok_and(|url| url.fragment().is_some())) {
            let source = "`#` begins nothing in its URL: a certificate that is not to be looked at is said by `?ssl_cert_reqs=none` (not `#insecure`), and a `#` of the password is written %23";
            return Err(BrokerError::Refused { product: PRODUCT, source: source.into() });
        }
        let parts = parts(&self.url).map(|part| as_the_client_knows_it(part).into_connection_info());
        let parts: Vec<ConnectionInfo> = parts.collect::<Result<_, _>>().map_err(refused)?;
        let says_more = |info: &&ConnectionInfo| {
            let settings = info.redis_settings();
            settings.db() != 0 || settings.username().is_some() || settings.password().is_some()
        };
        // Any of them may say the rest; the last does where Celery's own form is kept to.
        let info = parts.iter().rev().find(says_more).or(parts.last());
        let info = info.expect("what is split has a part").clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Ok(info.set_redis_settings(settings))
    }

    /// Reads what the URL says of TLS.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: a certificate is named without its key.
    pub(super) fn tls(&self) -> Result<Tls, BrokerError> {
        Tls::of(&self.url, &tls::REDIS).map_err(|source| BrokerError::Refused { product: PRODUCT, source })
    }

    /// Returns the sentinels' addresses, without what is the master's.
    pub(super) fn sentinels(&self) -> Vec<ConnectionInfo> {
        let address = |part| as_the_client_knows_it(part).into_connection_info().ok();
        let bare = |info: ConnectionInfo| info.set_redis_settings(RedisConnectionInfo::default());
        parts(&self.url).filter_map(address).map(bare).collect()
    }

    /// Returns the place of the list in which messages of this priority on the wire wait.
    pub(super) fn step_of(&self, on_wire: u8) -> usize {
        self.priority_steps.iter().rposition(|step| *step <= on_wire).unwrap_or(0)
    }

    /// Returns what follows a queue's name in the key of each of its lists.
    pub(super) fn suffixes(&self) -> Vec<String> {
        let suffix = |step: &u8| if *step == 0 { String::new() } else { format!("{}{step}", self.separator) };
        self.priority_steps.iter().map(suffix).collect()
    }
}

/// What the URL of a sentinel begins with.
pub(super) const SENTINEL: &str = "sentinel://";

/// The port of a sentinel that names none.
const SENTINEL_PORT: u16 = 26_379;

/// Parts the URLs of several sentinels; any other is one.
fn parts(url: &str) -> impl Iterator<Item = &str> {
    let several = url.starts_with(SENTINEL).then(|| url.split(';').map(str::trim));
    let one = several.is_none().then_some(url);
    several.into_iter().flatten().chain(one)
}

/// Writes Celery's form of the URL of a socket or sentinel as the client library wants it.
fn as_the_client_knows_it(url: &str) -> String {
    if let Some(rest) = url.strip_prefix("redis+socket://") {
        return format!("unix://{}", rest.replace("virtual_host=", "db="));
    }
    match url.strip_prefix(SENTINEL) {
        Some(rest) => format!("redis://{}", with_port(rest)),
        None => url.to_owned(),
    }
}

/// Gives a sentinel its usual port where it has none.
fn with_port(rest: &str) -> String {
    let host = rest.rfind('@').map_or(0, |at| at + 1);
    let end = rest[host..].find(['/', '?']).map_or(rest.len(), |at| host + at);
    let is_named = rest[host..end].rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if is_named { rest.to_owned() } else { format!("{}:{SENTINEL_PORT}{}", &rest[..end], &rest[end..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_rounded_down_to_a_step() {
        let options = RedisOptions::at("redis://localhost");
        let lists: Vec<usize> = (0..=9).map(|priority| options.step_of(priority)).collect();
        assert_eq!(lists, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
        assert_eq!(options.suffixes(), ["", "\x06\x163", "\x06\x166", "\x06\x169"]);
    }

    #[test]
    fn password_is_not_shown() {
        let options = RedisOptions::at("redis://:secret@host/0");
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn sentinels_are_told_apart_from_what_is_the_masters() {
        let url = "sentinel://one:1;sentinel://two;sentinel://me:secret@three:3/5";
        let options = RedisOptions { master_name: Some("jobs".into()), ..RedisOptions::at(url) };
        options.validate().unwrap();
        let addresses: Vec<String> = options.sentinels().iter().map(|one| one.addr().to_string()).collect();
        assert_eq!(addresses, ["one:1", "two:26379", "three:3"]);
        assert!(options.sentinels().iter().all(|one| one.redis_settings().password().is_none()));
        let node = options.connection().unwrap();
        assert_eq!((node.redis_settings().db(), node.redis_settings().username()), (5, Some("me")));
        let nameless = RedisOptions::at(url).validate().unwrap_err();
        assert!(celeriac_protocol::error_text(&nameless).contains("master_name"));
    }

    #[test]
    fn urls_of_celery_are_understood_and_others_refused() {
        for (url, database) in [
            ("redis://localhost", 0),
            ("redis://:secret@host:6380/3", 3),
            ("rediss://host/1", 1),
            ("redis+socket:///run/redis.sock?virtual_host=2", 2),
        ] {
            let info = RedisOptions::at(url).connection().unwrap();
            assert_eq!(info.redis_settings().db(), database, "{url}");
        }
        for url in ["amqp://host", "redis://host/x", "nonsense"] {
            assert!(RedisOptions::at(url).connection().is_err(), "{url}");
        }
    }

    #[test]
    fn what_another_library_takes_for_an_insecure_url_is_refused_in_our_words() {
        for url in ["rediss://host/0#insecure", "redis://host/0#more", "sentinel://a;sentinel://b#insecure"] {
            let error = RedisOptions::at(url).connection().unwrap_err();
            assert!(
                celeriac_protocol::error_text(&error).contains("`?ssl_cert_reqs=none`"),
                "{url}: {error:?}"
            );
        }
    }
}
