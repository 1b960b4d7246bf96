//! Canonical web addresses: one spelling for each page, so that a row is stored once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use url::{ParseError, Url};

mod key;
mod normal;
mod resolver;
mod scope;
mod trap;

pub use key::UrlKey;
pub use resolver::Resolver;
pub use scope::LinkScope;
pub use trap::{TrapRules, UrlTrap};

/// The longest canonical address that is kept, in bytes; the sitemap protocol names the same limit.
pub const URL_BYTES_MAX: usize = 2_048;

/// The longest text that is looked at, in bytes: what is longer is refused unparsed.
pub const INPUT_BYTES_MAX: usize = 8_192;

/// Holds an absolute `http` or `https` address in its canonical spelling.
///
/// The text is parsed by the WHATWG URL standard and then brought to one form: host in lower case and
/// IDNA without a final dot, no user name and password, no default port, no dot segments, no fragment,
/// percent escapes in upper case and only where RFC 3986 asks for them, query parameters sorted by name
/// (the order of equal names is kept), parameters that only track or carry a session dropped. Making it
/// twice changes nothing. It has at most [`URL_BYTES_MAX`] bytes, all of them ASCII.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalUrl {
    text: Box<str>,
    /// Where the host ends and the port or the path begins.
    host_end: u16,
    /// Where the path begins.
    path_start: u16,
    /// Where the path ends: at the question mark or the end.
    path_end: u16,
}

/// Says why a text is no address that can be collected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Nothing was left after trimming.
    #[error("the address is empty")]
    Empty,
    /// The address leads elsewhere than to the web: `mailto:`, `tel:`, `javascript:`, `data:` and the like.
    #[error("scheme `{0}` is not http or https")]
    Scheme(String),
    /// The text, or its canonical form, is longer than the limit.
    #[error("the address has {bytes} bytes, more than {limit}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The host is one that no name server could know: an empty or overlong label.
    #[error("host `{0}` is not a valid name")]
    Host(String),
    /// The text does not follow the URL standard.
    #[error("`{text}` is not a valid address")]
    Invalid {
        /// The beginning of the text.
        text: String,
        /// What the parser said.
        #[source]
        source: ParseError,
    },
}

impl UrlError {
    /// Tells whether the reference was never meant to lead to a page, so that nobody needs to hear of it.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::Scheme(_) | Self::Empty)
    }
}

impl CanonicalUrl {
    /// Parses an absolute address.
    ///
    /// # Errors
    ///
    /// Returns a [`UrlError`] where the text is no `http` or `https` address within the limits.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = trimmed(text)?;
        let url = Url::parse(text).map_err(|source| invalid(text, source))?;
        Self::from_url(&url)
    }

    /// Parses what a person types into an address bar: the scheme may be missing.
    ///
    /// Names get `https`; IP addresses and `localhost` get `http`, since they rarely hold a certificate.
    ///
    /// # Errors
    ///
    /// As [`CanonicalUrl::parse`].
    pub fn parse_typed(text: &str) -> Result<Self, UrlError> {
        let text = trimmed(text)?;
        if text.contains("://") {
            return Self::parse(text);
        }
        let secure = Self::parse(&format!("https://{}", text.trim_start_matches('/')))?;
        if secure.is_local() {
            return Self::parse(&secure.text.replacen("https", "http", 1));
        }
        Ok(secure)
    }

    /// Brings a parsed address to its canonical form.
    ///
    /// # Errors
    ///
    /// As [`CanonicalUrl::parse`].
    pub fn from_url(url: &Url) -> Result<Self, UrlError> {
        normal::canonical(url)
    }

    /// Resolves a reference found on this page, which has no `<base>` element.
    ///
    /// For many references of one page, or with a base element, make a [`Resolver`] once.
    ///
    /// # Errors
    ///
    /// As [`CanonicalUrl::parse`].
    pub fn resolve(&self, reference: &str) -> Result<Self, UrlError> {
        Resolver::new(self, None).resolve(reference)
    }

    /// Returns the whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the address as the type that an HTTP client takes.
    pub fn to_url(&self) -> Url {
        Url::parse(&self.text).expect("a canonical address parses again, as the property test holds")
    }

    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &str {
        if self.is_secure() { "https" } else { "http" }
    }

    /// Returns the host: an ASCII name in lower case, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.text[self.host_start()..usize::from(self.host_end)]
    }

    /// Returns the port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        let written = &self.text[usize::from(self.host_end)..usize::from(self.path_start)];
        let default = if self.is_secure() { 443 } else { 80 };
        written.strip_prefix(':').and_then(|port| port.parse().ok()).unwrap_or(default)
    }

    /// Returns host and port, the port only where it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.text[self.host_start()..usize::from(self.path_start)]
    }

    /// Returns scheme, host and port: `https://example.com`.
    pub fn origin(&self) -> &str {
        &self.text[..usize::from(self.path_start)]
    }

    /// Returns the path, which begins with a slash.
    pub fn path(&self) -> &str {
        &self.text[usize::from(self.path_start)..usize::from(self.path_end)]
    }

    /// Returns the query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.text[usize::from(self.path_end)..].strip_prefix('?')
    }

    /// Returns the name under a public suffix that somebody could register: `example.co.uk`.
    ///
    /// An IP address, a name of one label such as `localhost`, and a name that is itself a public suffix
    /// stand for themselves, with the port where one is written: two servers on one machine are two sites.
    pub fn site(&self) -> &str {
        if self.is_ip() {
            return self.authority();
        }
        psl::domain_str(self.host()).unwrap_or_else(|| self.authority())
    }

    /// Tells how far `other` lies from here.
    pub fn scope_of(&self, other: &Self) -> LinkScope {
        if self.authority() == other.authority() {
            LinkScope::SameHost
        } else if self.site() == other.site() {
            LinkScope::SameSite
        } else {
            LinkScope::External
        }
    }

    /// Returns the short fingerprint that rows are told apart by.
    pub fn key(&self) -> UrlKey {
        UrlKey::of(&self.text)
    }

    /// Tells whether the host is an IP address.
    pub fn is_ip(&self) -> bool {
        let host = self.host();
        host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    }

    fn is_local(&self) -> bool {
        self.is_ip() || self.host() == "localhost" || self.host().ends_with(".localhost")
    }

    fn is_secure(&self) -> bool {
        self.text.as_bytes()[4] == b's'
    }

    fn host_start(&self) -> usize {
        if self.is_secure() { "https://".len() } else { "http://".len() }
    }
}

impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl FromStr for CanonicalUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl Serialize for CanonicalUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CanonicalUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Cuts off what surrounds an address in the wild: spaces of any script, byte-order marks, zero-width spaces.
fn trimmed(text: &str) -> Result<&str, UrlError> {
    let is_padding =
        |char: char| char.is_whitespace() || char.is_control() || matches!(char, '\u{200b}' | '\u{feff}');
    let text = text.trim_matches(is_padding);
    if text.is_empty() {
        return Err(UrlError::Empty);
    }
    within(text.len(), INPUT_BYTES_MAX)?;
    Ok(text)
}

fn within(bytes: usize, limit: usize) -> Result<(), UrlError> {
    if bytes > limit { Err(UrlError::TooLong { bytes, limit }) } else { Ok(()) }
}

fn invalid(text: &str, source: ParseError) -> UrlError {
    /// How much of a bad address an error message repeats, in characters.
    const SHOWN_CHARS: usize = 120;
    UrlError::Invalid { text: text.chars().take(SHOWN_CHARS).collect(), source }
}

#[cfg(test)]
mod tests;
