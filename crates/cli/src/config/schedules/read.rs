//! From what stands in a section to an entry of the schedule.

use std::time::Duration;

use celeriac_control::ScheduleEntry;
use celeriac_protocol::schedule::{Schedule, Zone};
use celeriac_protocol::suggest::did_you_mean;
use celeriac_protocol::{RawValue, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::Period;

/// What a schedule may say, in the words of `schedule add`.
const KNOWN: [&str; 25] = [
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
    "catch_up_limit",
    "catch_up_window",
    "coalesce",
    "jitter",
    "misfire_grace",
    "anchor",
];

/// Why a section is no schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SectionFault {
    /// The key that it is about; none where it is about the whole.
    pub(crate) key: Option<String>,
    /// What is wrong.
    pub(crate) reason: String,
    /// What was probably meant.
    pub(crate) hint: Option<String>,
    /// Whether nobody knows the key.
    pub(crate) is_unknown: bool,
}

/// Returns the key by which a section says a field of an entry.
pub(crate) fn key_of(field: &str) -> &str {
    match field {
        "spec" => "when",
        "calendar" => "except",
        "anchor_at" => "anchor",
        "start_at" => "start",
        "end_at" => "end",
        "expires_at" | "expire_after" => "expires",
        same => same,
    }
}

/// Reads what a section says; times that name no zone are read on the wall of its own, or else of a given one.
pub(super) fn entry(
    name: &str,
    fields: &Map<String, Value>,
    zone: &Zone,
) -> Result<ScheduleEntry, SectionFault> {
    let section = Section { fields, zone: zone.clone() };
    section.known()?;
    let zone = match section.text("zone")? {
        Some(name) => name.parse::<Zone>().map_err(|error| fault("zone", error))?,
        None => zone.clone(),
    };
    Section { fields, zone }.entry(name)
}

/// Returns an entry whose times can be read.
pub(super) fn with_times(entry: ScheduleEntry) -> Result<ScheduleEntry, SectionFault> {
    let zone: Zone = entry.zone.parse().map_err(|error| fault("zone", error))?;
    Schedule::parse_in(&entry.spec, &zone).map_err(|error| fault("when", error))?;
    Ok(entry)
}

/// Is responsible for reading one section, on the wall of its zone.
struct Section<'a> {
    fields: &'a Map<String, Value>,
    zone: Zone,
}

