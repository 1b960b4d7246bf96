//! Entries of the schedule in people's hands: added, changed, switched on and off, run out of turn, looked at.

use std::fmt;

use celeriac_broker::Notice;
use celeriac_db::{Database, DbError, DbTx};
use celeriac_engine::{Client, EnqueueError};
use celeriac_protocol::schedule::{Due, MAX_BELIEVED, Timetable};
use celeriac_protocol::{JobId, Timestamp};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{
    self, Firing, FiringOutcome, FiringPage, LockedEntry, Origin, ScheduleEntry, ScheduleFilter,
    SchedulePage, ScheduleRecord, ScheduleState, ScheduleSummary, Unreadable, server_time,
};
use sea_orm::ConnectionTrait;

use super::BEAT;
use super::plan::{next_after, timetable, wake_at};
use crate::Environment;

mod backfill;
mod declared;
mod import;
mod run_now;
mod validate;

pub use backfill::Backfilled;
pub use declared::{DeclaredDifference, Difference, FieldDifference, MergeStep};
pub use import::{
    EntriesImported, EntryImport, Existing, FieldChange, ImportStep, ImportedEntry, MAX_IMPORT,
};
pub use run_now::ManualRun;
pub use validate::FieldFault;
pub(crate) use validate::own_faults;

/// How many firings an entry is shown with.
const SHOWN_FIRINGS: u64 = 20;

/// Is responsible for what people do to the schedule. Cloning is cheap.
///
/// Whatever is changed is in force when the call returns: the beat reads what is due from the database each time, and
/// is woken besides.
#[derive(Clone)]
pub struct Schedules {
    database: Database,
    client: Client,
    own_clock: bool,
}

