//! What people do to jobs, one or several at a time: cancel, retry, edit and retry, delete; and to dead letters.

use celeriac_db::Database;
use celeriac_engine::{CancelOutcome, Client};
use celeriac_protocol::JobId;

use crate::Environment;

mod bulk;
mod delete;
mod error;
mod letters;
mod retry;

pub use bulk::{BULK_JOBS, BulkAction, BulkReport, BulkRequest, MOST_COUNTED, bulk_jobs};
pub use delete::Deleted;
pub use error::JobsError;
pub use letters::{LetterFilter, Letters, LettersRetried, death_reasons};
pub use retry::{Edits, Retried};

/// The most jobs that are named in one call; whoever means more means all that match.
pub const MAX_NAMED: usize = 1_000;

/// Is responsible for what people do to jobs, wherever they do it: on the command line, over HTTP, on a screen.
///
/// Cloning is cheap.
#[derive(Clone, Debug)]
pub struct JobDesk {
    client: Client,
    database: Database,
}

/// What came of one of several jobs.
#[derive(Debug)]
pub struct Each<T> {
    /// The job.
    pub id: JobId,
    /// What came of it, or why nothing did.
    pub result: Result<T, JobsError>,
}

impl JobDesk {
    /// Makes a desk over an app's queue and records.
    pub fn new(environment: &Environment) -> Self {
        Self { client: environment.client().clone(), database: environment.database().clone() }
    }

    /// Cancels a job: a waiting one is taken out of its queue, a running one is told to stop. The record tells `reason`.
    ///
    /// # Errors
    /// Queue or record can't be reached.
    pub async fn cancel(&self, id: &JobId, reason: &str) -> Result<CancelOutcome, JobsError> {
        Ok(self.client.cancel(id, reason).await?)
    }

    /// Cancels each of these jobs, in the given order. It ends behind the first that queue or database fail at, since they
    /// would fail at the others, too.
    pub async fn cancel_each(&self, ids: &[JobId], reason: &str) -> Vec<Each<CancelOutcome>> {
        each(ids, async |id| self.cancel(id, reason).await).await
    }

    /// Retries each of these jobs, in the given order, to the same end as [`cancel_each`](Self::cancel_each).
    pub async fn retry_each(&self, ids: &[JobId]) -> Vec<Each<Retried>> {
        each(ids, async |id| self.retry(id).await).await
    }

    /// Deletes each of these jobs, in the given order, to the same end as [`cancel_each`](Self::cancel_each).
    pub async fn delete_each(&self, ids: &[JobId]) -> Vec<Each<Deleted>> {
        each(ids, async |id| self.delete(id).await).await
    }
}

async fn each<T>(ids: &[JobId], work: impl AsyncFn(&JobId) -> Result<T, JobsError>) -> Vec<Each<T>> {
    let mut done = Vec::with_capacity(ids.len());
    for id in ids {
        let result = work(id).await;
        let ends = result.as_ref().is_err_and(|error| !error.is_refusal());
        done.push(Each { id: id.clone(), result });
        if ends {
            break;
        }
    }
    done
}
