//! Puts proposals into our own tables: what is new is added, what somebody has changed here is kept.

use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::JobId;
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{
    self, LockedEntry, Origin, ScheduleEntry, ScheduleRecord, ScheduleState, Unreadable,
};
use sea_orm::DatabaseConnection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::beat::is_due_otherwise;

use super::{Definition, LeftOut, Package, Proposal, Rules};

/// How entries of another scheduler are taken over.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where they come from; what was imported from another package before is nobody's to overwrite.
    pub package: Package,
    /// Whether what was changed or made here is overwritten.
    pub replace: bool,
    /// What the definitions don't say themselves.
    pub rules: Rules,
}

/// Entries can't be put into the database.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What the store says.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What the database says.
    #[error("{0}")]
    Database(#[from] DbError),
    /// An entry can't be written as JSON.
    #[error("write what was imported beside schedule \"{name}\"")]
    Stamp {
        /// The entry.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// What becomes of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new.
    Added,
    /// It was imported before, and its own side has changed since.
    Updated,
    /// What was here is overwritten, since that was asked for.
    Replaced,
    /// It is here as it is there.
    Unchanged,
    /// What was here is kept, since somebody has changed it.
    Kept,
    /// It has no place here.
    LeftOut,
}

impl Verdict {
    /// All there are, in the order in which they are counted.
    pub const ALL: [Self; 6] =
        [Self::Added, Self::Updated, Self::Replaced, Self::Unchanged, Self::Kept, Self::LeftOut];

    /// Returns the word that reports use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::LeftOut => "left_out",
        }
    }

    /// Says whether a row is written.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Added | Self::Updated | Self::Replaced)
    }
}

/// What has become of one entry, or would.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// Its task, where that is known.
    pub task: Option<String>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, where that is not plain.
    pub reason: Option<String>,
    /// The entry as it would be here, where it has a place.
    pub proposal: Option<Proposal>,
}

