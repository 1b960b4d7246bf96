//! How tasks are asked for.

use celeriac_engine::{Route, Sending};
use celeriac_protocol::{Address, BodyForm, Compression, DEFAULT_QUEUE, Serializer};
use serde::{Deserialize, Serialize};

use super::Invalid;

/// How tasks are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TasksSection {
    pub(crate) always_eager: bool,
    pub(crate) serializer: String,
    pub(crate) compression: String,
    pub(crate) routes: Vec<String>,
    pub(crate) default_queue: String,
}

impl Default for TasksSection {
    fn default() -> Self {
        Self {
            always_eager: false,
            serializer: JSON.to_owned(),
            compression: NONE.to_owned(),
            routes: Vec::new(),
            default_queue: DEFAULT_QUEUE.to_owned(),
        }
    }
}

impl TasksSection {
    /// Returns how messages are sent where neither the caller nor the task says so.
    pub(crate) fn sending(&self) -> Sending {
        // What can't be was refused by `validate`.
        Sending {
            form: form(&self.serializer, &self.compression).unwrap_or_default(),
            routes: self.routes.iter().filter_map(|rule| rule.parse().ok()).collect(),
            default_queue: self.default_queue.clone(),
            reply_to: None,
        }
    }

    /// Returns the first rule that names an exchange in place of a queue.
    pub(super) fn route_to_exchange(&self) -> Option<&str> {
        let to_exchange =
            |rule: &&String| rule.parse().is_ok_and(|route: Route| !Address::is_queue(&route.queue));
        self.routes.iter().find(to_exchange).map(String::as_str)
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let invalid = |key: &str, reason: String| Invalid { key: format!("tasks.{key}"), reason };
        if self.default_queue.trim().is_empty() {
            return Err(invalid("default_queue", "it must not be empty".to_owned()));
        }
        if !Address::is_queue(&self.default_queue) {
            return Err(invalid("default_queue", "it must be a queue, not an exchange".to_owned()));
        }
        for rule in &self.routes {
            let wrong = |error: String| invalid("routes", format!("\"{rule}\": {error}"));
            let route = rule.parse::<Route>().map_err(|error| wrong(error.to_string()))?;
            Address::of(&route.queue).map_err(|error| wrong(error.to_string()))?;
        }
        form(&self.serializer, &self.compression).map(drop).map_err(|wrong| wrong.of("tasks"))
    }
}

/// Celery's serializer where nobody says anything.
pub(super) const JSON: &str = Serializer::Json.name();

/// What compresses nothing.
pub(super) const NONE: &str = "none";

/// A word for a serializer or compression that is none.
pub(super) struct Unknown {
    key: &'static str,
    reason: String,
}

impl Unknown {
    pub(super) fn of(self, section: &str) -> Invalid {
        Invalid { key: format!("{section}.{}", self.key), reason: self.reason }
    }
}

/// Reads Celery's names of a serializer and a compression.
pub(super) fn form(serializer: &str, compression: &str) -> Result<BodyForm, Unknown> {
    let serializer = serializer_of(serializer).map_err(|reason| Unknown { key: "serializer", reason })?;
    let compression = compression_of(compression).map_err(|reason| Unknown { key: "compression", reason })?;
    Ok(BodyForm { serializer, compression })
}

/// Reads Celery's name of a serializer.
pub(crate) fn serializer_of(name: &str) -> Result<Serializer, String> {
    Serializer::find(name).ok_or_else(|| match name {
        "pickle" => {
            "pickle is never written: whoever reads it runs code; write json, msgpack or yaml".to_owned()
        }
        _ => "write json, msgpack or yaml".to_owned(),
    })
}

/// Reads Celery's name of a compression, or of none.
pub(crate) fn compression_of(name: &str) -> Result<Option<Compression>, String> {
    if name.is_empty() || name.eq_ignore_ascii_case(NONE) {
        return Ok(None);
    }
    let found = Compression::find(name);
    found.map(Some).ok_or_else(|| "write none, gzip, bzip2, lzma or zstd".to_owned())
}
