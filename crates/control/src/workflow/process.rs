//! The one generic loop: claim, process side by side, record.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use celeriac_db::{Database, DbError};
use celeriac_engine::Ctx;
use celeriac_protocol::{Clock, Timestamp, error_text, panic_text};
use futures_util::FutureExt;
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::record::{Recorded, record};
use super::sweep::sweep;
use super::{
    ClaimRequest, Claimed, ItemCtx, ItemError, LINGER, Workflow, WorkflowError, WorkflowSettings,
    WorkflowTable, claim,
};

/// How many renewals fall into one claim, so that two may fail before it runs out.
const RENEWALS_PER_LEASE: u32 = 3;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// Rows that are done.
    pub done: u64,
    /// Rows that will be tried again.
    pub retried: u64,
    /// Rows that ended in *error*.
    pub failed: u64,
    /// Rows whose claim had run out before they were recorded; somebody else has them.
    pub fenced: u64,
    /// Rows taken back from workers that died.
    pub taken_back: u64,
    /// Claims that were made.
    pub batches: u64,
    /// Whether rows were due when the run ended.
    pub more: bool,
}

/// Serves any workflow: claims due rows, processes them side by side, records each by itself.
///
/// Runs until nothing is due, the run limit is reached or `ctx` is told to stop; what was claimed
/// and not recorded by then is given back uncharged.
///
/// # Errors
/// [`WorkflowError`] when the pass fails as a whole (claim, database). Errors of single rows are on
/// the rows.
pub async fn run_job_loop<W: Workflow>(
    workflow: Arc<W>,
    settings: &WorkflowSettings,
    database: &Database,
    ctx: &Ctx,
) -> Result<RunReport, WorkflowError> {
    let clock = Arc::clone(ctx.client().clock());
    let claim: i64 = rand::random::<i64>() & i64::MAX;
    let mut run = Run {
        workflow,
        settings: settings.clone(),
        database: database.clone(),
        ends_at: clock.now() + settings.run_limit,
        claim_ends_at: clock.now() + settings.lease,
        clock,
        ctx: ctx.clone(),
        claim,
        items: JoinSet::new(),
        report: RunReport::default(),
        labels: HashMap::new(),
    };
    let result = run.go().await;
    run.items.shutdown().await;
    let now = run.clock.now();
    claim::release::<W::Table>(database, claim, now).await.map_err(failed::<W>("release rows"))?;
    result?;
    run.report.more = run.is_due(now).await?;
    Ok(run.report)
}

struct Run<W: Workflow> {
    workflow: Arc<W>,
    settings: WorkflowSettings,
    database: Database,
    clock: Arc<dyn Clock>,
    ends_at: Timestamp,
    /// When the oldest claim runs out, as far as is known.
    claim_ends_at: Timestamp,
    ctx: Ctx,
    claim: i64,
    items: JoinSet<Result<Recorded, DbError>>,
    report: RunReport,
    labels: HashMap<tokio::task::Id, String>,
}

type Row<W> = <<W as Workflow>::Table as EntityTrait>::Model;