impl Section<'_> {
    fn known(&self) -> Result<(), SectionFault> {
        let Some(unknown) = self.fields.keys().find(|key| !KNOWN.contains(&key.as_str())) else {
            return Ok(());
        };
        let hint = did_you_mean(unknown, KNOWN).unwrap_or_else(|| format!("there is: {}", KNOWN.join(", ")));
        Err(SectionFault { hint: Some(hint), is_unknown: true, ..fault(unknown, "nobody knows this key") })
    }

    fn entry(&self, name: &str) -> Result<ScheduleEntry, SectionFault> {
        let needed = |key| self.text(key)?.ok_or_else(|| fault(key, "it is missing"));
        let mut entry = ScheduleEntry::new(name, needed("task")?, needed("when")?);
        entry.zone = self.text("zone")?.unwrap_or_else(|| self.zone.name().to_owned());
        self.message(&mut entry)?;
        self.times(&mut entry)?;
        self.policies(&mut entry)?;
        Ok(entry)
    }

    fn message(&self, entry: &mut ScheduleEntry) -> Result<(), SectionFault> {
        set(&mut entry.args, self.json("args", '[', "an array")?);
        set(&mut entry.kwargs, self.json("kwargs", '{', "a table")?);
        set(&mut entry.headers, self.json("headers", '{', "a table")?);
        entry.queue = self.text("queue")?;
        entry.priority = self.value("priority", "0 to 9 are possible")?;
        set(&mut entry.description, self.text("description")?);
        set(&mut entry.owner, self.text("owner")?);
        Ok(())
    }

    fn times(&self, entry: &mut ScheduleEntry) -> Result<(), SectionFault> {
        entry.calendar = self.text("except")?;
        entry.anchor_at = self.instant("anchor")?;
        entry.start_at = self.instant("start")?;
        entry.end_at = self.instant("end")?;
        let said = self.fields.get("expires");
        let several = said.and_then(Value::as_array).map(Vec::as_slice);
        for value in several.unwrap_or(said.map(std::slice::from_ref).unwrap_or_default()) {
            match span_of(value) {
                Ok(span) => entry.expire_after = Some(span),
                Err(_) => entry.expires_at = Some(self.instant_of("expires", value)?),
            }
        }
        Ok(())
    }

    fn policies(&self, entry: &mut ScheduleEntry) -> Result<(), SectionFault> {
        const TRUTH: &str = "write true or false";
        const NUMBER: &str = "write a whole number";
        set(&mut entry.enabled, self.value("enabled", TRUTH)?);
        set(&mut entry.one_off, self.value("one_off", TRUTH)?);
        set(&mut entry.coalesce, self.value("coalesce", TRUTH)?);
        set(&mut entry.max_instances, self.value("max_instances", NUMBER)?);
        set(&mut entry.catch_up_limit, self.value("catch_up_limit", NUMBER)?);
        if let Some(word) = self.text("overlap")? {
            entry.overlap = word.parse().map_err(|error| fault("overlap", error))?;
        }
        match self.fields.get("catch_up") {
            Some(Value::Number(_)) => {
                entry.catch_up = celeriac_control::CatchUp::All;
                set(&mut entry.catch_up_limit, self.value("catch_up", NUMBER)?);
            }
            _ => {
                if let Some(word) = self.text("catch_up")? {
                    entry.catch_up = word.parse().map_err(|error| fault("catch_up", error))?;
                }
            }
        }
        entry.catch_up_window = self.span("catch_up_window")?;
        entry.misfire_grace = self.span("misfire_grace")?;
        set(&mut entry.jitter, self.span("jitter")?);
        Ok(())
    }

    fn value<T: DeserializeOwned>(&self, key: &str, wanted: &str) -> Result<Option<T>, SectionFault> {
        let value = self.fields.get(key);
        value.map(|value| T::deserialize(value).map_err(|_| fault(key, wanted))).transpose()
    }

    fn text(&self, key: &str) -> Result<Option<String>, SectionFault> {
        self.value(key, "write a text")
    }

    /// Reads arguments or headers: as they stand, or as the text of their JSON, for which TOML has not all words.
    fn json(&self, key: &str, begins: char, what: &str) -> Result<Option<String>, SectionFault> {
        let Some(value) = self.fields.get(key) else { return Ok(None) };
        let text = match value {
            Value::String(text) => {
                let raw: &RawValue = serde_json::from_str(text)
                    .map_err(|error| fault(key, format_args!("it can't be read as JSON: {error}")))?;
                raw.get().to_owned()
            }
            value => value.to_string(),
        };
        if text.starts_with(begins) {
            Ok(Some(text))
        } else {
            Err(fault(key, format_args!("it is not {what}")))
        }
    }

    fn span(&self, key: &str) -> Result<Option<Duration>, SectionFault> {
        let value = self.fields.get(key);
        value.map(|value| span_of(value).map_err(|reason| fault(key, reason))).transpose()
    }

    fn instant(&self, key: &str) -> Result<Option<Timestamp>, SectionFault> {
        self.fields.get(key).map(|value| self.instant_of(key, value)).transpose()
    }

    fn instant_of(&self, key: &str, value: &Value) -> Result<Timestamp, SectionFault> {
        let text = value.as_str().ok_or_else(|| fault(key, "write a date and time"))?;
        let text = if text.len() == "2027-01-01".len() { format!("{text}T00:00") } else { text.to_owned() };
        let clocked = Schedule::parse_in(&format!("at {text}"), &self.zone);
        let due = clocked.map_err(|error| fault(key, error))?.next_after(Timestamp::from_micros(i64::MIN));
        due.map(|due| due.at).ok_or_else(|| fault(key, "it lies beyond the calendar"))
    }
}

fn fault(key: &str, reason: impl std::fmt::Display) -> SectionFault {
    SectionFault { key: Some(key.to_owned()), reason: reason.to_string(), hint: None, is_unknown: false }
}

fn span_of(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => text.parse::<Period>().map(|span| span.0),
        Value::Number(number) => number.to_string().parse::<Period>().map(|span| span.0),
        _ => Err("write a span such as \"5m\"".to_owned()),
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
