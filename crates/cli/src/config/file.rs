//! Settings from a file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schedules::{Lines, SECTION};
use super::{DeclaredSchedule, Given, Layers, Origin};
use crate::error::{Code, Failure, Result};

/// The file that is looked for in the working folder.
pub(crate) const DEFAULT_FILE: &str = "celeriac.toml";

/// Reads the named file, or the one in `folder` where there is one; returns which was read.
pub(super) fn apply(
    layers: &mut Layers,
    named: Option<(PathBuf, Origin)>,
    folder: &Path,
) -> Result<Option<PathBuf>> {
    let (path, named_by) = match named {
        Some((path, origin)) => (path, Some(origin)),
        None => (folder.join(DEFAULT_FILE), None),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named_by.is_none() => return Ok(None),
        Err(error) => return Err(unreadable(&path, named_by, &error)),
    };
    apply_text(layers, &path, &text)?;
    Ok(Some(path))
}

fn unreadable(path: &Path, named_by: Option<Origin>, error: &std::io::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::NotFound => Code::ConfigFileMissing,
        _ => Code::ConfigFileUnreadable,
    };
    let named_by = named_by.map(|origin| format!(", named by {origin}")).unwrap_or_default();
    let action = format!("read configuration file \"{}\"{named_by}", path.display());
    Failure::failed_to(code, action).caused_by(error)
}

/// Takes settings out of the text of the file at `path`.
pub(super) fn apply_text(layers: &mut Layers, path: &Path, text: &str) -> Result {
    let table = parse(path, text)
        .map_err(|place| Failure::failed_to(Code::ConfigSyntax, "read configuration").because(place))?;
    layers.declare(declared(table.get_ref(), path, text));
    let mut settings = Vec::new();
    collect("", table.get_ref(), &mut settings);
    // In the order in which they stand there, since so what is wrong with them is told.
    settings.sort_by_key(|(.., at)| *at);
    for (key, value, at) in settings {
        let origin = Origin::File { path: path.to_owned(), line: line_of(text, at) };
        layers.set(&key, Given::Json(value), &origin)?;
    }
    Ok(())
}

/// Reads a text of nothing but schedules, `[schedule.NAME]`, in the order in which they stand there.
///
/// # Errors
/// It is no TOML, or something else stands in it.
pub(crate) fn schedules_in(path: &Path, text: &str) -> Result<Vec<DeclaredSchedule>> {
    let unreadable = |place| Failure::failed_to(Code::ScheduleFile, "read schedules").because(place);
    let table = parse(path, text).map_err(unreadable)?;
    if let Some((key, start)) = no_schedule(table.get_ref()) {
        let place = format!("{}:{}: \"{key}\" is no schedule", path.display(), line_of(text, start));
        return Err(unreadable(place).hint("nothing is read but sections [schedule.NAME]"));
    }
    let mut found = declared(table.get_ref(), path, text);
    found.sort_by_key(|schedule| schedule.lines().section);
    Ok(found)
}

/// Returns the first key that is no section of a schedule, and where it stands.
fn no_schedule(table: &DeTable<'_>) -> Option<(String, usize)> {
    for (section, value) in table {
        let DeValue::Table(schedules) = value.get_ref() else {
            return Some((section.get_ref().to_string(), section.span().start));
        };
        if section.get_ref() != SECTION {
            return Some((section.get_ref().to_string(), section.span().start));
        }
        let is_none = |value: &Spanned<DeValue<'_>>| !matches!(value.get_ref(), DeValue::Table(_));
        if let Some((key, _)) = schedules.iter().find(|(_, value)| is_none(value)) {
            return Some((format!("{SECTION}.{}", key.get_ref()), key.span().start));
        }
    }
    None
}

/// Reads the value of the only key of a text, as it stands in JSON.
pub(super) fn json_value(text: &str) -> Option<Value> {
    DeTable::parse(text).ok()?.get_ref().values().next().map(json_of)
}

/// Reads TOML, or returns where it is none and why.
fn parse<'t>(path: &Path, text: &'t str) -> Result<Spanned<DeTable<'t>>, String> {
    DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        format!("{}:{line}: {}", path.display(), error.message())
    })
}

/// Writes the leaves of a table as whole keys, each with where in the text it stands.
fn collect(prefix: &str, table: &DeTable<'_>, settings: &mut Vec<(String, Value, usize)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        match value.get_ref() {
            // What it says is free, as arguments are; it is read by itself.
            DeValue::Table(_) if prefix == SECTION => {}
            DeValue::Table(inner) => collect(&key, inner, settings),
            _ => settings.push((key, json_of(value), name.span().start)),
        }
    }
}

/// Returns the schedules that a table declares, each a section of its own.
fn declared(table: &DeTable<'_>, path: &Path, text: &str) -> Vec<DeclaredSchedule> {
    let mut found = Vec::new();
    for (section, value) in table {
        let DeValue::Table(schedules) = value.get_ref() else { continue };
        for (name, value) in schedules.iter().filter(|_| &**section.get_ref() == SECTION) {
            if let (DeValue::Table(keys), Value::Object(fields)) = (value.get_ref(), json_of(value)) {
                let lines = Lines {
                    section: line_of(text, name.span().start),
                    keys: keys
                        .keys()
                        .map(|key| (key.get_ref().to_string(), line_of(text, key.span().start)))
                        .collect(),
                };
                found.push(DeclaredSchedule::new(name.get_ref(), fields, path, lines));
            }
        }
    }
    found
}

fn json_of(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(instant) => Value::from(instant.to_string()),
        DeValue::Array(items) => items.iter().map(json_of).collect(),
        DeValue::Table(table) => {
            // As they stand in the text: arguments are kept to the letter.
            let mut fields: Vec<_> = table.iter().collect();
            fields.sort_by_key(|(key, _)| key.span().start);
            fields.into_iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value))).collect()
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
