//! That a run has begun is told once to whoever is sent its results, and never after its end.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use celeriac_protocol::{JobEvent, JobId, What};

/// Is responsible for which runs were told to have begun: an outcome tells so once more, for the record's sake, and
/// whoever is sent results is to hear it once. What could not be recorded or sent as a whole is told again, so runs
/// that have ended are remembered, too.
#[derive(Debug, Default)]
pub(super) struct Begun(Mutex<Runs>);

/// How many runs are remembered that have begun; beyond that all are forgotten, and a beginning may be told twice.
const MAX_BEGUN: usize = 50_000;

/// How many runs are remembered that have ended; beyond that the oldest is forgotten.
const MAX_ENDED: usize = 10_000;

#[derive(Debug, Default)]
struct Runs {
    begun: HashSet<Run>,
    ended: HashSet<Run>,
    /// In the order of their ends.
    order: VecDeque<Run>,
}

/// One run of a job, by its generation, delivery and attempt.
type Run = (JobId, u32, u32, u32);

impl Begun {
    /// Says whether something is told that was not told before.
    pub(super) fn is_news(&self, event: &JobEvent) -> bool {
        let (runs, run) = (self.runs(), run_in(event));
        !matches!(event.what, What::Started { .. })
            || !(runs.begun.contains(&run) || runs.ended.contains(&run))
    }

    /// Notes what was told.
    pub(super) fn note(&self, events: &[JobEvent]) {
        let mut runs = self.runs();
        for event in awaited(events).filter(|event| matches!(event.what, What::Started { .. })) {
            let run = run_in(event);
            if runs.ended.contains(&run) {
                continue;
            }
            if runs.begun.len() >= MAX_BEGUN {
                runs.begun.clear();
            }
            runs.begun.insert(run);
        }
    }

    /// Notes the ends that are told now: that such a run has begun is of no use to anybody after it.
    pub(super) fn note_ends(&self, events: &[JobEvent]) {
        let mut runs = self.runs();
        for event in awaited(events).filter(|event| is_end(&event.what)) {
            runs.end(run_in(event));
        }
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    fn end(&mut self, run: Run) {
        self.begun.remove(&run);
        if !self.ended.insert(run.clone()) {
            return;
        }
        self.order.push_back(run);
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

fn awaited(events: &[JobEvent]) -> impl Iterator<Item = &JobEvent> {
    events.iter().filter(|event| event.job.reply_to.is_some())
}

fn is_end(what: &What) -> bool {
    !matches!(what, What::Enqueued | What::Started { .. } | What::Progressed { .. })
}

fn run_in(event: &JobEvent) -> Run {
    (event.job.id.clone(), event.job.generation, event.delivery, event.attempt)
}
