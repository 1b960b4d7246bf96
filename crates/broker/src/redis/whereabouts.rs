//! Where the server is now: at its address, or where its sentinels say that the master is.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, Value,
};

use super::PRODUCT;
use super::link::failed;
use super::options::{RedisOptions, SENTINEL};
use crate::BrokerError;
use crate::tls::{self, Papers};

/// How long one attempt to connect may take; a call that has more time tries again.
const CONNECT: Duration = Duration::from_secs(2);

/// How long one sentinel may take to say where the master is, before the next is asked.
const TELL: Duration = Duration::from_millis(500);

/// Finds the server and connects to it.
#[derive(Clone, Debug)]
pub(super) enum Whereabouts {
    /// It is at one address.
    Fixed(Client),
    /// It is where the first sentinel that answers says.
    Watched {
        /// The sentinels, in the order in which they are asked.
        sentinels: Vec<Client>,
        /// Their name for the server.
        master: String,
        /// As whom, and to which database, one connects there.
        node: RedisConnectionInfo,
    },
}

impl Whereabouts {
    /// Looks whether the options say where the server is; nothing is read or asked for that.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the URL is none that is understood, or sentinels are asked for no name.
    pub(super) fn check(options: &RedisOptions) -> Result<(), BrokerError> {
        let node = options.connection()?;
        if options.url.starts_with(SENTINEL) {
            return master(options).map(drop);
        }
        options.tls()?;
        Client::open(node).map(drop).map_err(failed)
    }

    /// Reads them out of the options, and the files that the URL names.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: as [`Self::check`], or a file can't be read.
    pub(super) async fn of(options: &RedisOptions) -> Result<Self, BrokerError> {
        let node = options.connection()?;
        if !options.url.starts_with(SENTINEL) {
            return Ok(Self::Fixed(client(node, options).await?));
        }
        let master = master(options)?;
        let sentinels = options.sentinels().into_iter().map(Client::open).collect::<RedisResult<_>>();
        Ok(Self::Watched {
            sentinels: sentinels.map_err(failed)?,
            master,
            node: node.redis_settings().clone(),
        })
    }

    /// Connects once.
    pub(super) async fn connect(
        &self,
        config: AsyncConnectionConfig,
        deadline: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        let config = config.set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(deadline));
        match self {
            Self::Fixed(client) => client.get_multiplexed_async_connection_with_config(&config).await,
            Self::Watched { sentinels, master, node } => {
                let address = ask(sentinels, master).await?.into_connection_info()?;
                let client = Client::open(address.set_redis_settings(node.clone()))?;
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                expect_master(connection).await
            }
        }
    }
}

impl fmt::Display for Whereabouts {
    /// Names the server, without what lets us in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(client) => client.get_connection_info().addr().fmt(f),
            Self::Watched { sentinels, master, .. } => {
                write!(f, "master \"{master}\" of the sentinels at ")?;
                for (number, sentinel) in sentinels.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", sentinel.get_connection_info().addr())?;
                }
                Ok(())
            }
        }
    }
}

/// Returns what the sentinels call the master.
fn master(options: &RedisOptions) -> Result<String, BrokerError> {
    options.master_name.clone().filter(|name| !name.is_empty()).ok_or_else(|| {
        let source = "the sentinels must be told which master is meant (`master_name`)".into();
        BrokerError::Refused { product: PRODUCT, source }
    })
}

/// Makes a client with what the URL says of TLS.
async fn client(node: ConnectionInfo, options: &RedisOptions) -> Result<Client, BrokerError> {
    let ConnectionAddr::TcpTls { host, port, .. } = node.addr() else {
        return Client::open(node).map_err(failed);
    };
    let tls = options.tls()?;
    let papers = tls.read().await;
    let Papers { authorities, identity } =
        papers.map_err(|source| BrokerError::Refused { product: PRODUCT, source })?;
    let insecure = tls.is_unverified;
    if insecure {
        tls::warn_unverified(PRODUCT, &node.addr().to_string());
    }
    let addr = ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure, tls_params: None };
    let client_tls = identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    let certificates = TlsCertificates { client_tls, root_cert: authorities };
    Client::build_with_tls(node.set_addr(addr), certificates).map_err(failed)
}

/// Asks one sentinel after the other where the master is.
async fn ask(sentinels: &[Client], master: &str) -> RedisResult<(String, u16)> {
    let mut failure = passing("there is no sentinel");
    let config = AsyncConnectionConfig::new();
    let config = config.set_connection_timeout(Some(TELL)).set_response_timeout(Some(TELL));
    for sentinel in sentinels {
        match ask_one(sentinel, master, &config).await {
            Ok(Some(address)) => return Ok(address),
            Ok(None) => failure = passing("no sentinel knows a master of this name (`master_name`)"),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn ask_one(
    sentinel: &Client,
    master: &str,
    config: &AsyncConnectionConfig,
) -> RedisResult<Option<(String, u16)>> {
    let mut connection = sentinel.get_multiplexed_async_connection_with_config(config).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(master);
    question.query_async(&mut connection).await
}

/// Makes sure of what the sentinel said: it may be late to hear that another has become the master.
async fn expect_master(mut connection: MultiplexedConnection) -> RedisResult<MultiplexedConnection> {
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(Value::BulkString(word)) if word == b"master" => Ok(connection),
        Some(Value::SimpleString(word)) if word == "master" => Ok(connection),
        _ => Err(passing("the server that the sentinels name is not the master yet")),
    }
}

/// Says what will be otherwise in a moment.
fn passing(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, what))
}
