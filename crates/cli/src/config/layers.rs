//! Lays settings over each other, and remembers where each came from.

use std::collections::BTreeMap;

use celeriac_protocol::suggest::{closest, did_you_mean, likest};
use serde_json::Value;

use super::environment::variable_of;
use super::secret::without_password;
use super::{Config, DeclaredSchedule, Invalid, Origin};
use crate::error::{Code, Failure};

/// The section whose own sections are the workflows.
const WORKFLOWS: &str = "workflow";

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    /// With its type, from a file.
    Json(Value),
    /// As text, from the environment or a flag: read as what its key wants.
    Text(String),
}

/// Settings laid over each other.
#[derive(Debug)]
pub(crate) struct Layers {
    defaults: Value,
    tree: Value,
    config: Config,
    origins: BTreeMap<String, Origin>,
    /// What was said of keys that nobody knows; all of it is told together.
    unknown: Vec<Failure>,
    /// Schedules that the file declares; they are no settings, and have no defaults.
    schedules: Vec<DeclaredSchedule>,
}

/// One setting with its value and where that came from.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// The whole key.
    pub(crate) key: &'a str,
    /// The value.
    pub(crate) value: &'a Value,
    /// Where it came from.
    pub(crate) origin: &'a Origin,
}

impl Layers {
    /// Begins with the defaults.
    pub(crate) fn new(config: Config) -> Self {
        let defaults = write(&config);
        let mut origins = BTreeMap::new();
        leaves("", &defaults, &mut |key, _| {
            origins.insert(key, Origin::Default);
        });
        Self { tree: defaults.clone(), defaults, config, origins, unknown: Vec::new(), schedules: Vec::new() }
    }

    /// Takes schedules that were declared.
    pub(super) fn declare(&mut self, schedules: Vec<DeclaredSchedule>) {
        self.schedules.extend(schedules);
    }

    /// Returns the schedules that were declared.
    pub(crate) fn schedules(&self) -> &[DeclaredSchedule] {
        &self.schedules
    }

    /// Returns the settings as they are now.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where the value of a known key came from.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// Says whether nobody set a key.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        *self.origin(key) == Origin::Default
    }

    /// Returns the workflows that there are settings for.
    pub(super) fn workflows(&self) -> impl Iterator<Item = &str> {
        names(find(&self.defaults, WORKFLOWS))
    }

    /// Returns the names of a workflow's settings.
    pub(super) fn settings_of_workflow<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        names(find(&self.defaults, &format!("{WORKFLOWS}.{name}")))
    }

    /// Says whether a key is true or false.
    pub(super) fn is_truth(&self, key: &str) -> bool {
        find(&self.defaults, key).is_some_and(Value::is_boolean)
    }

    /// Returns all settings in the order of their keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.origins.iter().map(|(key, origin)| {
            let value = find(&self.tree, key).unwrap_or(&Value::Null);
            Entry { key, value, origin }
        })
    }

    /// Sets one key. Of one that there is not, [`Layers::check_keys`] tells.
    ///
    /// # Errors
    /// It can't have this value.
    pub(crate) fn set(&mut self, key: &str, given: Given, origin: &Origin) -> Result<(), Failure> {
        // `broker = "redis://…"` is as clear as `broker.url`.
        let url = format!("{key}.url");
        let key = if find(&self.defaults, &url).is_some() { url.as_str() } else { key };
        let default = match find(&self.defaults, key) {
            Some(default) if !default.is_object() => default,
            _ => {
                self.unknown.push(self.unknown(key, origin));
                return Ok(());
            }
        };
        let mut refusal = None;
        for reading in readings(given, default) {
            let mut tree = self.tree.clone();
            place(&mut tree, key, reading.clone());
            match Config::deserialize_from(&tree) {
                Ok(config) => {
                    self.replace(config);
                    self.origins.insert(key.to_owned(), origin.clone());
                    return Ok(());
                }
                Err(error) => {
                    // A text may hold a password, so only its reader says what is wrong with it.
                    refusal.get_or_insert_with(|| wanted(default, &reading).unwrap_or(format!(": {error}")));
                }
            }
        }
        Err(refused(key, origin, &refusal.unwrap_or_default()))
    }

    /// Looks whether all keys that were set are known.
    ///
    /// # Errors
    /// All that are not, each with the place where it stands.
    pub(super) fn check_keys(&mut self) -> Result<(), Failure> {
        let mut unknown = std::mem::take(&mut self.unknown).into_iter();
        match unknown.next() {
            Some(first) => Err(unknown.fold(first, Failure::and)),
            None => Ok(()),
        }
    }

    /// Takes over settings that were changed without changing where they came from.
    pub(super) fn replace(&mut self, config: Config) {
        self.tree = write(&config);
        self.config = config;
    }

    /// Says that a section refuses a value.
    pub(crate) fn refuse(&self, invalid: &Invalid) -> Failure {
        let value = find(&self.tree, &invalid.key).unwrap_or(&Value::Null);
        let reason = match value {
            // A whole section says nothing of what is wrong with it.
            Value::Object(_) => format!(": {}", invalid.reason),
            Value::String(text) if text.is_empty() => format!(": {}", invalid.reason),
            value => format!(" = {}: {}", show(value), invalid.reason),
        };
        refused(&invalid.key, self.origin(&invalid.key), &reason)
    }

    /// Says that a value can't be read; `reason` is put behind the place where it stands.
    pub(super) fn refuse_value(&self, key: &str, origin: &Origin, reason: &str) -> Failure {
        refused(key, origin, reason)
    }

    fn unknown(&self, key: &str, origin: &Origin) -> Failure {
        let (what, spelt): (_, fn(&str) -> String) = match origin {
            Origin::Env { variable } => (format!("unknown variable {variable}"), variable_of),
            Origin::File { .. } => (format!("{origin}: unknown key \"{key}\""), str::to_owned),
            Origin::Flag { .. } | Origin::Default => (format!("unknown key \"{key}\""), str::to_owned),
        };
        let error = Failure::failed_to(Code::ConfigUnknownKey, "read configuration").because(what);
        if let Some(workflow) = self.unknown_workflow(key) {
            let error = error.because(format_args!("this app has no workflow \"{workflow}\""));
            return match did_you_mean(workflow, self.workflows().collect::<Vec<_>>()) {
                Some(hint) => error.hint(hint),
                None => error,
            };
        }
        match self.nearest(key) {
            Some(known) => error.hint(format!("did you mean `{}`?", spelt(known))),
            None => error,
        }
    }

    /// Returns the workflow that a key names, if there is none such.
    fn unknown_workflow<'a>(&self, key: &'a str) -> Option<&'a str> {
        let (name, _) = key.strip_prefix(WORKFLOWS)?.strip_prefix('.')?.split_once('.')?;
        self.workflows().all(|known| known != name).then_some(name)
    }

    /// Finds the key that was probably meant: the same one in another section, the likest section first,
    /// or else one like it.
    fn nearest(&self, key: &str) -> Option<&str> {
        let known = || self.origins.keys().map(String::as_str);
        let name = last(key);
        likest(key, known().filter(|known| last(known) == name))
            .or_else(|| closest(key, known()))
            .or_else(|| known().find(|known| closest(name, [last(known)]).is_some()))
    }
}

