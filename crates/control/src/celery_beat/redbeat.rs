//! Reads the keys of redbeat as definitions.

use std::time::Duration;

use celeriac_broker::RedbeatEntry;
use celeriac_protocol::{RawValue, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::definition::{Definition, Fields, LeftOut, Timing, json, shortened};
use super::rows::moment;
use super::rule::Rule;

/// What is sent when, as redbeat writes it.
#[derive(Deserialize)]
struct Written {
    name: String,
    task: Option<String>,
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    options: Option<Map<String, Value>>,
    schedule: Value,
    #[serde(default = "yes")]
    enabled: bool,
}

/// When it was sent last.
#[derive(Default, Deserialize)]
struct Meta {
    last_run_at: Option<Value>,
    total_run_count: Option<u64>,
}

const fn yes() -> bool {
    true
}

/// Reads one entry as what it defines. `prefix` is what its key has before the name.
///
/// # Errors
/// It is not what redbeat writes, or has no place here.
pub fn redbeat_definition(entry: &RedbeatEntry, prefix: &str) -> Result<Definition, LeftOut> {
    let named = entry.key.strip_prefix(prefix).unwrap_or(&entry.key);
    let left_out = |task: Option<String>, reason: String| LeftOut { name: named.to_owned(), task, reason };
    let Some(bytes) = &entry.definition else {
        return Err(left_out(None, "its key is gone, and only the schedule still names it".to_owned()));
    };
    let written: Written = serde_json::from_slice(bytes)
        .map_err(|error| left_out(None, format!("its definition is not what redbeat writes: {error}")))?;
    let meta: Meta =
        entry.meta.as_deref().and_then(|meta| serde_json::from_slice(meta).ok()).unwrap_or_default();
    let task = written.task.clone();
    read(written, &meta).map_err(|reason| left_out(task, reason))
}

fn read(written: Written, meta: &Meta) -> Result<Definition, String> {
    let mut options = written.options.unwrap_or_default();
    let Scheduled { timing, start_at, end_at } = scheduled(&written.schedule)?;
    let (expires_at, expire_after) = expiry(options.remove("expires"))?;
    let mut text = |name: &str| match options.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        None | Some(Value::Null | Value::String(_)) => Ok(None),
        Some(other) => Err(format!("{name}: {} is no text", shortened(&other.to_string()))),
    };
    let (queue, exchange, routing_key) = (text("queue")?, text("exchange")?, text("routing_key")?);
    let priority = options.remove("priority").and_then(|priority| priority.as_i64());
    let headers =
        options.remove("headers").filter(|headers| !headers.is_null()).map(|headers| headers.to_string());
    let argument = |raw: Option<Box<RawValue>>| raw.map(|raw| raw.get().to_owned());
    Ok(Definition {
        name: written.name,
        task: written.task.filter(|task| !task.is_empty()).ok_or("it names no task")?,
        args: json(argument(written.args).as_deref(), '[').map_err(|wrong| format!("args: {wrong}"))?,
        kwargs: json(argument(written.kwargs).as_deref(), '{').map_err(|wrong| format!("kwargs: {wrong}"))?,
        timing,
        queue,
        exchange,
        routing_key,
        priority,
        headers: json(headers.as_deref(), '{').map_err(|wrong| format!("headers: {wrong}"))?,
        expires_at,
        expire_after,
        one_off: false,
        start_at,
        end_at,
        enabled: written.enabled,
        last_run_at: meta.last_run_at.as_ref().and_then(datetime),
        total_run_count: meta.total_run_count.unwrap_or(0),
        counts_from: None,
        description: String::new(),
        other_options: options
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name)
            .collect(),
    })
}

/// When it is due, from when and until when.
pub(super) struct Scheduled {
    pub(super) timing: Timing,
    pub(super) start_at: Option<Timestamp>,
    pub(super) end_at: Option<Timestamp>,
}

impl From<Timing> for Scheduled {
    fn from(timing: Timing) -> Self {
        Self { timing, start_at: None, end_at: None }
    }
}

