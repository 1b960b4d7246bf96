//! The words that rows, API and screens use for an entry's policies and what came of its due times.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A word that is none of those that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is none of {known}")]
pub struct UnknownWord {
    /// The word.
    pub word: String,
    /// Those that are known.
    pub known: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $known:literal { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the word that rows, API and screens use.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                let found = Self::ALL.iter().find(|known| known.as_str() == word);
                found.copied().ok_or_else(|| UnknownWord { word: word.to_owned(), known: $known })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

words! {
    /// What happens when an entry is due while jobs of it have not ended. Those are the jobs whose records say so.
    Overlap, "allow, skip, queue_one, cancel_older" {
        /// Another one is enqueued.
        Allow = "allow",
        /// Nothing is enqueued while as many as `max_instances` are under way.
        Skip = "skip",
        /// The next one is enqueued once one of them has ended; what falls due meanwhile is skipped.
        QueueOne = "queue_one",
        /// Another one is enqueued, and the oldest are cancelled.
        CancelOlder = "cancel_older",
    }
}

words! {
    /// What happens to due times that were missed, since no scheduler ran or none could.
    CatchUp, "none, last, all" {
        /// Nothing.
        None = "none",
        /// The last one is made up for.
        Last = "last",
        /// All are made up for, up to a limit.
        All = "all",
    }
}

words! {
    /// Where an entry came from.
    Origin, "operator, declared, imported" {
        /// Somebody added it.
        Operator = "operator",
        /// The code or the configuration declares it.
        Declared = "declared",
        /// It was taken over from another scheduler.
        Imported = "imported",
    }
}

words! {
    /// Why an entry was switched off by itself.
    DisabledReason, "has_run, ended, expired, never_due, undeclared, task_gone, other" {
        /// It was to run once, and has.
        HasRun = "has_run",
        /// Its end has passed, or the next due time lies behind it.
        Ended = "ended",
        /// It has expired, or will have by the next due time.
        Expired = "expired",
        /// Its schedule has no due time any more.
        NeverDue = "never_due",
        /// Nothing declares it any more.
        Undeclared = "undeclared",
        /// Its task is not registered any more.
        TaskGone = "task_gone",
        /// As its text says: it was to run once and no job could be made of it, or a version before these words has
        /// written it, or a newer one.
        Other = "other",
    }
}

words! {
    /// What came of a due time.
    FiringOutcome, "fired, skipped_overlap, missed, failed, manual, backfill" {
        /// Its job was enqueued.
        Fired = "fired",
        /// It was left out, since earlier jobs had not ended.
        SkippedOverlap = "skipped_overlap",
        /// It was met too late, and not made up for.
        Missed = "missed",
        /// No job could be made of it.
        Failed = "failed",
        /// Somebody asked for a job out of turn.
        Manual = "manual",
        /// Somebody asked for the job of a due time that had come to nothing.
        Backfill = "backfill",
    }
}

impl Default for Overlap {
    /// As Celery does.
    fn default() -> Self {
        Self::Allow
    }
}

impl Default for CatchUp {
    /// As Celery does.
    fn default() -> Self {
        Self::Last
    }
}

impl FiringOutcome {
    /// Says whether a job was enqueued.
    pub const fn has_job(self) -> bool {
        matches!(self, Self::Fired | Self::Manual | Self::Backfill)
    }
}
