//! Removes the records of jobs, and of what came of due times, whose time is over.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{Database, DbTx};
use celeriac_protocol::Timestamp;
use celeriac_store::StoreError;
use celeriac_store::query::access::{prune_audit, prune_sessions};
use celeriac_store::query::jobs::{self, Cutoffs};
use celeriac_store::query::schedules::{FiringCursor, prune_firings};

use crate::r#loop::{Loop, LoopCtx, LoopError, LoopSettingsError, PassReport};

/// How long the records of finished jobs are kept, by how they ended, of what came of due times, and of what people did;
/// `None` is for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunerSettings {
    /// For completed jobs.
    pub keep_completed: Option<Duration>,
    /// For failed jobs, dead ones too. The dead letter itself is kept by the queue all the same.
    pub keep_failed: Option<Duration>,
    /// For cancelled jobs.
    pub keep_cancelled: Option<Duration>,
    /// For what came of the due times of schedules; the last [`LAST_FIRINGS`] of each stay all the same.
    pub keep_firings: Option<Duration>,
    /// For the log of what people did, and for logins that have ended.
    pub keep_audit: Option<Duration>,
    /// How often it looks.
    pub period: Duration,
    /// How many rows it looks at, and removes at most, in one go: others write in between.
    pub batch: u64,
    /// How many such batches one pass makes at most.
    pub batches_per_pass: u32,
}

/// Thirty days, as the platform's `cleanup_old_jobs` has always kept them.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A year: who asks what was done asks late.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// How many firings of each entry are kept however old they are: a rare entry has something to show.
pub const LAST_FIRINGS: u64 = 30;

/// The most rows that one batch may have: more would keep everybody else from writing for long.
const MAX_BATCH: u64 = 10_000;

impl Default for PrunerSettings {
    /// Keeps everything for thirty days, the log of what people did for a year, and looks every hour.
    fn default() -> Self {
        Self {
            keep_completed: Some(MONTH),
            keep_failed: Some(MONTH),
            keep_cancelled: Some(MONTH),
            keep_firings: Some(MONTH),
            keep_audit: Some(YEAR),
            period: Duration::from_secs(3_600),
            batch: 500,
            batches_per_pass: 200,
        }
    }
}

impl PrunerSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn validate(&self) -> Result<(), LoopSettingsError> {
        let refuse =
            |setting, value: String, reason| Err(LoopSettingsError { of: "pruner", setting, value, reason });
        if self.batch == 0 || self.batch > MAX_BATCH {
            return refuse("batch", self.batch.to_string(), "1 to 10000 are possible");
        }
        if self.batches_per_pass == 0 {
            return refuse("batches_per_pass", "0".to_owned(), "nothing would ever be removed");
        }
        if self.period < Duration::from_secs(1) {
            return refuse("period", format!("{:?}", self.period), "below a second it would never rest");
        }
        Ok(())
    }

    fn cutoffs(&self, now: Timestamp) -> Cutoffs {
        let before = |keep: Option<Duration>| keep.map(|keep| now - keep);
        Cutoffs {
            completed: before(self.keep_completed),
            failed: before(self.keep_failed),
            cancelled: before(self.keep_cancelled),
        }
    }
}

/// Is responsible for removing the records of jobs, and of what came of due times, whose time is over.
///
/// It walks over the rows from the oldest, in small batches, each removed in a write of its own.
/// Where one pass does not get to the end, the next goes on from there.
#[derive(Debug)]
pub struct Pruner {
    database: Database,
    settings: PrunerSettings,
    /// The row behind which the next pass goes on; 0 is the beginning.
    reached: AtomicI64,
    /// The firing behind which the next pass goes on.
    reached_firing: Mutex<Option<FiringCursor>>,
}

/// What a sweep has removed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swept {
    pub(crate) jobs: u64,
    pub(crate) firings: u64,
    /// Entries of the audit log, and logins that had ended.
    pub(crate) audit: u64,
    /// Whether it did not get to the end.
    pub(crate) more: bool,
}

/// What a walk over rows came to.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    removed: u64,
    /// Whether it did not get to the end.
    more: bool,
}