impl<W: Workflow> Run<W> {
    async fn go(&mut self) -> Result<(), WorkflowError> {
        self.sweep().await?;
        let clock = Arc::clone(&self.clock);
        let mut renewal = clock.sleep(self.settings.lease / RENEWALS_PER_LEASE);
        let mut look_again: Option<Timestamp> = Some(clock.now());
        loop {
            if self.wants_more() && look_again.is_some_and(|at| at <= clock.now()) {
                look_again = self.claim_more().await?;
            }
            if self.items.is_empty() && (look_again.is_none() || !self.goes_on()) {
                return Ok(());
            }
            let alarm = look_again.filter(|_| self.wants_more());
            tokio::select! {
                biased;
                Some(joined) = self.items.join_next_with_id() => {
                    self.count(joined);
                    // A place is free, here and perhaps at a host: whatever waits may be claimed now.
                    if self.goes_on() {
                        look_again = Some(clock.now());
                    }
                }
                () = &mut renewal => {
                    self.renew().await?;
                    // What a dead worker holds may be what keeps this run's rows from being claimed.
                    if self.sweep().await? && self.goes_on() {
                        look_again = Some(clock.now());
                    }
                    renewal = clock.sleep(self.settings.lease / RENEWALS_PER_LEASE);
                }
                () = self.ctx.cancelled(), if !self.ctx.is_cancelled() => {}
                () = sleep_until(&clock, alarm) => {}
            }
            if self.ctx.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Takes back what dead workers hold, and says whether there was any.
    async fn sweep(&mut self) -> Result<bool, WorkflowError> {
        let swept = sweep::<W::Table>(&self.database, &self.settings, self.clock.now()).await;
        let swept = swept.map_err(failed::<W>("take back rows"))?;
        self.report.taken_back += swept.total();
        self.report.failed += swept.given_up;
        Ok(swept.total() > 0)
    }

    /// Lengthens the claim. A failure is borne for as long as the claim holds.
    async fn renew(&mut self) -> Result<(), WorkflowError> {
        let now = self.clock.now();
        let until = now + self.settings.lease;
        match claim::renew::<W::Table>(&self.database, self.claim, until).await {
            Ok(()) => self.claim_ends_at = until,
            Err(error) if now < self.claim_ends_at => {
                tracing::warn!(
                    workflow = W::NAME,
                    scheduler.id = W::JOB,
                    error = error_text(&error),
                    "claim could not be renewed, trying again"
                );
            }
            Err(error) => return Err(failed::<W>("renew claim")(error)),
        }
        Ok(())
    }

    /// Says whether the run may claim at all.
    fn goes_on(&self) -> bool {
        let one_batch_is_enough = !self.settings.continuous && self.report.batches > 0;
        !one_batch_is_enough && !self.ctx.is_cancelled() && self.clock.now() < self.ends_at
    }

    /// Says whether there is room for another claim. Half of the places must be free, so that claims stay few.
    fn wants_more(&self) -> bool {
        self.goes_on() && self.items.len() <= self.settings.batch_size / 2
    }

    /// Claims rows and starts them; returns when to look again, `None` where nothing will soon be due.
    async fn claim_more(&mut self) -> Result<Option<Timestamp>, WorkflowError> {
        let now = self.clock.now();
        let max = self.settings.batch_size - self.items.len();
        let request = ClaimRequest { max, now, lease: self.settings.lease, claim: self.claim };
        let claimed = claim::claim(&self.database, Arc::clone(&self.workflow), request).await;
        let claimed = claimed.map_err(failed::<W>("claim rows"))?;
        if !claimed.is_empty() {
            self.report.batches += 1;
            for row in claimed {
                self.start(row);
            }
            return Ok(Some(now));
        }
        let next = W::Table::next_due_at(self.database.reader()).await;
        let next = next.map_err(|e| failed::<W>("look for due rows")(e.into()))?;
        // What is due but can't be claimed waits for its host; a moment later it may be its turn.
        let moment = now + LINGER / 40;
        Ok(next.filter(|due| self.settings.continuous && *due <= now + LINGER).map(|due| due.max(moment)))
    }

    fn start(&mut self, claimed: Claimed<Row<W>>) {
        let Claimed { row, not_before } = claimed;
        let state = W::Table::state(&row);
        let label = state.label.clone();
        let item = ItemCtx { ctx: self.ctx.clone(), attempt: state.attempts };
        let (workflow, settings) = (Arc::clone(&self.workflow), self.settings.clone());
        let (database, clock, claim) = (self.database.clone(), Arc::clone(&self.clock), self.claim);
        let handle = self.items.spawn(async move {
            if let Some(turn) = not_before {
                clock.sleep_until(turn).await;
            }
            let work = AssertUnwindSafe(workflow.process(row, item)).catch_unwind();
            let outcome = tokio::select! {
                caught = work => caught.unwrap_or_else(|panic| Err(panicked(&*panic))),
                () = clock.sleep(settings.item_limit) => Err(over_limit(&settings)),
            };
            log::<W>(&state.label, state.id, &outcome);
            write_down::<W>(&database, &settings, claim, &state, outcome, &*clock).await
        });
        self.labels.insert(handle.id(), label);
    }

    fn count(
        &mut self,
        joined: Result<(tokio::task::Id, Result<Recorded, DbError>), tokio::task::JoinError>,
    ) {
        let (id, recorded) = match joined {
            Ok((id, recorded)) => (id, recorded),
            Err(error) => {
                let row = self.labels.remove(&error.id()).unwrap_or_default();
                tracing::error!(workflow = W::NAME, scheduler.id = W::JOB, row, error = %error, "row was left behind");
                return;
            }
        };
        let row = self.labels.remove(&id).unwrap_or_default();
        match recorded {
            Ok(Recorded::Done) => self.report.done += 1,
            Ok(Recorded::Again) => self.report.retried += 1,
            Ok(Recorded::Error) => self.report.failed += 1,
            Ok(Recorded::Fenced) => {
                self.report.fenced += 1;
                tracing::warn!(
                    workflow = W::NAME,
                    scheduler.id = W::JOB,
                    row,
                    "claim had run out before the row was recorded"
                );
            }
            Err(error) => {
                tracing::error!(
                    workflow = W::NAME,
                    scheduler.id = W::JOB,
                    row,
                    error = error_text(&error),
                    "row could not be recorded; its claim will bring it back"
                );
            }
        }
        let RunReport { done, retried, failed, .. } = self.report;
        self.ctx.progress(0, format!("{}: {done} done, {retried} to retry, {failed} failed", W::NAME));
    }

    async fn is_due(&self, now: Timestamp) -> Result<bool, WorkflowError> {
        let next = W::Table::next_due_at(self.database.reader()).await;
        Ok(next.map_err(|e| failed::<W>("look for due rows")(e.into()))?.is_some_and(|due| due <= now))
    }
}

/// Records a row; where what it wanted written can't be, that is the row's failure.
async fn write_down<W: Workflow>(
    database: &Database,
    settings: &WorkflowSettings,
    claim: i64,
    state: &super::RowState,
    outcome: Result<super::Processed, ItemError>,
    clock: &dyn Clock,
) -> Result<Recorded, DbError> {
    match record::<W::Table>(database, settings, claim, state, outcome, clock.now()).await {
        Err(error) if !error.is_retryable() => {
            let reason =
                ItemError::permanent(format!("what was found could not be stored: {}", error_text(&error)));
            record::<W::Table>(database, settings, claim, state, Err(reason), clock.now()).await
        }
        Err(error) => {
            let reason =
                ItemError::transient(format!("what was found could not be stored: {}", error_text(&error)));
            record::<W::Table>(database, settings, claim, state, Err(reason), clock.now()).await
        }
        recorded => recorded,
    }
}

fn log<W: Workflow>(label: &str, id: i64, outcome: &Result<super::Processed, ItemError>) {
    match outcome {
        Ok(_) => tracing::debug!(
            workflow = W::NAME,
            scheduler.id = W::JOB,
            row.id = id,
            row = label,
            "row processed"
        ),
        Err(error) => {
            tracing::info!(
                workflow = W::NAME,
                scheduler.id = W::JOB,
                row.id = id,
                row = label,
                reason = error.reason,
                "row failed"
            );
        }
    }
}

async fn sleep_until(clock: &Arc<dyn Clock>, instant: Option<Timestamp>) {
    match instant {
        Some(instant) => clock.sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn failed<W: Workflow>(action: &'static str) -> impl Fn(DbError) -> WorkflowError {
    move |source| WorkflowError::Database { workflow: W::NAME, action, source }
}

fn over_limit(settings: &WorkflowSettings) -> ItemError {
    ItemError::transient(format!("it took longer than {:?}", settings.item_limit))
}

fn panicked(payload: &(dyn std::any::Any + Send)) -> ItemError {
    ItemError::transient(format!("processing panicked: {}", panic_text(payload).unwrap_or("no reason given")))
}