impl Import {
    /// Says what would become of entries, by what is in the database now; without one all would be new.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rehearse(
        &self,
        reader: Option<&DatabaseConnection>,
        entries: Vec<Result<Definition, LeftOut>>,
    ) -> Result<Vec<Imported>, ImportError> {
        let mut imported = Vec::with_capacity(entries.len());
        for entry in entries {
            let proposal = match entry.and_then(|definition| definition.proposal(&self.rules)) {
                Ok(proposal) => proposal,
                Err(left_out) => {
                    imported.push(left_out.into());
                    continue;
                }
            };
            let here = match reader {
                Some(reader) => {
                    schedules::find(reader, &proposal.entry.name).await?.map(|found| found.record)
                }
                None => None,
            };
            let judged = judge(here.as_ref(), &proposal.entry, self.package, self.replace);
            imported.push(Imported::of(proposal, judged));
        }
        Ok(imported)
    }

    /// Puts entries into the database, each in a transaction of its own, and says what has become of them.
    ///
    /// None fires for what was due before: each counts from now on.
    ///
    /// # Errors
    /// What the database says; what was imported before that stays.
    pub async fn run(
        &self,
        database: &Database,
        entries: Vec<Result<Definition, LeftOut>>,
    ) -> Result<Vec<Imported>, ImportError> {
        let mut imported = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.and_then(|definition| definition.proposal(&self.rules)) {
                Ok(proposal) => imported.push(self.put(database, proposal).await?),
                Err(left_out) => imported.push(left_out.into()),
            }
        }
        Ok(imported)
    }

    async fn put(&self, database: &Database, proposal: Proposal) -> Result<Imported, ImportError> {
        let import = self.clone();
        let put = async move |tx: &DbTx| {
            let locked = schedules::lock(tx, &proposal.entry.name).await?;
            let here = locked.as_ref().map(|locked| &locked.record);
            let judged = judge(here, &proposal.entry, import.package, import.replace);
            let judged = match locked {
                _ if !judged.0.writes() => judged,
                Some(LockedEntry { id, state, record: Ok(record) }) => {
                    import.change(tx, id, record, state, &proposal).await?;
                    judged
                }
                _ if import.add(tx, &proposal).await? => judged,
                _ => (Verdict::Kept, Some("somebody has just made one of this name".to_owned())),
            };
            Ok(Imported::of(proposal, judged))
        };
        database.write("import schedule", put).await
    }

    /// Returns `false` where there is one of this name by now.
    async fn add(&self, tx: &DbTx, proposal: &Proposal) -> Result<bool, ImportError> {
        let now = self.rules.now;
        let record = ScheduleRecord {
            id: 0,
            uid: JobId::fresh(now).to_string(),
            entry: proposal.entry.clone(),
            enabled_at: now,
            origin: Origin::Imported,
            declared: Some(self.stamp(&proposal.entry)?),
            disabled: None,
            created_at: now,
            changed_at: now,
            revision: 1,
        };
        // Where nothing is due any more the scheduler has a look at once, and says why it switches it off.
        let wake_at = proposal.entry.enabled.then(|| proposal.next_due_at.unwrap_or(now));
        let state = ScheduleState {
            wake_at,
            next_due_at: proposal.next_due_at,
            last_run_at: proposal.last_run_at,
            total_run_count: proposal.total_run_count,
            ..ScheduleState::default()
        };
        Ok(schedules::add(tx, &record, &state).await?.is_some())
    }

    async fn change(
        &self,
        tx: &DbTx,
        id: i64,
        record: ScheduleRecord,
        state: ScheduleState,
        proposal: &Proposal,
    ) -> Result<(), ImportError> {
        let now = self.rules.now;
        let is_another = !record.entry.enabled || is_due_otherwise(&record.entry, &proposal.entry);
        let record = ScheduleRecord {
            entry: proposal.entry.clone(),
            enabled_at: if is_another { now } else { record.enabled_at },
            origin: Origin::Imported,
            declared: Some(self.stamp(&proposal.entry)?),
            disabled: None,
            changed_at: now,
            revision: record.revision.saturating_add(1),
            ..record
        };
        schedules::change(tx, &record).await?;
        let state = ScheduleState {
            // The scheduler has a look at once, and finds out when it is due next.
            wake_at: proposal.entry.enabled.then_some(now),
            next_due_at: proposal.next_due_at,
            waiting_due_at: state.waiting_due_at.filter(|_| proposal.entry.enabled),
            last_run_at: state.last_run_at.max(proposal.last_run_at),
            total_run_count: state.total_run_count.max(proposal.total_run_count),
            last_error: None,
            last_due_at: state.last_due_at,
        };
        Ok(schedules::save_state(tx, id, &state).await?)
    }

    fn stamp(&self, entry: &ScheduleEntry) -> Result<String, ImportError> {
        stamp(self.package, entry).map_err(|source| ImportError::Stamp { name: entry.name.clone(), source })
    }
}

impl Imported {
    fn of(proposal: Proposal, (verdict, reason): (Verdict, Option<String>)) -> Self {
        let (name, task) = (proposal.entry.name.clone(), Some(proposal.entry.task.clone()));
        Self { name, task, verdict, reason, proposal: Some(proposal) }
    }
}

impl From<LeftOut> for Imported {
    fn from(LeftOut { name, task, reason }: LeftOut) -> Self {
        Self { name, task, verdict: Verdict::LeftOut, reason: Some(reason), proposal: None }
    }
}

/// What an import has written last, kept beside the entry, so that the next one knows who has changed it since.
#[derive(Serialize)]
struct Stamp<'a> {
    package: &'a str,
    entry: &'a ScheduleEntry,
}

/// The same, read back. The entry is compared to the letter and never read, so that no number is rounded.
#[derive(Deserialize)]
struct ReadStamp {
    package: String,
    entry: Box<RawValue>,
}

/// Writes what is kept beside an imported entry.
pub(super) fn stamp(package: Package, entry: &ScheduleEntry) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Stamp { package: package.as_str(), entry })
}

