//! An entry of the schedule as the floors above see it: plain structs, no rows.

use std::time::Duration;

use celeriac_protocol::Timestamp;
use serde::{Deserialize, Serialize};

mod form;
mod words;

pub use words::{CatchUp, DisabledReason, FiringOutcome, Origin, Overlap, UnknownWord};

/// What is to be enqueued, and when: all that people say of an entry of the schedule.
///
/// In JSON arguments stand as they are, lengths are seconds, instants ISO 8601; what is left out has its default.
///
/// ```
/// use celeriac_store::query::schedules::{Overlap, ScheduleEntry};
/// let entry = ScheduleEntry {
///     overlap: Overlap::Skip,
///     ..ScheduleEntry::new("nightly", "reports.run", "0 2 * * * Europe/Berlin")
/// };
/// assert_eq!(entry.args, "[]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// Its name, unique, of at most 200 characters.
    pub name: String,
    /// The task's name; it need not be known here.
    pub task: String,
    /// Positional arguments, a JSON array to the letter.
    #[serde(with = "form::json", default = "form::no_args")]
    pub args: String,
    /// Named arguments, a JSON object to the letter.
    #[serde(with = "form::json", default = "form::no_kwargs")]
    pub kwargs: String,
    /// The queue; the task's own where none is named.
    #[serde(default)]
    pub queue: Option<String>,
    /// The priority, 0 to 9.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Headers that its messages carry besides Celery's, a JSON object to the letter.
    #[serde(with = "form::json", default = "form::no_kwargs")]
    pub headers: String,
    /// After when neither it nor its jobs run: it is switched off then.
    #[serde(with = "form::instant", default)]
    pub expires_at: Option<Timestamp>,
    /// A job that has not begun this long after it was enqueued does not run.
    #[serde(with = "form::length", default)]
    pub expire_after: Option<Duration>,
    /// When it is due: a crontab, an interval, an instant, the sun; see [`celeriac_protocol`]'s schedules.
    pub spec: String,
    /// The zone in which that is meant where it names none itself: an IANA name.
    #[serde(default = "form::utc")]
    pub zone: String,
    /// What is left out.
    #[serde(default)]
    pub calendar: Option<String>,
    /// From when an interval counts; from its start, or else from its making.
    #[serde(with = "form::instant", default)]
    pub anchor_at: Option<Timestamp>,
    /// Not due before.
    #[serde(with = "form::instant", default)]
    pub start_at: Option<Timestamp>,
    /// Not due after: it is switched off then.
    #[serde(with = "form::instant", default)]
    pub end_at: Option<Timestamp>,
    /// Whether it fires.
    #[serde(default = "form::yes")]
    pub enabled: bool,
    /// Whether it fires once and is switched off.
    #[serde(default)]
    pub one_off: bool,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Whose it is.
    #[serde(default)]
    pub owner: String,
    /// What happens while earlier jobs of it have not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// How many of its jobs may be under way before that matters; at least 1.
    #[serde(default = "form::one")]
    pub max_instances: u32,
    /// What happens to due times that were missed.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// How many of them at most, where all are made up for.
    #[serde(default = "form::catch_up_limit")]
    pub catch_up_limit: u32,
    /// How far back at most; without it however far.
    #[serde(with = "form::length", default)]
    pub catch_up_window: Option<Duration>,
    /// Whether several due times that are met together make one job.
    #[serde(default)]
    pub coalesce: bool,
    /// By how much at most a firing is put off, so that not all come at once: by another length at each due time, the
    /// same for every scheduler.
    #[serde(with = "form::span", default)]
    pub jitter: Duration,
    /// How late a due time may be met and still count as met; the platform's own where none is given.
    #[serde(with = "form::length", default)]
    pub misfire_grace: Option<Duration>,
}

/// The longest name of an entry in characters, as in django-celery-beat.
pub const MAX_NAME_CHARS: usize = 200;

/// How many missed due times are made up for at most, unless it is said; and how many can be asked for: more would
/// not fit into one transaction.
pub const DEFAULT_CATCH_UP: u32 = 100;
/// See [`DEFAULT_CATCH_UP`].
pub const MAX_CATCH_UP: u32 = 1_000;

