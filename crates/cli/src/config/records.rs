//! How long the records of finished jobs are kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use celeriac_control::PrunerSettings;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Invalid, Period};

/// How long the records of finished jobs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecordsSection {
    pub(crate) keep_completed: Keep,
    pub(crate) keep_failed: Keep,
    pub(crate) keep_cancelled: Keep,
    pub(crate) keep_firings: Keep,
    pub(crate) keep_audit: Keep,
    pub(crate) prune_every: Period,
}

impl Default for RecordsSection {
    fn default() -> Self {
        let defaults = PrunerSettings::default();
        Self {
            keep_completed: Keep(defaults.keep_completed),
            keep_failed: Keep(defaults.keep_failed),
            keep_cancelled: Keep(defaults.keep_cancelled),
            keep_firings: Keep(defaults.keep_firings),
            keep_audit: Keep(defaults.keep_audit),
            prune_every: Period(defaults.period),
        }
    }
}

impl RecordsSection {
    /// Returns what the pruner goes by.
    pub(crate) fn pruner(&self) -> PrunerSettings {
        PrunerSettings {
            keep_completed: self.keep_completed.0,
            keep_failed: self.keep_failed.0,
            keep_cancelled: self.keep_cancelled.0,
            keep_firings: self.keep_firings.0,
            keep_audit: self.keep_audit.0,
            period: self.prune_every.0,
            ..PrunerSettings::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.pruner().validate().map_err(|error| {
            let key = if error.setting == "period" { "prune_every" } else { error.setting };
            Invalid { key: format!("records.{key}"), reason: error.reason.to_owned() }
        })
    }
}

/// The word for a record that is never removed.
const FOREVER: &str = "forever";

/// A span of time, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep(pub(crate) Option<Duration>);

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == FOREVER {
            return Ok(Self(None));
        }
        text.parse().map(|Period(span)| Self(Some(span))).map_err(|error| format!("{error}, or \"forever\""))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => Period(span).fmt(f),
            None => f.write_str(FOREVER),
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_for_a_span_or_for_ever() {
        assert_eq!("30d".parse(), Ok(Keep(Some(Duration::from_secs(30 * 86_400)))));
        assert_eq!("forever".parse(), Ok(Keep(None)));
        assert_eq!(Keep(None).to_string(), "forever");
        assert!("always".parse::<Keep>().unwrap_err().ends_with("or \"forever\""));
    }
}
