//! Reads entries from a text, each with the lines in which it says what.

use std::collections::BTreeMap;
use std::path::Path;

use celeriac_control::ScheduleEntry;
use celeriac_protocol::RawValue;
use celeriac_protocol::schedule::Zone;
use celeriac_protocol::suggest::did_you_mean;

use crate::config::{key_of, schedules_in};
use crate::error::{Code, Failure, Result};

/// An entry as a file says it.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its name, as far as it has one.
    pub(super) name: String,
    /// What it says, or why that can't be read.
    pub(super) entry: Result<ScheduleEntry, Wrong>,
    /// The line in which it begins, from 1.
    pub(super) line: usize,
    lines: BTreeMap<String, usize>,
    form: Form,
}

/// What is wrong with an entry: the word that the file uses, or nothing where it is about the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) field: Option<String>,
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Toml,
    Json,
}

impl Draft {
    /// Returns what is wrong with a field of the entry, with the file's own word for it and its line.
    pub(super) fn wrong(&self, field: &str, reason: String) -> Wrong {
        let key = match self.form {
            Form::Toml => key_of(field),
            Form::Json => field,
        };
        let line = self.lines.get(key).copied().unwrap_or(self.line);
        Wrong { line, field: Some(key.to_owned()), reason }
    }
}

/// Reads TOML or JSON, whichever it is: objects one after another, an array of them, or sections.
///
/// # Errors
/// The text is neither; what is wrong with one entry is told with that.
pub(super) fn read(path: &Path, text: &str, zone: &Zone) -> Result<Vec<Draft>> {
    let drafts = if is_json(text) { from_json(path, text)? } else { from_toml(path, text, zone)? };
    Ok(without_doubles(drafts))
}

/// TOML has no brace at the beginning, and nothing but a name behind its first bracket.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let behind = text.strip_prefix('[').map(str::trim_start);
    text.starts_with('{') || behind.is_some_and(|behind| behind.starts_with(['{', ']']))
}

fn from_toml(path: &Path, text: &str, zone: &Zone) -> Result<Vec<Draft>> {
    let sections = schedules_in(path, text)?;
    let drafts = sections.iter().map(|section| {
        let lines = section.lines();
        let entry = section.read(zone).map_err(|fault| Wrong {
            line: lines.of(fault.key.as_deref()),
            field: fault.key,
            reason: fault.hint.iter().fold(fault.reason.clone(), |reason, hint| format!("{reason}; {hint}")),
        });
        let name = section.name().to_owned();
        Draft { name, entry, line: lines.section, lines: lines.keys.clone(), form: Form::Toml }
    });
    Ok(drafts.collect())
}

fn from_json(path: &Path, text: &str) -> Result<Vec<Draft>> {
    let unreadable = |error: serde_json::Error| {
        let place = format!("{}:{}", path.display(), error.line());
        Failure::failed_to(Code::ScheduleFile, "read schedules")
            .because(format_args!("{place}: {}", without_place(&error)))
    };
    let raw: Vec<&RawValue> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(unreadable)?
    } else {
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(unreadable)?
    };
    Ok(raw.into_iter().map(|raw| Json { text, raw: raw.get() }.draft()).collect())
}

/// Says that a name stands there more than once.
fn without_doubles(mut drafts: Vec<Draft>) -> Vec<Draft> {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for draft in &mut drafts {
        match lines.get(&draft.name) {
            Some(first) if draft.entry.is_ok() => {
                let reason = format!("a schedule of this name stands in line {first}");
                draft.entry = Err(draft.wrong("name", reason));
            }
            _ => {
                lines.insert(draft.name.clone(), draft.line);
            }
        }
    }
    drafts
}

/// Is responsible for one object of a JSON text.
struct Json<'t> {
    text: &'t str,
    raw: &'t str,
}

impl Json<'_> {
    fn draft(&self) -> Draft {
        let line = self.line_of(self.raw);
        let form = Form::Json;
        let fields: BTreeMap<String, &RawValue> = match serde_json::from_str(self.raw) {
            Ok(fields) => fields,
            Err(_) => {
                let wrong = Wrong { line, field: None, reason: "it is no object".to_owned() };
                return Draft { name: String::new(), entry: Err(wrong), line, lines: BTreeMap::new(), form };
            }
        };
        let name = fields.get("name").and_then(|name| serde_json::from_str(name.get()).ok());
        let lines = fields.iter().map(|(field, value)| (field.clone(), self.line_of(value.get()))).collect();
        let draft = Draft { name: name.unwrap_or_default(), entry: Ok(blank()), line, lines, form };
        Draft { entry: self.entry(&fields, &draft), ..draft }
    }

    fn entry(&self, fields: &BTreeMap<String, &RawValue>, draft: &Draft) -> Result<ScheduleEntry, Wrong> {
        let known = known_fields();
        if let Some(unknown) = fields.keys().find(|field| !known.contains(field)) {
            let hint = did_you_mean(unknown, known.iter().map(String::as_str));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(draft.wrong(unknown, format!("nobody knows this field{hint}")));
        }
        for needed in ["name", "task", "spec"] {
            if !fields.contains_key(needed) {
                return Err(draft.wrong(needed, "it is missing".to_owned()));
            }
        }
        serde_json::from_str(self.raw).map_err(|error| {
            let at = offset(self.raw, &error);
            let begins = |raw: &RawValue| raw.get().as_ptr().addr() - self.raw.as_ptr().addr();
            let before = fields.iter().filter(|(_, value)| begins(value) <= at);
            let field = before.max_by_key(|(_, value)| begins(value)).map_or("name", |(field, _)| field);
            draft.wrong(field, without_place(&error))
        })
    }

    /// Returns the line in which a part of the text begins, from 1.
    fn line_of(&self, part: &str) -> usize {
        let at = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }
}

