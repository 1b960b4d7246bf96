//! Settings that operators change while workflows run: kept in the database, in force for the next run in every process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod desk;

pub use desk::{ChangeError, ChangedBy, SettingInForce, SettingsDesk};

use super::cadence::CADENCE;
use super::{SettingsForm, WorkflowSettings};

/// A setting that an operator has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Changed {
    /// Its value, in the settings' flat form.
    pub(super) value: Value,
    /// Who changed it.
    pub(super) by: String,
    /// When, in microseconds since the Unix epoch.
    pub(super) at: i64,
}

/// The changed settings by their names.
pub(super) type Changes = BTreeMap<String, Changed>;

/// Lays over the declared settings what operators have changed of them, except when the job is due, which its entry
/// says. What this version does not know, or takes for nonsense, is left as declared.
pub(super) fn in_force(
    workflow: &str,
    declared: &WorkflowSettings,
    stored: Option<&str>,
) -> WorkflowSettings {
    let changes = read(workflow, stored);
    let of_rows = changes.into_iter().filter(|(key, _)| !CADENCE.contains(&key.as_str()));
    of_rows.fold(declared.clone(), |settings, (key, changed)| match with(&settings, &key, changed.value) {
        Ok(settings) => settings,
        Err(reason) => {
            tracing::warn!(
                workflow,
                setting = key,
                reason,
                "changed setting can't be used and is as declared"
            );
            settings
        }
    })
}

/// Reads what was stored.
pub(super) fn read(workflow: &str, stored: Option<&str>) -> Changes {
    let Some(text) = stored else { return Changes::new() };
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(workflow, %error, "changed settings can't be read, and the declared ones hold");
        Changes::new()
    })
}

/// Changes one setting.
pub(super) fn with(settings: &WorkflowSettings, key: &str, value: Value) -> Result<WorkflowSettings, String> {
    let mut form = flat(settings);
    match form.get_mut(key) {
        Some(place) => *place = value,
        None => return Err("workflows have no such setting".to_owned()),
    }
    let form: SettingsForm =
        serde_json::from_value(Value::Object(form)).map_err(|error| error.to_string())?;
    let changed = WorkflowSettings::from(&form);
    changed.validate().map_err(|error| error.reason)?;
    Ok(changed)
}

/// Returns settings by their names, as plain values.
pub(super) fn flat(settings: &WorkflowSettings) -> Map<String, Value> {
    let fields = serde_json::to_value(SettingsForm::from(settings)).ok().and_then(|form| match form {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    fields.expect("settings are an object of plain values")
}