fn scheduled(schedule: &Value) -> Result<Scheduled, String> {
    let field = |name: &str| match &schedule[name] {
        Value::Null => "*".to_owned(),
        Value::String(text) => text.replace(' ', ""),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    match schedule["__type__"].as_str() {
        Some("crontab") => {
            let fields = Fields {
                second: "0".to_owned(),
                minute: field("minute"),
                hour: field("hour"),
                day_of_month: field("day_of_month"),
                month_of_year: field("month_of_year"),
                day_of_week: field("day_of_week"),
            };
            Ok(Timing::Crontab { fields, zone: None }.into())
        }
        Some("interval") => {
            let seconds = schedule["every"].as_f64().unwrap_or_default();
            let length = Duration::try_from_secs_f64(seconds)
                .map_err(|_| format!("every {seconds} s is no length"))?;
            let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
            let relative = schedule["relative"].as_bool().unwrap_or(false);
            Ok(Timing::Interval { micros, relative, anchor: None }.into())
        }
        Some("rrule") => {
            let rule: Rule = serde_json::from_value(schedule.clone())
                .map_err(|error| format!("its rrule is not what redbeat writes: {error}"))?;
            rule.scheduled()
        }
        Some(other) => Err(format!("its schedule is of a kind that is not known: {}", shortened(other))),
        None => Err("it has no schedule".to_owned()),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads when its messages expire: at a time, or so many seconds after they were sent.
fn expiry(value: Option<Value>) -> Result<(Option<Timestamp>, Option<Duration>), String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok((None, None)) };
    let wrong = || format!("expires: {} is neither a time nor a length", shortened(&value.to_string()));
    match &value {
        Value::Number(seconds) => {
            let length = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            length.map(|length| (None, Some(length))).ok_or_else(wrong)
        }
        Value::String(text) => moment(text, &TimeZone::UTC).map(|at| (Some(at), None)).ok_or_else(wrong),
        other => datetime(other).map(|at| (Some(at), None)).ok_or_else(wrong),
    }
}

/// Reads a time as redbeat writes it: field by field, with the zone's name or its offset in seconds.
fn datetime(value: &Value) -> Option<Timestamp> {
    let part = |name: &str| value[name].as_i64();
    let small = |name: &str| part(name).and_then(|part| i8::try_from(part).ok());
    let civil = DateTime::new(
        i16::try_from(part("year")?).ok()?,
        small("month")?,
        small("day")?,
        small("hour")?,
        small("minute")?,
        small("second")?,
        i32::try_from(part("microsecond").unwrap_or(0)).ok()?.checked_mul(1_000)?,
    );
    let zone = match &value["timezone"] {
        Value::Number(seconds) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "an offset is a day at most, and is refused otherwise"
            )]
            let seconds = seconds.as_f64()? as i32;
            Offset::from_seconds(seconds).ok()?.to_time_zone()
        }
        Value::String(name) => TimeZone::get(name).ok()?,
        _ => TimeZone::UTC,
    };
    Some(Timestamp::from_jiff(zone.to_ambiguous_timestamp(civil.ok()?).compatible().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(definition: &str, meta: &str) -> RedbeatEntry {
        let bytes = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        RedbeatEntry { key: "redbeat:a".to_owned(), definition: bytes(definition), meta: bytes(meta) }
    }

    const EVERY: &str = r#""schedule": {"__type__": "interval", "every": 300.0, "relative": false}"#;

    #[test]
    fn an_entry_of_redbeat_is_read_with_its_options() {
        let options = r#"{"queue": "q", "priority": 3, "headers": {"n": 1}, "expires": 90, "countdown": 5, "eta": null}"#;
        let text = format!(
            r#"{{"name": "a", "task": "t", "args": [1, 1234567890123456789012], "kwargs": null, "options": {options}, {EVERY}, "enabled": false}}"#
        );
        let meta = r#"{"last_run_at": {"__type__": "datetime", "year": 2026, "month": 11, "day": 22, "hour": 4, "minute": 0, "second": 29, "microsecond": 147359, "timezone": 3600.0}, "total_run_count": 7}"#;
        let read = redbeat_definition(&entry(&text, meta), "redbeat:").unwrap();
        assert_eq!(read.args.get(), "[1, 1234567890123456789012]");
        assert_eq!((read.kwargs.get(), read.headers.get()), ("{}", r#"{"n":1}"#));
        assert_eq!((read.queue.as_deref(), read.priority, read.enabled), (Some("q"), Some(3), false));
        assert_eq!(
            (read.expire_after, read.other_options),
            (Some(Duration::from_secs(90)), vec!["countdown".to_owned()])
        );
        assert_eq!(read.last_run_at.unwrap().to_string(), "2026-11-22T03:00:29.147359+00:00");
        assert_eq!(read.timing, Timing::Interval { micros: 300_000_000, relative: false, anchor: None });
    }

    #[test]
    fn what_is_not_redbeats_is_left_out_with_its_reason() {
        let check = |definition: &str, reason: &str| {
            let left_out = redbeat_definition(&entry(definition, ""), "redbeat:").unwrap_err();
            assert!(left_out.reason.contains(reason), "{definition}: {left_out:?}");
            assert_eq!(left_out.name, "a");
        };
        check("", "its key is gone");
        check("[", "not what redbeat writes");
        check(r#"{"name": "a", "task": "t", "schedule": {"__type__": "moon"}}"#, "`moon`");
        check(r#"{"name": "a", "task": "t", "schedule": {}}"#, "no schedule");
        check(&format!(r#"{{"name": "a", "task": "", {EVERY}}}"#), "no task");
        check(
            &format!(r#"{{"name": "a", "task": "t", "args": {{}}, {EVERY}}}"#),
            "args: `{}` is not a JSON array",
        );
        check(
            &format!(r#"{{"name": "a", "task": "t", "options": {{"expires": []}}, {EVERY}}}"#),
            "expires: `[]`",
        );
        check(&format!(r#"{{"name": "a", "task": "t", "options": {{"queue": 5}}, {EVERY}}}"#), "queue: `5`");
    }

    #[test]
    fn fields_of_a_crontab_are_texts_numbers_or_lists() {
        let text = r#"{"name": "a", "task": "t", "schedule": {"__type__": "crontab", "minute": [0, 30], "hour": 2, "day_of_week": "mon, fri"}}"#;
        let read = redbeat_definition(&entry(text, ""), "redbeat:").unwrap();
        let Timing::Crontab { fields, zone: None } = read.timing else { panic!("{read:?}") };
        assert_eq!((fields.minute.as_str(), fields.hour.as_str()), ("0,30", "2"));
        assert_eq!((fields.day_of_week.as_str(), fields.day_of_month.as_str()), ("mon,fri", "*"));
    }
}
