//! Where API and dashboard are served, and whom they let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use celeriac_server::{Login, ServerOptions};
use serde::{Deserialize, Serialize};

use super::size::Size;
use super::{Invalid, Period};

/// Where API and dashboard are served, and whom they let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpSection {
    pub(crate) listen: String,
    pub(crate) login: LoginWord,
    pub(crate) read_only: bool,
    pub(crate) public_url: String,
    pub(crate) connections_max: usize,
    pub(crate) body_max: Size,
    pub(crate) request_timeout: Period,
    pub(crate) header_timeout: Period,
    pub(crate) shutdown_patience: Period,
}

/// Who has to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoginWord {
    /// Everybody.
    Required,
    /// Nobody, on this machine alone.
    OffLoopback,
}

impl From<LoginWord> for Login {
    fn from(word: LoginWord) -> Self {
        match word {
            LoginWord::Required => Self::Required,
            LoginWord::OffLoopback => Self::OffLoopback,
        }
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        let defaults = ServerOptions::default();
        Self {
            listen: defaults.listen.to_string(),
            login: LoginWord::Required,
            read_only: defaults.read_only,
            public_url: String::new(),
            connections_max: defaults.connections_max,
            body_max: Size(defaults.body_bytes_max as u64),
            request_timeout: Period(defaults.request_timeout),
            header_timeout: Period(defaults.header_timeout),
            shutdown_patience: Period(defaults.drain),
        }
    }
}

impl HttpSection {
    /// Returns how the server listens and whom it lets in.
    pub(crate) fn options(&self) -> ServerOptions {
        ServerOptions {
            // What is no address was refused by `validate`.
            listen: address(&self.listen).unwrap_or(ServerOptions::default().listen),
            login: self.login.into(),
            read_only: self.read_only,
            public_url: self.public_url.parse().ok(),
            connections_max: self.connections_max,
            body_bytes_max: usize::try_from(self.body_max.0).unwrap_or(usize::MAX),
            request_timeout: self.request_timeout.0,
            header_timeout: self.header_timeout.0,
            drain: self.shutdown_patience.0,
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse =
            |key: &str, reason: &str| Err(Invalid { key: format!("http.{key}"), reason: reason.to_owned() });
        if address(&self.listen).is_none() {
            return refuse(
                "listen",
                "write ADDRESS:PORT, such as 127.0.0.1:8470, or a port of this machine alone",
            );
        }
        let options = self.options();
        if options.public_url.is_none() && !self.public_url.is_empty() {
            return refuse("public_url", "write it as https://host, without a path");
        }
        options.validate().or_else(|error| match error.option {
            "body_bytes_max" => refuse("body_max", error.reason),
            option => refuse(option, error.reason),
        })
    }
}

/// Reads an address with its port; a port alone is one of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let here = |port: &str| Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?));
    text.parse().ok().or_else(|| here(text.strip_prefix("localhost:").unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, read: Option<&str>) {
        assert_eq!(address(text).map(|address| address.to_string()).as_deref(), read, "{text}");
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        check("9000", Some("127.0.0.1:9000"));
        check("localhost:0", Some("127.0.0.1:0"));
        check("0.0.0.0:80", Some("0.0.0.0:80"));
        check("[::1]:80", Some("[::1]:80"));
        check(":80", None);
        check("example.com:80", None);
        check("70000", None);
        check("", None);
    }

    #[test]
    fn who_asks_for_no_login_is_refused_off_this_machine() {
        let section = HttpSection {
            listen: "0.0.0.0:80".to_owned(),
            login: LoginWord::OffLoopback,
            ..HttpSection::default()
        };
        assert_eq!(section.validate().unwrap_err().key, "http.login");
        assert_eq!(HttpSection::default().validate(), Ok(()));
    }
}
