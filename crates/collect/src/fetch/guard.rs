//! The guard that keeps jobs away from addresses they must not reach.
//!
//! Whoever can add a URL could otherwise make this machine ask its neighbours, its cloud's metadata
//! service or itself. The guard looks twice: at the URL before each request (and each redirect), and at
//! every answer of the name lookup that the connection is then made to, so that what was checked and
//! what is dialled cannot differ.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use thiserror::Error;
use url::{Host, Url};

mod network;
mod ranges;
mod resolver;

pub use network::{Network, ParseNetworkError};
pub(super) use resolver::{GuardedResolver, LookupError};
pub use resolver::{Lookup, LookupAnswer, SystemLookup};

/// Ports that may be asked without further ado: the web's own, and those of development servers.
const DEFAULT_PORTS: [RangeInclusive<u16>; 3] = [80..=80, 443..=443, 8000..=8999];

/// What an address is that is refused because somebody said so, and not by itself.
const DENIED: &str = "a network that the configuration denies";

/// Says what may be reached. The default is the open web and nothing else.
///
/// Allowances are looked up in this order: an exact socket, then what is denied on top, then allowed
/// networks and hosts, then the built-in list of private and reserved networks (IANA's special-purpose
/// registries; addresses that carry an IPv4 address inside are judged by that address).
#[derive(Debug, Clone)]
pub struct GuardPolicy {
    ports: Vec<RangeInclusive<u16>>,
    sockets: Vec<SocketAddr>,
    hosts: Vec<String>,
    networks: Vec<Network>,
    denied: Vec<Network>,
}

impl Default for GuardPolicy {
    fn default() -> Self {
        Self {
            ports: DEFAULT_PORTS.to_vec(),
            sockets: Vec::new(),
            hosts: Vec::new(),
            networks: Vec::new(),
            denied: Vec::new(),
        }
    }
}

impl GuardPolicy {
    /// Allows one socket, written as a literal address in the URL, whatever network it lies in.
    ///
    /// A name that resolves to the address is still refused: only the literal spelling opens it.
    #[must_use]
    pub fn allow_socket(mut self, socket: SocketAddr) -> Self {
        self.sockets.push(socket);
        self
    }

    /// Allows a network that is refused otherwise, by literal address and by name.
    #[must_use]
    pub fn allow_network(mut self, network: Network) -> Self {
        self.networks.push(network);
        self
    }

    /// Allows a host name whatever its addresses are. Subdomains are not included.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        self.hosts.push(plain_name(host));
        self
    }

    /// Allows further ports.
    #[must_use]
    pub fn allow_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports.push(ports);
        self
    }

    /// Refuses a network in addition to the built-in list, such as the platform's own public addresses.
    #[must_use]
    pub fn deny_network(mut self, network: Network) -> Self {
        self.denied.push(network);
        self
    }

    /// Checks a URL before it is requested and returns it without user name, password and fragment.
    ///
    /// A host that is a name passes here and is judged by its addresses when it is resolved. The host is
    /// the one that the WHATWG parser of [`url`] read, so `0x7f.1`, `2130706433` and `127.0.0.1.` are
    /// all the same loopback address.
    ///
    /// # Errors
    /// [`GuardError`], which says what was refused; trying again does not help.
    pub fn check_url(&self, url: &Url) -> Result<Url, GuardError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GuardError::Scheme { scheme: url.scheme().to_owned() });
        }
        let (host, port) = url.host().zip(url.port_or_known_default()).ok_or(GuardError::NoHost)?;
        match host {
            Host::Domain(name) => self.check_port(name, port)?,
            Host::Ipv4(address) => self.check_literal(SocketAddr::new(address.into(), port))?,
            Host::Ipv6(address) => self.check_literal(SocketAddr::new(address.into(), port))?,
        }
        Ok(without_secrets(url.clone()))
    }

    /// Checks every address that a name resolved to.
    ///
    /// One refused address refuses the name: a mixed answer is how rebinding begins.
    ///
    /// # Errors
    /// [`GuardError::Address`] for the first address that must not be reached.
    pub fn check_answer(&self, host: &str, addresses: &[IpAddr]) -> Result<(), GuardError> {
        if self.hosts.contains(&plain_name(host)) {
            return Ok(());
        }
        addresses.iter().try_for_each(|address| self.check_address(host, *address))
    }

    fn check_literal(&self, socket: SocketAddr) -> Result<(), GuardError> {
        if self.sockets.contains(&socket) {
            return Ok(());
        }
        let host = socket.ip().to_string();
        self.check_port(&host, socket.port())?;
        self.check_address(&host, socket.ip())
    }

    fn check_port(&self, host: &str, port: u16) -> Result<(), GuardError> {
        if self.ports.iter().any(|range| range.contains(&port)) {
            return Ok(());
        }
        Err(GuardError::Port { host: host.to_owned(), port })
    }

    fn check_address(&self, host: &str, address: IpAddr) -> Result<(), GuardError> {
        let refused = |what: &'static str| GuardError::Address { host: host.to_owned(), address, what };
        if self.denied.iter().any(|network| network.contains(address)) {
            return Err(refused(DENIED));
        }
        if self.networks.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        ranges::denied_as(address).map_or(Ok(()), |what| Err(refused(what)))
    }
}

/// Says why a request was not even begun. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The URL is neither `http` nor `https`.
    #[error("addresses that begin with \"{scheme}:\" are not fetched, only http and https")]
    Scheme {
        /// The scheme as the URL has it.
        scheme: String,
    },
    /// The URL names no host.
    #[error("the address has no host")]
    NoHost,
    /// The port is not on the list.
    #[error(
        "port {port} of \"{host}\" is not among the ports that may be asked; guard.allow_ports adds others"
    )]
    Port {
        /// The host as the URL has it.
        host: String,
        /// The port that was asked for.
        port: u16,
    },
    /// The address is private, reserved or denied.
    #[error("\"{host}\" is at {address}, which is {what}{}", remedy(what))]
    Address {
        /// The host as the URL has it.
        host: String,
        /// The address that was refused.
        address: IpAddr,
        /// What kind of address it is, with an article: "a loopback address".
        what: &'static str,
    },
}

/// Names the setting that opens what is refused.
fn remedy(what: &str) -> &'static str {
    if what == DENIED { "" } else { "; guard.allow_networks opens it" }
}

/// Says that a text is no host name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseHostError {
    /// It is an address. What is allowed of addresses is networks, one address being a network too.
    #[error("\"{text}\" is an address, no name; allow_networks opens addresses")]
    Address {
        /// The text.
        text: String,
    },
    /// It is nothing that a URL could have for its host.
    #[error("\"{text}\" is no host name; write example.com")]
    Nonsense {
        /// The text.
        text: String,
    },
}

/// Reads a host name as URLs have it: without case, international names in their ASCII form (UTS 46).
///
/// # Errors
/// [`ParseHostError`]: an address, or a text with characters that no host has.
pub fn parse_host(text: &str) -> Result<String, ParseHostError> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Err(ParseHostError::Address { text: text.to_owned() });
    }
    match Host::parse(text) {
        Ok(Host::Domain(name)) if !plain_name(&name).is_empty() => Ok(plain_name(&name)),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err(ParseHostError::Address { text: text.to_owned() }),
        _ => Err(ParseHostError::Nonsense { text: text.to_owned() }),
    }
}

/// Names compare without case and without the dot that ends a fully qualified one.
fn plain_name(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn without_secrets(mut url: Url) -> Url {
    // Neither can fail for a URL with a host, and http and https always have one.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests;
