//! Keeps the record of jobs in the platform's tables.

use std::collections::HashMap;

use async_trait::async_trait;
use celeriac_db::{Database, DbError, DbTx};
use celeriac_engine::{JobSnapshot, RecordError, Recorder, SqlRecorder};
use celeriac_protocol::{JobEvent, JobId};
use celeriac_store::query::jobs;
use celeriac_store::{JobProgress, StoreError, record_batch};

/// What the writer calls these writes in errors.
const LABEL: &str = "record jobs";

/// Is responsible for the durable record of jobs, in the database of the platform.
///
/// Cloning is cheap. The platform's migrations must have been made.
#[derive(Clone, Debug)]
pub struct StoreRecorder {
    database: Database,
}

impl StoreRecorder {
    /// Makes a recorder that writes into `database`.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Recorder for StoreRecorder {
    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        let recorded: Vec<JobEvent> = events.iter().filter(|event| event.is_recorded()).cloned().collect();
        if recorded.is_empty() {
            return Ok(());
        }
        let written = self.database.write(LABEL, async move |tx| record_batch(tx, &recorded).await);
        written.await.map_err(refused)
    }

    async fn generations(&self, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        jobs::generations(self.database.reader(), ids).await.map_err(refused)
    }

    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        let progress = jobs::progress(self.database.reader(), id).await.map_err(refused)?;
        Ok(progress.map(snapshot_from))
    }

    fn sql(&self) -> Option<&dyn SqlRecorder> {
        Some(self)
    }
}

#[async_trait]
impl SqlRecorder for StoreRecorder {
    fn database(&self) -> &Database {
        &self.database
    }

    async fn record_in(&self, tx: &DbTx, events: &[JobEvent]) -> Result<(), RecordError> {
        record_batch(tx, events).await.map_err(refused)
    }

    async fn generations_in(&self, tx: &DbTx, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        jobs::generations(tx, ids).await.map_err(refused)
    }
}

fn snapshot_from(progress: JobProgress) -> JobSnapshot {
    JobSnapshot {
        status: progress.status,
        attempt: progress.attempt,
        percent: progress.percent,
        message: progress.message,
        partial: progress.partial,
        result: progress.result,
        error: progress.error,
        cancel_reason: progress.cancel_reason,
    }
}

pub(crate) fn refused(error: StoreError) -> RecordError {
    match error {
        StoreError::Database { source, .. } => RecordError::Database(source),
        StoreError::Corrupt { job, column, reason } => {
            RecordError::Corrupt { id: job, reason: format!("{column}: {reason}") }
        }
        // Nothing of it is stored, and the next try reads what the other writer wrote.
        StoreError::Raced { .. } => RecordError::Database(DbError::TransactionLost { label: LABEL }),
    }
}
