//! Fires what is due: one transaction for some entries, which writes down what came of each due time, enqueues the
//! jobs and moves the entries on.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use celeriac_db::{Database, DbError, DbTx};
use celeriac_engine::{Call, Client, EnqueueError};
use celeriac_protocol::{JobId, Timestamp, error_text};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{
    self, Disabled, DisabledReason, Firing, FiringOutcome, LockedEntry, OpenJob, Overlap, ScheduleRecord,
    ScheduleState,
};
use celeriac_store::query::workflows::{PassedOver, note_passed_over};

use super::decide::{Decision, decide};
use super::message::call;
use super::plan::{plan, timetable};
use super::rows::{Rows, look, passed_over};
use crate::workflow::Lookouts;

/// How soon an entry is looked at again that could not be read: another scheduler may be able to. Several looks fit into
/// the grace of a minute, so that its due time is not missed for that.
const UNREADABLE_LOOK: Duration = Duration::from_secs(10);

/// How many due times one transaction meets at most; the entries behind them wait for the next.
const MAX_FIRINGS: usize = 1_000;

/// The beat could not do its work; nothing of the transaction is kept.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// The schedule's tables could not be used.
    #[error("use the schedule")]
    Store(#[from] StoreError),
    /// The jobs could not be enqueued.
    #[error("enqueue the jobs of schedules")]
    Enqueue(#[from] EnqueueError),
    /// The transaction failed.
    #[error("write what came of due times")]
    Database(#[from] DbError),
}

/// What one transaction came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fired {
    /// Entries that were looked at.
    pub(super) entries: u64,
    /// Jobs that were enqueued.
    pub(super) fired: u64,
    /// Due times that were left out because of earlier jobs.
    pub(super) skipped: u64,
    /// Due times that were missed.
    pub(super) missed: u64,
    /// Due times of workflows' jobs at which no row was due.
    pub(super) idle: u64,
    /// Due times of workflows' jobs at which as many runs went on as may.
    pub(super) busy: u64,
    /// Due times that no job could be made of.
    pub(super) failed: u64,
    /// Entries that were switched off.
    pub(super) switched_off: u64,
    /// How late the latest was, in milliseconds.
    pub(super) late_ms: u64,
    /// Whether entries are left that are due.
    pub(super) more: bool,
}

/// One entry on its way through a transaction.
struct Entry {
    id: i64,
    record: Option<ScheduleRecord>,
    state: ScheduleState,
    decision: Decision,
    passed: Option<PassedOver>,
}

/// What a transaction works with.
pub(super) struct Firer {
    pub(super) client: Client,
    pub(super) database: Database,
    /// How late a due time may be met, where its entry does not say.
    pub(super) grace: Duration,
    /// Workflows whose rows are looked at.
    pub(super) lookouts: Lookouts,
}

impl Firer {
    /// Fires up to `limit` entries that are due.
    pub(super) async fn fire_due(&self, tx: &DbTx, now: Timestamp, limit: u64) -> Result<Fired, BeatError> {
        let taken = schedules::take_due(tx, now, limit).await?;
        let open = open_jobs(tx, &taken).await?;
        let clock = self.client.clock();
        let rows = look(&self.lookouts, &self.database, &**clock, &taken, now).await;
        let mut fired = Fired { more: taken.len() as u64 == limit, ..Fired::default() };
        let mut entries = Vec::with_capacity(taken.len());
        let mut firings = 0;
        for entry in taken {
            let rows = rows.get(&entry.id).copied();
            let under_way = open.get(&entry.id).map_or(&[][..], Vec::as_slice);
            let entry = Entry::of(entry, self.grace, rows, under_way, now);
            firings += entry.decision.firings.len();
            entries.push(entry);
            if firings >= MAX_FIRINGS {
                // The rest stay as they are.
                fired.more = true;
                break;
            }
        }
        fired.entries = entries.len() as u64;
        write_down(&self.client, tx, entries, now, &mut fired).await?;
        Ok(fired)
    }
}

async fn open_jobs(tx: &DbTx, taken: &[LockedEntry]) -> Result<HashMap<i64, Vec<OpenJob>>, StoreError> {
    let counts = |entry: &&LockedEntry| {
        entry.record.as_ref().is_ok_and(|record| record.entry.overlap != Overlap::Allow)
    };
    let ids: Vec<i64> = taken.iter().filter(counts).map(|entry| entry.id).collect();
    schedules::open_jobs(tx, &ids).await
}

impl Entry {
    /// Decides what comes of an entry; one that can't be read fails alone.
    fn of(
        locked: LockedEntry,
        grace: Duration,
        rows: Option<(&'static str, Rows)>,
        open: &[OpenJob],
        now: Timestamp,
    ) -> Self {
        let LockedEntry { id, state, record } = locked;
        let mut passed = None;
        let (record, decided) = match record {
            Ok(record) => {
                let readable = timetable(&record.entry, record.created_at).map_err(|fault| fault.to_string());
                let decided = readable.and_then(|timetable| {
                    let mut plan = plan(&timetable, &record, &state, grace, now);
                    passed = rows.and_then(|(workflow, rows)| passed_over(workflow, rows, plan.fire.len()));
                    if passed.is_some() {
                        plan.fire.clear();
                    }
                    decide(&record, &state, plan, open, now)
                });
                (Some(record), decided)
            }
            Err(unreadable) => (None, Err(unreadable.to_string())),
        };
        let decision = decided.unwrap_or_else(|reason| fail(&state, reason, now));
        Self { id, record, state, decision, passed }
    }

    /// Makes the calls of the due times that were new; a due time that no call can be made of is told beside.
    fn calls(
        &self,
        new: &HashSet<(i64, Timestamp)>,
        now: Timestamp,
        failed: &mut Vec<(i64, Timestamp, String)>,
    ) -> Vec<(Timestamp, Call)> {
        let Some(record) = &self.record else { return Vec::new() };
        let mut calls = Vec::new();
        for firing in self.decision.firings.iter().filter(|firing| new.contains(&(self.id, firing.due_at))) {
            let Some(job_id) = &firing.job_id else { continue };
            let id = JobId::parse(job_id).map_err(|error| error.to_string());
            match id.and_then(|id| call(record, id, firing.due_at, now)) {
                Ok(call) => calls.push((firing.due_at, call)),
                Err(reason) => failed.push((self.id, firing.due_at, reason)),
            }
        }
        calls
    }

    /// Has an entry that was to run once say why it has not, where no job could be made of it.
    fn tell_why_it_has_not_run(&mut self, failed: &HashMap<(i64, Timestamp), String>) {
        let jobs = self.decision.firings.iter().filter(|firing| firing.job_id.is_some());
        let reasons: Option<Vec<&String>> =
            jobs.map(|firing| failed.get(&(self.id, firing.due_at))).collect();
        let reason = reasons.and_then(|reasons| reasons.last().copied());
        let disable =
            self.decision.disable.as_mut().filter(|disabled| disabled.reason == DisabledReason::HasRun);
        if let (Some(disabled), Some(reason)) = (disable, reason) {
            *disabled = Disabled { reason: DisabledReason::Other, detail: reason.clone() };
        }
    }
}

/// Has an entry that can't be read here wait. Of its due time nothing is written down, so that a scheduler that can read
/// the entry meets it.
fn fail(state: &ScheduleState, reason: String, now: Timestamp) -> Decision {
    let wake_at = Some(now + UNREADABLE_LOOK);
    let state = ScheduleState { wake_at, last_error: Some(reason), ..state.clone() };
    Decision { state, ..Decision::default() }
}

/// Writes firings first: whose row was new, its job is enqueued, in the same transaction.
async fn write_down(
    client: &Client,
    tx: &DbTx,
    mut entries: Vec<Entry>,
    now: Timestamp,
    fired: &mut Fired,
) -> Result<(), BeatError> {
    let of_entry = |entry: &Entry| {
        let id = entry.id;
        entry.decision.firings.clone().into_iter().map(move |firing| (id, firing))
    };
    let firings: Vec<(i64, Firing)> = entries.iter().flat_map(of_entry).collect();
    let new = schedules::add_firings(tx, &firings).await?;
    let mut failed = Vec::new();
    let (mut keys, mut calls) = (Vec::new(), Vec::new());
    for entry in &entries {
        for (due_at, call) in entry.calls(&new, now, &mut failed) {
            keys.push((entry.id, due_at));
            calls.push(call);
        }
    }
    for (key, sent) in keys.into_iter().zip(client.send_each_in(tx, calls).await?) {
        if let Err(error) = sent {
            failed.push((key.0, key.1, error_text(&error)));
        }
    }
    schedules::fail_firings(tx, &failed).await?;
    let failed: HashMap<(i64, Timestamp), String> =
        failed.into_iter().map(|(id, due_at, reason)| ((id, due_at), reason)).collect();
    for entry in &mut entries {
        settle(entry, &new, &failed, now, fired);
        entry.tell_why_it_has_not_run(&failed);
    }
    move_on(tx, entries, fired).await
}

/// Adds to an entry's state what came of its due times.
fn settle(
    entry: &mut Entry,
    new: &HashSet<(i64, Timestamp)>,
    failed: &HashMap<(i64, Timestamp), String>,
    now: Timestamp,
    fired: &mut Fired,
) {
    let state = &mut entry.decision.state;
    for firing in entry.decision.firings.iter().filter(|firing| new.contains(&(entry.id, firing.due_at))) {
        fired.late_ms = fired.late_ms.max(millis(firing.lateness()));
        if let Some(reason) = failed.get(&(entry.id, firing.due_at)) {
            state.last_error = Some(reason.clone());
            fired.failed += 1;
            continue;
        }
        match firing.outcome {
            FiringOutcome::Fired | FiringOutcome::Manual | FiringOutcome::Backfill => {
                state.total_run_count += 1;
                (state.last_run_at, state.last_error) = (Some(now), None);
                fired.fired += 1;
            }
            FiringOutcome::SkippedOverlap => fired.skipped += firing.count,
            FiringOutcome::Missed => fired.missed += firing.count,
            FiringOutcome::Failed => fired.failed += 1,
        }
    }
}

async fn move_on(tx: &DbTx, entries: Vec<Entry>, fired: &mut Fired) -> Result<(), BeatError> {
    let (mut states, mut closed, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    let mut all_passed = Vec::new();
    for Entry { id, record, decision, state, passed } in entries {
        all_passed.extend(passed);
        closed.extend(decision.closed.into_iter().map(|due_at| (id, due_at)));
        if let (Some(record), Some(disabled)) = (record, decision.disable) {
            let (name, reason) = (&record.entry.name, &disabled.detail);
            tracing::info!(schedule = name, reason, "schedule was switched off");
            let revision = record.revision + 1;
            ended.push(ScheduleRecord { disabled: Some(disabled), revision, ..record });
        }
        if decision.state != state {
            states.push((id, decision.state));
        }
    }
    fired.switched_off = ended.len() as u64;
    schedules::close_firings(tx, &closed).await?;
    schedules::disable(tx, &ended).await?;
    schedules::save_states(tx, &states).await?;
    fired.idle = all_passed.iter().map(|passed| passed.idle).sum();
    fired.busy = all_passed.iter().map(|passed| passed.refused).sum();
    // In one order, so that no two schedulers wait for one another.
    all_passed.sort_unstable_by_key(|passed: &PassedOver| passed.workflow);
    note_passed_over(tx, &all_passed).await?;
    Ok(())
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
