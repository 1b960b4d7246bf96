//! Entries that somebody brings along, as a file of them: all of them or none.

use celeriac_db::DbTx;
use celeriac_protocol::RawValue;
use celeriac_store::query::schedules::{self, Origin, ScheduleEntry};
use sea_orm::ConnectionTrait;

use super::declared::fields_of;
use super::{FieldFault, Schedules, SchedulesError};

/// How many entries are imported at most: they are one transaction, which others have to wait for.
pub const MAX_IMPORT: usize = 10_000;

/// What becomes of an entry whose name another one has that says something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is imported at all.
    #[default]
    Refuse,
    /// The one that is here stays as it is.
    Keep,
    /// The one that is here is changed, as by an edit: its history stays.
    Replace,
}

/// How entries are imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryImport {
    /// What becomes of entries that say something else here.
    pub existing: Existing,
    /// Whether entries that can't be are left out, and the others imported; else none is.
    pub leaves_out_invalid: bool,
}

/// What becomes of an entry that is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportStep {
    /// It is new.
    Add,
    /// The one that is here is changed.
    Change,
    /// It is here as it is there.
    Keep,
    /// The one that is here says something else, and stays.
    KeepOther,
    /// The one that is here says something else, so that nothing is imported.
    Conflict,
    /// It can't be.
    Refuse(Vec<FieldFault>),
}

/// An entry that is imported, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedEntry {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub step: ImportStep,
    /// What it says that the one here does not.
    pub fields: Vec<FieldChange>,
}

/// A field that is not as it was; values are JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The field, as in [`ScheduleEntry`].
    pub field: String,
    /// What the entry says here.
    pub before: String,
    /// What the imported one says.
    pub after: String,
}

/// What an import comes to, entry by entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntriesImported {
    /// The entries, in the order in which they were given.
    pub entries: Vec<ImportedEntry>,
    /// Whether some stood in the way, so that nothing was written.
    pub is_refused: bool,
}

impl EntryImport {
    fn stands_in_the_way(self, step: &ImportStep) -> bool {
        match step {
            ImportStep::Conflict => true,
            ImportStep::Refuse(_) => !self.leaves_out_invalid,
            ImportStep::Add | ImportStep::Change | ImportStep::Keep | ImportStep::KeepOther => false,
        }
    }
}

impl Schedules {
    /// Imports entries: what is new is added, as if somebody had added it; what is here and says something else is treated
    /// as `import` says. Entries that are here and not among those given stay. Where one stands in the way nothing is
    /// written. A name must not be there twice.
    ///
    /// # Errors
    /// [`SchedulesError::TooMany`] beyond [`MAX_IMPORT`]; [`SchedulesError::NameTaken`] where somebody has just added one
    /// of these names; what the database says. Nothing is written then.
    pub async fn import(
        &self,
        entries: Vec<ScheduleEntry>,
        import: EntryImport,
    ) -> Result<EntriesImported, SchedulesError> {
        let this = self.clone();
        let import = async move |tx: &DbTx| {
            let (imported, entries) = this.judge_all(tx, entries, import).await?;
            if !imported.is_refused {
                for (judged, entry) in imported.entries.iter().zip(entries) {
                    this.write_imported(tx, &judged.step, entry).await?;
                }
            }
            Ok(imported)
        };
        self.database.write("import schedules", import).await
    }

    /// Returns what [`Schedules::import`] would do, and changes nothing.
    ///
    /// # Errors
    /// [`SchedulesError::TooMany`]; what the database says.
    pub async fn rehearse_import(
        &self,
        entries: Vec<ScheduleEntry>,
        import: EntryImport,
    ) -> Result<EntriesImported, SchedulesError> {
        Ok(self.judge_all(self.database.reader(), entries, import).await?.0)
    }

    async fn judge_all(
        &self,
        reader: &impl ConnectionTrait,
        entries: Vec<ScheduleEntry>,
        import: EntryImport,
    ) -> Result<(EntriesImported, Vec<ScheduleEntry>), SchedulesError> {
        if entries.len() > MAX_IMPORT {
            return Err(SchedulesError::TooMany { count: entries.len() });
        }
        let entries: Vec<ScheduleEntry> = entries.into_iter().map(ScheduleEntry::compacted).collect();
        let mut judged = Vec::with_capacity(entries.len());
        for entry in &entries {
            let (step, fields) = self.judge(reader, entry, import.existing).await?;
            judged.push(ImportedEntry { name: entry.name.clone(), step, fields });
        }
        let is_refused = judged.iter().any(|judged| import.stands_in_the_way(&judged.step));
        Ok((EntriesImported { entries: judged, is_refused }, entries))
    }

    async fn judge(
        &self,
        reader: &impl ConnectionTrait,
        entry: &ScheduleEntry,
        existing: Existing,
    ) -> Result<(ImportStep, Vec<FieldChange>), SchedulesError> {
        let (step, fields) = match schedules::find(reader, &entry.name).await?.map(|found| found.record) {
            None => (ImportStep::Add, Vec::new()),
            Some(Err(unreadable)) => return Ok((refused(unreadable), Vec::new())),
            Some(Ok(here)) => {
                let fields = changes(&here.entry.compacted(), entry);
                let step = match existing {
                    _ if fields.is_empty() => return Ok((ImportStep::Keep, fields)),
                    Existing::Keep => return Ok((ImportStep::KeepOther, fields)),
                    Existing::Refuse => ImportStep::Conflict,
                    Existing::Replace => ImportStep::Change,
                };
                (step, fields)
            }
        };
        let faults = self.check(entry);
        Ok((if faults.is_empty() { step } else { ImportStep::Refuse(faults) }, fields))
    }

    async fn write_imported(
        &self,
        tx: &DbTx,
        step: &ImportStep,
        entry: ScheduleEntry,
    ) -> Result<(), SchedulesError> {
        match step {
            ImportStep::Add => drop(self.add_in(tx, entry, Origin::Operator, None).await?),
            ImportStep::Change => {
                let (record, state) = self.lock(tx, &entry.name).await?;
                self.change_in(tx, record, state, |record| record.entry = entry).await?;
            }
            ImportStep::Keep | ImportStep::KeepOther | ImportStep::Conflict | ImportStep::Refuse(_) => {}
        }
        Ok(())
    }
}

fn refused(reason: impl ToString) -> ImportStep {
    ImportStep::Refuse(vec![FieldFault { field: "name", reason: reason.to_string() }])
}

/// Returns what an entry says that the one here does not.
fn changes(before: &ScheduleEntry, after: &ScheduleEntry) -> Vec<FieldChange> {
    let (before, after) = (fields_of(before), fields_of(after));
    let text = |value: Option<&Box<RawValue>>| value.map_or("null", |value| value.get()).to_owned();
    let changes = after.iter().map(|(field, value)| FieldChange {
        field: field.clone(),
        before: text(before.get(field)),
        after: value.get().to_owned(),
    });
    changes.filter(|change| change.before != change.after).collect()
}