impl Pruner {
    /// Makes a pruner.
    ///
    /// # Errors
    /// A setting that can't be.
    pub fn new(database: Database, settings: PrunerSettings) -> Result<Self, LoopSettingsError> {
        settings.validate()?;
        Ok(Self { database, settings, reached: AtomicI64::new(0), reached_firing: Mutex::default() })
    }

    /// Makes one pass: as many batches as the settings allow, from where the last one ended.
    pub(crate) async fn sweep(&self, ctx: &LoopCtx) -> Result<Swept, StoreError> {
        let jobs = self.prune_jobs(ctx).await?;
        let firings = self.prune_firings(ctx).await?;
        let audit = self.prune_audit(ctx).await?;
        let more = jobs.more || firings.more || audit.more;
        Ok(Swept { jobs: jobs.removed, firings: firings.removed, audit: audit.removed, more })
    }

    async fn prune_jobs(&self, ctx: &LoopCtx) -> Result<Walk, StoreError> {
        let cutoffs = self.settings.cutoffs(ctx.now());
        let mut removed = 0;
        for _ in 0..self.settings.batches_per_pass {
            let after = self.reached.load(Ordering::Relaxed);
            let found = jobs::expired(self.database.reader(), &cutoffs, after, self.settings.batch).await?;
            removed += self.remove(found.seqs, cutoffs).await?;
            self.reached.store(found.next.unwrap_or(0), Ordering::Relaxed);
            if found.next.is_none() {
                self.database.write("prune counts", jobs::drop_empty_counts).await?;
                return Ok(Walk { removed, more: false });
            }
            if ctx.is_stopping() {
                break;
            }
        }
        Ok(Walk { removed, more: true })
    }

    async fn prune_firings(&self, ctx: &LoopCtx) -> Result<Walk, StoreError> {
        let Some(keep) = self.settings.keep_firings else { return Ok(Walk::default()) };
        let (before, batch) = (ctx.now() - keep, self.settings.batch);
        let reached = || self.reached_firing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = 0;
        for _ in 0..self.settings.batches_per_pass {
            let after = *reached();
            let prune = async move |tx: &DbTx| prune_firings(tx, before, after, batch, LAST_FIRINGS).await;
            let step = self.database.write("prune firings", prune).await?;
            removed += step.removed;
            *reached() = step.next;
            if step.next.is_none() {
                return Ok(Walk { removed, more: false });
            }
            if ctx.is_stopping() {
                break;
            }
        }
        Ok(Walk { removed, more: true })
    }

    async fn prune_audit(&self, ctx: &LoopCtx) -> Result<Walk, StoreError> {
        let Some(keep) = self.settings.keep_audit else { return Ok(Walk::default()) };
        let (before, batch) = (ctx.now() - keep, self.settings.batch);
        let mut removed = 0;
        for _ in 0..self.settings.batches_per_pass {
            let prune = async move |tx: &DbTx| {
                Ok::<_, StoreError>((
                    prune_audit(tx, before, batch).await?,
                    prune_sessions(tx, before, batch).await?,
                ))
            };
            let (entries, sessions) = self.database.write("prune audit log", prune).await?;
            removed += entries + sessions;
            if entries < batch && sessions < batch {
                return Ok(Walk { removed, more: false });
            }
            if ctx.is_stopping() {
                break;
            }
        }
        Ok(Walk { removed, more: true })
    }

    async fn remove(&self, seqs: Vec<i64>, cutoffs: Cutoffs) -> Result<u64, StoreError> {
        if seqs.is_empty() {
            return Ok(0);
        }
        self.database.write("prune jobs", async move |tx| jobs::remove(tx, &seqs, &cutoffs).await).await
    }
}

#[async_trait]
impl Loop for Pruner {
    fn name(&self) -> &'static str {
        "pruner"
    }

    fn describe(&self) -> &'static str {
        "removes the records of finished jobs after their time"
    }

    fn period(&self) -> Duration {
        self.settings.period
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let Swept { jobs, firings, audit, more } = self.sweep(ctx).await?;
        let report = PassReport::default().with("removed", jobs);
        let report = if firings > 0 { report.with("firings", firings) } else { report };
        let report = if audit > 0 { report.with("audit", audit) } else { report };
        Ok(report.more(more))
    }
}
