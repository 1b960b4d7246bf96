//! The name lookup that hands only checked addresses to the connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::GuardPolicy;

/// Resolves to the addresses of a name.
pub type LookupAnswer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks up the addresses of host names.
///
/// What it answers is checked by the guard before anything connects, so an implementation need not be
/// trusted.
pub trait Lookup: Send + Sync + 'static {
    /// Looks one name up; a name without addresses is an error or an empty list.
    fn addresses(&self, host: &str) -> LookupAnswer;
}

/// Asks the operating system, which knows `/etc/hosts` and the configured name servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, host: &str) -> LookupAnswer {
        let host = host.to_owned();
        Box::pin(async move {
            // The port is a placeholder: the client puts the URL's own in its place.
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    }
}

/// Is responsible for the check and the dial being about the same addresses.
#[derive(Clone)]
pub(in crate::fetch) struct GuardedResolver {
    policy: Arc<GuardPolicy>,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    pub(in crate::fetch) fn new(policy: Arc<GuardPolicy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let addresses = this.lookup.addresses(host).await.map_err(LookupError::Failed)?;
            if addresses.is_empty() {
                return Err(LookupError::NoAddress.into());
            }
            this.policy.check_answer(host, &addresses)?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// Marks, within the client's chain of errors, that the name could not be resolved.
#[derive(Debug, thiserror::Error)]
pub(in crate::fetch) enum LookupError {
    #[error("look the name up")]
    Failed(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
}