impl Config {
    fn deserialize_from(tree: &Value) -> Result<Self, serde_json::Error> {
        <Self as serde::Deserialize>::deserialize(tree)
    }
}

fn write(config: &Config) -> Value {
    serde_json::to_value(config).expect("settings can be written as JSON")
}

/// Writes a value as people do: text without quotes, lists with commas, URLs without passwords.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => without_password(text).into_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn refused(key: &str, origin: &Origin, reason: &str) -> Failure {
    let place = match origin {
        Origin::Default => format!("{key}{reason}"),
        Origin::File { .. } => format!("{origin}: {key}{reason}"),
        Origin::Env { variable: name } | Origin::Flag { flag: name } => format!("{name}{reason}"),
    };
    Failure::failed_to(Code::ConfigInvalidValue, "read configuration").because(place)
}

/// Returns what a value may be read as: one thing where it came with a type, and what its key wants
/// where it came as text.
fn readings(given: Given, default: &Value) -> Vec<Value> {
    let text = match given {
        Given::Json(value) => return vec![value],
        Given::Text(text) => text,
    };
    let literal = serde_json::from_str::<Value>(&text).ok();
    let as_text = Value::from(text.as_str());
    match default {
        Value::Number(_) | Value::Bool(_) => vec![literal.unwrap_or(as_text)],
        Value::Array(items) => {
            let of_numbers = items.first().is_some_and(Value::is_number);
            vec![literal.filter(Value::is_array).unwrap_or_else(|| list_of(&text, of_numbers))]
        }
        _ => std::iter::once(as_text).chain(literal).collect(),
    }
}

fn list_of(text: &str, of_numbers: bool) -> Value {
    let number = |item: &str| item.parse::<u64>().ok().filter(|_| of_numbers).map(Value::from);
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| number(item).unwrap_or_else(|| Value::from(item))).collect()
}

/// Says in plain words what a key wants, where its default tells.
fn wanted(default: &Value, given: &Value) -> Option<String> {
    let kind = match default {
        Value::Number(_) if !given.is_u64() => "a whole number",
        Value::Bool(_) => "true or false",
        Value::Array(_) if !given.is_array() => "a list of texts",
        Value::String(_) if !given.is_string() && !given.is_number() => "a text",
        _ => return None,
    };
    Some(format!(" = {}: {kind} is wanted", show(given)))
}

fn leaves(prefix: &str, value: &Value, found: &mut impl FnMut(String, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                leaves(&key, value, found);
            }
        }
        leaf => found(prefix.to_owned(), leaf),
    }
}

fn names(section: Option<&Value>) -> impl Iterator<Item = &str> {
    section.and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys().map(String::as_str))
}

/// Returns the last part of a key.
fn last(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

fn find<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(tree, |tree, name| tree.get(name))
}

fn place(tree: &mut Value, key: &str, value: Value) {
    let mut slot = tree;
    for name in key.split('.') {
        slot = &mut slot[name];
    }
    *slot = value;
}
