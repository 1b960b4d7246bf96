//! Cancels the older jobs of entries that say so, once the newer ones are enqueued.

use celeriac_db::{Database, DbTx};
use celeriac_engine::{CancelOutcome, Client};
use celeriac_protocol::{JobId, Timestamp, error_text};
use celeriac_store::query::schedules::{Cancels, forget_cancels, pending_cancels};

use super::BeatError;

/// How many firings one pass cancels the older jobs of.
const PER_PASS: u64 = 100;

/// Cancels what firings have asked for, and returns how many jobs it was. What can't be cancelled now stays for the next
/// pass, of any scheduler; cancelling twice does no harm.
pub(super) async fn cancel_older(database: &Database, client: &Client) -> Result<u64, BeatError> {
    let pending = pending_cancels(database.reader(), PER_PASS).await?;
    let (mut done, mut cancelled) = (Vec::new(), 0);
    for cancels in &pending {
        if let Some(jobs) = cancel_all(client, cancels).await {
            cancelled += jobs;
            done.push((cancels.schedule_id, cancels.due_at));
        }
    }
    if !done.is_empty() {
        forget(database, done).await?;
    }
    Ok(cancelled)
}

async fn forget(database: &Database, done: Vec<(i64, Timestamp)>) -> Result<(), BeatError> {
    let forget = async move |tx: &DbTx| forget_cancels(tx, &done).await.map_err(BeatError::from);
    database.write("forget cancelled jobs of schedules", forget).await
}

/// Returns how many were cancelled, or nothing where one could not be.
async fn cancel_all(client: &Client, cancels: &Cancels) -> Option<u64> {
    let mut cancelled = 0;
    for job_id in &cancels.job_ids {
        // What is no id names no job.
        let Ok(id) = JobId::parse(job_id) else { continue };
        match client.cancel(&id, "a newer job of its schedule has taken its place").await {
            Ok(CancelOutcome::Cancelled | CancelOutcome::Requested) => cancelled += 1,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(job.id = %id, error = error_text(&error), "older job of a schedule is not cancelled yet");
                return None;
            }
        }
    }
    Some(cancelled)
}
