//! Wake-ups and words between our processes, by an exchange that tells all of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use celeriac_protocol::{JobId, Timestamp};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::notifier::Unsent;
use crate::{Notice, Notices, Notifier};

/// How many notices a listener may fall behind before it is told that it lagged.
const NOTICES: usize = 256;

/// How many notices may wait to be sent to other processes; what is beyond is lost, as notices may be.
pub(super) const UNSENT: usize = 256;

/// How many questions may wait for an answer.
const ASKED: usize = 1_000;

/// What our processes tell each other that is no notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A queue was paused.
    Paused {
        /// The queue.
        queue: String,
        /// Since when.
        at: Timestamp,
    },
    /// A queue was resumed.
    Resumed(String),
    /// Whoever holds this job is to cancel it, and to answer.
    Cancel {
        /// The job.
        id: JobId,
        /// What the answer is to carry.
        ticket: String,
        /// Why.
        reason: String,
    },
    /// The answer.
    Held(String),
}

/// What can be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Notice(Notice),
    Word(Word),
}

/// Parts the texts of a word.
const SEPARATOR: char = '\n';

impl Word {
    /// Writes it with a capital, which tells it from notices.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Paused { queue, at } => format!("P{}{SEPARATOR}{queue}", at.as_micros()),
            Self::Resumed(queue) => format!("R{queue}"),
            Self::Cancel { id, ticket, reason } => {
                format!("C{}{SEPARATOR}{ticket}{SEPARATOR}{reason}", id.as_str())
            }
            Self::Held(ticket) => format!("H{ticket}"),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let (kind, text) = text.split_at_checked(1)?;
        match kind {
            "P" => {
                let (at, queue) = text.split_once(SEPARATOR)?;
                Some(Self::Paused { queue: queue.to_owned(), at: Timestamp::from_micros(at.parse().ok()?) })
            }
            "R" => Some(Self::Resumed(text.to_owned())),
            "C" => {
                let (id, rest) = text.split_once(SEPARATOR)?;
                let (ticket, reason) = rest.split_once(SEPARATOR)?;
                Some(Self::Cancel {
                    id: JobId::parse(id).ok()?,
                    ticket: ticket.to_owned(),
                    reason: reason.to_owned(),
                })
            }
            "H" => Some(Self::Held(text.to_owned())),
            _ => None,
        }
    }
}

/// Is responsible for what is said and heard in this process.
#[derive(Debug)]
pub(super) struct Hub {
    /// What our own notices begin with; those are not heard a second time.
    sender: String,
    pub(super) local: broadcast::Sender<Notice>,
    pub(super) unsent: Unsent<Vec<u8>>,
    asked: Mutex<HashMap<String, oneshot::Sender<()>>>,
}

impl Hub {
    /// Makes it; what is to be sent comes out of the other end.
    pub(super) fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (unsent, line) = Unsent::new(UNSENT);
        let sender = format!("{:016x}", rand::random::<u64>());
        let (local, asked) = (broadcast::channel(NOTICES).0, Mutex::default());
        (Self { sender, local, unsent, asked }, line)
    }

    /// Writes a text as it goes to others.
    pub(super) fn sealed(&self, text: &str) -> Vec<u8> {
        format!("{}{text}", self.sender).into_bytes()
    }

    /// Reads what was heard; nothing of one's own.
    pub(super) fn open(&self, text: &[u8]) -> Option<Heard> {
        let (sender, text) = text.split_at_checked(self.sender.len())?;
        if sender == self.sender.as_bytes() {
            return None;
        }
        let word = std::str::from_utf8(text).ok().and_then(Word::from_text).map(Heard::Word);
        word.or_else(|| Notice::from_text(text).map(Heard::Notice))
    }

    /// Tells this process alone.
    pub(super) fn tell_here(&self, notice: Notice) {
        // Nobody listening is no fault.
        self.local.send(notice).ok();
    }

    /// Says a word to the others, some time soon.
    pub(super) fn say(&self, word: &Word) {
        self.unsent.put(self.sealed(&word.to_text()));
    }

    /// Makes a question that can be answered.
    pub(super) fn ask(&self) -> (String, oneshot::Receiver<()>) {
        let ticket = format!("{:016x}", rand::random::<u64>());
        let (answer, answered) = oneshot::channel();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < ASKED {
            asked.insert(ticket.clone(), answer);
        }
        (ticket, answered)
    }

    /// Hands on an answer, or drops the question.
    pub(super) fn answered(&self, ticket: &str) {
        let answer = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket);
        if let Some(answer) = answer {
            // Nobody waits any more.
            answer.send(()).ok();
        }
    }
}

#[async_trait]
impl Notifier for Hub {
    fn notify(&self, notice: Notice) {
        self.unsent.put(self.sealed(&notice.to_text()));
        self.tell_here(notice);
    }

    fn listen(&self) -> Notices {
        self.local.subscribe()
    }

    async fn flush(&self) {
        self.unsent.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_are_told_from_notices() {
        let ((one, _line), (other, _other_line)) = (Hub::new(), Hub::new());
        let id = JobId::parse("job").unwrap();
        for word in [
            Word::Paused { queue: "a\nb".into(), at: Timestamp::from_micros(7) },
            Word::Resumed("queue".into()),
            Word::Cancel { id, ticket: "t".into(), reason: "two\nlines".into() },
            Word::Held("t".into()),
        ] {
            let sealed = one.sealed(&word.to_text());
            assert_eq!(other.open(&sealed), Some(Heard::Word(word)));
            assert_eq!(one.open(&sealed), None);
        }
        let notice = Notice::Queue("Paused".into());
        assert_eq!(other.open(&one.sealed(&notice.to_text())), Some(Heard::Notice(notice)));
        assert_eq!(other.open(b"x"), None);
    }
}
