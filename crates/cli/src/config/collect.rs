//! How sites are collected: how far, how much, how fast, and what may be reached.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use celeriac_collect::fetch::{FetchConfig, FetchConfigError, GuardPolicy, HostPolicy, Network, parse_host};
use celeriac_collect::sitemap::extract::SitemapLimits;
use celeriac_collect::{CollectSettings, CollectSettingsError, CrawlScope};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Invalid, Period, Size};

/// How sites are collected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CollectSection {
    pub(super) contact: Option<String>,
    scope: ScopeWord,
    depth_max: u32,
    pages_max: u64,
    sitemaps_max: u64,
    sitemap_depth_max: u32,
    redirects_max: u32,
    robots_ttl: Period,
    robots_tries_max: u32,
    fetch: FetchSection,
    sitemap: SitemapSection,
    hosts: HostsSection,
    guard: GuardSection,
}

/// What one request may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FetchSection {
    connect_timeout: Period,
    first_byte_timeout: Period,
    total_timeout: Period,
    body_bytes_max: Size,
    unpack_ratio_max: u64,
    header_bytes_max: Size,
    redirects_max: usize,
}

/// How much of one sitemap is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SitemapSection {
    timeout: Period,
    entries_max: u64,
    bytes_max: Size,
}

/// How hosts are treated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HostsSection {
    concurrency: u32,
    min_delay: Period,
    crawl_delay_max: Period,
    exclusive_delay: Period,
    backoff_start: Period,
    backoff_max: Period,
    retry_after_max: Period,
    failures_max: u32,
}

/// What may be reached beside the open web, and what of it may not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GuardSection {
    allow_hosts: Vec<HostName>,
    allow_networks: Vec<NetworkText>,
    allow_ports: Vec<Ports>,
    deny_networks: Vec<NetworkText>,
}

/// Which addresses belong to a domain, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScopeWord {
    /// Those at its own host.
    Host,
    /// Those under the same registrable domain.
    Site,
}

impl Default for CollectSection {
    fn default() -> Self {
        let settings = CollectSettings::default();
        Self {
            contact: None,
            scope: ScopeWord::Host,
            depth_max: settings.depth_max,
            pages_max: settings.pages_max,
            sitemaps_max: settings.sitemaps_max,
            sitemap_depth_max: settings.sitemap_depth_max,
            redirects_max: settings.redirects_max,
            robots_ttl: Period(settings.robots_ttl),
            robots_tries_max: settings.robots_tries_max,
            fetch: FetchSection::default(),
            sitemap: SitemapSection::default(),
            hosts: HostsSection::default(),
            guard: GuardSection::default(),
        }
    }
}

impl Default for FetchSection {
    fn default() -> Self {
        let config = FetchConfig::default();
        Self {
            connect_timeout: Period(config.connect_timeout),
            first_byte_timeout: Period(config.first_byte_timeout),
            total_timeout: Period(config.total_timeout),
            body_bytes_max: Size(config.body_bytes_max),
            unpack_ratio_max: config.unpack_ratio_max,
            header_bytes_max: Size(config.header_bytes_max as u64),
            redirects_max: config.redirects_max,
        }
    }
}

impl Default for SitemapSection {
    fn default() -> Self {
        let CollectSettings { sitemap, sitemap_timeout, .. } = CollectSettings::default();
        Self {
            timeout: Period(sitemap_timeout),
            entries_max: sitemap.entries_max,
            bytes_max: Size(sitemap.bytes_max),
        }
    }
}

impl Default for HostsSection {
    fn default() -> Self {
        let policy = HostPolicy::default();
        Self {
            concurrency: policy.concurrency,
            min_delay: Period(policy.min_delay),
            crawl_delay_max: Period(policy.crawl_delay_max),
            exclusive_delay: Period(policy.exclusive_delay),
            backoff_start: Period(policy.backoff_start),
            backoff_max: Period(policy.backoff_max),
            retry_after_max: Period(policy.retry_after_max),
            failures_max: policy.failures_max,
        }
    }
}

