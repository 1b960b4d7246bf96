//! How collecting is done: how far it goes, how much it takes, and how hosts are treated.

use std::time::Duration;

use celeriac_control::workflow::{SettingsError, WorkflowSettings};
use thiserror::Error;

use crate::fetch::{FetchConfig, FetchConfigError, HostPolicy, HostPolicyError};
use crate::sitemap::extract::SitemapLimits;

/// No crawl goes deeper.
const DEPTH_MAX: u32 = 1_000;

/// Settings of collecting. The defaults are those of a guest.
#[derive(Debug, Clone)]
pub struct CollectSettings {
    /// How requests are made: contact, limits of size and time, what may be reached.
    pub fetch: FetchConfig,
    /// How hosts are treated: pauses, slots, stays away.
    pub hosts: HostPolicy,
    /// How long a robots.txt holds before it is read again. 24 h (RFC 9309, 2.4).
    pub robots_ttl: Duration,
    /// How often one tries in vain to read a robots.txt before the host is given up for
    /// [`robots_ttl`](Self::robots_ttl) and its rows end in *error*. 6, which takes about ten minutes.
    pub robots_tries_max: u32,
    /// Which addresses belong to a domain. Its own host.
    pub scope: CrawlScope,
    /// How many links away from where it began a page may lie. 16.
    pub depth_max: u32,
    /// How many pages of a domain are known at most. 100,000.
    pub pages_max: u64,
    /// How many sitemaps of a domain are known at most. 10,000.
    pub sitemaps_max: u64,
    /// How many indexes may lie above a sitemap. 4; the protocol itself knows but one.
    pub sitemap_depth_max: u32,
    /// How many redirects in a row are followed from row to row. 10.
    pub redirects_max: u32,
    /// How much of one sitemap is read.
    pub sitemap: SitemapLimits,
    /// How long one sitemap may take to arrive. 10 min.
    pub sitemap_timeout: Duration,
    /// How the workflow of domains runs.
    pub domain_workflow: WorkflowSettings,
    /// How the workflow of sitemaps runs.
    pub sitemap_workflow: WorkflowSettings,
    /// How the workflow of pages runs.
    pub page_workflow: WorkflowSettings,
}

/// Says which addresses belong to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrawlScope {
    /// Those at its host name and port, and at the one that its home page redirects to.
    #[default]
    Host,
    /// Those under the same registrable domain.
    Site,
}

impl Default for CollectSettings {
    fn default() -> Self {
        let lease = Duration::from_secs(30);
        Self {
            fetch: FetchConfig::default(),
            hosts: HostPolicy::default(),
            robots_ttl: Duration::from_secs(24 * 60 * 60),
            robots_tries_max: 6,
            scope: CrawlScope::default(),
            depth_max: 16,
            pages_max: 100_000,
            sitemaps_max: 10_000,
            sitemap_depth_max: 4,
            redirects_max: 10,
            sitemap: SitemapLimits::default(),
            sitemap_timeout: Duration::from_secs(600),
            domain_workflow: WorkflowSettings { lease, ..WorkflowSettings::default() },
            sitemap_workflow: WorkflowSettings {
                batch_size: 4,
                item_limit: Duration::from_secs(15 * 60),
                lease,
                ..WorkflowSettings::default()
            },
            page_workflow: WorkflowSettings { batch_size: 64, lease, ..WorkflowSettings::default() },
        }
    }
}

impl CollectSettings {
    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// [`CollectSettingsError`], which names the setting.
    pub fn validate(&self) -> Result<(), CollectSettingsError> {
        self.fetch.validate()?;
        self.hosts.validate()?;
        for (workflow, settings) in [
            ("domain", &self.domain_workflow),
            ("sitemap", &self.sitemap_workflow),
            ("page", &self.page_workflow),
        ] {
            settings.validate().map_err(|source| CollectSettingsError::Workflow { workflow, source })?;
        }
        for (name, value) in [
            ("pages_max", self.pages_max),
            ("robots_tries_max", u64::from(self.robots_tries_max)),
            ("sitemap.entries_max", self.sitemap.entries_max),
            ("sitemap.bytes_max", self.sitemap.bytes_max),
        ] {
            if value == 0 {
                return Err(CollectSettingsError::Zero { name });
            }
        }
        for (name, value) in [("robots_ttl", self.robots_ttl), ("sitemap_timeout", self.sitemap_timeout)] {
            if value.is_zero() {
                return Err(CollectSettingsError::Zero { name });
            }
        }
        if self.depth_max > DEPTH_MAX {
            return Err(CollectSettingsError::TooDeep { value: self.depth_max, limit: DEPTH_MAX });
        }
        Ok(())
    }
}

/// Says which setting of collecting makes no sense.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CollectSettingsError {
    /// A setting of the HTTP client.
    #[error(transparent)]
    Fetch(#[from] FetchConfigError),
    /// A setting of the politeness.
    #[error(transparent)]
    Hosts(#[from] HostPolicyError),
    /// A setting of a workflow.
    #[error("use the settings of workflow \"{workflow}\"")]
    Workflow {
        /// The workflow.
        workflow: &'static str,
        /// What is wrong with them.
        #[source]
        source: SettingsError,
    },
    /// A limit of nothing.
    #[error("use 0 for \"{name}\": nothing would be collected")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// A crawl without an end in sight.
    #[error("use {value} for \"depth_max\": at most {limit} is possible")]
    TooDeep {
        /// Its value.
        value: u32,
        /// What is possible.
        limit: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_nonsense_is_named() {
        let good = CollectSettings::default;
        good().validate().unwrap();
        let no_batch = WorkflowSettings { batch_size: 0, ..WorkflowSettings::default() };
        for (bad, expected) in [
            (CollectSettings { pages_max: 0, ..good() }, "pages_max"),
            (CollectSettings { depth_max: 5_000, ..good() }, "depth_max"),
            (CollectSettings { robots_ttl: Duration::ZERO, ..good() }, "robots_ttl"),
            (CollectSettings { page_workflow: no_batch, ..good() }, "workflow \"page\""),
        ] {
            let error = bad.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
