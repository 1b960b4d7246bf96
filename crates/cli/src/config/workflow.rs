//! How each workflow runs: a section of its own for every workflow that the app has.

use std::collections::BTreeMap;

use celeriac_collect::CollectSettings;
use celeriac_control::AppParts;
use celeriac_control::workflow::{SettingsForm, WorkflowSettings};
use celeriac_protocol::schedule::Zone;
use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::error::Result;

/// How each workflow runs, by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WorkflowSections(BTreeMap<String, SettingsForm>);

impl Default for WorkflowSections {
    /// The workflows of collecting. Their keys are known to every app, since several may read one file; those that
    /// don't collect neither show nor use them.
    fn default() -> Self {
        let mut settings = CollectSettings::default();
        let sections = collecting(&mut settings);
        Self(sections.map(|(name, settings)| (name.to_owned(), SettingsForm::from(&*settings))).into())
    }
}

impl WorkflowSections {
    /// Adds the app's own workflows, with the settings that it declares.
    pub(super) fn add(&mut self, app: &AppParts) {
        let own = app.workflow_settings();
        self.0.extend(own.map(|(name, settings)| (name.to_owned(), SettingsForm::from(settings))));
    }

    /// Gives the app's workflows the settings in force; crontabs that name no zone are read in this one.
    pub(super) fn configure(&self, app: &mut AppParts, zone: &Zone) -> Result {
        for (name, section) in &self.0 {
            app.configure_workflow(name, in_zone(section, zone))?;
        }
        Ok(())
    }

    /// Gives the workflows of collecting the settings in force.
    pub(super) fn configure_collecting(&self, settings: &mut CollectSettings, zone: &Zone) {
        for (name, settings) in collecting(settings) {
            if let Some(section) = self.0.get(name) {
                *settings = in_zone(section, zone);
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
            WorkflowSettings::from(section).validate().map_err(|error| Invalid {
                key: format!("workflow.{name}.{}", error.setting),
                reason: error.reason,
            })
        })
    }
}

/// Reads a section; a crontab that names no zone is read in this one.
fn in_zone(section: &SettingsForm, zone: &Zone) -> WorkflowSettings {
    let settings = WorkflowSettings::from(section);
    let named = settings.cron.as_ref().map(|_| zone.to_string());
    WorkflowSettings { timezone: settings.timezone.or(named), ..settings }
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
    fn the_apps_own_workflows_are_shown_beside_the_shipped_ones() {
        let mut sections = WorkflowSections::default();
        assert_eq!(sections.commented(), "");
        let section = SettingsForm::from(&WorkflowSettings::default());
        sections.0.insert("orders".to_owned(), section);
        let text = sections.commented();
        assert!(text.starts_with("\n[workflow.orders]\n#enabled = true\n#interval = \"1m\"\n"), "{text}");
    }
}
