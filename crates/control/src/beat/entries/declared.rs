//! Entries that the code or the configuration declares, joined with those in the database field by field: what an
//! operator has edited stays.

use std::collections::{BTreeMap, BTreeSet};

use celeriac_db::DbTx;
use celeriac_protocol::RawValue;
use celeriac_store::query::schedules::{
    self, Disabled, DisabledReason, Origin, ScheduleEntry, ScheduleRecord,
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::{FieldFault, Schedules, SchedulesError};

/// Fields that say when an entry is due, and until when.
const WHEN: [&str; 8] =
    ["spec", "zone", "calendar", "anchor_at", "start_at", "end_at", "expires_at", "one_off"];

/// How a declared entry and the one in the database compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredDifference {
    /// The entry's name.
    pub name: String,
    /// What is to be done, or was.
    pub step: MergeStep,
    /// Fields that are not as they are declared, or were not.
    pub fields: Vec<FieldDifference>,
}

/// What a merge does to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeStep {
    /// It is added.
    Add,
    /// What the declaration has changed is taken over.
    Change,
    /// It stays as it is; there are edits to be told of.
    Keep,
    /// It is switched off, for this reason.
    SwitchOff(DisabledReason),
    /// It stays as it is: an entry that this app has not declared has the name.
    NameTaken,
    /// It stays as it is: what is declared can't be.
    Refuse(Vec<FieldFault>),
}

/// A field that is not as it is declared; values are JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDifference {
    /// The field, as in [`ScheduleEntry`].
    pub field: String,
    /// What the declaration says.
    pub declared: String,
    /// What the database says.
    pub stored: String,
    /// Why they differ, and which of them holds.
    pub why: Difference,
}

/// Why a declaration and the database differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The declaration has changed: it holds.
    Declared,
    /// An operator has edited it: the edit holds.
    Edited,
    /// Both have changed: the edit holds.
    Both,
}

/// What is kept of a declaration, so that a later one can be told from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Declaration {
    /// Who declared it: another app's entries are none of ours.
    app: String,
    /// Whether its task was registered then.
    known: bool,
    /// Whether it was declared by itself, while the app ran: what the app declares at its start says nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
    /// What it said, field by field.
    entry: Fields,
}

/// An entry field by field, each as JSON.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// An entry of the database that this app has declared.
struct Stored {
    record: ScheduleRecord,
    declaration: Declaration,
}

/// What is to be written.
enum Write {
    Nothing,
    Add(Box<ScheduleEntry>, String),
    Change(Box<ScheduleRecord>),
}

