//! Where the results of jobs are kept for whoever waits for them, beside their records.

use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::{JobId, ReplyTo};

use crate::{Answers, BrokerError};

/// Keeps the results of jobs, as bytes, and tells who waits for one; or [sends](Self::is_sent) them to whoever does.
///
/// It knows nothing of what a result says but whether it is the last word.
#[async_trait]
pub trait ResultStore: Send + Sync + 'static {
    /// Says whether results are sent to [who waits](KeptResult::reply_to) and kept nowhere: then every one is put, in
    /// the order in which they come about, and those of whom nobody waits are left out.
    fn is_sent(&self) -> bool {
        self.answers().is_some()
    }

    /// Returns what has come here of what was sent, where results are sent.
    fn answers(&self) -> Option<&Answers> {
        None
    }

    /// Keeps results, in the given order. A job that is known to have ended well keeps that result.
    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError>;

    /// Returns what is kept of each of these jobs, in the given order; where results are sent, what has come of them. A
    /// store that keeps them says by itself what there is.
    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, BrokerError> {
        Ok(self.answers().map_or_else(|| vec![None; ids.len()], |answers| answers.get(ids)))
    }

    /// Forgets what is kept of these jobs, so that another run of each may leave its own; where results are sent, what has
    /// come of them.
    async fn forget(&self, ids: &[JobId]) -> Result<(), BrokerError> {
        if let Some(answers) = self.answers() {
            answers.forget(ids);
        }
        Ok(())
    }
}

/// A result to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResult {
    /// The job.
    pub id: JobId,
    /// What became of it, in the words and the form of whoever reads it.
    pub body: Vec<u8>,
    /// How long it is kept; for ever where nothing is said.
    pub keep: Option<Duration>,
    /// Where the job's sender waits for word of it.
    pub reply_to: Option<ReplyTo>,
}
