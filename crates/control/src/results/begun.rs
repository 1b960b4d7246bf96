//! That a run has begun is told once to whoever is sent its results.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use celeriac_protocol::{JobEvent, JobId, What};

/// Is responsible for which runs were told to have begun: an outcome tells so once more, for the record's sake, and
/// whoever is sent results is to hear it once.
#[derive(Debug, Default)]
pub(super) struct Begun(Mutex<HashSet<(JobId, u32, u32)>>);

/// How many such runs are remembered; beyond that all are forgotten, and a beginning may be told twice.
const MAX_BEGUN: usize = 50_000;

impl Begun {
    /// Says whether something is told that was not told before.
    pub(super) fn is_news(&self, event: &JobEvent) -> bool {
        !matches!(event.what, What::Started { .. }) || !self.runs().contains(&run_in(event))
    }

    /// Notes what was told, and forgets those that have ended.
    pub(super) fn note(&self, events: &[JobEvent]) {
        let mut runs = self.runs();
        for event in events.iter().filter(|event| event.job.reply_to.is_some()) {
            match event.what {
                What::Enqueued | What::Progressed { .. } => {}
                What::Started { .. } => {
                    if runs.len() >= MAX_BEGUN {
                        runs.clear();
                    }
                    runs.insert(run_in(event));
                }
                _ => {
                    runs.remove(&run_in(event));
                }
            }
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashSet<(JobId, u32, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_in(event: &JobEvent) -> (JobId, u32, u32) {
    (event.job.id.clone(), event.job.generation, event.delivery)
}
