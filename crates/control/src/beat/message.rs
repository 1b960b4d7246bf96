//! From an entry of the schedule to the message of its job.

use std::collections::BTreeMap;

use celeriac_engine::Call;
use celeriac_protocol::{Arguments, JobId, RawValue, Timestamp, is_own_header};
use celeriac_store::query::schedules::{ScheduleEntry, ScheduleRecord};

use super::plan::Fault;

/// The header by which Celery's tools know where a job comes from.
const PERIODIC_TASK_NAME: &str = "periodic_task_name";

/// The header that Celery's beat sets.
const CELERY_BEAT_TASK: &str = "celery_beat_task";

/// Returns the id of the job of a due time: whoever makes it, whenever, makes the same.
pub(super) fn job_id(record: &ScheduleRecord, due_at: Timestamp) -> Result<JobId, String> {
    let parent = JobId::parse(&record.uid).map_err(|error| error.to_string())?;
    Ok(JobId::derived(&parent, &due_at.as_micros().to_string()))
}

/// Makes the call of a due time.
pub(super) fn call(
    record: &ScheduleRecord,
    id: JobId,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<Call, String> {
    let entry = &record.entry;
    let arguments = arguments(entry).map_err(|fault| fault.to_string())?;
    let mut call = Call::new(&*entry.task, arguments).id(id).scheduled(&*entry.name, due_at);
    call = call.headers(headers(entry).map_err(|fault| fault.to_string())?);
    if let Some(queue) = &entry.queue {
        call = call.queue(&**queue);
    }
    if let Some(priority) = entry.priority {
        call = call.priority(priority);
    }
    let expires = [entry.expires_at, entry.expire_after.map(|after| now + after)];
    if let Some(at) = expires.into_iter().flatten().min() {
        call = call.expires_at(at);
    }
    Ok(call)
}

/// Reads an entry's arguments.
///
/// # Errors
/// They are no JSON, or not an array and an object.
pub(super) fn arguments(entry: &ScheduleEntry) -> Result<Arguments, Fault> {
    let positional = json("args", &entry.args, '[', "array")?;
    let named = json("kwargs", &entry.kwargs, '{', "object")?;
    Ok(Arguments { positional, named })
}

/// Reads an entry's headers and adds those of Celery's beat.
///
/// # Errors
/// They are no JSON object, or one of them is not for an entry to set.
pub(super) fn headers(entry: &ScheduleEntry) -> Result<Vec<(String, Box<RawValue>)>, Fault> {
    let fault = |reason| Fault { field: "headers", reason };
    let object = json("headers", &entry.headers, '{', "object")?;
    let headers: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(object.get()).map_err(|error| fault(error.to_string()))?;
    let is_ours =
        |name: &&String| is_own_header(name) || [PERIODIC_TASK_NAME, CELERY_BEAT_TASK].contains(&&***name);
    if let Some(name) = headers.keys().find(is_ours) {
        return Err(fault(format!("\"{name}\" is set by the platform")));
    }
    let name = serde_json::value::to_raw_value(&entry.name).map_err(|error| fault(error.to_string()))?;
    let yes = RawValue::from_string("true".to_owned()).map_err(|error| fault(error.to_string()))?;
    let own = [(PERIODIC_TASK_NAME.to_owned(), name), (CELERY_BEAT_TASK.to_owned(), yes)];
    Ok(headers.into_iter().chain(own).collect())
}

/// Reads an entry's arguments, for whoever wants to know whether its task takes them.
///
/// # Errors
/// What is wrong, with its field.
pub(crate) fn arguments_of(entry: &ScheduleEntry) -> Result<Arguments, String> {
    arguments(entry).map_err(|fault| fault.to_string())
}

fn json(field: &'static str, text: &str, begins: char, what: &str) -> Result<Box<RawValue>, Fault> {
    let raw = RawValue::from_string(text.to_owned());
    let raw = raw.map_err(|error| Fault { field, reason: format!("it can't be read as JSON: {error}") })?;
    if raw.get().starts_with(begins) {
        return Ok(raw);
    }
    Err(Fault { field, reason: format!("it is no JSON {what}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut ScheduleEntry), expected: &str) {
        let mut entry = ScheduleEntry::new("a", "work", "every 5m");
        change(&mut entry);
        let found = arguments(&entry).map(drop).and_then(|()| headers(&entry).map(drop));
        assert_eq!(found.unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_can_be_no_message_is_said_with_its_field() {
        check(|entry| entry.args = "{}".into(), "args: it is no JSON array");
        check(|entry| entry.kwargs = "[]".into(), "kwargs: it is no JSON object");
        check(
            |entry| entry.args = "[1".into(),
            "args: it can't be read as JSON: EOF while parsing a list at line 1 column 2",
        );
        check(|entry| entry.headers = r#"{"id": "x"}"#.into(), "headers: \"id\" is set by the platform");
    }
}
