//! How the server listens, whom it lets in, and what its limits are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

/// How the server listens, whom it lets in, and what its limits are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where it listens; port 0 is any that is free.
    pub listen: SocketAddr,
    /// Who has to log in.
    pub login: Login,
    /// Whether it refuses whatever would change something.
    pub read_only: bool,
    /// What it is called from outside, where something stands before it: `https://jobs.example.com`.
    pub public_url: Option<Url>,
    /// How many connections it holds at a time; further ones wait until one is free.
    pub connections_max: usize,
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// How long an answer may take before it is given up.
    pub request_timeout: Duration,
    /// How long the head of a request may take to arrive, and how long a connection may rest between two.
    pub header_timeout: Duration,
    /// How long answers that are under way may still take once it is told to stop.
    pub drain: Duration,
}

/// Who has to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Everybody.
    Required,
    /// Nobody; that is possible only at an address of this machine alone.
    OffLoopback,
}

/// An option that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {reason}")]
pub struct OptionError {
    /// Its name.
    pub option: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The port that nobody has to name.
pub const DEFAULT_PORT: u16 = 8470;

/// The most connections that may be asked for.
const CONNECTIONS_LIMIT: usize = 65_536;

/// The largest body that may be asked for.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            login: Login::Required,
            read_only: false,
            public_url: None,
            connections_max: 4_096,
            body_bytes_max: 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(10),
        }
    }
}

impl ServerOptions {
    /// Says whether only this machine reaches it.
    pub fn is_on_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }

    /// Looks whether they can be.
    ///
    /// # Errors
    /// The first that can't.
    pub fn validate(&self) -> Result<(), OptionError> {
        let refuse = |option, reason| Err(OptionError { option, reason });
        if self.login == Login::OffLoopback && !self.is_on_loopback() {
            return refuse(
                "login",
                "without a login it may listen at an address of this machine alone, such as 127.0.0.1",
            );
        }
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.path() != "/")
        {
            return refuse("public_url", "write it as https://host, without a path");
        }
        if self.connections_max == 0 || self.connections_max > CONNECTIONS_LIMIT {
            return refuse("connections_max", "it must be from 1 to 65536");
        }
        if self.body_bytes_max < 1024 || self.body_bytes_max > BODY_LIMIT {
            return refuse("body_bytes_max", "it must be from 1KiB to 64MiB");
        }
        if self.request_timeout < Duration::from_secs(1) {
            return refuse("request_timeout", "it must be a second or more");
        }
        if self.header_timeout < Duration::from_secs(1) {
            return refuse("header_timeout", "it must be a second or more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut ServerOptions), refused: Option<&str>) {
        let mut options = ServerOptions::default();
        change(&mut options);
        assert_eq!(options.validate().err().map(|error| error.option), refused, "{options:?}");
    }

    #[test]
    fn who_asks_for_no_login_must_stay_on_this_machine() {
        let anywhere: SocketAddr = "0.0.0.0:80".parse().unwrap();
        check(|options| options.listen = anywhere, None);
        check(|options| options.login = Login::OffLoopback, None);
        check(|options| (options.login, options.listen) = (Login::OffLoopback, anywhere), Some("login"));
    }

    #[test]
    fn limits_have_limits() {
        check(|_| (), None);
        check(|options| options.connections_max = 0, Some("connections_max"));
        check(|options| options.body_bytes_max = usize::MAX, Some("body_bytes_max"));
        check(|options| options.request_timeout = Duration::ZERO, Some("request_timeout"));
        check(|options| options.header_timeout = Duration::ZERO, Some("header_timeout"));
        check(|options| options.public_url = "https://a.b/c".parse().ok(), Some("public_url"));
        check(|options| options.public_url = "https://a.b".parse().ok(), None);
    }
}
