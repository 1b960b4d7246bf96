//! What the process's exit code says.

use std::process::ExitCode;

/// What the process's exit code says. The numbers are stable; scripts may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done,
    /// It was done, and the answer is no: the job failed, a check failed.
    Negative,
    /// The command line or the configuration can't be used.
    Usage,
    /// There is no such job, task, queue or dead letter.
    NotFound,
    /// The database can't be used now: locked, full, read-only, missing.
    Unavailable,
    /// A fault of ours, or of the app's own code.
    Internal,
    /// The time given for waiting is over; what was waited for goes on.
    TimedOut,
    /// It was interrupted before it was done, as shells report it (128 + SIGINT).
    Interrupted,
    /// Whoever read the output has gone away, as shells report it (128 + SIGPIPE).
    OutputClosed,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Negative,
        Self::Usage,
        Self::NotFound,
        Self::Unavailable,
        Self::Internal,
        Self::TimedOut,
        Self::Interrupted,
        Self::OutputClosed,
    ];

    /// Returns the number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Negative => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Unavailable => 4,
            Self::Internal => 5,
            Self::TimedOut => 6,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
        }
    }

    /// Returns what it means, for help and documents.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Negative => "the answer is no: the job failed, a check failed",
            Self::Usage => "command line or configuration can't be used",
            Self::NotFound => "no such job, task, queue or dead letter",
            Self::Unavailable => "the database can't be used now",
            Self::Internal => "a fault of ours, or of the app's own code",
            Self::TimedOut => "the time for waiting is over",
            Self::Interrupted => "interrupted",
            Self::OutputClosed => "nobody reads the output any more",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
