//! Results that are sent to whoever waits and kept nowhere: Celery's `rpc://`, as far as every transport has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use celeriac_protocol::{JobId, Serializer, TaskResult, TaskState, error_text};

/// How results are sent to whoever waits for them, and how they are waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyOptions {
    /// What has written them: Celery's `result_serializer`.
    pub serializer: Serializer,
    /// Whether the server is to keep them on disk: Celery's `result_persistent`.
    pub persistent: bool,
    /// After which time without anybody who listens the server may drop a queue of answers: Celery's
    /// `result_expires`.
    pub expires: Option<Duration>,
}

/// How many answers wait to be asked for at most, and how many bytes of them; beyond that the oldest is dropped.
const MAX_ANSWERS: usize = 10_000;
const MAX_BYTES: usize = 64 << 20;

/// Is responsible for the answers that have come: of each job the last one.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    by_id: HashMap<JobId, Answer>,
    /// In the order in which jobs were first heard of.
    order: BTreeMap<u64, JobId>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Answer {
    place: u64,
    body: Vec<u8>,
    is_success: bool,
}

impl Inbox {
    /// Takes in what was sent under `correlation`. What is no result is said in the log for whoever looks for it.
    pub(crate) fn take_in(&self, correlation: &str, body: Vec<u8>) {
        let read = JobId::parse(correlation).map_err(|error| error.to_string()).and_then(|id| {
            let result = TaskResult::decode(&id, &body).map_err(|error| error_text(&error))?;
            Ok((id, result.state == TaskState::Success))
        });
        match read {
            Ok((id, is_success)) => self.answers().add(id, body, is_success),
            Err(error) => tracing::debug!(correlation, error, "an answer that can't be read was dropped"),
        }
    }

    /// Returns what was heard last of each of these jobs.
    pub(crate) fn get(&self, ids: &[JobId]) -> Vec<Option<Vec<u8>>> {
        let answers = self.answers();
        ids.iter().map(|id| answers.by_id.get(id).map(|answer| answer.body.clone())).collect()
    }

    /// Forgets what was heard of these jobs.
    pub(crate) fn forget(&self, ids: &[JobId]) {
        let mut answers = self.answers();
        for id in ids {
            answers.remove(id);
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// Adds an answer, unless the job is known to have ended well.
    fn add(&mut self, id: JobId, body: Vec<u8>, is_success: bool) {
        if self.by_id.get(&id).is_some_and(|known| known.is_success) {
            return;
        }
        let place = self.remove(&id).unwrap_or(self.next);
        self.next += 1;
        self.bytes += body.len();
        self.order.insert(place, id.clone());
        self.by_id.insert(id, Answer { place, body, is_success });
        while self.by_id.len() > 1 && (self.by_id.len() > MAX_ANSWERS || self.bytes > MAX_BYTES) {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.remove(&oldest);
            tracing::warn!(job.id = %oldest, "too many answers wait to be asked for, the oldest was dropped");
        }
    }

    /// Removes an answer, and returns its place.
    fn remove(&mut self, id: &JobId) -> Option<u64> {
        let answer = self.by_id.remove(id)?;
        self.bytes -= answer.body.len();
        self.order.remove(&answer.place);
        Some(answer.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> JobId {
        JobId::parse(text).unwrap()
    }

    fn said(state: &str) -> Vec<u8> {
        format!(r#"{{"status": "{state}", "result": null}}"#).into_bytes()
    }

    fn is_there(inbox: &Inbox, ids: &[&str]) -> Vec<bool> {
        let ids: Vec<JobId> = ids.iter().map(|text| id(text)).collect();
        inbox.get(&ids).iter().map(Option::is_some).collect()
    }

    #[test]
    fn last_answer_counts_and_nothing_after_success() {
        let inbox = Inbox::default();
        for state in ["STARTED", "PROGRESS", "SUCCESS", "RETRY"] {
            inbox.take_in("a", said(state));
        }
        inbox.take_in("b", said("FAILURE"));
        inbox.take_in("b", said("SUCCESS"));
        inbox.take_in("c", b"nonsense".to_vec());
        let success = Some(said("SUCCESS"));
        assert_eq!(inbox.get(&[id("a"), id("b"), id("c")]), [success.clone(), success, None]);
        inbox.forget(&[id("a")]);
        inbox.take_in("a", said("STARTED"));
        assert_eq!(inbox.get(&[id("a")]), [Some(said("STARTED"))]);
    }

    #[test]
    fn oldest_answer_makes_room_for_the_newest() {
        let inbox = Inbox::default();
        for number in 0..=MAX_ANSWERS {
            inbox.take_in(&format!("job-{number}"), said("SUCCESS"));
        }
        let last = format!("job-{MAX_ANSWERS}");
        assert_eq!(is_there(&inbox, &["job-0", "job-1", &last]), [false, true, true]);
        assert_eq!(inbox.answers().bytes, MAX_ANSWERS * said("SUCCESS").len());
        // One that is larger than all may be is kept as long as nothing comes after it.
        let large = format!(r#"{{"status": "SUCCESS", "result": "{}"}}"#, "x".repeat(MAX_BYTES));
        inbox.take_in("large", large.into_bytes());
        assert_eq!(is_there(&inbox, &["large", "job-1"]), [true, false]);
        inbox.take_in("next", said("SUCCESS"));
        assert_eq!(is_there(&inbox, &["large", "next"]), [false, true]);
    }
}
