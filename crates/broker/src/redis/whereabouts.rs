//! Where the server is now: at its address, or where its sentinels say that the master is.

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
use crate::tls::Tls;

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
    /// Reads them out of the options.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the URL is none that is understood, or sentinels are asked for no name.
    pub(super) fn of(options: &RedisOptions) -> Result<Self, BrokerError> {
        let node = options.connection()?;
        if !options.url.starts_with(SENTINEL) {
            return Ok(Self::Fixed(client(node, options)?));
        }
        let Some(master) = options.master_name.clone().filter(|name| !name.is_empty()) else {
            let source = "the sentinels must be told which master is meant (`master_name`)".into();
            return Err(BrokerError::Refused { product: PRODUCT, source });
        };
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

/// Makes a client with what the URL says of TLS.
fn client(node: ConnectionInfo, options: &RedisOptions) -> Result<Client, BrokerError> {
    let ConnectionAddr::TcpTls { host, port, .. } = node.addr() else {
        return Client::open(node).map_err(failed);
    };
    let Tls { authorities, identity, is_unverified } = options.tls()?;
    if is_unverified {
        tracing::warn!(
            "the certificate of {PRODUCT} is not looked at, as its URL says: whoever is in between can read and write"
        );
    }
    let addr =
        ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: is_unverified, tls_params: None };
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
