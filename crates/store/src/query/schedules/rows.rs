//! Between rows and what the floors above see.

use std::str::FromStr;
use std::time::Duration;

use celeriac_protocol::Timestamp;
use sea_orm::ActiveValue::{self, Set};

use super::{Disabled, DisabledReason, Firing, ScheduleEntry, ScheduleRecord, ScheduleState, Unreadable};
use crate::entity::{firing, schedule, schedule_state};
use crate::micros::Micros;

/// Returns a length as a column holds it.
fn length(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Makes the row of an entry; `id` is not set where the database is to give it.
pub(super) fn entry_row(record: &ScheduleRecord, id: ActiveValue<i64>) -> schedule::ActiveModel {
    let entry = record.entry.clone();
    schedule::ActiveModel {
        id,
        uid: Set(record.uid.clone()),
        name: Set(entry.name),
        task: Set(entry.task),
        args: Set(entry.args),
        kwargs: Set(entry.kwargs),
        queue: Set(entry.queue),
        priority: Set(entry.priority.map(i16::from)),
        headers: Set(entry.headers),
        expires_at: Set(entry.expires_at.map(Micros::from)),
        expire_after: Set(entry.expire_after.map(length)),
        spec: Set(entry.spec),
        zone: Set(entry.zone),
        calendar: Set(entry.calendar),
        anchor_at: Set(entry.anchor_at.map(Micros::from)),
        start_at: Set(entry.start_at.map(Micros::from)),
        end_at: Set(entry.end_at.map(Micros::from)),
        enabled: Set(entry.enabled),
        enabled_at: Set(record.enabled_at.into()),
        one_off: Set(entry.one_off),
        description: Set(entry.description),
        owner: Set(entry.owner),
        overlap: Set(entry.overlap.to_string()),
        max_instances: Set(i32::try_from(entry.max_instances).unwrap_or(i32::MAX)),
        catch_up: Set(entry.catch_up.to_string()),
        catch_up_limit: Set(i32::try_from(entry.catch_up_limit).unwrap_or(i32::MAX)),
        catch_up_window: Set(entry.catch_up_window.map(length)),
        coalesce: Set(entry.coalesce),
        jitter: Set(length(entry.jitter)),
        misfire_grace: Set(entry.misfire_grace.map(length)),
        origin: Set(record.origin.to_string()),
        declared: Set(record.declared.clone()),
        disabled_reason: Set(disabled_text(record)),
        disabled_word: Set(disabled_word(record).map(str::to_owned)),
        created_at: Set(record.created_at.into()),
        changed_at: Set(record.changed_at.into()),
        revision: Set(record.revision),
    }
}

/// Returns the text that says why an entry was switched off.
pub(super) fn disabled_text(record: &ScheduleRecord) -> Option<String> {
    record.disabled.as_ref().map(|disabled| crate::limits::kept_text(&disabled.detail))
}

/// Returns the word that says why an entry was switched off.
pub(super) fn disabled_word(record: &ScheduleRecord) -> Option<&'static str> {
    record.disabled.as_ref().map(|disabled| disabled.reason.as_str())
}

/// Reads an entry's row.
pub(super) fn record_from(row: schedule::Model) -> Result<ScheduleRecord, Unreadable> {
    let unreadable = |column, reason| Unreadable { id: row.id, name: row.name.clone(), column, reason };
    let overlap = word(&row.overlap).map_err(|reason| unreadable("overlap", reason))?;
    let catch_up = word(&row.catch_up).map_err(|reason| unreadable("catch_up", reason))?;
    let origin = word(&row.origin).map_err(|reason| unreadable("origin", reason))?;
    // A newer version's word is not known here; its text is there all the same.
    let reason = row.disabled_word.as_deref().and_then(|word| word.parse().ok());
    let reason = reason.unwrap_or(DisabledReason::Other);
    let disabled = row.disabled_reason.clone().map(|detail| Disabled { reason, detail });
    let priority = row.priority.map(u8::try_from).transpose();
    let priority = priority.map_err(|error| unreadable("priority", error.to_string()))?;
    let entry = ScheduleEntry {
        name: row.name,
        task: row.task,
        args: row.args,
        kwargs: row.kwargs,
        queue: row.queue,
        priority,
        headers: row.headers,
        expires_at: row.expires_at.map(Timestamp::from),
        expire_after: row.expire_after.map(duration),
        spec: row.spec,
        zone: row.zone,
        calendar: row.calendar,
        anchor_at: row.anchor_at.map(Timestamp::from),
        start_at: row.start_at.map(Timestamp::from),
        end_at: row.end_at.map(Timestamp::from),
        enabled: row.enabled,
        one_off: row.one_off,
        description: row.description,
        owner: row.owner,
        overlap,
        max_instances: u32::try_from(row.max_instances).unwrap_or(1),
        catch_up,
        catch_up_limit: u32::try_from(row.catch_up_limit).unwrap_or(0),
        catch_up_window: row.catch_up_window.map(duration),
        coalesce: row.coalesce,
        jitter: duration(row.jitter),
        misfire_grace: row.misfire_grace.map(duration),
    };
    Ok(ScheduleRecord {
        id: row.id,
        uid: row.uid,
        entry,
        enabled_at: row.enabled_at.into(),
        origin,
        declared: row.declared,
        disabled,
        created_at: row.created_at.into(),
        changed_at: row.changed_at.into(),
        revision: row.revision,
    })
}

