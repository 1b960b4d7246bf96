//! What went wrong with a job, in the one form that record, log and metrics share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::without_nul;

/// Sorts failures by what an operator would do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The task returned an error.
    Error,
    /// The task panicked.
    Panic,
    /// The task overran its soft or its hard limit; the type of the error says which.
    TimeLimit,
    /// The workers that held the message vanished, `max_deliveries` times.
    WorkerLost,
    /// The message could not be read.
    Undecodable,
    /// No worker of this registry knows the task.
    UnknownTask,
    /// The arguments do not fit the task.
    InvalidArguments,
    /// The message asks for something that this version can't do whole.
    Unsupported,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Error,
        Self::Panic,
        Self::TimeLimit,
        Self::WorkerLost,
        Self::Undecodable,
        Self::UnknownTask,
        Self::InvalidArguments,
        Self::Unsupported,
    ];

    /// Returns the word that rows and JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::TimeLimit => "time_limit",
            Self::WorkerLost => "worker_lost",
            Self::Undecodable => "undecodable",
            Self::UnknownTask => "unknown_task",
            Self::InvalidArguments => "invalid_arguments",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ErrorKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.as_str() == word)
            .ok_or_else(|| format!("unknown error kind \"{word}\""))
    }
}

/// One failure of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// The error's type as the language names it (`std::io::Error`, `ValueError`), where it is known.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub type_name: Option<String>,
    /// What a person reads first: one or a few lines, causes joined by `: `.
    pub message: String,
    /// The whole story: chain of causes, back trace. Empty means there is none.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub traceback: String,
}

impl JobError {
    /// The longest message that is kept, in bytes; the rest is cut at a character and marked.
    pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;
    /// The longest trace that is kept, in bytes.
    pub const MAX_TRACEBACK_BYTES: usize = 64 * 1024;

    /// Makes an error with its message cut to [`JobError::MAX_MESSAGE_BYTES`]; in this and all its other texts U+FFFD
    /// stands for NUL.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = shorten(without_nul(message.into()), Self::MAX_MESSAGE_BYTES);
        Self { kind, type_name: None, message, traceback: String::new() }
    }

    /// Adds the name of the error's type.
    #[must_use]
    pub fn with_type(mut self, type_name: impl Into<String>) -> Self {
        self.type_name = Some(without_nul(type_name.into()));
        self
    }

    /// Adds a trace, cut to [`JobError::MAX_TRACEBACK_BYTES`].
    #[must_use]
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> Self {
        self.traceback = shorten(without_nul(traceback.into()), Self::MAX_TRACEBACK_BYTES);
        self
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JobError {}

/// Cuts `text` to at most `max` bytes at a character border, saying how much is missing.
fn shorten(mut text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let whole = text.len();
    text.truncate(text.floor_char_boundary(max.saturating_sub(32)));
    let missing = whole - text.len();
    text.push_str(&format!("… ({missing} bytes more)"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character_and_says_so() {
        let error = JobError::new(ErrorKind::Error, "ä".repeat(JobError::MAX_MESSAGE_BYTES));
        assert!(error.message.len() <= JobError::MAX_MESSAGE_BYTES);
        assert!(error.message.ends_with("bytes more)"), "{}", error.message);
    }

    #[test]
    fn no_text_of_an_error_holds_a_nul_and_none_is_longer_for_it() {
        let error = JobError::new(ErrorKind::Error, "\0".repeat(JobError::MAX_MESSAGE_BYTES))
            .with_type("Bo\0om")
            .with_traceback("at\0boom()");
        assert!(error.message.len() <= JobError::MAX_MESSAGE_BYTES && !error.message.contains('\0'));
        assert_eq!(error.type_name.as_deref(), Some("Bo\u{fffd}om"));
        assert_eq!(error.traceback, "at\u{fffd}boom()");
    }

    #[test]
    fn kinds_read_back() {
        for kind in ErrorKind::ALL {
            assert_eq!(kind.as_str().parse::<ErrorKind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
