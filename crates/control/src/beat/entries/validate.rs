//! What an entry may say, field by field.

use std::fmt;
use std::time::Duration;

use celeriac_engine::{Call, Client};
use celeriac_protocol::schedule::Timetable;
use celeriac_protocol::{Address, MAX_PRIORITY, RecordLevel, Timestamp, error_text};
use celeriac_store::query::schedules::{MAX_CATCH_UP, MAX_NAME_CHARS, Overlap, ScheduleEntry};

use crate::beat::message::{arguments, headers};
use crate::beat::plan::{Fault, next_after, timetable};

/// The longest task's name and owner in characters, and description in bytes.
const MAX_TASK_CHARS: usize = 255;
/// See [`MAX_TASK_CHARS`].
const MAX_OWNER_CHARS: usize = 255;
/// See [`MAX_TASK_CHARS`].
const MAX_DESCRIPTION: usize = 16 * 1024;

/// The longest arguments, positional and named each, and headers, in bytes: each firing writes them anew.
const MAX_JSON: usize = 1024 * 1024;

/// How many jobs of an entry may be told to be under way side by side.
const MAX_INSTANCES: u32 = 10_000;

/// The longest jitter.
const MAX_JITTER: Duration = Duration::from_secs(24 * 3_600);

/// The shortest grace: below it nearly every due time would be missed.
const MIN_GRACE: Duration = Duration::from_secs(1);

/// How many due times are looked at to see how near they come to one another.
const LOOKED_AT: usize = 8;

/// A field of an entry says what it can't say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field, as in [`ScheduleEntry`].
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl From<Fault> for FieldFault {
    fn from(fault: Fault) -> Self {
        Self { field: fault.field, reason: fault.reason }
    }
}

/// Returns everything that is wrong with an entry.
pub(super) fn faults(client: &Client, entry: &ScheduleEntry, now: Timestamp) -> Vec<FieldFault> {
    found(Some(client), entry, now)
}

/// Returns what is wrong with an entry in itself, whatever the transport and the tasks that are known.
pub(crate) fn own_faults(entry: &ScheduleEntry, now: Timestamp) -> Vec<FieldFault> {
    found(None, entry, now)
}

fn found(client: Option<&Client>, entry: &ScheduleEntry, now: Timestamp) -> Vec<FieldFault> {
    let mut faults = Faults(Vec::new());
    faults.texts(entry);
    faults.message(client, entry);
    faults.policies(entry);
    faults.instants(entry, now);
    match timetable(entry, now) {
        Ok(timetable) => faults.due(entry, &timetable, now),
        Err(fault) => faults.0.push(fault.into()),
    }
    faults.0
}

/// Is responsible for what has been found.
struct Faults(Vec<FieldFault>);

impl Faults {
    fn add(&mut self, field: &'static str, reason: impl Into<String>) {
        self.0.push(FieldFault { field, reason: reason.into() });
    }

    fn add_if(&mut self, is_wrong: bool, field: &'static str, reason: &str) {
        if is_wrong {
            self.add(field, reason);
        }
    }

    fn texts(&mut self, entry: &ScheduleEntry) {
        self.text("name", &entry.name, MAX_NAME_CHARS);
        self.text("task", &entry.task, MAX_TASK_CHARS);
        if !entry.owner.is_empty() {
            self.text("owner", &entry.owner, MAX_OWNER_CHARS);
        }
        let too_long = entry.description.len() > MAX_DESCRIPTION;
        self.add_if(too_long, "description", &format!("it is longer than {MAX_DESCRIPTION} bytes"));
        self.add_if(entry.description.contains('\0'), "description", "it has a NUL character");
    }

    fn text(&mut self, field: &'static str, text: &str, max: usize) {
        let chars = text.chars().count();
        self.add_if(text.trim().is_empty(), field, "it is empty");
        self.add_if(text.trim() != text, field, "it begins or ends with a blank");
        self.add_if(chars > max, field, &format!("it has {chars} characters, {max} are allowed"));
        self.add_if(text.chars().any(char::is_control), field, "it has a control character");
    }

