//! What operators change of a workflow's settings, and how the settings stand.

use std::collections::BTreeSet;
use std::fmt;

use celeriac_broker::Notice;
use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::Timestamp;
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{self, ScheduleEntry, ScheduleRecord};
use celeriac_store::query::workflows::{changed_settings, lock_workflow, save_settings};
use serde_json::Value;

use super::super::{Lookout, SettingsForm, WorkflowSettings, cadence};
use super::{Changed, Changes, flat, in_force, read};
use crate::{Environment, Schedules, SchedulesError};

/// Is responsible for the settings of workflows that operators change while everything runs. Cloning is cheap.
///
/// When a workflow's job is due is changed in its entry of the schedule; everything else is kept with what is known of the
/// workflow. Either is in force, in every process, for the next run, and for those who start runs within a second: both
/// read the database.
#[derive(Clone)]
pub struct SettingsDesk {
    environment: Environment,
    schedules: Schedules,
}

/// A setting of a workflow as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingInForce {
    /// Its name.
    pub name: &'static str,
    /// Its value, as plain JSON.
    pub value: Value,
    /// What is declared: by code, file or environment of this process.
    pub declared: Value,
    /// Who has changed it, where it is not as declared.
    pub changed: Option<ChangedBy>,
}

/// Who changed a setting, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedBy {
    /// Who; unknown where the entry was edited as any other of the schedule.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Settings could not be changed; nothing was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Workflows have no such setting.
    #[error("find setting \"{setting}\" of workflow \"{workflow}\" (there are: {})", SettingsForm::KEYS.join(", "))]
    Unknown {
        /// The workflow.
        workflow: &'static str,
        /// What was asked for.
        setting: String,
    },
    /// A setting can't have this value.
    #[error("set {setting} = {value} for workflow \"{workflow}\": {reason}")]
    Invalid {
        /// The workflow.
        workflow: &'static str,
        /// The setting.
        setting: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The job has no entry yet: nobody has declared it, or somebody removed it.
    #[error("find the entry \"{job}\" in the schedule")]
    NoEntry {
        /// The job.
        job: &'static str,
    },
    /// The entry could not be changed.
    #[error("change when workflow \"{workflow}\" is due")]
    Schedule {
        /// The workflow.
        workflow: &'static str,
        /// What stands in the way.
        #[source]
        source: SchedulesError,
    },
    /// The platform's tables could not be used.
    #[error("use the settings of workflows")]
    Store(#[from] StoreError),
    /// The transaction failed.
    #[error("change the settings of a workflow")]
    Database(#[from] DbError),
}

/// What is to be changed: a value for each setting, or nothing for one that is to be as declared.
type Wanted = Vec<(&'static str, Option<Value>)>;

impl SettingsDesk {
    /// Makes it for an environment.
    pub fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone(), schedules: Schedules::new(environment) }
    }

    /// Returns all settings of a workflow as they stand.
    ///
    /// # Errors
    /// What the database says.
    pub async fn settings(&self, workflow: &Lookout) -> Result<Vec<SettingInForce>, ChangeError> {
        let reader = self.database().reader();
        let stored = changed_settings(reader, workflow.workflow).await?;
        let record = schedules::find(reader, workflow.job).await?.and_then(|found| found.record.ok());
        Ok(told(workflow, stored.as_deref(), record.as_ref()))
    }

    /// Changes settings, all or none; values are as [`settings`](Self::settings) tells them, or texts of these. Whoever
    /// sets an interval gives up the crontab, unless both are set.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`], [`ChangeError::Invalid`]; [`ChangeError::NoEntry`] where it is to be due otherwise and has no
    /// entry; what the database says.
    pub async fn set(
        &self,
        workflow: &Lookout,
        changes: Vec<(String, Value)>,
        by: &str,
    ) -> Result<Vec<SettingInForce>, ChangeError> {
        let mut wanted = Wanted::with_capacity(changes.len());
        for (key, value) in changes {
            wanted.push((known(workflow, &key)?, Some(value)));
        }
        let names: BTreeSet<&str> = wanted.iter().map(|(key, _)| *key).collect();
        if names.contains("interval") && !names.contains("cron") {
            wanted.push(("cron", Some(Value::from(""))));
        }
        self.change(workflow, wanted, by).await
    }

    /// Has settings be as they are declared again.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn unset(
        &self,
        workflow: &Lookout,
        keys: &[String],
        by: &str,
    ) -> Result<Vec<SettingInForce>, ChangeError> {
        let mut wanted = Wanted::with_capacity(keys.len());
        for key in keys {
            wanted.push((known(workflow, key)?, None));
        }
        self.change(workflow, wanted, by).await
    }

    async fn change(
        &self,
        workflow: &Lookout,
        wanted: Wanted,
        by: &str,
    ) -> Result<Vec<SettingInForce>, ChangeError> {
        let (this, lookout, by) = (self.clone(), workflow.clone(), by.to_owned());
        let change = async move |tx: &DbTx| this.change_in(tx, &lookout, wanted, by).await;
        self.database().write("change settings of workflow", change).await
    }

    /// The entry is locked before the workflow, as the beat does.
    async fn change_in(
        &self,
        tx: &DbTx,
        workflow: &Lookout,
        wanted: Wanted,
        by: String,
    ) -> Result<Vec<SettingInForce>, ChangeError> {
        let name = workflow.workflow;
        let entry = self.schedules.lock_if_any(tx, workflow.job).await.map_err(in_schedule(name))?;
        lock_workflow(tx, name).await?;
        let mut stored = read(name, changed_settings(tx, name).await?.as_deref());
        let now = self.environment.clock().now();
        let before = standing(workflow, &stored, entry.as_ref().map(|(record, _)| &record.entry));
        let after = apply(workflow, before, &wanted)?;
        note(&mut stored, &after, &wanted, &by, now);
        let (keys, is_timely) = keys_of(&wanted);
        let mut record = None;
        match entry {
            Some((found, state)) => {
                let changed = edited(found.entry.clone(), &after, &keys);
                let changed = self.schedules.replace_in(tx, found, state, changed).await;
                record = changed.map_err(in_schedule(name))?.record.ok();
            }
            None if is_timely => return Err(ChangeError::NoEntry { job: workflow.job }),
            None => {}
        }
        let text = (!stored.is_empty()).then(|| text_of(&stored));
        save_settings(tx, name, text.clone()).await?;
        self.wake(tx, workflow.job);
        tracing::info!(workflow = name, scheduler.id = workflow.job, ?keys, by, "settings were changed");
        Ok(told(workflow, text.as_deref(), record.as_ref()))
    }

    fn wake(&self, tx: &DbTx, job: &'static str) {
        let notifier = self.environment.client().broker().notifier();
        tx.after_commit_once(job, move || notifier.notify(Notice::Loop(job.to_owned())));
    }

    fn database(&self) -> &Database {
        self.environment.database()
    }
}