fn blank() -> ScheduleEntry {
    ScheduleEntry::new("", "", "")
}

fn known_fields() -> Vec<String> {
    let blank = serde_json::to_value(blank()).unwrap_or_default();
    blank.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

/// Returns where in a text an error was noticed, in bytes.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (before + error.column()).min(text.len())
}

/// Writes an error without its place, which is told otherwise.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts(text: &str) -> Vec<Draft> {
        match read(Path::new("a"), text, &Zone::UTC) {
            Ok(drafts) => drafts,
            Err(error) => panic!("{error}"),
        }
    }

    fn check(text: &str, line: usize, field: Option<&str>, part: &str) {
        let wrong = drafts(text).into_iter().find_map(|draft| draft.entry.err());
        let wrong = wrong.unwrap_or_else(|| panic!("{text}"));
        assert_eq!((wrong.line, wrong.field.as_deref()), (line, field), "{text}: {wrong:?}");
        assert!(wrong.reason.contains(part), "{wrong:?}");
    }

    #[test]
    fn a_fault_of_json_is_told_by_line_and_field() {
        let entry =
            |more: &str| format!("[\n{{\"name\": \"a\",\n\"task\": \"t\",\n\"spec\": \"@daily\"{more}}}]");
        check(&entry(",\n\"over_lap\": 1"), 5, Some("over_lap"), "did you mean `overlap`?");
        check(&entry(",\n\"overlap\": \"skp\",\n\"owner\": \"me\""), 5, Some("overlap"), "allow, skip");
        check(&entry(",\n\"priority\": 300"), 5, Some("priority"), "u8");
        check(&entry(",\n\"jitter\": -1,\n\"owner\": \"me\""), 5, Some("jitter"), "negative");
        check(&entry(",\n\"start_at\": \"soon\"\n"), 5, Some("start_at"), "");
        check("{\"name\": \"a\"}\n\n{\"name\": \"b\", \"task\": \"t\"}", 1, Some("task"), "it is missing");
        check("[{\"name\": \"a\", \"task\": \"t\", \"spec\": \"@daily\"},\n7]", 2, None, "no object");
        let twice = "{\"name\": \"a\", \"task\": \"t\", \"spec\": \"@daily\"}\n";
        check(&twice.repeat(2), 2, Some("name"), "line 1");
    }

    #[test]
    fn a_fault_of_toml_is_told_by_line_and_key() {
        let text = |more: &str| format!("[schedule.a]\nwhen = \"@daily\"\ntask = \"t\"\n{more}");
        check(&text("\nover_lap = \"skip\""), 5, Some("over_lap"), "did you mean `overlap`?");
        check(&text("jitter = \"soon\""), 4, Some("jitter"), "span");
        check("\n[schedule.a]\nwhen = \"@daily\"", 2, Some("task"), "it is missing");
    }

    #[test]
    fn both_forms_are_told_apart_by_how_they_begin() {
        for (text, count) in [
            ("", 0),
            ("[]", 0),
            (" [ ]", 0),
            ("# nothing\n", 0),
            ("[schedule.a]\nwhen = \"@daily\"\ntask = \"t\"", 1),
            ("[ {\"name\": \"a\", \"task\": \"t\", \"spec\": \"@daily\"} ]", 1),
            ("{\"name\": \"a\", \"task\": \"t\", \"spec\": \"@daily\"}", 1),
        ] {
            let found = drafts(text);
            assert!(found.len() == count && found.iter().all(|draft| draft.entry.is_ok()), "{text}");
        }
    }

    #[test]
    fn what_is_no_file_of_schedules_is_refused_by_its_place() {
        for (text, place) in [
            ("[schedule.a\n", "a:1: "),
            ("[schedule.a]\nwhen = \"@daily\"\ntask = \"t\"\n[beat]\nenabled = true", "a:4: \"beat\""),
            ("[schedule]\nwhen = \"@daily\"", "a:2: \"schedule.when\""),
            ("{\"name\": \"a\",\n}", "a:2: "),
        ] {
            let error = read(Path::new("a"), text, &Zone::UTC).unwrap_err();
            assert!(error.to_string().contains(place), "{error}");
        }
    }

    #[test]
    fn faults_of_the_entry_itself_find_their_line() {
        let text = "[schedule.a]\nwhen = \"@daily\"\ntask = \"t\"\nexcept = \"never\"";
        let draft = drafts(text).remove(0);
        let wrong = draft.wrong("calendar", "no".to_owned());
        assert_eq!((wrong.line, wrong.field.as_deref()), (4, Some("except")));
        assert_eq!(draft.wrong("jitter", "no".to_owned()).line, 1);
    }
}
