//! The flat form of a workflow's settings: as a section of a file has them, as they are changed while it runs, as
//! they are shown.

use celeriac_protocol::{Backoff, Span};
use serde::{Deserialize, Serialize};

use super::WorkflowSettings;
use super::grace::Grace;

/// A workflow's settings as plain values with the names that people use: spans as `5m`, an empty text for what is not
/// set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsForm {
    enabled: bool,
    interval: Span,
    cron: String,
    timezone: String,
    jitter: Span,
    misfire_grace: Grace,
    coalesce: bool,
    batch_size: usize,
    max_instances: u32,
    continuous: bool,
    max_attempts: u32,
    backoff_base: Span,
    backoff_cap: Span,
    item_limit: Span,
    run_limit: Span,
    lease: Span,
}

impl SettingsForm {
    /// The names of all settings, those first that say when a workflow is due.
    pub const KEYS: [&'static str; 16] = [
        "enabled",
        "interval",
        "cron",
        "timezone",
        "jitter",
        "misfire_grace",
        "coalesce",
        "batch_size",
        "max_instances",
        "continuous",
        "max_attempts",
        "backoff_base",
        "backoff_cap",
        "item_limit",
        "run_limit",
        "lease",
    ];
}

impl From<&WorkflowSettings> for SettingsForm {
    fn from(settings: &WorkflowSettings) -> Self {
        let (base, cap) = match settings.backoff {
            Backoff::Fixed { delay } => (delay, delay),
            Backoff::Exponential { base, cap } => (base, cap),
        };
        Self {
            enabled: settings.enabled,
            interval: Span(settings.interval),
            cron: settings.cron.clone().unwrap_or_default(),
            timezone: settings.timezone.clone().unwrap_or_default(),
            jitter: Span(settings.jitter),
            misfire_grace: Grace(settings.misfire_grace),
            coalesce: settings.coalesce,
            batch_size: settings.batch_size,
            max_instances: settings.max_instances,
            continuous: settings.continuous,
            max_attempts: settings.max_attempts,
            backoff_base: Span(base),
            backoff_cap: Span(cap),
            item_limit: Span(settings.item_limit),
            run_limit: Span(settings.run_limit),
            lease: Span(settings.lease),
        }
    }
}

impl From<&SettingsForm> for WorkflowSettings {
    fn from(form: &SettingsForm) -> Self {
        let set = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            enabled: form.enabled,
            interval: form.interval.0,
            cron: set(&form.cron),
            timezone: set(&form.timezone),
            jitter: form.jitter.0,
            misfire_grace: form.misfire_grace.0,
            coalesce: form.coalesce,
            batch_size: form.batch_size,
            max_instances: form.max_instances,
            continuous: form.continuous,
            lease: form.lease.0,
            max_attempts: form.max_attempts,
            backoff: Backoff::Exponential { base: form.backoff_base.0, cap: form.backoff_cap.0 },
            item_limit: form.item_limit.0,
            run_limit: form.run_limit.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn back(settings: &WorkflowSettings) -> WorkflowSettings {
        let text = serde_json::to_string(&SettingsForm::from(settings)).unwrap();
        WorkflowSettings::from(&serde_json::from_str::<SettingsForm>(&text).unwrap())
    }

    #[test]
    fn settings_survive_their_flat_form() {
        let plain = WorkflowSettings::default();
        let odd = WorkflowSettings {
            cron: Some("0 2 * * *".to_owned()),
            timezone: Some("Europe/Berlin".to_owned()),
            jitter: Duration::from_secs(7),
            misfire_grace: Some(Duration::from_millis(1_500)),
            coalesce: false,
            ..plain.clone()
        };
        for settings in [plain, odd] {
            assert_eq!(back(&settings), settings);
        }
    }

    #[test]
    fn every_setting_is_named() {
        let form = serde_json::to_value(SettingsForm::from(&WorkflowSettings::default())).unwrap();
        let fields = form.as_object().unwrap();
        assert_eq!(fields.len(), SettingsForm::KEYS.len());
        assert!(SettingsForm::KEYS.iter().all(|key| fields.contains_key(*key)));
    }

    #[test]
    fn a_wait_that_never_grows_is_a_cap_at_its_base() {
        let delay = Duration::from_secs(7);
        let settings = WorkflowSettings { backoff: Backoff::Fixed { delay }, ..WorkflowSettings::default() };
        assert_eq!(back(&settings).backoff, Backoff::Exponential { base: delay, cap: delay });
    }
}
