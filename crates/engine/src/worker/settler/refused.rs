//! Outcomes of which the record does not want to know, or which are too large for it: tried again a few times, then
//! their messages go to the dead letters, so that no job runs again and again for the sake of its record.

use std::time::Duration;

use celeriac_broker::Settle;
use celeriac_protocol::{Clock, JobEvent, Timestamp, What, error_text};

use super::batch::Part;
use super::{Arc, SettleError, Shared, tell, write};

/// How long to wait before trying again, at first and at most. The lease is renewed meanwhile.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How many refused outcomes wait at most; the next ones are given up at once.
const MAX_WAITING: usize = 256;

/// The reason that dead letters of this kind bear.
const REASON: &str = "unrecorded";

/// Holds refused outcomes, each a part of one, until they are written or given up.
#[derive(Default)]
pub(super) struct Refused {
    waiting: Vec<Outcome>,
    /// Whether anything else was written since these were last tried.
    others_written: bool,
}

struct Outcome {
    part: Part,
    error: SettleError,
    /// How often it was refused.
    refusals: u32,
    pause: Duration,
    again_at: Timestamp,
}

impl Refused {
    /// Takes in outcomes that were refused for the first time, and whether others were written meanwhile.
    pub(super) async fn add(
        &mut self,
        shared: &Arc<Shared>,
        refused: Vec<(Part, SettleError)>,
        others_written: bool,
    ) {
        self.others_written |= others_written;
        for (part, error) in refused {
            let again_at = shared.clock().now() + PAUSE.0;
            self.put(shared, Outcome { part, error, refusals: 1, pause: PAUSE.0, again_at }).await;
        }
    }

    /// Resolves when one is to be tried again; never while there is none.
    pub(super) async fn due(&self, clock: &dyn Clock) {
        match self.waiting.iter().map(|outcome| outcome.again_at).min() {
            Some(at) => clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Tries those again that are due.
    pub(super) async fn try_again(&mut self, shared: &Arc<Shared>) {
        let now = shared.clock().now();
        let (due, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|one| one.again_at <= now);
        self.waiting = waiting;
        for outcome in due {
            self.try_one(shared, outcome).await;
        }
        self.others_written = false;
    }

    /// Gives up what is left.
    pub(super) async fn give_up_all(self, shared: &Arc<Shared>) {
        for outcome in self.waiting {
            give_up(shared, &outcome.part, &outcome.error).await;
        }
    }

    async fn try_one(&mut self, shared: &Arc<Shared>, mut outcome: Outcome) {
        match write(shared, &outcome.part).await {
            Ok(written) => {
                tell(shared, &outcome.part, &written);
                shared.held.release(outcome.part.tags());
            }
            Err(error) => {
                // What keeps everything from being written says nothing against this outcome.
                outcome.refusals += u32::from(!error.is_retryable() || self.others_written);
                outcome.error = error;
                outcome.pause = (outcome.pause * 2).min(PAUSE.1);
                outcome.again_at = shared.clock().now() + outcome.pause;
                self.put(shared, outcome).await;
            }
        }
    }

    /// Keeps an outcome, unless it was refused as often as a message may be handed out in vain.
    async fn put(&mut self, shared: &Arc<Shared>, outcome: Outcome) {
        if outcome.refusals >= shared.options.max_deliveries || self.waiting.len() >= MAX_WAITING {
            return give_up(shared, &outcome.part, &outcome.error).await;
        }
        let (jobs, error) = (outcome.part.job_ids(), error_text(&outcome.error));
        tracing::warn!(worker = %shared.name, ?jobs, error, refusals = outcome.refusals, "outcome can't be recorded by itself, trying again");
        self.waiting.push(outcome);
    }
}

/// Buries a message whose outcome can't be recorded, with what is known of it.
///
/// What was acknowledged early has no message any more: the log is the last to know of it.
pub(super) async fn give_up(shared: &Arc<Shared>, part: &Part, error: &SettleError) {
    let (jobs, error) = (part.job_ids(), error_text(error));
    let ends: Vec<String> = part.last_events().map(in_words).collect();
    let detail = format!("{}, which can't be recorded: {error}", ends.join("; "));
    tracing::error!(worker = %shared.name, ?jobs, detail, "outcome was given up; its message goes to the dead letters");
    let buried = part.settlements().iter().map(|settlement| {
        settlement.otherwise(Settle::Reject { reason: REASON.to_owned(), detail: detail.clone() })
    });
    let buried: Vec<_> = buried.collect();
    if !buried.is_empty()
        && let Err(error) = shared.client.broker().settle(&buried).await
    {
        let error = error_text(&error);
        tracing::error!(worker = %shared.name, ?jobs, error, "message could not be buried; its lease will bring the job back");
    }
    shared.held.release(part.tags());
}

fn in_words(event: &JobEvent) -> String {
    match &event.what {
        What::Succeeded { .. } => "the job has completed".to_owned(),
        What::Retried { error, .. } => format!("the job was to run again, as it had failed: {error}"),
        What::Failed { error, .. } => format!("the job has failed: {error}"),
        What::Cancelled { reason } => format!("the job was cancelled: {reason}"),
        _ => "the job was to run again".to_owned(),
    }
}
