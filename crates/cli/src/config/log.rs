//! What is logged, and in which form.

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::Invalid;

/// What is logged, and in which form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSection {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// For machines.
    Json,
}

impl LogSection {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        // A word that is no level would be taken for the name of a module that logs everything.
        let is_level = |part: &str| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            level.trim().parse::<LevelFilter>().is_ok()
        };
        if self.level.split(',').all(is_level) && self.level.parse::<Targets>().is_ok() {
            return Ok(());
        }
        let reason = "write error, warn, info, debug or trace, or \"info,celeriac_engine=debug\"".to_owned();
        Err(Invalid { key: "log.level".to_owned(), reason })
    }
}