/// A call to [`Schedules`] could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulesError {
    /// There is no entry of this name.
    #[error("find schedule \"{name}\"")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Another entry has this name.
    #[error("use the name \"{name}\": another schedule has it")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// An entry says what it can't say; nothing was changed.
    #[error("use schedule \"{name}\": {}", listed(faults))]
    Invalid {
        /// The entry's name.
        name: String,
        /// What is wrong, field by field; at least one.
        faults: Vec<FieldFault>,
    },
    /// More entries than fit into one transaction.
    #[error("import {count} schedules at once: {MAX_IMPORT} are allowed")]
    TooMany {
        /// How many there were.
        count: usize,
    },
    /// No job can be made of an entry.
    #[error("make a job of schedule \"{name}\": {reason}")]
    Unusable {
        /// The entry's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The entry's row can't be read by this version.
    #[error("use the row of a schedule")]
    Unreadable(#[from] Unreadable),
    /// The schedule's tables could not be used.
    #[error("use the schedule")]
    Store(#[from] StoreError),
    /// A job could not be enqueued.
    #[error("enqueue the job of a schedule")]
    Enqueue(#[from] EnqueueError),
    /// The transaction failed.
    #[error("change the schedule")]
    Database(#[from] DbError),
}

fn listed(faults: &[FieldFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// An entry with all there is to say of it.
#[derive(Clone, Debug)]
pub struct ScheduleDetails {
    /// The entry and where it stands.
    pub schedule: ScheduleSummary,
    /// What came of its last due times, last first.
    pub firings: Vec<Firing>,
}

impl Schedules {
    /// Makes it for an environment.
    pub fn new(environment: &Environment) -> Self {
        let (database, client) = (environment.database().clone(), environment.client().clone());
        Self { database, client, own_clock: environment.is_by_own_clock() }
    }

    /// Checks an entry as if it were to be added now, and returns everything that is wrong with it.
    pub fn check(&self, entry: &ScheduleEntry) -> Vec<FieldFault> {
        validate::faults(&self.client, entry, self.now())
    }

    /// Adds an entry. It is due from now on.
    ///
    /// # Errors
    /// [`SchedulesError::Invalid`], [`SchedulesError::NameTaken`]; what the database says.
    pub async fn add(&self, entry: ScheduleEntry, origin: Origin) -> Result<ScheduleSummary, SchedulesError> {
        self.refuse_faults(&entry)?;
        let this = self.clone();
        let add = async move |tx: &DbTx| this.add_in(tx, entry, origin, None).await;
        self.database.write("add schedule", add).await
    }

    /// Changes an entry: `change` is handed what it says and returns what it is to say. Of what it does not touch
    /// nothing is changed. Where the change is about when it is due, it is due from now on.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Invalid`], [`SchedulesError::NameTaken`]; what the database says.
    pub async fn edit(
        &self,
        name: &str,
        change: impl FnOnce(ScheduleEntry) -> ScheduleEntry + Send + 'static,
    ) -> Result<ScheduleSummary, SchedulesError> {
        let (this, name) = (self.clone(), name.to_owned());
        let edit = async move |tx: &DbTx| {
            let (record, state) = this.lock(tx, &name).await?;
            let entry = change(record.entry.clone());
            this.refuse_faults(&entry)?;
            this.change_in(tx, record, state, |record| record.entry = entry).await
        };
        self.database.write("edit schedule", edit).await
    }

    /// Switches an entry on. What was due before is nobody's: it fires at its next due time.
    ///
    /// # Errors
    /// As [`Schedules::edit`]; [`SchedulesError::Invalid`] where it is never due again.
    pub async fn enable(&self, name: &str) -> Result<ScheduleSummary, SchedulesError> {
        self.edit(name, |entry| ScheduleEntry { enabled: true, ..entry }).await
    }

    /// Switches an entry off. Jobs that it has enqueued go on.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`]; what the database says.
    pub async fn disable(&self, name: &str) -> Result<ScheduleSummary, SchedulesError> {
        let (this, name) = (self.clone(), name.to_owned());
        let disable = async move |tx: &DbTx| {
            let (record, state) = this.lock(tx, &name).await?;
            this.change_in(tx, record, state, |record| record.entry.enabled = false).await
        };
        self.database.write("disable schedule", disable).await
    }

    /// Removes an entry with what is known of its firings. Jobs that it has enqueued go on; an entry that gets its name
    /// later has nothing to do with it.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`]; what the database says.
    pub async fn remove(&self, name: &str) -> Result<(), SchedulesError> {
        let name = name.to_owned();
        let remove = async move |tx: &DbTx| match schedules::lock(tx, &name).await? {
            Some(locked) => Ok(schedules::remove(tx, locked.id).await?),
            None => Err(SchedulesError::NotFound { name }),
        };
        self.database.write("remove schedule", remove).await
    }

    /// Lists up to `limit` entries by name, behind the cursor.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(
        &self,
        filter: &ScheduleFilter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<SchedulePage, SchedulesError> {
        Ok(schedules::list(self.database.reader(), filter, after, limit).await?)
    }

    /// Shows an entry with what came of its last due times.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`]; what the database says.
    pub async fn show(&self, name: &str) -> Result<ScheduleDetails, SchedulesError> {
        let (schedule, id) = self.find(name).await?;
        let page = schedules::firings(self.database.reader(), id, None, None, SHOWN_FIRINGS).await?;
        Ok(ScheduleDetails { schedule, firings: page.firings })
    }

    /// Lists what came of an entry's due times before the cursor, last due first.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`]; what the database says.
    pub async fn history(
        &self,
        name: &str,
        outcome: Option<FiringOutcome>,
        before: Option<Timestamp>,
        limit: u64,
    ) -> Result<FiringPage, SchedulesError> {
        let (_, id) = self.find(name).await?;
        Ok(schedules::firings(self.database.reader(), id, outcome, before, limit).await?)
    }

    /// Returns an entry's next due times after now, at most `count`, whether it is switched on or not.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Invalid`]; what the database says.
    pub async fn next(&self, name: &str, count: usize) -> Result<Vec<Due>, SchedulesError> {
        let (schedule, _) = self.find(name).await?;
        let record = schedule.record?;
        self.next_of(&record.entry, record.created_at, count)
    }

    /// Returns the next due times of an entry that is to be, at most `count`.
    ///
    /// # Errors
    /// [`SchedulesError::Invalid`].
    pub fn preview(&self, entry: &ScheduleEntry, count: usize) -> Result<Vec<Due>, SchedulesError> {
        self.next_of(entry, self.now(), count)
    }

    fn next_of(
        &self,
        entry: &ScheduleEntry,
        created_at: Timestamp,
        count: usize,
    ) -> Result<Vec<Due>, SchedulesError> {
        let timetable = readable(entry, created_at)?;
        let first = next_after(&timetable, entry, self.now());
        let next = std::iter::successors(first, |due| next_after(&timetable, entry, due.at));
        Ok(next.take(count).collect())
    }

    fn now(&self) -> Timestamp {
        self.client.clock().now()
    }

    /// Returns the time that decides what is due: the server's, by which the beat goes, too, and not that of the machine
    /// on which somebody edits.
    pub(super) async fn time(&self, reader: &impl ConnectionTrait) -> Result<Timestamp, SchedulesError> {
        let servers = if self.own_clock { None } else { server_time(reader).await? };
        Ok(servers.unwrap_or_else(|| self.now()))
    }

    async fn find(&self, name: &str) -> Result<(ScheduleSummary, i64), SchedulesError> {
        let found = schedules::find(self.database.reader(), name).await?;
        let found = found.ok_or_else(|| SchedulesError::NotFound { name: name.to_owned() })?;
        let id = match &found.record {
            Ok(record) => record.id,
            Err(unreadable) => unreadable.id,
        };
        Ok((found, id))
    }

    /// Locks an entry, so that neither the beat nor anybody else changes it meanwhile.
    async fn lock(&self, tx: &DbTx, name: &str) -> Result<(ScheduleRecord, ScheduleState), SchedulesError> {
        let Some(LockedEntry { state, record, .. }) = schedules::lock(tx, name).await? else {
            return Err(SchedulesError::NotFound { name: name.to_owned() });
        };
        Ok((record?, state))
    }

    /// Locks an entry if there is one of this name.
    pub(crate) async fn lock_if_any(
        &self,
        tx: &DbTx,
        name: &str,
    ) -> Result<Option<(ScheduleRecord, ScheduleState)>, SchedulesError> {
        match self.lock(tx, name).await {
            Ok(found) => Ok(Some(found)),
            Err(SchedulesError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has an entry that is locked say something else, as an operator's edit does. Where that is the same, nothing is
    /// written.
    pub(crate) async fn replace_in(
        &self,
        tx: &DbTx,
        record: ScheduleRecord,
        state: ScheduleState,
        entry: ScheduleEntry,
    ) -> Result<ScheduleSummary, SchedulesError> {
        if entry == record.entry {
            return Ok(ScheduleSummary { record: Ok(record), state });
        }
        self.refuse_faults(&entry)?;
        self.change_in(tx, record, state, |record| record.entry = entry).await
    }

    fn refuse_faults(&self, entry: &ScheduleEntry) -> Result<(), SchedulesError> {
        let faults = self.check(entry);
        if faults.is_empty() {
            return Ok(());
        }
        Err(SchedulesError::Invalid { name: entry.name.clone(), faults })
    }

    /// Adds an entry that has been checked.
    pub(super) async fn add_in(
        &self,
        tx: &DbTx,
        entry: ScheduleEntry,
        origin: Origin,
        declared: Option<String>,
    ) -> Result<ScheduleSummary, SchedulesError> {
        let now = self.time(tx).await?;
        let mut record = ScheduleRecord {
            id: 0,
            uid: JobId::fresh(now).to_string(),
            entry,
            enabled_at: now,
            origin,
            declared,
            disabled: None,
            created_at: now,
            changed_at: now,
            revision: 0,
        };
        let state = state_of(&record, &ScheduleState::default(), now)?;
        match schedules::add(tx, &record, &state).await? {
            Some(id) => record.id = id,
            None => return Err(SchedulesError::NameTaken { name: record.entry.name }),
        }
        self.wake_beat(tx);
        Ok(ScheduleSummary { record: Ok(record), state })
    }

    /// Changes an entry that is locked, and has been checked.
    pub(super) async fn change_in(
        &self,
        tx: &DbTx,
        record: ScheduleRecord,
        state: ScheduleState,
        change: impl FnOnce(&mut ScheduleRecord),
    ) -> Result<ScheduleSummary, SchedulesError> {
        let (now, before) = (self.time(tx).await?, record.entry.clone());
        let mut record = record;
        change(&mut record);
        let entry = &record.entry;
        if (entry.enabled && !before.enabled) || is_due_otherwise(&before, entry) {
            record.enabled_at = now;
        }
        if entry.enabled {
            record.disabled = None;
        }
        (record.changed_at, record.revision) = (now, record.revision + 1);
        let state = state_of(&record, &state, now)?;
        if !schedules::change(tx, &record).await? {
            return Err(SchedulesError::NameTaken { name: record.entry.name });
        }
        schedules::save_state(tx, record.id, &state).await?;
        self.wake_beat(tx);
        Ok(ScheduleSummary { record: Ok(record), state })
    }

    fn wake_beat(&self, tx: &DbTx) {
        let notifier = self.client.broker().notifier();
        tx.after_commit_once(BEAT, move || notifier.notify(Notice::Loop(BEAT.to_owned())));
    }
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedules").field("database", &self.database.name()).finish_non_exhaustive()
    }
}

/// Says whether a change is about when an entry is due; its end is not, since nothing falls due by that.
pub(crate) fn is_due_otherwise(before: &ScheduleEntry, after: &ScheduleEntry) -> bool {
    let when = |entry: &ScheduleEntry| {
        let ScheduleEntry { spec, zone, calendar, anchor_at, start_at, .. } = entry.clone();
        (spec, zone, calendar, anchor_at, start_at)
    };
    when(before) != when(after)
}

/// Returns where an entry stands once it is as its record says: due at the first due time that nobody has dealt with.
fn state_of(
    record: &ScheduleRecord,
    state: &ScheduleState,
    now: Timestamp,
) -> Result<ScheduleState, SchedulesError> {
    if !record.entry.enabled {
        let off = ScheduleState { wake_at: None, next_due_at: None, waiting_due_at: None, ..state.clone() };
        return Ok(off);
    }
    let timetable = readable(&record.entry, record.created_at)?;
    // What a clock wrote that was far ahead is not believed, as little as the beat does.
    let believed = state.last_due_at.filter(|last| last.since(now) <= MAX_BELIEVED);
    let since = record.enabled_at.min(now);
    let from = believed.map_or(since, |last| last.max(since));
    let next = next_after(&timetable, &record.entry, from).map(|due| due.at);
    let waking = [next.map(|next| wake_at(record, next)), state.waiting_due_at.map(|_| now)];
    Ok(ScheduleState {
        wake_at: waking.into_iter().flatten().min(),
        next_due_at: next,
        last_due_at: believed,
        last_error: None,
        ..state.clone()
    })
}

/// Reads when an entry is due.
fn readable(entry: &ScheduleEntry, created_at: Timestamp) -> Result<Timetable, SchedulesError> {
    timetable(entry, created_at)
        .map_err(|fault| SchedulesError::Invalid { name: entry.name.clone(), faults: vec![fault.into()] })
}
