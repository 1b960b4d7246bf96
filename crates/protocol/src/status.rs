//! The seven statuses of a job and the moves between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Says where a job stands. The set is closed: rows, API and screens all use these seven words.
///
/// *Dead* is not among them: a dead letter is a `failed` job whose `dead_lettered_at` is set. An
/// expired job is `cancelled` with the reason `expired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Waits for its due time.
    Scheduled,
    /// Waits for a worker.
    Pending,
    /// Is held by a worker.
    Running,
    /// Has failed and waits for its next attempt.
    Retrying,
    /// Ended well.
    Completed,
    /// Ended badly, for good.
    Failed,
    /// Was stopped before it could end.
    Cancelled,
}

/// A word that is none of the seven statuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown job status \"{0}\"")]
pub struct UnknownStatus(pub String);

impl JobStatus {
    /// All seven, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Pending,
        Self::Running,
        Self::Retrying,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the word that rows, API and screens use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Says whether the job has come to its end.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Says whether a job may go from this status to `next` within one generation.
    ///
    /// ```text
    /// scheduled ─► pending ─► running ─► completed
    ///     │           │       │ │  ▲ └──► failed
    ///     │           │       │ ▼  │
    ///     │           │       │ retrying
    ///     └───────────┴───────┴──┴──────► cancelled
    /// ```
    ///
    /// A running job also goes back to *pending* when its worker stops gracefully or is lost, and
    /// to *scheduled* when it snoozes. A job that waits can fail without having run: its message
    /// could not be read, or its worker died too often. Nothing leaves a final status; reviving
    /// does (see [`JobStatus::can_become_in_next_generation`]).
    pub const fn can_become(self, next: Self) -> bool {
        use JobStatus::{Cancelled, Failed, Pending, Retrying, Running, Scheduled};
        match self {
            Scheduled => matches!(next, Pending | Running | Failed | Cancelled),
            Pending => matches!(next, Running | Failed | Cancelled),
            Running => !matches!(next, Running),
            Retrying => matches!(next, Running | Failed | Cancelled),
            Self::Completed | Failed | Cancelled => false,
        }
    }

    /// Says whether reviving, which raises the generation, may lead from this status to `next`.
    pub const fn can_become_in_next_generation(self, next: Self) -> bool {
        self.is_final() && matches!(next, Self::Pending | Self::Scheduled)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_statuses_are_left_only_by_reviving() {
        for from in JobStatus::ALL {
            for to in JobStatus::ALL {
                if from.is_final() {
                    assert!(!from.can_become(to), "{from} -> {to}");
                }
                assert_eq!(
                    from.can_become_in_next_generation(to),
                    from.is_final() && matches!(to, JobStatus::Pending | JobStatus::Scheduled),
                );
            }
        }
    }

    #[test]
    fn every_waiting_status_can_reach_every_end() {
        for end in JobStatus::ALL.into_iter().filter(|s| s.is_final()) {
            for from in JobStatus::ALL.into_iter().filter(|s| !s.is_final()) {
                let directly = from.can_become(end);
                let through_running =
                    from.can_become(JobStatus::Running) && JobStatus::Running.can_become(end);
                assert!(directly || through_running, "{from} -> {end}");
            }
        }
    }

    #[test]
    fn words_read_back() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse::<JobStatus>().unwrap(), status);
        }
        assert!("dead".parse::<JobStatus>().is_err());
    }
}
