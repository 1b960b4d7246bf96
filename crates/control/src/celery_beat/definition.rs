//! What a scheduler of Celery's has stored of one entry, in the same form whichever scheduler it was.

use std::time::Duration;

use celeriac_protocol::{RawValue, Timestamp};

/// One entry as its own side has it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The task's name.
    pub task: String,
    /// Positional arguments, a JSON array to the letter.
    pub args: Box<RawValue>,
    /// Named arguments, a JSON object to the letter.
    pub kwargs: Box<RawValue>,
    /// When it is due.
    pub timing: Timing,
    /// The queue, where one is named.
    pub queue: Option<String>,
    /// The exchange, where one is named.
    pub exchange: Option<String>,
    /// What the exchange's bindings compare, where that is named.
    pub routing_key: Option<String>,
    /// The priority as Celery writes it.
    pub priority: Option<i64>,
    /// Headers, a JSON object to the letter.
    pub headers: Box<RawValue>,
    /// After when it is not sent, nor run.
    pub expires_at: Option<Timestamp>,
    /// How long after it was sent a job may begin.
    pub expire_after: Option<Duration>,
    /// Whether it is sent once.
    pub one_off: bool,
    /// Not sent before.
    pub start_at: Option<Timestamp>,
    /// Not sent after.
    pub end_at: Option<Timestamp>,
    /// Whether it is sent at all.
    pub enabled: bool,
    /// When it was sent last.
    pub last_run_at: Option<Timestamp>,
    /// How often it was sent.
    pub total_run_count: u64,
    /// From when its own scheduler counts an interval that has never run.
    pub counts_from: Option<Timestamp>,
    /// What it is for.
    pub description: String,
    /// Options of sending that have no column of their own.
    pub other_options: Vec<String>,
}

/// When an entry is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Timing {
    /// Times on the wall of a zone; of the app's where none is named.
    Crontab {
        /// The fields.
        fields: Fields,
        /// The zone's name.
        zone: Option<String>,
    },
    /// Every so many microseconds.
    Interval {
        /// The length.
        micros: i64,
        /// Whether it falls on whole days, hours or minutes of the wall, the coarsest that fits its length.
        relative: bool,
        /// From when it counts, whenever it ran.
        anchor: Option<Timestamp>,
    },
    /// An event of the sun at a place.
    Solar {
        /// The event, in Celery's words.
        event: String,
        /// Degrees to the north.
        latitude: f64,
        /// Degrees to the east.
        longitude: f64,
    },
    /// Once.
    Clocked {
        /// When.
        at: Timestamp,
    },
}

/// The fields of a crontab, as they were typed; Celery's has no seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are crontab's own")]
pub struct Fields {
    pub second: String,
    pub minute: String,
    pub hour: String,
    pub day_of_month: String,
    pub month_of_year: String,
    pub day_of_week: String,
}

/// An entry that can't be read, or be taken over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, or what stands in its place.
    pub name: String,
    /// The task's name, where that is known.
    pub task: Option<String>,
    /// Why, for people.
    pub reason: String,
}

/// Reads a JSON array or object (as `open` says) that a column or key holds as text; nothing is an empty one.
pub(super) fn json(text: Option<&str>, open: char) -> Result<Box<RawValue>, String> {
    let empty = if open == '[' { "[]" } else { "{}" };
    let text = text.map(str::trim).filter(|text| !text.is_empty() && *text != "null").unwrap_or(empty);
    let what = if open == '[' { "a JSON array" } else { "a JSON object" };
    if !text.starts_with(open) {
        return Err(format!("{} is not {what}", shortened(text)));
    }
    RawValue::from_string(text.to_owned())
        .map_err(|error| format!("{} is not {what}: {error}", shortened(text)))
}

/// The longest piece of foreign text that a reason repeats, in characters.
const SHOWN: usize = 60;

/// Quotes foreign text, cut where it is long.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}
