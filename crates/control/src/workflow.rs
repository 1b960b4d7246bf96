//! Tables whose rows move through statuses, and the one loop that moves them.
//!
//! The table is the queue: nothing is copied into another one. A run claims due rows in one short
//! transaction, processes them side by side with no transaction open, and records each in a short
//! transaction of its own.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_engine::{Ctx, StopReason};
use celeriac_protocol::Timestamp;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use sea_orm::DbErr;

mod cadence;
mod changes;
mod claim;
mod lookout;
mod process;
mod record;
mod registered;
mod run;
mod settings;
mod standing;
mod starter;
mod status;
mod sweep;
mod table;

pub use changes::{ChangeError, ChangedBy, SettingInForce, SettingsDesk};
pub use lookout::{Lookout, Lookouts};
pub use process::{RunReport, run_job_loop};
pub use registered::{RegisteredWorkflow, ResetFilter, RowError, WorkflowCheck, Workflows};
pub use run::{NoArguments, ProcessPending, WORKFLOW_QUEUE, process_pending, run_workflow};
pub use settings::{MAX_BATCH_SIZE, SettingsError, SettingsForm, WorkflowSettings};
pub(crate) use standing::standing;
pub use starter::{WorkflowStarter, run_key};
pub use status::ItemStatus;
pub use table::{ClaimRequest, Claimed, Columns, RowState, RowsWaiting, Statuses, WorkflowTable, take_claim};

/// A table's workflow: what is done with one row. Everything else (claim, lease, retries, record)
/// is the loop's.
///
/// A new workflow is one small file beside its entity: the statuses and columns
/// ([`WorkflowTable`]), its names, the settings, and `process`.
pub trait Workflow: Send + Sync + 'static {
    /// The table.
    type Table: WorkflowTable;

    /// The name on the command line, in logs and in metrics (`page`).
    const NAME: &'static str;

    /// The stable id of its scheduler's job (`process_pending_pages`): the name of its runs' task, of its entry in the
    /// schedule, and of the loop that starts runs when rows are announced.
    const JOB: &'static str;

    /// What it does, in one line for people.
    const DESCRIPTION: &'static str;

    /// Claims due rows within the caller's short transaction. The table's own way, unless the workflow's
    /// settings have a say in it.
    ///
    /// # Errors
    /// The database's.
    fn get_pending_items(
        &self,
        tx: &DbTx,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Vec<ClaimedRow<Self>>, DbErr>> {
        Self::Table::get_pending_items(tx, request)
    }

    /// Processes one row: fetch, extract, and return what is to be written. No transaction is open
    /// meanwhile, and what is returned is written in one of its own, together with the row's status.
    ///
    /// # Errors
    /// [`ItemError`], which is recorded on the row; the rest of the batch goes on.
    fn process(
        &self,
        row: <Self::Table as sea_orm::EntityTrait>::Model,
        item: ItemCtx,
    ) -> impl Future<Output = Result<Processed, ItemError>> + Send;
}

/// A claimed row of a workflow's table.
pub type ClaimedRow<W> = Claimed<<<W as Workflow>::Table as sea_orm::EntityTrait>::Model>;

/// What a row's processing is handed besides the row.
#[derive(Clone, Debug)]
pub struct ItemCtx {
    ctx: Ctx,
    attempt: u32,
}

impl ItemCtx {
    /// Returns which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the context of the run that this row belongs to.
    pub fn run(&self) -> &Ctx {
        &self.ctx
    }

    /// Says why the run is to stop, if it is.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.ctx.stop_reason()
    }
}

/// What processing a row came to: done, with what is to be written.
#[must_use = "what is to be written is written by the loop"]
pub struct Processed {
    write: Option<Write>,
}

/// A write that the loop makes in the row's own transaction.
type Write = Box<dyn for<'t> FnOnce(&'t DbTx) -> LocalBoxFuture<'t, Result<(), DbErr>> + Send>;

impl Processed {
    /// The row is done, and nothing else is to be written.
    pub fn done() -> Self {
        Self { write: None }
    }

    /// The row is done once `write` has been made, in the same transaction as its status.
    pub fn with<F>(write: F) -> Self
    where
        F: AsyncFnOnce(&DbTx) -> Result<(), DbErr> + Send + 'static,
    {
        Self { write: Some(boxed(write)) }
    }
}

fn boxed<F>(write: F) -> Write
where
    F: AsyncFnOnce(&DbTx) -> Result<(), DbErr> + Send + 'static,
{
    Box::new(move |tx| async move { write(tx).await }.boxed_local())
}

impl fmt::Debug for Processed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processed").field("writes", &self.write.is_some()).finish()
    }
}

/// Why a row could not be processed, in words that a person understands.
pub struct ItemError {
    reason: String,
    again: Again,
    write: Option<Write>,
}

/// Whether and when a row is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// After the settings' backoff, while attempts are left.
    Backoff,
    /// At this instant, while attempts are left.
    At(Timestamp),
    /// At this instant, and the attempt is not charged: the row was not to blame.
    Uncharged(Timestamp),
    /// Not at all.
    Never,
}

impl ItemError {
    /// Fails in a way that may pass: tried again while attempts are left.
    pub fn transient(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), again: Again::Backoff, write: None }
    }

    /// Fails for good: the row ends in *error*.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), again: Again::Never, write: None }
    }

    /// Fails, and says when it is worth trying again (a `Retry-After`).
    #[must_use]
    pub fn at(mut self, instant: Timestamp) -> Self {
        self.again = Again::At(instant);
        self
    }

    /// Puts the row off without charging an attempt: it was not to blame.
    pub fn postpone(until: Timestamp, reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), again: Again::Uncharged(until), write: None }
    }

    /// Adds what is to be written in spite of the failure, in the same transaction as the row's status.
    #[must_use]
    pub fn with<F>(mut self, write: F) -> Self
    where
        F: AsyncFnOnce(&DbTx) -> Result<(), DbErr> + Send + 'static,
    {
        self.write = Some(boxed(write));
        self
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Debug for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemError")
            .field("reason", &self.reason)
            .field("again", &self.again)
            .finish_non_exhaustive()
    }
}

/// A pass of a workflow that failed as a whole; it ends only that pass.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// The database failed.
    #[error("{action} of workflow \"{workflow}\"")]
    Database {
        /// The workflow.
        workflow: &'static str,
        /// What was being done, to be read after "failed to".
        action: &'static str,
        /// The failure.
        #[source]
        source: celeriac_db::DbError,
    },
    /// There is no such workflow.
    #[error("find workflow \"{name}\" (there are: {})", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
}

/// The longest reason that is kept on a row, in bytes.
pub const MAX_REASON_BYTES: usize = 2_000;

/// How long a run waits for rows that will soon be due before it ends.
const LINGER: Duration = Duration::from_secs(2);
