//! Results that are sent to whoever waits and kept nowhere: Celery's `rpc://`, as far as every transport has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use celeriac_protocol::{Clock, JobId, Serializer, TaskResult, TaskState, Timestamp, error_text};

use crate::seldom::Counted;

pub(crate) mod ear;

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

/// Is responsible for the answers that have come: of each job the last one, ten thousand and 64 MiB at most.
#[derive(Debug)]
pub struct Answers {
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

/// What was heard last of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The job.
    pub id: JobId,
    /// When it came here, by our own clock.
    pub came_at: Timestamp,
    /// Where the job stands among all that were heard of; what is heard of it later stands there, too.
    pub place: u64,
    /// What became of the job, in Celery's words.
    pub body: Vec<u8>,
    /// Tells it from what was heard before and after it.
    number: u64,
}

#[derive(Debug, Default)]
struct Held {
    by_id: HashMap<JobId, Entry>,
    /// In the order in which jobs were first heard of.
    order: BTreeMap<u64, JobId>,
    next: u64,
    bytes: usize,
    dropped: Counted,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    is_success: bool,
}

impl Answers {
    /// Makes a place for answers where none has come yet; `clock` says when they come.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, held: Mutex::default() }
    }

    /// Takes in what was sent under `correlation`. What is no result is said in the log for whoever looks for it.
    pub fn take_in(&self, correlation: &str, body: Vec<u8>) {
        let read = JobId::parse(correlation).map_err(|error| error.to_string()).and_then(|id| {
            let result = TaskResult::decode(&id, &body).map_err(|error| error_text(&error))?;
            Ok((id, result.state == TaskState::Success))
        });
        match read {
            Ok((id, is_success)) => self.held().add(id, body, is_success, self.clock.now()),
            Err(error) => tracing::debug!(correlation, error, "an answer that can't be read was dropped"),
        }
    }

    /// Returns what was heard last of a job.
    pub fn of(&self, id: &JobId) -> Option<Answer> {
        self.held().by_id.get(id).map(|entry| entry.answer.clone())
    }

    /// Returns at most `limit` answers in the order of their places, from this one on.
    pub fn page(&self, from: u64, limit: usize) -> Vec<Answer> {
        let held = self.held();
        let ids = held.order.range(from..).take(limit);
        ids.filter_map(|(_, id)| held.by_id.get(id)).map(|entry| entry.answer.clone()).collect()
    }

    /// Returns the bytes of what was heard last of each of these jobs.
    pub fn get(&self, ids: &[JobId]) -> Vec<Option<Vec<u8>>> {
        let held = self.held();
        ids.iter().map(|id| held.by_id.get(id).map(|entry| entry.answer.body.clone())).collect()
    }

    /// Forgets what was heard of these jobs.
    pub fn forget(&self, ids: &[JobId]) {
        let mut held = self.held();
        for id in ids {
            held.remove(id);
        }
    }

    /// Forgets an answer of which all is known, unless another one has come of its job meanwhile.
    pub fn forget_learnt(&self, answer: &Answer) {
        let mut held = self.held();
        if held.by_id.get(&answer.id).is_some_and(|entry| entry.answer.number == answer.number) {
            held.remove(&answer.id);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Adds an answer, unless the job is known to have ended well.
    fn add(&mut self, id: JobId, body: Vec<u8>, is_success: bool, came_at: Timestamp) {
        if self.by_id.get(&id).is_some_and(|known| known.is_success) {
            return;
        }
        let number = self.next;
        let place = self.remove(&id).unwrap_or(number);
        self.next += 1;
        self.bytes += body.len();
        self.order.insert(place, id.clone());
        let answer = Answer { id: id.clone(), came_at, place, body, number };
        self.by_id.insert(id, Entry { answer, is_success });
        self.make_room(came_at);
    }

    fn make_room(&mut self, now: Timestamp) {
        while self.by_id.len() > 1 && (self.by_id.len() > MAX_ANSWERS || self.bytes > MAX_BYTES) {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.remove(&oldest);
            if let Some(answers) = self.dropped.count(now) {
                tracing::warn!(answers, "too many answers wait to be asked for, the oldest were dropped");
            }
        }
    }

    /// Removes an answer, and returns its place.
    fn remove(&mut self, id: &JobId) -> Option<u64> {
        let Entry { answer, .. } = self.by_id.remove(id)?;
        self.bytes -= answer.body.len();
        self.order.remove(&answer.place);
        Some(answer.place)
    }
}

#[cfg(test)]
mod tests {
    use celeriac_protocol::ManualClock;

    use super::*;

    fn answers() -> Answers {
        Answers::new(Arc::new(ManualClock::at(Timestamp::EPOCH)))
    }

    fn id(text: &str) -> JobId {
        JobId::parse(text).unwrap()
    }

    fn said(state: &str) -> Vec<u8> {
        format!(r#"{{"status": "{state}", "result": null}}"#).into_bytes()
    }

    fn is_there(answers: &Answers, ids: &[&str]) -> Vec<bool> {
        let ids: Vec<JobId> = ids.iter().map(|text| id(text)).collect();
        answers.get(&ids).iter().map(Option::is_some).collect()
    }

    #[test]
    fn last_answer_counts_and_nothing_after_success() {
        let answers = answers();
        for state in ["STARTED", "PROGRESS", "SUCCESS", "RETRY"] {
            answers.take_in("a", said(state));
        }
        answers.take_in("b", said("FAILURE"));
        answers.take_in("b", said("SUCCESS"));
        answers.take_in("c", b"nonsense".to_vec());
        let success = Some(said("SUCCESS"));
        assert_eq!(answers.get(&[id("a"), id("b"), id("c")]), [success.clone(), success, None]);
        answers.forget(&[id("a")]);
        answers.take_in("a", said("STARTED"));
        assert_eq!(answers.get(&[id("a")]), [Some(said("STARTED"))]);
    }

    #[test]
    fn oldest_answer_makes_room_for_the_newest() {
        let answers = answers();
        for number in 0..=MAX_ANSWERS {
            answers.take_in(&format!("job-{number}"), said("SUCCESS"));
        }
        let last = format!("job-{MAX_ANSWERS}");
        assert_eq!(is_there(&answers, &["job-0", "job-1", &last]), [false, true, true]);
        assert_eq!(answers.held().bytes, MAX_ANSWERS * said("SUCCESS").len());
        // One that is larger than all may be is kept as long as nothing comes after it.
        let large = format!(r#"{{"status": "SUCCESS", "result": "{}"}}"#, "x".repeat(MAX_BYTES));
        answers.take_in("large", large.into_bytes());
        assert_eq!(is_there(&answers, &["large", "job-1"]), [true, false]);
        answers.take_in("next", said("SUCCESS"));
        assert_eq!(is_there(&answers, &["large", "next"]), [false, true]);
    }

    #[test]
    fn what_comes_meanwhile_is_not_forgotten_with_what_was_learnt() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let answers = Answers::new(Arc::new(clock.clone()));
        answers.take_in("a", said("STARTED"));
        let learnt = answers.of(&id("a")).unwrap();
        clock.advance(Duration::from_secs(1));
        answers.take_in("a", said("FAILURE"));
        answers.forget_learnt(&learnt);
        let newer = answers.of(&id("a")).unwrap();
        assert_eq!((newer.body.clone(), newer.came_at), (said("FAILURE"), Timestamp::from_millis(1_000)));
        answers.forget_learnt(&newer);
        assert_eq!((answers.of(&id("a")), answers.page(0, 9)), (None, Vec::new()));
    }

    #[test]
    fn answers_are_looked_through_by_pages() {
        let answers = answers();
        for job in ["a", "b", "c"] {
            answers.take_in(job, said("STARTED"));
        }
        answers.take_in("a", said("FAILURE"));
        let page = |from, limit| -> Vec<String> {
            answers.page(from, limit).iter().map(|answer| answer.id.to_string()).collect()
        };
        assert_eq!(page(0, 2), ["a", "b"]);
        let last = answers.page(0, 2)[1].place;
        assert_eq!(page(last + 1, 2), ["c"]);
    }
}
