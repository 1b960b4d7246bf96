//! A record in memory, for eager mode and for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use celeriac_protocol::{JobEvent, JobId, JobVersion, What};

use super::{JobSnapshot, RecordError, Recorder};

/// Keeps the whole history in memory, unbounded: for tests and for eager mode, where a process
/// ends long before its memory does.
#[derive(Debug, Default)]
pub struct MemoryRecorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<JobId, (JobVersion, JobSnapshot)>,
    events: Vec<JobEvent>,
}

impl MemoryRecorder {
    /// Returns every event so far, in the order in which they were recorded.
    pub fn events(&self) -> Vec<JobEvent> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the recorder's lock panics")
    }
}

#[async_trait]
impl Recorder for MemoryRecorder {
    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        let mut state = self.lock();
        for event in events.iter().filter(|event| event.is_recorded()) {
            state.events.push(event.clone());
            let version = event.version();
            let (seen, row) =
                state.rows.entry(event.job.id.clone()).or_insert_with(|| (version, fresh(event)));
            if version >= *seen {
                *seen = version;
                apply(row, event);
            }
        }
        Ok(())
    }

    async fn generations(&self, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        let state = self.lock();
        let known = ids.iter().filter_map(|id| Some((id.clone(), state.rows.get(id)?.0.generation())));
        Ok(known.collect())
    }

    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        Ok(self.lock().rows.get(id).map(|(_, row)| row.clone()))
    }
}

fn fresh(event: &JobEvent) -> JobSnapshot {
    JobSnapshot {
        status: event.status(),
        attempt: event.attempt,
        percent: 0,
        message: None,
        partial: None,
        result: None,
        error: None,
        cancel_reason: None,
    }
}

fn apply(row: &mut JobSnapshot, event: &JobEvent) {
    row.status = event.status();
    row.attempt = event.attempt;
    match &event.what {
        What::Progressed { percent, message, partial } => {
            row.percent = row.percent.max(*percent);
            row.message.clone_from(message);
            row.partial = partial.clone().or(row.partial.take());
        }
        What::Succeeded { result, .. } => {
            row.percent = 100;
            row.result.clone_from(result);
            row.error = None;
        }
        What::Retried { error, .. } | What::Failed { error, .. } => row.error = Some(error.clone()),
        What::Cancelled { reason } => row.cancel_reason = Some(reason.clone()),
        What::Enqueued => *row = fresh(event),
        What::Started { .. } | What::Snoozed { .. } | What::Released | What::Lost => {}
    }
}