impl Schedules {
    /// Brings what `app` declares into the database, field by field: what only the declaration has changed is taken
    /// over, what an operator has edited stays. Entries that it declared and declares no more, or whose task is gone,
    /// are switched off. Returns what was done, and what differs still; nothing of an entry that is as it is declared.
    ///
    /// Several processes may do so at once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn merge_declared(
        &self,
        app: &str,
        declared: Vec<ScheduleEntry>,
    ) -> Result<Vec<DeclaredDifference>, SchedulesError> {
        let (this, app) = (self.clone(), app.to_owned());
        let merge = async move |tx: &DbTx| {
            tx.lock("declared schedules").await.map_err(celeriac_db::DbError::from)?;
            let compared = this.compare(tx, &app, declared).await?;
            let mut differences = Vec::with_capacity(compared.len());
            for (difference, write) in compared {
                this.write_merged(tx, write).await?;
                differences.push(difference);
            }
            Ok(differences)
        };
        self.database.write("merge declared schedules", merge).await
    }

    /// Returns what [`Schedules::merge_declared`] would do, and changes nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn diff_declared(
        &self,
        app: &str,
        declared: Vec<ScheduleEntry>,
    ) -> Result<Vec<DeclaredDifference>, SchedulesError> {
        let compared = self.compare(self.database.reader(), app, declared).await?;
        Ok(compared.into_iter().map(|(difference, _)| difference).collect())
    }

    /// Brings one entry into the database that `app` declares while it runs, as [`merge_declared`](Self::merge_declared)
    /// does with all: what an operator has edited stays. Entries that are not named stay as they are.
    ///
    /// # Errors
    /// [`SchedulesError::Invalid`] for an entry that can't be, [`SchedulesError::NameTaken`] where another app or an operator
    /// has added one of its name; what the database says.
    pub async fn declare(&self, app: &str, entry: ScheduleEntry) -> Result<(), SchedulesError> {
        let (this, app) = (self.clone(), app.to_owned());
        let declare = async move |tx: &DbTx| {
            tx.lock("declared schedules").await.map_err(celeriac_db::DbError::from)?;
            let declaration = Declaration { alone: true, ..this.declaration(&app, &entry) };
            let name = entry.name.clone();
            let (step, _, write) = match stored(tx, &app).await?.remove(&name) {
                Some(stored) => this.join(stored, &declaration),
                None if schedules::find(tx, &name).await?.is_some() => {
                    return Err(SchedulesError::NameTaken { name });
                }
                None => this.first(entry, &declaration),
            };
            if let MergeStep::Refuse(faults) = step {
                return Err(SchedulesError::Invalid { name, faults });
            }
            this.write_merged(tx, write).await
        };
        self.database.write("declare schedule", declare).await
    }

    /// Switches off an entry that `app` declares no more; a later declaration switches it on again. `false`: there is
    /// none of this name that this app has declared, or it is off.
    ///
    /// # Errors
    /// What the database says.
    pub async fn withdraw(&self, app: &str, name: &str) -> Result<bool, SchedulesError> {
        let (this, app, name) = (self.clone(), app.to_owned(), name.to_owned());
        let withdraw = async move |tx: &DbTx| {
            tx.lock("declared schedules").await.map_err(celeriac_db::DbError::from)?;
            let Some(stored) = stored(tx, &app).await?.remove(&name) else { return Ok(false) };
            let Some((_, write)) = switch_off(stored.record, DisabledReason::Undeclared) else {
                return Ok(false);
            };
            this.write_merged(tx, write).await?;
            Ok(true)
        };
        self.database.write("withdraw schedule", withdraw).await
    }

    async fn write_merged(&self, tx: &DbTx, write: Write) -> Result<(), SchedulesError> {
        match write {
            Write::Nothing => {}
            Write::Add(entry, declared) => {
                self.add_in(tx, *entry, Origin::Declared, Some(declared)).await?;
            }
            Write::Change(merged) => {
                // It may have been edited since it was read.
                let (record, state) = self.lock(tx, &merged.entry.name).await?;
                if record.revision == merged.revision {
                    self.change_in(tx, record, state, |record| *record = *merged).await?;
                }
            }
        }
        Ok(())
    }

    async fn compare(
        &self,
        reader: &impl ConnectionTrait,
        app: &str,
        declared: Vec<ScheduleEntry>,
    ) -> Result<Vec<(DeclaredDifference, Write)>, SchedulesError> {
        let mut stored = stored(reader, app).await?;
        let mut compared = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in declared.into_iter().filter(|entry| seen.insert(entry.name.clone())) {
            let name = entry.name.clone();
            let declaration = self.declaration(app, &entry);
            let (step, fields, write) = match stored.remove(&name) {
                Some(stored) => self.join(stored, &declaration),
                None if schedules::find(reader, &name).await?.is_some() => {
                    (MergeStep::NameTaken, Vec::new(), Write::Nothing)
                }
                None => self.first(entry, &declaration),
            };
            if step != MergeStep::Keep || !fields.is_empty() || matches!(write, Write::Change(_)) {
                compared.push((DeclaredDifference { name, step, fields }, write));
            }
        }
        let gone = stored.into_values().filter(|stored| !stored.declaration.alone);
        compared.extend(gone.filter_map(|stored| switch_off(stored.record, DisabledReason::Undeclared)));
        Ok(compared)
    }

    fn declaration(&self, app: &str, entry: &ScheduleEntry) -> Declaration {
        let known = self.client.registry().find(&entry.task).is_some();
        Declaration { app: app.to_owned(), known, alone: false, entry: fields_of(entry) }
    }

    /// Decides about an entry that is declared for the first time.
    fn first(
        &self,
        entry: ScheduleEntry,
        declaration: &Declaration,
    ) -> (MergeStep, Vec<FieldDifference>, Write) {
        let faults = self.check(&entry);
        if faults.is_empty() {
            return (MergeStep::Add, Vec::new(), Write::Add(Box::new(entry), text_of(declaration)));
        }
        (MergeStep::Refuse(faults), Vec::new(), Write::Nothing)
    }

    /// Decides about an entry that was declared before.
    fn join(&self, stored: Stored, declaration: &Declaration) -> (MergeStep, Vec<FieldDifference>, Write) {
        let Stored { mut record, declaration: before } = stored;
        if before.known && !declaration.known {
            let Some((difference, write)) = switch_off(record, DisabledReason::TaskGone) else {
                return (MergeStep::Keep, Vec::new(), Write::Nothing);
            };
            return (difference.step, difference.fields, write);
        }
        // What was switched off by itself, no operator has edited.
        record.entry.enabled |= record.disabled.is_some();
        let mut ours = fields_of(&record.entry);
        let mut fields = merge_fields(&mut ours, &before.entry, &declaration.entry);
        let Some(mut merged) = entry_of(&ours) else {
            let fault =
                FieldFault { field: "name", reason: "it can't be joined with what is stored".to_owned() };
            return (MergeStep::Refuse(vec![fault]), fields, Write::Nothing);
        };
        if !merged.enabled {
            // It is off since it is declared so, whatever was before.
            record.disabled = None;
        } else if record.disabled.as_ref().is_some_and(|disabled| !comes_back(disabled.reason, &fields)) {
            merged.enabled = false;
            fields.retain(|field| field.field != "enabled");
        }
        let revived = record.disabled.is_some() && merged.enabled;
        let takes_over = fields.iter().any(|field| field.why == Difference::Declared) || revived;
        let faults = if takes_over { self.check(&merged) } else { Vec::new() };
        if !faults.is_empty() {
            return (MergeStep::Refuse(faults), fields, Write::Nothing);
        }
        let says_else = text_of(&before) != text_of(declaration);
        let write = if takes_over || says_else {
            let declared = Some(text_of(declaration));
            Write::Change(Box::new(ScheduleRecord { entry: merged, declared, ..record }))
        } else {
            Write::Nothing
        };
        (if takes_over { MergeStep::Change } else { MergeStep::Keep }, fields, write)
    }
}

