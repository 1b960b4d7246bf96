//! How each workflow runs: a section of its own for every workflow that the app has.

use std::collections::BTreeMap;

use celeriac_collect::CollectSettings;
use celeriac_control::AppParts;
use celeriac_control::workflow::WorkflowSettings;
use celeriac_protocol::Backoff;
use serde::{Deserialize, Serialize};

use super::{Invalid, Period};
use crate::error::Result;

/// How each workflow runs, by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WorkflowSections(BTreeMap<String, WorkflowSection>);

/// How one workflow runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkflowSection {
    enabled: bool,
    interval: Period,
    batch_size: usize,
    max_instances: u32,
    continuous: bool,
    max_attempts: u32,
    backoff_base: Period,
    backoff_cap: Period,
    item_limit: Period,
    run_limit: Period,
    lease: Period,
}

impl Default for WorkflowSections {
    /// The workflows of collecting. Their keys are known to every app, since several may read one file; those that
    /// don't collect neither show nor use them.
    fn default() -> Self {
        let mut settings = CollectSettings::default();
        let sections = collecting(&mut settings);
        Self(sections.map(|(name, settings)| (name.to_owned(), WorkflowSection::of(settings))).into())
    }
}

impl WorkflowSections {
    /// Adds the app's own workflows, with the settings that it declares.
    pub(super) fn add(&mut self, app: &AppParts) {
        let own = app.workflow_settings();
        self.0.extend(own.map(|(name, settings)| (name.to_owned(), WorkflowSection::of(settings))));
    }

    /// Gives the app's workflows the settings in force.
    pub(crate) fn configure(&self, app: &mut AppParts) -> Result {
        for (name, section) in &self.0 {
            app.configure_workflow(name, section.settings())?;
        }
        Ok(())
    }

    /// Gives the workflows of collecting the settings in force.
    pub(super) fn configure_collecting(&self, settings: &mut CollectSettings) {
        for (name, settings) in collecting(settings) {
            if let Some(section) = self.0.get(name) {
                *settings = section.settings();
            }
        }
    }

    /// Writes the sections that the shipped file can't know as it shows the others: commented out.
    pub(crate) fn commented(&self) -> String {
        let shipped = Self::default();
        let mut text = String::new();
        for (name, section) in self.0.iter().filter(|(name, _)| !shipped.0.contains_key(*name)) {
            let lines = toml::to_string(section).expect("a section is a table of plain values");
            text.push_str(&format!("\n[workflow.{name}]\n"));
            lines.lines().for_each(|line| text.push_str(&format!("#{line}\n")));
        }
        text
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.0.iter().try_for_each(|(name, section)| {
            section.settings().validate().map_err(|error| Invalid {
                key: format!("workflow.{name}.{}", error.setting),
                reason: error.reason.to_owned(),
            })
        })
    }
}

impl WorkflowSection {
    fn of(settings: &WorkflowSettings) -> Self {
        let (base, cap) = match settings.backoff {
            Backoff::Fixed { delay } => (delay, delay),
            Backoff::Exponential { base, cap } => (base, cap),
        };
        Self {
            enabled: settings.enabled,
            interval: Period(settings.interval),
            batch_size: settings.batch_size,
            max_instances: settings.max_instances,
            continuous: settings.continuous,
            max_attempts: settings.max_attempts,
            backoff_base: Period(base),
            backoff_cap: Period(cap),
            item_limit: Period(settings.item_limit),
            run_limit: Period(settings.run_limit),
            lease: Period(settings.lease),
        }
    }

    fn settings(&self) -> WorkflowSettings {
        WorkflowSettings {
            enabled: self.enabled,
            interval: self.interval.0,
            batch_size: self.batch_size,
            max_instances: self.max_instances,
            continuous: self.continuous,
            max_attempts: self.max_attempts,
            backoff: Backoff::Exponential { base: self.backoff_base.0, cap: self.backoff_cap.0 },
            item_limit: self.item_limit.0,
            run_limit: self.run_limit.0,
            lease: self.lease.0,
        }
    }
}

/// The workflows of collecting. An app that has them has the commands and the settings of collecting, too.
pub(crate) const COLLECTING: [&str; 3] = ["domain", "sitemap", "page"];

/// Names the workflows of collecting.
fn collecting(settings: &mut CollectSettings) -> [(&'static str, &mut WorkflowSettings); 3] {
    [
        ("domain", &mut settings.domain_workflow),
        ("sitemap", &mut settings.sitemap_workflow),
        ("page", &mut settings.page_workflow),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_being_written_as_a_section() {
        let mut settings = CollectSettings::default();
        for (_, settings) in collecting(&mut settings) {
            assert_eq!(WorkflowSection::of(settings).settings(), *settings);
        }
    }

    #[test]
    fn the_apps_own_workflows_are_shown_beside_the_shipped_ones() {
        let mut sections = WorkflowSections::default();
        assert_eq!(sections.commented(), "");
        let section = WorkflowSection::of(&WorkflowSettings::default());
        sections.0.insert("orders".to_owned(), section);
        let text = sections.commented();
        assert!(text.starts_with("\n[workflow.orders]\n#enabled = true\n#interval = \"1m\"\n"), "{text}");
    }

    #[test]
    fn a_wait_that_never_grows_is_a_cap_at_its_base() {
        let delay = std::time::Duration::from_secs(7);
        let settings = WorkflowSettings { backoff: Backoff::Fixed { delay }, ..WorkflowSettings::default() };
        let written = WorkflowSection::of(&settings).settings().backoff;
        assert_eq!(written, Backoff::Exponential { base: delay, cap: delay });
    }
}
