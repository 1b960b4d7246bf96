//! Schedules that the configuration file declares: `[schedule.NAME]`.

use std::path::Path;
use std::time::Duration;

use celeriac_control::ScheduleEntry;
use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{Schedule, Zone};
use serde_json::{Map, Value, json};

use super::{Origin, Period};
use crate::error::{CliError, Code, Result};
use crate::suggest::did_you_mean;

/// The section whose own sections are schedules.
pub(super) const SECTION: &str = "schedule";

/// What a schedule may say, in the words of `schedule add`.
const KNOWN: [&str; 24] = [
    "when",
    "task",
    "args",
    "kwargs",
    "headers",
    "queue",
    "priority",
    "expires",
    "zone",
    "except",
    "start",
    "end",
    "enabled",
    "one_off",
    "description",
    "owner",
    "overlap",
    "max_instances",
    "catch_up",
    "catch_up_window",
    "coalesce",
    "jitter",
    "misfire_grace",
    "anchor",
];

/// A schedule as the file declares it.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredSchedule {
    name: String,
    fields: Map<String, Value>,
    origin: Origin,
}

impl DeclaredSchedule {
    /// Takes what stands in a section.
    pub(super) fn new(name: &str, fields: Map<String, Value>, path: &Path, line: usize) -> Self {
        let origin = Origin::File { path: path.to_owned(), line };
        Self { name: name.to_owned(), fields, origin }
    }

    /// Reads what it says; times that name no zone are read on the wall of its own, or else of a given one.
    ///
    /// # Errors
    /// A key that nobody knows, or a value that it can't have.
    pub(crate) fn entry(&self, zone: &Zone) -> Result<ScheduleEntry> {
        if let Some(unknown) = self.fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            let error = CliError::failed_to(Code::ConfigUnknownKey, "read configuration")
                .because(format_args!("{}: unknown key \"{SECTION}.{}.{unknown}\"", self.origin, self.name));
            return Err(match did_you_mean(unknown, KNOWN) {
                Some(hint) => error.hint(hint),
                None => error.hint(format!("there is: {}", KNOWN.join(", "))),
            });
        }
        let zone = match self.fields.get("zone").and_then(Value::as_str) {
            Some(name) => name.parse::<Zone>().map_err(|error| self.refuse("zone", &error))?,
            None => zone.clone(),
        };
        let mut entry = Map::new();
        entry.insert("name".to_owned(), json!(self.name));
        entry.insert("zone".to_owned(), json!(zone.name()));
        for (key, value) in &self.fields {
            let (field, value) = self.field(key, value, &zone)?;
            entry.insert(field.to_owned(), value);
        }
        if let Some(count) = self.fields.get("catch_up").and_then(Value::as_u64) {
            entry.insert("catch_up".to_owned(), json!("all"));
            entry.insert("catch_up_limit".to_owned(), json!(count));
        }
        for needed in ["when", "task"] {
            if !self.fields.contains_key(needed) {
                return Err(self.refuse(needed, &"it is missing"));
            }
        }
        serde_json::from_value(Value::Object(entry)).map_err(|error| {
            CliError::failed_to(Code::ConfigInvalidValue, "read configuration")
                .because(format_args!("{}: {SECTION}.{}: {error}", self.origin, self.name))
        })
    }

    /// Returns the field of an entry that a key stands for, and its value in the entry's form.
    fn field<'a>(&self, key: &'a str, value: &Value, zone: &Zone) -> Result<(&'a str, Value)> {
        Ok(match key {
            "when" => ("spec", value.clone()),
            "except" => ("calendar", value.clone()),
            "jitter" | "misfire_grace" | "catch_up_window" => (key, self.seconds(key, value)?),
            "start" | "end" | "anchor" => {
                let field = match key {
                    "start" => "start_at",
                    "end" => "end_at",
                    _ => "anchor_at",
                };
                (field, self.instant(key, value, zone)?)
            }
            "expires" => match self.seconds(key, value) {
                Ok(seconds) => ("expire_after", seconds),
                Err(_) => ("expires_at", self.instant(key, value, zone)?),
            },
            key => (key, value.clone()),
        })
    }

    fn seconds(&self, key: &str, value: &Value) -> Result<Value> {
        let span = match value {
            Value::String(text) => text.parse::<Period>().map(|span| span.0),
            Value::Number(number) => {
                let seconds = number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                seconds.ok_or_else(|| "it is no span of time".to_owned())
            }
            _ => Err("write a span such as \"5m\"".to_owned()),
        };
        span.map(|span| json!(span.as_secs_f64())).map_err(|reason| self.refuse(key, &reason))
    }

    fn instant(&self, key: &str, value: &Value, zone: &Zone) -> Result<Value> {
        let text = value.as_str().ok_or_else(|| self.refuse(key, &"write a date and time"))?;
        let text = if text.len() == "2027-01-01".len() { format!("{text}T00:00") } else { text.to_owned() };
        let clocked =
            Schedule::parse_in(&format!("at {text}"), zone).map_err(|error| self.refuse(key, &error))?;
        let due = clocked.next_after(Timestamp::from_micros(i64::MIN));
        due.map(|due| json!(due.at.to_string()))
            .ok_or_else(|| self.refuse(key, &"it lies beyond the calendar"))
    }

    fn refuse(&self, key: &str, reason: &dyn std::fmt::Display) -> CliError {
        CliError::failed_to(Code::ConfigInvalidValue, "read configuration")
            .because(format_args!("{}: {SECTION}.{}.{key}: {reason}", self.origin, self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(text: &str) -> DeclaredSchedule {
        let fields: Map<String, Value> = toml::from_str(text).unwrap();
        DeclaredSchedule::new("nightly", fields, Path::new("celeriac.toml"), 3)
    }

    #[test]
    fn a_section_says_what_the_command_line_says() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let entry = declared(
            "when = \"30 2 * * *\"\ntask = \"report\"\nargs = [1]\nkwargs = { days = 7 }\njitter = \"5m\"\n\
             expires = \"1h\"\nstart = \"2027-01-01\"\ncatch_up = 5\noverlap = \"skip\"",
        );
        let entry = entry.entry(&berlin).map_err(|error| error.to_string()).unwrap();
        assert_eq!((entry.args.as_str(), entry.kwargs.as_str()), ("[1]", "{\"days\":7}"));
        assert_eq!((entry.zone.as_str(), entry.jitter), ("Europe/Berlin", Duration::from_secs(300)));
        assert_eq!((entry.expire_after, entry.catch_up_limit), (Some(Duration::from_secs(3_600)), 5));
        assert_eq!(entry.start_at, Some("2026-12-31T23:00Z".parse().unwrap()));
    }

    #[test]
    fn what_nobody_knows_or_is_missing_is_refused_by_its_place() {
        let refused = |text: &str| match declared(text).entry(&Zone::UTC) {
            Ok(entry) => panic!("{entry:?}"),
            Err(error) => (error.to_string(), error.advice().unwrap_or_default().to_owned()),
        };
        let (text, hint) = refused("when = \"@daily\"\ntask = \"report\"\nover_lap = \"skip\"");
        assert!(text.contains("celeriac.toml:3: unknown key \"schedule.nightly.over_lap\""), "{text}");
        assert_eq!(hint, "did you mean `overlap`?");
        assert!(refused("when = \"@daily\"").0.contains("schedule.nightly.task: it is missing"));
        assert!(
            refused("when = \"@daily\"\ntask = \"x\"\njitter = \"soon\"")
                .0
                .contains("schedule.nightly.jitter")
        );
    }
}