impl ScheduleEntry {
    /// Makes an entry with no arguments and nothing asked for but the task itself, in UTC.
    pub fn new(name: impl Into<String>, task: impl Into<String>, spec: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            task: task.into(),
            args: form::no_args(),
            kwargs: form::no_kwargs(),
            queue: None,
            priority: None,
            headers: form::no_kwargs(),
            expires_at: None,
            expire_after: None,
            spec: spec.into(),
            zone: form::utc(),
            calendar: None,
            anchor_at: None,
            start_at: None,
            end_at: None,
            enabled: true,
            one_off: false,
            description: String::new(),
            owner: String::new(),
            overlap: Overlap::default(),
            max_instances: 1,
            catch_up: CatchUp::default(),
            catch_up_limit: DEFAULT_CATCH_UP,
            catch_up_window: None,
            coalesce: false,
            jitter: Duration::ZERO,
            misfire_grace: None,
        }
    }

    /// Returns the entry with its arguments and headers written without blanks and line ends between their parts, which
    /// mean nothing; so two that say the same can be compared. What is no JSON stays as it is.
    #[must_use]
    pub fn compacted(self) -> Self {
        let [args, kwargs, headers] =
            [&self.args, &self.kwargs, &self.headers].map(|json| form::compact(json));
        Self { args, kwargs, headers, ..self }
    }
}

/// An entry with what the platform knows of it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Orders entries by when they were made; the cursor of lists.
    pub id: i64,
    /// What its jobs' ids derive from: another one for each entry that ever was, whatever its name.
    pub uid: String,
    /// What people say of it.
    pub entry: ScheduleEntry,
    /// Since when it has fired; what was due before is nobody's.
    pub enabled_at: Timestamp,
    /// Where it came from.
    pub origin: Origin,
    /// What its declaration said last, as JSON.
    pub declared: Option<String>,
    /// Why it was switched off by itself; absent where somebody has done so.
    pub disabled: Option<Disabled>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody changed it.
    pub changed_at: Timestamp,
    /// How often it was changed.
    pub revision: i64,
}

/// Why an entry was switched off by itself, as a word for programs and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The word.
    pub reason: DisabledReason,
    /// The text, which names instants.
    pub detail: String,
}

/// Where an entry stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleState {
    /// When the beat looks at it next; absent where there is nothing to do.
    pub wake_at: Option<Timestamp>,
    /// When it is due next.
    pub next_due_at: Option<Timestamp>,
    /// The newest due time that has been dealt with.
    pub last_due_at: Option<Timestamp>,
    /// A due time whose job waits until an earlier one has ended.
    pub waiting_due_at: Option<Timestamp>,
    /// When it last enqueued a job.
    pub last_run_at: Option<Timestamp>,
    /// How many jobs it has enqueued.
    pub total_run_count: u64,
    /// Why the last due time came to nothing, where it did.
    pub last_error: Option<String>,
}

/// What came of a due time, or of several that were missed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// When it was due; of several, the last.
    pub due_at: Timestamp,
    /// When that was dealt with; where there is a job, it was enqueued then.
    pub handled_at: Timestamp,
    /// What came of it.
    pub outcome: FiringOutcome,
    /// How many due times it stands for.
    pub count: u64,
    /// The first of several.
    pub first_due_at: Option<Timestamp>,
    /// The job.
    pub job_id: Option<String>,
    /// Whether its job is still to be counted among those under way; kept where overlaps matter.
    pub open: bool,
    /// Jobs that are yet to be cancelled because of it.
    pub cancels: Vec<String>,
    /// Why it came to nothing, or else what is worth knowing.
    pub reason: Option<String>,
}

impl Firing {
    /// Makes what came of one due time, with no job.
    pub fn new(due_at: Timestamp, handled_at: Timestamp, outcome: FiringOutcome) -> Self {
        Self {
            due_at,
            handled_at,
            outcome,
            count: 1,
            first_due_at: None,
            job_id: None,
            open: false,
            cancels: Vec::new(),
            reason: None,
        }
    }

    /// Returns how late it was dealt with.
    pub fn lateness(&self) -> Duration {
        self.handled_at.since(self.due_at)
    }
}

/// A row that this version can't read: a newer one wrote it, or somebody by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {column} of schedule \"{name}\": {reason}")]
pub struct Unreadable {
    /// The entry's number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The column.
    pub column: &'static str,
    /// What is wrong.
    pub reason: String,
}
