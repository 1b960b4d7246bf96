//! Listens, and answers until it is told to stop.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::options::OptionError;
use crate::router;
use crate::state::ServerState;

mod connections;

use connections::Connections;

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An option can't be.
    #[error("use option http.{}", .0.option)]
    Option(#[source] OptionError),
    /// Somebody else listens at the address.
    #[error("listen at {address}")]
    AddressInUse {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address can't be listened at.
    #[error("listen at {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A server that has its address and answers nobody yet.
#[derive(Debug)]
#[must_use = "it answers only while it serves"]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: ServerState,
}

impl Server {
    /// Takes the address that the options name.
    ///
    /// # Errors
    /// [`ServerError`]: an option can't be, or the address can't be had.
    pub async fn bind(state: ServerState) -> Result<Self, ServerError> {
        state.options().validate().map_err(ServerError::Option)?;
        let address = state.options().listen;
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServerError::AddressInUse { address, source },
            _ => ServerError::Listen { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, state })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address that people type: the public one where there is one. It has no slash at its end.
    pub fn url(&self) -> String {
        match &self.state.options().public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None if self.address.ip().is_unspecified() => format!("http://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// Returns what its handlers work with.
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// Answers requests until `stop` resolves. Then it takes no more, tells streams to end, and lets answers that are under
    /// way leave for as long as the options say.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) {
        let Self { listener, state, .. } = self;
        let mut connections = Connections::new(router::router(&state), &state);
        tokio::select! {
            () = stop => {}
            () = connections.take_from(&listener) => {}
        }
        drop(listener);
        state.closing().cancel();
        connections.drain().await;
    }
}
