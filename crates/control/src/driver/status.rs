//! How a loop stands, for people and for checks.

use std::time::Duration;

use celeriac_protocol::Timestamp;

use crate::r#loop::{Loop, PassReport};

/// How a loop stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopStatus {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// How long it rests between two passes.
    pub period: Duration,
    /// How many passes have begun.
    pub iteration: u64,
    /// When the pass that goes on began.
    pub passing_since: Option<Timestamp>,
    /// The last pass that ended.
    pub last: Option<Pass>,
    /// When a pass last succeeded.
    pub succeeded_at: Option<Timestamp>,
    /// How many passes have failed since then.
    pub failures_in_a_row: u32,
    /// When the next pass is due, while it rests.
    pub next_at: Option<Timestamp>,
}

/// One pass that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What it did, or why it failed.
    pub outcome: Result<PassReport, String>,
}

impl LoopStatus {
    pub(super) fn of(work: &dyn Loop) -> Self {
        Self {
            name: work.name(),
            description: work.describe(),
            period: work.period(),
            iteration: 0,
            passing_since: None,
            last: None,
            succeeded_at: None,
            failures_in_a_row: 0,
            next_at: None,
        }
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.iteration += 1;
        self.passing_since = Some(now);
        self.next_at = None;
    }

    pub(super) fn end(&mut self, pass: Pass, next_at: Timestamp) {
        self.passing_since = None;
        self.next_at = Some(next_at);
        if pass.outcome.is_ok() {
            self.succeeded_at = Some(pass.finished_at);
            self.failures_in_a_row = 0;
        } else {
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        }
        self.last = Some(pass);
    }
}
