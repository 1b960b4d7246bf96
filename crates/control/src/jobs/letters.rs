//! Dead letters: gone through page by page, put back, dropped.

use std::collections::VecDeque;

use celeriac_broker::DeadLetter;
use celeriac_db::DbTx;
use celeriac_engine::Client;
use celeriac_protocol::{ErrorKind, JobId, TaskMessage};
use celeriac_store::query::jobs;

use super::{JobDesk, JobsError};

/// How many letters are dropped by one call.
const CHUNK: usize = 500;

/// Which dead letters are meant; the default means all.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Only this task's.
    pub task: Option<String>,
    /// Only those that died of this; one of [`death_reasons`].
    pub reason: Option<String>,
}

impl LetterFilter {
    fn fits(&self, letter: &DeadLetter) -> bool {
        let task = || TaskMessage::peek_task(&letter.envelope.content);
        self.task.as_ref().is_none_or(|wanted| task().as_ref() == Some(wanted))
            && self.reason.as_ref().is_none_or(|wanted| letter.reason == *wanted)
    }
}

/// Returns what jobs die of: what attempts fail of, an outcome that nobody could write down, and a message that its
/// queue's server never takes.
pub fn death_reasons() -> impl Iterator<Item = &'static str> {
    ErrorKind::ALL.into_iter().map(ErrorKind::as_str).chain(["unrecorded", "undeliverable"])
}

/// How many dead letters were put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LettersRetried {
    /// Those that are back in their queues.
    pub retried: u64,
    /// Those that can't be read, so that they would only die again; they were left alone.
    pub unreadable: u64,
}

/// Goes through dead letters page by page, newest first.
#[derive(Debug)]
pub struct Letters<'a> {
    client: &'a Client,
    filter: LetterFilter,
    page: VecDeque<DeadLetter>,
    /// Where the next page begins; `None` where there is none.
    before: Option<Option<i64>>,
    last: Option<i64>,
}

impl<'a> Letters<'a> {
    /// How many letters are read together.
    const PAGE: usize = 100;

    /// Begins behind the cursor `before`, or at the newest.
    pub fn new(client: &'a Client, filter: LetterFilter, before: Option<i64>) -> Self {
        Self { client, filter, page: VecDeque::new(), before: Some(before), last: None }
    }

    /// Returns the next letter that fits.
    ///
    /// # Errors
    /// The queue can't be asked.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, JobsError> {
        loop {
            while let Some(letter) = self.page.pop_front() {
                self.last = Some(letter.key);
                if self.filter.fits(&letter) {
                    return Ok(Some(letter));
                }
            }
            let Some(before) = self.before else { return Ok(None) };
            let page = self.client.dead_letters(before, Self::PAGE).await?;
            self.before = page.next.map(Some);
            self.page = page.letters.into();
        }
    }

    /// Returns where to go on, unless the end was reached.
    pub fn cursor(&self) -> Option<i64> {
        self.last.filter(|_| !self.page.is_empty() || self.before.is_some())
    }
}

impl JobDesk {
    /// Goes through the dead letters that fit, newest first, from behind the cursor `before`.
    pub fn letters(&self, filter: LetterFilter, before: Option<i64>) -> Letters<'_> {
        Letters::new(&self.client, filter, before)
    }

    /// Finds the newest dead letter of a job.
    ///
    /// # Errors
    /// There is none, or the queue can't be asked.
    pub async fn letter(&self, id: &JobId) -> Result<DeadLetter, JobsError> {
        self.client.dead_letter(id).await?.ok_or_else(|| JobsError::NoLetter { id: id.clone() })
    }

    /// Puts the newest dead letter of each of these jobs back into its queue. All are looked up before any is touched.
    ///
    /// # Errors
    /// A job has none, or one that can't be read; queue or record can't be reached.
    pub async fn retry_letters(&self, ids: &[JobId]) -> Result<LettersRetried, JobsError> {
        let mut told = LettersRetried::default();
        for letter in self.letters_of(ids).await? {
            told.retried += u64::from(self.client.revive(letter).await?);
        }
        Ok(told)
    }

    /// Puts all dead letters that fit back into their queues, but for those that can't be read.
    ///
    /// # Errors
    /// Queue or record can't be reached; those that came before are back.
    pub async fn retry_letters_that(&self, filter: LetterFilter) -> Result<LettersRetried, JobsError> {
        let mut told = LettersRetried::default();
        let mut letters = self.letters(filter, None);
        while let Some(letter) = letters.next().await? {
            if TaskMessage::decode(&letter.envelope).is_ok() {
                told.retried += u64::from(self.client.revive(letter).await?);
            } else {
                told.unreadable += 1;
            }
        }
        Ok(told)
    }

    /// Drops the newest dead letter of each of these jobs for good, and returns how many there were. All are looked up before
    /// any is touched.
    ///
    /// # Errors
    /// A job has none; queue or record can't be reached.
    pub async fn drop_letters(&self, ids: &[JobId]) -> Result<u64, JobsError> {
        let letters = self.letters_of(ids).await?;
        self.drop_all(letters).await
    }

    /// Drops all dead letters that fit for good, and returns how many there were.
    ///
    /// # Errors
    /// Queue or record can't be reached; those that came before are gone.
    pub async fn drop_letters_that(&self, filter: LetterFilter) -> Result<u64, JobsError> {
        let mut dropped = 0;
        let mut letters = self.letters(filter, None);
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(letter) = letters.next().await? {
            chunk.push(letter);
            if chunk.len() == CHUNK {
                dropped += self.drop_all(std::mem::take(&mut chunk)).await?;
            }
        }
        Ok(dropped + self.drop_all(chunk).await?)
    }

    async fn letters_of(&self, ids: &[JobId]) -> Result<Vec<DeadLetter>, JobsError> {
        let mut letters = Vec::with_capacity(ids.len());
        for id in ids {
            letters.push(self.letter(id).await?);
        }
        Ok(letters)
    }

    /// Drops letters, and then notes on the records of jobs that have no other one that they are gone.
    async fn drop_all(&self, letters: Vec<DeadLetter>) -> Result<u64, JobsError> {
        let client = &self.client;
        let keys: Vec<i64> = letters.iter().map(|letter| letter.key).collect();
        let dropped = client.drop_dead(&keys).await?;
        let mut gone = Vec::with_capacity(letters.len());
        for letter in letters {
            if client.dead_letter(&letter.envelope.id).await?.is_none() {
                gone.push(letter.envelope.id);
            }
        }
        let note = async move |tx: &DbTx| jobs::letters_dropped(tx, &gone).await;
        self.database.write("note dropped letters", note).await?;
        Ok(dropped)
    }
}