impl fmt::Debug for SettingsDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SettingsDesk").field(&self.environment).finish()
    }
}

fn in_schedule(workflow: &'static str) -> impl FnOnce(SchedulesError) -> ChangeError {
    move |source| ChangeError::Schedule { workflow, source }
}

fn known(workflow: &Lookout, key: &str) -> Result<&'static str, ChangeError> {
    let found = SettingsForm::KEYS.into_iter().find(|known| *known == key);
    found.ok_or_else(|| ChangeError::Unknown { workflow: workflow.workflow, setting: key.to_owned() })
}

/// Returns the settings as they stand.
fn standing(workflow: &Lookout, stored: &Changes, entry: Option<&ScheduleEntry>) -> WorkflowSettings {
    let settings = in_force(workflow.workflow, &workflow.settings, Some(&text_of(stored)));
    entry.map_or(settings.clone(), |entry| cadence::from_entry(settings, entry))
}

/// Makes the changes together, so that they are judged together.
fn apply(
    workflow: &Lookout,
    before: WorkflowSettings,
    wanted: &Wanted,
) -> Result<WorkflowSettings, ChangeError> {
    let declared = flat(&workflow.settings);
    let mut form = flat(&before);
    let invalid = |setting: &str, value: &Value, reason: String| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        ChangeError::Invalid { workflow: workflow.workflow, setting: setting.to_owned(), value, reason }
    };
    for (key, value) in wanted {
        let value =
            value.as_ref().map_or_else(|| declared[*key].clone(), |value| typed(value, &declared[*key]));
        let mut tried = form.clone();
        tried.insert((*key).to_owned(), value.clone());
        if let Err(error) = serde_json::from_value::<SettingsForm>(Value::Object(tried.clone())) {
            return Err(invalid(key, &value, error.to_string()));
        }
        form = tried;
    }
    let form: SettingsForm = serde_json::from_value(Value::Object(form)).expect("each change was tried");
    let after = WorkflowSettings::from(&form);
    after.validate().map_err(|error| invalid(error.setting, &Value::from(error.value), error.reason))?;
    Ok(after)
}

