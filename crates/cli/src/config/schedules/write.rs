//! From an entry of the schedule to a section that says the same.

use std::fmt::Write as _;
use std::time::Duration;

use celeriac_control::{CatchUp, ScheduleEntry};
use celeriac_protocol::Timestamp;
use serde_json::{Map, Value};

use super::super::Period;
use super::SECTION;

/// How deep arguments may be nested to be written as TOML; deeper ones stand as JSON, as no person reads them.
const MAX_DEPTH: usize = 8;

/// Writes an entry as a section, which ends with a line's end. What is as it is by itself is left out, but for the zone,
/// which else would be that of whoever reads it.
pub(crate) fn written(entry: &ScheduleEntry) -> String {
    let plain = ScheduleEntry::new("", "", "");
    let mut section = Section(format!("[{SECTION}.{}]\n", key(&entry.name)));
    section.text("when", &entry.spec);
    section.text("zone", &entry.zone);
    section.optional("except", entry.calendar.as_deref(), Section::text);
    section.optional("anchor", entry.anchor_at, Section::instant);
    section.optional("start", entry.start_at, Section::instant);
    section.optional("end", entry.end_at, Section::instant);
    section.text("task", &entry.task);
    section.json("args", &entry.args, &plain.args);
    section.json("kwargs", &entry.kwargs, &plain.kwargs);
    section.json("headers", &entry.headers, &plain.headers);
    section.optional("queue", entry.queue.as_deref(), Section::text);
    section.optional("priority", entry.priority, Section::plain);
    section.expires(entry);
    section.policies(entry, &plain);
    section.optional("description", said(&entry.description), Section::text);
    section.optional("owner", said(&entry.owner), Section::text);
    section.0
}

/// Is responsible for the text of one section.
struct Section(String);

impl Section {
    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        writeln!(self.0, "{key} = {value}").expect("a text takes all that is written to it");
    }

    fn text(&mut self, key: &str, text: &str) {
        self.plain(key, quoted(text));
    }

    fn instant(&mut self, key: &str, at: Timestamp) {
        self.plain(key, quoted(&at.to_string()));
    }

    fn span(&mut self, key: &str, span: Duration) {
        self.plain(key, quoted(&Period(span).to_string()));
    }

    fn optional<T>(&mut self, key: &str, value: Option<T>, write: impl FnOnce(&mut Self, &str, T)) {
        if let Some(value) = value {
            write(self, key, value);
        }
    }

    fn unless<T: PartialEq + std::fmt::Display>(&mut self, key: &str, value: T, plain: T) {
        if value != plain {
            self.plain(key, value);
        }
    }

    /// Writes arguments or headers as TOML, where that says them to the letter, and else as the text of their JSON.
    fn json(&mut self, key: &str, json: &str, plain: &str) {
        if json == plain {
            return;
        }
        match toml_of(json) {
            Some(toml) => self.plain(key, toml),
            None if json.contains('\'') || json.chars().any(char::is_control) => self.text(key, json),
            None => self.plain(key, format_args!("'{json}'")),
        }
    }

    fn expires(&mut self, entry: &ScheduleEntry) {
        match (entry.expire_after, entry.expires_at) {
            (None, None) => {}
            (Some(after), None) => self.span("expires", after),
            (None, Some(at)) => self.instant("expires", at),
            (Some(after), Some(at)) => {
                let both = [Period(after).to_string(), at.to_string()].map(|text| quoted(&text));
                self.plain("expires", format_args!("[{}]", both.join(", ")));
            }
        }
    }

    fn policies(&mut self, entry: &ScheduleEntry, plain: &ScheduleEntry) {
        self.unless("enabled", entry.enabled, plain.enabled);
        self.unless("one_off", entry.one_off, plain.one_off);
        if entry.overlap != plain.overlap {
            self.text("overlap", entry.overlap.as_str());
        }
        self.unless("max_instances", entry.max_instances, plain.max_instances);
        let (limit, is_plain) = (entry.catch_up_limit, entry.catch_up_limit == plain.catch_up_limit);
        match entry.catch_up {
            CatchUp::All if !is_plain => self.plain("catch_up", limit),
            word => {
                if word != plain.catch_up {
                    self.text("catch_up", word.as_str());
                }
                self.unless("catch_up_limit", limit, plain.catch_up_limit);
            }
        }
        self.optional("catch_up_window", entry.catch_up_window, Self::span);
        self.unless("coalesce", entry.coalesce, plain.coalesce);
        self.optional("jitter", Some(entry.jitter).filter(|jitter| !jitter.is_zero()), Self::span);
        self.optional("misfire_grace", entry.misfire_grace, Self::span);
    }
}

fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Writes a key, with quotation marks where it needs some.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// Writes a text in one line. JSON's escapes are TOML's, which wants one more.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// Writes JSON as TOML, where reading that gives the same JSON.
fn toml_of(json: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    let toml = toml_value(&value, 0)?;
    let back = super::super::file::json_value(&format!("it = {toml}"))?;
    let same = serde_json::to_string(&back).ok()?;
    (same == json).then_some(toml)
}

fn toml_value(value: &Value, depth: usize) -> Option<String> {
    Some(match value {
        _ if depth > MAX_DEPTH => return None,
        Value::Null => return None,
        Value::Bool(truth) => truth.to_string(),
        // TOML wants digits on both sides of a point, which JSON always has.
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| toml_value(item, depth + 1)).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => format!("{{ {} }}", toml_fields(fields, depth)?),
    })
}