fn word<T: FromStr<Err = super::UnknownWord>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: super::UnknownWord| error.to_string())
}

/// Makes the row of a state.
pub(super) fn state_row(schedule_id: i64, state: &ScheduleState) -> schedule_state::ActiveModel {
    schedule_state::ActiveModel {
        schedule_id: Set(schedule_id),
        wake_at: Set(state.wake_at.map(Micros::from)),
        next_due_at: Set(state.next_due_at.map(Micros::from)),
        last_due_at: Set(state.last_due_at.map(Micros::from)),
        waiting_due_at: Set(state.waiting_due_at.map(Micros::from)),
        last_run_at: Set(state.last_run_at.map(Micros::from)),
        total_run_count: Set(i64::try_from(state.total_run_count).unwrap_or(i64::MAX)),
        last_error: Set(state.last_error.as_deref().map(crate::limits::kept_text)),
    }
}

/// Reads a state's row.
pub(super) fn state_from(row: schedule_state::Model) -> ScheduleState {
    ScheduleState {
        wake_at: row.wake_at.map(Timestamp::from),
        next_due_at: row.next_due_at.map(Timestamp::from),
        last_due_at: row.last_due_at.map(Timestamp::from),
        waiting_due_at: row.waiting_due_at.map(Timestamp::from),
        last_run_at: row.last_run_at.map(Timestamp::from),
        total_run_count: u64::try_from(row.total_run_count).unwrap_or(0),
        last_error: row.last_error,
    }
}

/// Makes the row of a firing.
pub(super) fn firing_row(schedule_id: i64, firing: &Firing) -> firing::ActiveModel {
    let cancels = serde_json::to_string(&firing.cancels).expect("texts can be written as JSON");
    firing::ActiveModel {
        schedule_id: Set(schedule_id),
        due_at: Set(firing.due_at.into()),
        handled_at: Set(firing.handled_at.into()),
        outcome: Set(firing.outcome.to_string()),
        count: Set(i64::try_from(firing.count).unwrap_or(i64::MAX)),
        first_due_at: Set(firing.first_due_at.map(Micros::from)),
        job_id: Set(firing.job_id.clone()),
        open: Set(firing.open),
        cancels: Set((!firing.cancels.is_empty()).then_some(cancels)),
        reason: Set(firing.reason.as_deref().map(crate::limits::kept_text)),
    }
}

/// Reads a firing's row; a word that is not known here is shown as a failure that says so.
pub(super) fn firing_from(row: firing::Model) -> Firing {
    let outcome = row.outcome.parse::<super::FiringOutcome>();
    let reason = match &outcome {
        Ok(_) => row.reason,
        Err(error) => Some(error.to_string()),
    };
    Firing {
        due_at: row.due_at.into(),
        handled_at: row.handled_at.into(),
        outcome: outcome.unwrap_or(super::FiringOutcome::Failed),
        count: u64::try_from(row.count).unwrap_or(0),
        first_due_at: row.first_due_at.map(Timestamp::from),
        job_id: row.job_id,
        open: row.open,
        cancels: cancels_from(row.cancels.as_deref()),
        reason,
    }
}

/// Reads the jobs that are to be cancelled; what can't be read names none.
pub(super) fn cancels_from(text: Option<&str>) -> Vec<String> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
