//! Where RabbitMQ is, and how queues are declared there.

use std::fmt;
use std::time::Duration;

use celeriac_protocol::MAX_PRIORITY;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::AMQPUri;

use super::link::refused;
use super::{Binding, PRODUCT};
use crate::BrokerError;
use crate::tls::{self, Papers, Tls};

/// Says where RabbitMQ is and how the queues are declared there. The defaults are Celery's.
#[derive(Clone)]
pub struct AmqpOptions {
    /// `amqp://[user:password@]host[:port][/vhost]`, `amqps://` for TLS with the system's certificate
    /// authorities, and those of the file that `?cacertfile=PATH` names (`certfile` and `keyfile` for a certificate of
    /// our own, RabbitMQ's words all); without a virtual host it is `/`. Several, with `;` between them as in Celery's
    /// lists, are tried in turn whenever a connection
    /// is made, beginning with the one that was there last.
    pub url: String,
    /// The queues that are counted before anybody has used them here, since RabbitMQ tells no names.
    pub queues: Vec<String>,
    /// Queues that hang on exchanges of their own, which are declared with them; each other one hangs on a direct
    /// exchange of its own name, as Celery's do.
    pub bindings: Vec<Binding>,
    /// How many priorities a queue tells apart that is declared by us: Celery's
    /// `task_queue_max_priority`. `None` declares it without, and then its messages come in their order.
    pub max_priority: Option<u8>,
    /// Which priority a message has that says nothing. Python's senders write 0, and so do we.
    pub unset_priority: u8,
    /// Whether queues that are declared by us are replicated (quorum) queues: Celery's
    /// `task_default_queue_type`.
    pub quorum: bool,
    /// How long each call may take, a new connection included.
    pub deadline: Duration,
}

impl fmt::Debug for AmqpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, queues, max_priority, quorum, .. } = self;
        // The URL may hold a password.
        let mut shown = f.debug_struct("AmqpOptions");
        shown.field("queues", queues).field("max_priority", max_priority).field("quorum", quorum);
        shown.finish_non_exhaustive()
    }
}

/// How often both sides show that they live: two that are missed end the connection, and with it its leases.
const HEARTBEAT_SECS: u16 = 10;

/// Where a server is, and what TLS needs there.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) uri: AMQPUri,
    pub(super) tls: OwnedTLSConfig,
}

impl AmqpOptions {
    /// Takes Celery's defaults for the server at `url`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            queues: Vec::new(),
            bindings: Vec::new(),
            max_priority: None,
            unset_priority: 0,
            quorum: false,
            deadline: Duration::from_secs(5),
        }
    }

    /// Looks for what can't be meant.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] with what is wrong.
    pub fn validate(&self) -> Result<(), BrokerError> {
        for url in self.urls() {
            uri(url)?;
            tls_of(url)?;
        }
        let wrong = if self.max_priority.is_some() && self.quorum {
            "a quorum queue has no highest priority"
        } else if self.max_priority == Some(0) {
            "the highest priority is 1 to 255"
        } else if self.unset_priority > MAX_PRIORITY {
            "the place of messages without a priority is 0 to 9"
        } else if self.urls().count() > MOST_PLACES {
            "a list names 32 servers at most"
        } else if self.urls().next().is_none() {
            "the list names no server"
        } else if self.deadline.is_zero() {
            "the deadline is longer than nothing"
        } else {
            return Ok(());
        };
        Err(BrokerError::Refused { product: PRODUCT, source: wrong.into() })
    }

    /// Reads where the servers are and how one is let in there, and the files that the URLs name.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: a URL is none that is understood, or a file that it names can't be read.
    pub(super) async fn places(&self) -> Result<Vec<Place>, BrokerError> {
        let mut places = Vec::new();
        for url in self.urls() {
            places.push(place(url).await?);
        }
        Ok(places)
    }

    /// Parts a list as Celery's client library does.
    fn urls(&self) -> impl Iterator<Item = &str> {
        let several = self.url.contains(';').then_some(';');
        let urls = self.url.split(move |c| Some(c) == several).map(str::trim);
        urls.filter(move |url| !url.is_empty() || several.is_none())
    }
}

/// How many servers one URL may name.
const MOST_PLACES: usize = 32;

/// Reads where one server is, and the files that its URL names.
async fn place(url: &str) -> Result<Place, BrokerError> {
    let (uri, tls) = (uri(url)?, tls_of(url)?);
    let Papers { authorities, identity } = tls.read().await.map_err(refused)?;
    let cert_chain = authorities.map(String::from_utf8).transpose().map_err(refused)?;
    let identity = identity.map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key });
    Ok(Place { uri, tls: OwnedTLSConfig { identity, cert_chain } })
}

/// Reads what the URL of one server says of TLS.
fn tls_of(url: &str) -> Result<Tls, BrokerError> {
    let tls = Tls::of(url, &tls::RABBITMQ).map_err(refused)?;
    if tls.is_unverified {
        let why = "certificates are always looked at; name the authority of this one by cacertfile in place of verify";
        return Err(refused(why));
    }
    Ok(tls)
}

/// Reads the URL of one server.
///
/// # Errors
/// [`BrokerError::Refused`]: it is none that is understood.
fn uri(url: &str) -> Result<AMQPUri, BrokerError> {
    let refused = |source: String| BrokerError::Refused { product: PRODUCT, source: source.into() };
    // Celery's name for the same.
    let url = url.strip_prefix("py").filter(|rest| rest.starts_with("amqp")).unwrap_or(url);
    let mut uri: AMQPUri = url.parse().map_err(refused)?;
    if uri.vhost.is_empty() {
        // What Celery makes of it, too: nobody has a virtual host without a name.
        "/".clone_into(&mut uri.vhost);
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECS);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_celery_are_understood_and_others_refused() {
        for (url, vhost, port) in [
            ("amqp://localhost", "/", 5672),
            ("amqp://guest:secret@127.0.0.1:1/", "/", 1),
            ("amqp://host//", "/", 5672),
            ("pyamqp://host/my%2Fown", "my/own", 5672),
            ("amqps://me:a%40b@host/v", "v", 5671),
        ] {
            let uri = uri(url).unwrap();
            assert_eq!((uri.vhost.as_str(), uri.authority.port), (vhost, port), "{url}");
            assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_SECS));
        }
        for url in ["redis://host", "amqp", "nonsense"] {
            assert!(AmqpOptions::at(url).validate().is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn list_names_several_servers_in_their_order() {
        let hosts = async |url: &str| -> Result<Vec<String>, BrokerError> {
            let places = AmqpOptions::at(url).places().await?;
            Ok(places.into_iter().map(|place| place.uri.authority.host).collect())
        };
        assert_eq!(hosts("amqp://a").await.unwrap(), ["a"]);
        assert_eq!(hosts("amqp://a:1//;pyamqp://b/shop; amqp://c;").await.unwrap(), ["a", "b", "c"]);
        assert!(hosts("amqp://a;redis://b").await.is_err());
        assert!(AmqpOptions::at(["amqp://a"; 33].join(";")).validate().is_err());
    }

    #[test]
    fn password_is_not_shown() {
        assert!(!format!("{:?}", AmqpOptions::at("amqp://me:secret@host")).contains("secret"));
    }

    #[test]
    fn priorities_of_a_quorum_queue_are_refused() {
        let options = AmqpOptions { quorum: true, max_priority: Some(9), ..AmqpOptions::at("amqp://host") };
        assert!(options.validate().is_err());
        assert!(AmqpOptions { quorum: false, ..options }.validate().is_ok());
    }
}