/// Reads a text as what the setting is.
fn typed(given: &Value, declared: &Value) -> Value {
    let Some(text) = given.as_str() else { return given.clone() };
    let literal = || serde_json::from_str(text.trim()).unwrap_or_else(|_| given.clone());
    if declared.is_string() { given.clone() } else { literal() }
}

/// Notes who changed what; what is as declared again has no note.
fn note(stored: &mut Changes, after: &WorkflowSettings, wanted: &Wanted, by: &str, now: Timestamp) {
    let after = flat(after);
    for (key, value) in wanted {
        match value {
            Some(_) => {
                let changed = Changed { value: after[*key].clone(), by: by.to_owned(), at: now.as_micros() };
                stored.insert((*key).to_owned(), changed);
            }
            None => drop(stored.remove(*key)),
        }
    }
}

/// Returns which settings are changed, and whether the entry must be there for that.
fn keys_of(wanted: &Wanted) -> (Vec<&'static str>, bool) {
    let keys: Vec<&'static str> = wanted.iter().map(|(key, _)| *key).collect();
    let is_timely = keys.iter().any(|key| cadence::CADENCE.contains(key));
    (keys, is_timely)
}

/// Changes an entry in what these settings say of it, and in nothing else.
fn edited(entry: ScheduleEntry, settings: &WorkflowSettings, keys: &[&str]) -> ScheduleEntry {
    let all = cadence::with_settings(entry.clone(), settings);
    keys.iter().fold(entry, |entry, key| match *key {
        "interval" | "cron" | "timezone" => {
            ScheduleEntry { spec: all.spec.clone(), zone: all.zone.clone(), ..entry }
        }
        "enabled" => ScheduleEntry { enabled: all.enabled, ..entry },
        "max_instances" => ScheduleEntry { max_instances: all.max_instances, ..entry },
        "jitter" => ScheduleEntry { jitter: all.jitter, ..entry },
        "misfire_grace" => {
            ScheduleEntry { misfire_grace: all.misfire_grace, catch_up: all.catch_up, ..entry }
        }
        "coalesce" => ScheduleEntry { coalesce: all.coalesce, ..entry },
        _ => entry,
    })
}

fn text_of(changes: &Changes) -> String {
    serde_json::to_string(changes).expect("texts and plain values can be written as JSON")
}

/// Tells how all settings stand.
fn told(workflow: &Lookout, stored: Option<&str>, record: Option<&ScheduleRecord>) -> Vec<SettingInForce> {
    let changes = read(workflow.workflow, stored);
    let declared = flat(&workflow.settings);
    let values = flat(&standing(workflow, &changes, record.map(|record| &record.entry)));
    let changed = |key: &'static str| {
        if values[key] == declared[key] {
            return None;
        }
        match changes.get(key).filter(|noted| noted.value == values[key]) {
            Some(noted) => {
                Some(ChangedBy { by: Some(noted.by.clone()), at: Timestamp::from_micros(noted.at) })
            }
            None => record.map(|record| ChangedBy { by: None, at: record.changed_at }),
        }
    };
    let told = |key: &'static str| SettingInForce {
        name: key,
        value: values[key].clone(),
        declared: declared[key].clone(),
        changed: changed(key),
    };
    SettingsForm::KEYS.into_iter().map(told).collect()
}