/// Judges what becomes of an entry, by what is here under its name.
pub(super) fn judge(
    here: Option<&Result<ScheduleRecord, Unreadable>>,
    entry: &ScheduleEntry,
    package: Package,
    replace: bool,
) -> (Verdict, Option<String>) {
    let kept = |reason: &str| (Verdict::Kept, Some(reason.to_owned()));
    let record = match here {
        None => return (Verdict::Added, None),
        Some(Err(unreadable)) => return kept(&format!("the one here can't be read: {unreadable}")),
        Some(Ok(record)) => record,
    };
    if record.origin == Origin::Declared {
        return kept("the code or the configuration declares one of this name");
    }
    if record.entry == *entry {
        return (Verdict::Unchanged, None);
    }
    if replace {
        return (Verdict::Replaced, None);
    }
    let stamp = record.declared.as_deref().and_then(|text| serde_json::from_str::<ReadStamp>(text).ok());
    let Some(stamp) =
        stamp.filter(|stamp| record.origin == Origin::Imported && stamp.package == package.as_str())
    else {
        return kept("one of this name is here, and was not imported from there");
    };
    let was_written =
        |entry: &ScheduleEntry| serde_json::to_string(entry).is_ok_and(|text| text == stamp.entry.get());
    match (was_written(&record.entry), was_written(entry)) {
        (true, _) => (Verdict::Updated, None),
        (false, true) => kept("it was changed here"),
        (false, false) => kept("it was changed here and there"),
    }
}

#[cfg(test)]
mod tests {
    use celeriac_protocol::Timestamp;

    use super::*;

    fn entry(spec: &str) -> ScheduleEntry {
        let args = "[123456789012345678901234567890]".to_owned();
        ScheduleEntry { args, ..ScheduleEntry::new("a", "t", spec) }
    }

    fn record(origin: Origin, now: &str, imported: Option<&str>) -> Result<ScheduleRecord, Unreadable> {
        let at = Timestamp::EPOCH;
        Ok(ScheduleRecord {
            id: 1,
            uid: "u".to_owned(),
            entry: entry(now),
            enabled_at: at,
            origin,
            declared: imported.map(|spec| stamp(Package::Django, &entry(spec)).unwrap()),
            disabled: None,
            created_at: at,
            changed_at: at,
            revision: 1,
        })
    }

    #[test]
    fn an_entry_follows_its_own_side_until_somebody_changes_it_here() {
        let imported = |now: &str, before: &str| record(Origin::Imported, now, Some(before));
        let check =
            |here: Option<Result<ScheduleRecord, Unreadable>>, verdict: Verdict, replaced: Verdict| {
                let found = |package, replace| judge(here.as_ref(), &entry("every 5m"), package, replace);
                assert_eq!(found(Package::Django, false).0, verdict, "{here:?}");
                assert_eq!(found(Package::Django, true).0, replaced, "{here:?}");
                assert_eq!(found(Package::Django, false).1.is_some(), verdict == Verdict::Kept);
            };
        check(None, Verdict::Added, Verdict::Added);
        check(Some(imported("every 5m", "every 5m")), Verdict::Unchanged, Verdict::Unchanged);
        check(Some(imported("every 9m", "every 9m")), Verdict::Updated, Verdict::Replaced);
        check(Some(imported("every 7m", "every 5m")), Verdict::Kept, Verdict::Replaced);
        check(Some(imported("every 7m", "every 9m")), Verdict::Kept, Verdict::Replaced);
        check(Some(record(Origin::Operator, "every 7m", None)), Verdict::Kept, Verdict::Replaced);
        check(Some(record(Origin::Operator, "every 5m", None)), Verdict::Unchanged, Verdict::Unchanged);
        check(Some(record(Origin::Declared, "every 7m", None)), Verdict::Kept, Verdict::Kept);
    }

    #[test]
    fn an_entry_of_another_package_is_kept() {
        let here = record(Origin::Imported, "every 9m", Some("every 9m"));
        let (verdict, reason) = judge(Some(&here), &entry("every 5m"), Package::Redbeat, false);
        assert_eq!(
            (verdict, reason.as_deref()),
            (Verdict::Kept, Some("one of this name is here, and was not imported from there"))
        );
    }
}