    fn message(&mut self, client: Option<&Client>, entry: &ScheduleEntry) {
        for (field, text) in [("args", &entry.args), ("kwargs", &entry.kwargs), ("headers", &entry.headers)] {
            self.add_if(text.len() > MAX_JSON, field, &format!("it is longer than {MAX_JSON} bytes"));
        }
        if let Some(priority) = entry.priority.filter(|priority| *priority > MAX_PRIORITY) {
            self.add("priority", format!("{priority} is above {MAX_PRIORITY}"));
        }
        if let Some(queue) = &entry.queue
            && let Err(error) = Address::of(queue)
        {
            self.add("queue", error.to_string());
        }
        if let Err(fault) = headers(entry) {
            self.0.push(fault.into());
        }
        match (arguments(entry), client) {
            (Ok(arguments), Some(client)) => {
                let call = Call::new(&*entry.task, arguments);
                let call = entry.queue.iter().fold(call, |call, queue| call.queue(&**queue));
                self.call(client, call, entry.overlap);
            }
            (Ok(_), None) => {}
            (Err(fault), _) => self.0.push(fault.into()),
        }
    }

    /// Checks what only the client can know: whether the transport has such a queue, and the task such parameters.
    fn call(&mut self, client: &Client, call: Call, overlap: Overlap) {
        let task = client.registry().find(call.task());
        if let Some(Err(error)) = task.map(|task| call.check(task)) {
            self.add("args", error_text(&error));
        }
        let leaves_records = task.is_none_or(|task| task.options.record == RecordLevel::All);
        let counts = overlap != Overlap::Allow;
        self.add_if(
            counts && !leaves_records,
            "overlap",
            "the task leaves no record by which its jobs are counted",
        );
        if !self.0.iter().any(|fault| matches!(fault.field, "queue" | "task"))
            && let Err(error) = client.check(call)
        {
            self.add("queue", error_text(&error));
        }
    }

    fn policies(&mut self, entry: &ScheduleEntry) {
        let instances = entry.max_instances;
        if instances == 0 || instances > MAX_INSTANCES {
            self.add("max_instances", format!("{instances} is not within 1 and {MAX_INSTANCES}"));
        }
        let limit = entry.catch_up_limit;
        if limit == 0 || limit > MAX_CATCH_UP {
            self.add("catch_up_limit", format!("{limit} is not within 1 and {MAX_CATCH_UP}"));
        }
        self.add_if(entry.catch_up_window == Some(Duration::ZERO), "catch_up_window", "it is nothing");
        self.add_if(entry.expire_after == Some(Duration::ZERO), "expire_after", "no job would ever begin");
        let grace = entry.misfire_grace.is_some_and(|grace| grace < MIN_GRACE);
        self.add_if(grace, "misfire_grace", "below a second nearly every due time would be missed");
        self.add_if(entry.jitter > MAX_JITTER, "jitter", "it is longer than a day");
    }

    fn instants(&mut self, entry: &ScheduleEntry, now: Timestamp) {
        for (field, end) in [("end_at", entry.end_at), ("expires_at", entry.expires_at)] {
            let Some(end) = end else { continue };
            let before_start = entry.start_at.is_some_and(|start| end < start);
            self.add_if(before_start, field, "it lies before start_at");
            self.add_if(
                entry.enabled && end <= now,
                field,
                "it has passed; what is to be off is not enabled",
            );
        }
    }

    fn due(&mut self, entry: &ScheduleEntry, timetable: &Timetable, now: Timestamp) {
        let first = next_after(timetable, entry, now);
        let told = self.0.iter().any(|fault| matches!(fault.field, "end_at" | "expires_at"));
        if first.is_none() && entry.enabled && !told {
            return self.add("spec", "it has no due time that is yet to come");
        }
        let next = std::iter::successors(first, |due| next_after(timetable, entry, due.at));
        let next: Vec<Timestamp> = next.take(LOOKED_AT).map(|due| due.at).collect();
        let nearest = next.windows(2).map(|two| two[1].since(two[0])).min();
        if let Some(nearest) = nearest.filter(|nearest| entry.jitter > *nearest) {
            let reason = format!(
                "two due times come as near as {nearest:?}, and what is put off further would pass the next"
            );
            self.add("jitter", reason);
        }
    }
}