/// Reads the entries that an app has declared, by name.
async fn stored(
    reader: &impl ConnectionTrait,
    app: &str,
) -> Result<BTreeMap<String, Stored>, SchedulesError> {
    let mut stored = BTreeMap::new();
    for record in schedules::declared(reader).await? {
        let Ok(record) =
            record.inspect_err(|error| tracing::warn!(%error, "declared schedule is left alone"))
        else {
            continue;
        };
        let declaration: Option<Declaration> =
            record.declared.as_deref().and_then(|text| serde_json::from_str(text).ok());
        if let Some(declaration) = declaration.filter(|declaration| declaration.app == app) {
            stored.insert(record.entry.name.clone(), Stored { record, declaration });
        }
    }
    Ok(stored)
}

/// Says whether an entry that was switched off by itself comes back with its declaration: what a merge switched off
/// always does, what has come to its end does once other times are declared.
fn comes_back(reason: DisabledReason, fields: &[FieldDifference]) -> bool {
    let says_when = |field: &FieldDifference| WHEN.contains(&&*field.field);
    matches!(reason, DisabledReason::Undeclared | DisabledReason::TaskGone)
        || fields.iter().any(|field| field.why == Difference::Declared && says_when(field))
}

/// Says to people why a merge switches an entry off.
fn detail(reason: DisabledReason) -> &'static str {
    match reason {
        DisabledReason::TaskGone => "its task is not registered any more",
        _ => "nothing declares it any more",
    }
}

/// Switches an entry off, where it is not off already.
fn switch_off(record: ScheduleRecord, reason: DisabledReason) -> Option<(DeclaredDifference, Write)> {
    if !record.entry.enabled {
        return None;
    }
    let name = record.entry.name.clone();
    let entry = ScheduleEntry { enabled: false, ..record.entry.clone() };
    let disabled = Some(Disabled { reason, detail: detail(reason).to_owned() });
    let off = ScheduleRecord { entry, disabled, ..record };
    let difference = DeclaredDifference { name, step: MergeStep::SwitchOff(reason), fields: Vec::new() };
    Some((difference, Write::Change(Box::new(off))))
}

/// Joins field by field: into what is stored goes what the declaration alone has changed.
fn merge_fields(stored: &mut Fields, before: &Fields, declared: &Fields) -> Vec<FieldDifference> {
    let mut differences = Vec::new();
    for (field, declared) in declared {
        let text = |fields: &Fields| fields.get(field).map_or("null", |value| value.get()).to_owned();
        let (ours, base, theirs) = (text(stored), text(before), declared.get().to_owned());
        if ours == theirs {
            continue;
        }
        let why = match (ours == base, theirs == base) {
            (true, _) => Difference::Declared,
            (false, true) => Difference::Edited,
            (false, false) => Difference::Both,
        };
        if why == Difference::Declared {
            stored.insert(field.clone(), declared.clone());
        }
        differences.push(FieldDifference { field: field.clone(), declared: theirs, stored: ours, why });
    }
    differences
}

/// Returns what an entry says, field by field.
pub(super) fn fields_of(entry: &ScheduleEntry) -> Fields {
    // Only arguments that are no JSON can't be written; they are refused before.
    let text = serde_json::to_string(entry).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).unwrap_or_default()
}

fn entry_of(fields: &Fields) -> Option<ScheduleEntry> {
    serde_json::from_str(&serde_json::to_string(fields).ok()?).ok()
}

fn text_of(declaration: &Declaration) -> String {
    serde_json::to_string(declaration).expect("texts and raw JSON can be written as JSON")
}