fn toml_fields(fields: &Map<String, Value>, depth: usize) -> Option<String> {
    let written = |(name, value): (&String, &Value)| {
        toml_value(value, depth + 1).map(|value| format!("{} = {value}", key(name)))
    };
    fields.iter().map(written).collect::<Option<Vec<_>>>().map(|fields| fields.join(", "))
}

#[cfg(test)]
mod tests {
    use celeriac_control::Overlap;
    use celeriac_protocol::schedule::Zone;

    use super::*;
    use crate::config::schedules_in;

    fn check(entry: &ScheduleEntry) {
        let text = written(entry);
        let tokyo: Zone = "Asia/Tokyo".parse().unwrap();
        let read = schedules_in(std::path::Path::new("a.toml"), &text).map_err(|error| error.to_string());
        let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.len(), 1, "{text}");
        let back = read[0].read(&tokyo).unwrap_or_else(|fault| panic!("{fault:?}\n{text}"));
        assert_eq!(&back, entry, "{text}");
    }

    fn with(change: impl FnOnce(&mut ScheduleEntry)) -> ScheduleEntry {
        let mut entry = ScheduleEntry::new("nightly", "reports.run", "30 2 * * mon-fri");
        change(&mut entry);
        entry
    }

    #[test]
    fn every_kind_is_read_back_as_it_was_written() {
        for spec in [
            "30 2 * * mon-fri",
            "crontab \"*/5 0 2 * * fri-mon\" Europe/Berlin vixie",
            "@daily",
            "every 5m",
            "every 7d from 2027-01-01T00:00Z",
            "at 2027-01-01T10:00 Europe/Berlin",
            "solar sunset 52.5,13.4",
        ] {
            for zone in ["UTC", "Europe/Berlin"] {
                check(&with(|entry| (entry.spec, entry.zone) = (spec.to_owned(), zone.to_owned())));
            }
        }
    }

    #[test]
    fn every_policy_is_read_back_as_it_was_written() {
        for overlap in Overlap::ALL {
            for catch_up in CatchUp::ALL {
                for limit in [1, 100, 1_000] {
                    check(&with(|entry| {
                        (entry.overlap, entry.catch_up, entry.catch_up_limit) = (*overlap, *catch_up, limit);
                        (entry.one_off, entry.coalesce) = (limit == 1, limit == 100);
                        entry.enabled = limit != 1_000;
                        entry.max_instances = limit;
                    }));
                }
            }
        }
    }

    #[test]
    fn every_length_and_instant_is_read_back_to_the_microsecond() {
        let at = |text: &str| Some(text.parse().unwrap());
        for micros in [1, 999, 1_000_001, 61_000_000, 10_000_000_000_001, 86_400_000_000 * 365] {
            let span = Duration::from_micros(micros);
            check(&with(|entry| {
                (entry.jitter, entry.misfire_grace) = (span, Some(span));
                (entry.catch_up_window, entry.expire_after) = (Some(span), Some(span));
            }));
        }
        for text in ["2027-01-01T00:00Z", "2027-03-28T00:59:59.999999Z", "1969-12-31T23:59:59.5Z"] {
            check(&with(|entry| {
                (entry.start_at, entry.end_at, entry.anchor_at) = (at(text), at(text), at(text));
                (entry.expires_at, entry.zone) = (at(text), "Europe/Berlin".to_owned());
            }));
            check(&with(|entry| {
                (entry.expires_at, entry.expire_after) = (at(text), Some(Duration::from_millis(1_500)));
            }));
        }
    }

    #[test]
    fn arguments_are_read_back_to_the_letter() {
        for (args, is_toml) in [
            ("[1,-2,true,\"a\"]", true),
            ("[\"\\u007f\"]", false),
            ("[\"\u{7f}ä\\n\\\"\"]", true),
            ("[null]", false),
            ("[12345678901234567890123]", false),
            ("[1.10]", false),
            ("[1.5,0.1]", true),
            ("[[1,\"a\"],{\"b\":{},\"a b\":[]}]", true),
            ("[{\"z\":1,\"a\":2}]", true),
            ("[{\"a\":1,\"a\":2}]", false),
            ("[\"it's\", null]", false),
            ("[[[[[[[[[[[[1]]]]]]]]]]]]", false),
        ] {
            let entry = with(|entry| entry.args = args.to_owned());
            check(&entry);
            assert_eq!(written(&entry).contains("args = ["), is_toml, "{}", written(&entry));
        }
        check(&with(|entry| {
            entry.kwargs = "{\"days\":7,\"by\":null}".to_owned();
            entry.headers = "{\"tenant\":\"acme\"}".to_owned();
        }));
    }

    #[test]
    fn texts_may_hold_anything() {
        for text in ["a.b", "it's \"so\"", "[x]\nb = 1", "tab\tä ☃ \u{7f}", "#", "'''", "\\"] {
            check(&with(|entry| {
                (entry.name, entry.description) = (text.to_owned(), text.to_owned());
                (entry.owner, entry.queue) = (text.to_owned(), Some(text.to_owned()));
                (entry.priority, entry.calendar) = (Some(9), Some("sat,sun".to_owned()));
            }));
        }
    }

    #[test]
    fn what_is_as_it_is_by_itself_is_left_out() {
        let text = written(&with(|entry| entry.kwargs = "{\"days\":7}".to_owned()));
        assert_eq!(
            text,
            "[schedule.nightly]\nwhen = \"30 2 * * mon-fri\"\nzone = \"UTC\"\ntask = \"reports.run\"\n\
             kwargs = { days = 7 }\n"
        );
    }
}
