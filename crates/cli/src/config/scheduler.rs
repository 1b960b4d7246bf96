//! Names that schedulers of workflows commonly have in the environment: `PAGE_SCHEDULER_BATCH_SIZE`.
//!
//! Every key of `[workflow.page]` has such a name, in capitals. Those that count a unit say which
//! (`PAGE_SCHEDULER_INTERVAL_MINUTES`, `PAGE_SCHEDULER_JITTER_SECONDS`).

use celeriac_protocol::suggest::closest;

use super::{Given, Layers, Origin, celery};
use crate::error::Result;

/// What stands between the name of a workflow and that of a setting.
const MIDDLE: &str = "_SCHEDULER_";

/// A setting whose name bears its unit.
pub(super) struct Counted {
    /// The name.
    pub(super) name: &'static str,
    /// The key that it sets.
    pub(super) key: &'static str,
    /// How many seconds the unit has.
    unit: f64,
    /// What may stand in place of a number; nothing where nothing may.
    word: &'static str,
    /// What is wanted.
    wanted: &'static str,
}

/// Settings whose names bear their unit.
pub(super) const COUNTED: [Counted; 3] = [
    Counted {
        name: "interval_minutes",
        key: "interval",
        unit: 60.0,
        word: "",
        wanted: "a number of minutes",
    },
    Counted { name: "jitter_seconds", key: "jitter", unit: 1.0, word: "", wanted: "a number of seconds" },
    Counted {
        name: "misfire_grace_seconds",
        key: "misfire_grace",
        unit: 1.0,
        word: "unlimited",
        wanted: "a number of seconds or `unlimited`",
    },
];

/// Takes settings of workflows out of the environment; returns what was found and is not used, in words.
pub(super) fn apply(layers: &mut Layers, variables: &[(String, String)]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (variable, value) in variables {
        let Some((workflow, setting)) = split(variable) else { continue };
        if !layers.workflows().any(|known| known == workflow) {
            warnings.extend(stray(layers, variable, &workflow, &setting));
            continue;
        }
        let origin = Origin::Env { variable: variable.clone() };
        if let Some(counted) = COUNTED.iter().find(|counted| counted.name == setting) {
            let key = format!("workflow.{workflow}.{}", counted.key);
            let seconds = seconds(value, counted).ok_or_else(|| {
                layers.refuse_value(&key, &origin, &format!(" = {value}: {} is wanted", counted.wanted))
            })?;
            layers.set(&key, Given::Text(seconds), &origin)?;
        } else if settings(layers, &workflow).any(|known| known == setting) {
            let key = format!("workflow.{workflow}.{setting}");
            let value = if layers.is_truth(&key) { celery::truth(value) } else { value.clone() };
            layers.set(&key, Given::Text(value), &origin)?;
        } else {
            let known = settings(layers, &workflow).collect::<Vec<_>>();
            warnings.push(unused(variable, &meant(&workflow, &setting, &known)));
        }
    }
    Ok(warnings)
}

/// Returns the workflow and the setting that a variable's name speaks of.
fn split(variable: &str) -> Option<(String, String)> {
    let (workflow, setting) = variable.split_once(MIDDLE)?;
    let is_ours = !variable.starts_with(super::environment::PREFIX) && !workflow.is_empty();
    let is_loud = !variable.contains(|c: char| c.is_ascii_lowercase());
    (is_ours && is_loud).then(|| (workflow.to_ascii_lowercase(), setting.to_ascii_lowercase()))
}

/// Returns the settings that have such a name.
fn settings<'a>(layers: &'a Layers, workflow: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let names = layers.settings_of_workflow(workflow);
    names.map(|name| COUNTED.iter().find(|counted| counted.key == name).map_or(name, |counted| counted.name))
}

/// Warns of a workflow that nobody knows, where the setting is one that workflows have; else the
/// variable is another program's.
fn stray(layers: &Layers, variable: &str, workflow: &str, setting: &str) -> Option<String> {
    let mut workflows = layers.workflows();
    let any = workflows.next()?;
    settings(layers, any).find(|known| *known == setting)?;
    let meant = closest(workflow, layers.workflows()).map_or_else(
        || format!("this app has no workflow \"{workflow}\""),
        |meant| format!("this app has no workflow \"{workflow}\"; is `{meant}` meant?"),
    );
    Some(unused(variable, &meant))
}

fn meant(workflow: &str, setting: &str, known: &[&str]) -> String {
    let whole = |name: &str| format!("{workflow}{MIDDLE}{name}").to_ascii_uppercase();
    closest(setting, known.iter().copied()).map_or_else(
        || "workflows have no such setting".to_owned(),
        |name| format!("workflows have no such setting; is {} meant?", whole(name)),
    )
}

fn unused(variable: &str, reason: &str) -> String {
    format!("{variable} is set and not used: {reason}")
}

/// Writes a number of a unit as one of seconds; a word that stands for a number stays.
fn seconds(text: &str, counted: &Counted) -> Option<String> {
    if text.trim() == counted.word && !counted.word.is_empty() {
        return Some(counted.word.to_owned());
    }
    let count = text.trim().parse::<f64>().ok().filter(|count| count.is_finite() && *count >= 0.0)?;
    Some((count * counted.unit).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn only_names_in_capitals_with_a_workflow_in_front_are_looked_at() {
        let pair = |workflow: &str, setting: &str| Some((workflow.to_owned(), setting.to_owned()));
        for (variable, expected) in [
            ("PAGE_SCHEDULER_BATCH_SIZE", pair("page", "batch_size")),
            ("SITEMAP_IMPORT_SCHEDULER_ENABLED", pair("sitemap_import", "enabled")),
            ("_SCHEDULER_ENABLED", None),
            ("page_scheduler_enabled", None),
            ("CELERIAC_WORKFLOW__PAGE__BATCH_SIZE", None),
            ("SCHEDULER_ENABLED", None),
        ] {
            assert_eq!(split(variable), expected, "{variable}");
        }
    }

    #[test]
    fn what_means_nothing_is_warned_of_and_what_is_others_is_left_alone() {
        for (variable, warning) in [
            ("PAGE_SCHEDULER_BATCHSIZE", "is PAGE_SCHEDULER_BATCH_SIZE meant?"),
            ("PAGE_SCHEDULER_INTERVAL", "is PAGE_SCHEDULER_INTERVAL_MINUTES meant?"),
            ("PAGES_SCHEDULER_BATCH_SIZE", "no workflow \"pages\"; is `page` meant?"),
            ("ORDER_SCHEDULER_BATCH_SIZE", "no workflow \"order\""),
            ("KUBE_SCHEDULER_HOST", ""),
        ] {
            let found = [(variable.to_owned(), "5".to_owned())];
            let warnings = apply(&mut Layers::new(Config::default()), &found).unwrap();
            assert_eq!(warnings.is_empty(), warning.is_empty(), "{variable}");
            assert!(warnings.iter().all(|said| said.ends_with(warning)), "{warnings:?}");
        }
    }
}