impl CollectSection {
    /// Returns how sites are collected; how the workflows run stands in sections of their own.
    pub(super) fn settings(&self) -> CollectSettings {
        CollectSettings {
            fetch: self.fetch.config(self.contact.clone(), self.guard.policy()),
            hosts: self.hosts.policy(),
            robots_ttl: self.robots_ttl.0,
            robots_tries_max: self.robots_tries_max,
            scope: self.scope.into(),
            depth_max: self.depth_max,
            pages_max: self.pages_max,
            sitemaps_max: self.sitemaps_max,
            sitemap_depth_max: self.sitemap_depth_max,
            redirects_max: self.redirects_max,
            sitemap: SitemapLimits {
                entries_max: self.sitemap.entries_max,
                bytes_max: self.sitemap.bytes_max.0,
            },
            sitemap_timeout: self.sitemap.timeout.0,
            ..CollectSettings::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.settings().validate().map_err(|error| {
            let (key, reason) = blame(&error);
            Invalid { key: format!("collect.{key}"), reason }
        })
    }
}

impl FetchSection {
    fn config(&self, contact: Option<String>, guard: GuardPolicy) -> FetchConfig {
        FetchConfig {
            contact,
            guard,
            connect_timeout: self.connect_timeout.0,
            first_byte_timeout: self.first_byte_timeout.0,
            total_timeout: self.total_timeout.0,
            body_bytes_max: self.body_bytes_max.0,
            unpack_ratio_max: self.unpack_ratio_max,
            header_bytes_max: usize::try_from(self.header_bytes_max.0).unwrap_or(usize::MAX),
            redirects_max: self.redirects_max,
            ..FetchConfig::default()
        }
    }
}

impl HostsSection {
    fn policy(&self) -> HostPolicy {
        HostPolicy {
            concurrency: self.concurrency,
            min_delay: self.min_delay.0,
            crawl_delay_max: self.crawl_delay_max.0,
            exclusive_delay: self.exclusive_delay.0,
            backoff_start: self.backoff_start.0,
            backoff_max: self.backoff_max.0,
            retry_after_max: self.retry_after_max.0,
            failures_max: self.failures_max,
        }
    }
}

impl GuardSection {
    fn policy(&self) -> GuardPolicy {
        let policy = GuardPolicy::default();
        let policy = self.allow_hosts.iter().fold(policy, |policy, host| policy.allow_host(&host.0));
        let policy = self.allow_networks.iter().fold(policy, |policy, net| policy.allow_network(net.0));
        let policy =
            self.allow_ports.iter().fold(policy, |policy, ports| policy.allow_ports(ports.0.clone()));
        self.deny_networks.iter().fold(policy, |policy, net| policy.deny_network(net.0))
    }
}

impl From<ScopeWord> for CrawlScope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Host => Self::Host,
            ScopeWord::Site => Self::Site,
        }
    }
}

/// Returns the key that is to blame, below `collect`, and why.
fn blame(error: &CollectSettingsError) -> (String, String) {
    match error {
        CollectSettingsError::Fetch(FetchConfigError::OutOfRange { name, expected, .. }) => {
            (format!("fetch.{name}"), format!("a value {expected} is possible"))
        }
        CollectSettingsError::Fetch(FetchConfigError::Contact { .. }) => {
            ("contact".to_owned(), "write a URL, or mailto: and an address".to_owned())
        }
        CollectSettingsError::Hosts(error) => {
            (format!("hosts.{}", error.name), format!("a value {} is possible", error.expected))
        }
        CollectSettingsError::Zero { name } => {
            let key = if *name == "sitemap_timeout" { "sitemap.timeout" } else { name };
            (key.to_owned(), "nothing would be collected".to_owned())
        }
        CollectSettingsError::TooDeep { limit, .. } => {
            ("depth_max".to_owned(), format!("at most {limit} is possible"))
        }
        other => (String::new(), other.to_string()),
    }
}

/// The name of a host: `wiki.internal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct HostName(String);

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_host(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

/// A block of addresses: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NetworkText(Network);

impl Serialize for NetworkText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NetworkText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| D::Error::custom(format!("\"{text}\" is no network; write 10.0.0.0/8 or fc00::/7")))
    }
}

/// One port, or all from one to another: `9000`, `9000-9099`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ports(RangeInclusive<u16>);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(format!("\"{text}\" is no port; write 9000 or \"9000-9099\"")),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.start(), self.0.end()) {
            (first, last) if first == last => first.fmt(f),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// One port is a number in a file, and a text in the environment.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(port) => port.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_library() {
        let (ours, theirs) = (CollectSection::default().settings(), CollectSettings::default());
        // Some parts can't be compared but by what they say of themselves.
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn a_port_or_a_range_of_them_is_read_and_written_back() {
        for text in ["9000", "9000-9099"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        for text in ["", "x", "9-8", "70000", "1-"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_blamed_on_its_key() {
        let check = |key: &str, change: fn(&mut CollectSection)| {
            let mut section = CollectSection::default();
            change(&mut section);
            assert_eq!(section.validate().unwrap_err().key, key);
        };
        check("collect.contact", |section| section.contact = Some("me".to_owned()));
        check("collect.depth_max", |section| section.depth_max = 5_000);
        check("collect.pages_max", |section| section.pages_max = 0);
        check("collect.robots_ttl", |section| section.robots_ttl = Period::default());
        check("collect.fetch.total_timeout", |section| section.fetch.total_timeout = Period::default());
        check("collect.fetch.body_bytes_max", |section| section.fetch.body_bytes_max = Size(0));
        check("collect.sitemap.timeout", |section| section.sitemap.timeout = Period::default());
        check("collect.sitemap.entries_max", |section| section.sitemap.entries_max = 0);
        check("collect.hosts.concurrency", |section| section.hosts.concurrency = 0);
        check("collect.hosts.backoff_start", |section| section.hosts.backoff_start = Period::default());
    }
}
