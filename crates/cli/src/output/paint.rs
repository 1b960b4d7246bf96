//! The few colours that are used, by what they mean.

use celeriac_protocol::JobStatus;

/// A colour, by what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Nothing special.
    #[default]
    Plain,
    /// A title, or what is looked for first.
    Strong,
    /// Beside the point.
    Faint,
    /// Went well.
    Good,
    /// Goes on.
    Busy,
    /// Waits.
    Waiting,
    /// Wants a look.
    Warning,
    /// Went wrong.
    Bad,
    /// The label of an error.
    Error,
    /// The label of a hint.
    Hint,
}

impl Paint {
    /// Returns the colour of a status.
    pub(crate) const fn of_status(status: JobStatus) -> Self {
        match status {
            JobStatus::Completed => Self::Good,
            JobStatus::Running => Self::Busy,
            JobStatus::Scheduled | JobStatus::Pending => Self::Waiting,
            JobStatus::Retrying => Self::Warning,
            JobStatus::Failed => Self::Bad,
            JobStatus::Cancelled => Self::Faint,
        }
    }

    /// Wraps `text` in the colour's codes (ECMA-48), where colours are `on`.
    pub(crate) fn on(self, on: bool, text: &str) -> String {
        match self.code() {
            Some(code) if on => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Busy => Some("36"),
            Self::Waiting => Some("34"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
            Self::Error => Some("1;31"),
            Self::Hint => Some("1;36"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_added_where_colours_are_off() {
        assert_eq!(Paint::Bad.on(false, "x"), "x");
        assert_eq!(Paint::Plain.on(true, "x"), "x");
        assert_eq!(Paint::Bad.on(true, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
