//! Enqueues what the schedule says is due, when it is due, once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::Database;
use celeriac_engine::Client;
use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::MAX_BELIEVED;
use celeriac_store::query::schedules::{next_wake, wake_from_future};

use crate::Environment;
use crate::r#loop::{Loop, LoopCtx, LoopError, LoopSettingsError, PassReport};
use crate::workflow::Lookouts;

mod cancel;
mod decide;
mod entries;
mod fire;
mod message;
mod plan;
mod rows;
mod watch;

pub use entries::{
    Backfilled, DeclaredDifference, Difference, EntriesImported, EntryImport, Existing, FieldChange,
    FieldDifference, FieldFault, ImportStep, ImportedEntry, MAX_IMPORT, ManualRun, MergeStep,
    ScheduleDetails, Schedules, SchedulesError,
};
pub(crate) use entries::{is_due_otherwise, own_faults};
pub use fire::BeatError;
pub(crate) use message::arguments_of;
pub use watch::BeatClock;

use fire::{Fired, Firer};
use watch::{Time, Watch};

/// The loop's name; a [`Notice::Loop`](celeriac_broker::Notice::Loop) with it makes every scheduler look at once.
pub const BEAT: &str = "beat";

/// How long it rests where nothing is due sooner: how long an edit may stay unseen whose notice was lost, and how soon
/// another scheduler takes over what one has let go of.
const PERIOD: Duration = Duration::from_secs(1);

/// The most entries that one transaction may take: all of them wait for its slowest statement.
const MAX_BATCH: u64 = 5_000;

/// How the beat works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeatSettings {
    /// How many entries one transaction takes.
    pub batch: u64,
    /// How many such transactions one pass makes at most.
    pub batches_per_pass: u32,
    /// How late a due time may be met and still count as met, where its entry does not say.
    pub misfire_grace: Duration,
    /// Whose clock says what is due.
    pub clock: BeatClock,
}

impl Default for BeatSettings {
    fn default() -> Self {
        Self {
            batch: 500,
            batches_per_pass: 100,
            misfire_grace: Duration::from_secs(60),
            clock: BeatClock::default(),
        }
    }
}

impl BeatSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn validate(&self) -> Result<(), LoopSettingsError> {
        let refuse =
            |setting, value: String, reason| Err(LoopSettingsError { of: BEAT, setting, value, reason });
        if self.batch == 0 || self.batch > MAX_BATCH {
            return refuse("batch", self.batch.to_string(), "1 to 5000 are possible");
        }
        if self.batches_per_pass == 0 {
            return refuse("batches_per_pass", "0".to_owned(), "nothing would ever be enqueued");
        }
        if self.misfire_grace < Duration::from_secs(1) {
            let given = format!("{:?}", self.misfire_grace);
            return refuse("misfire_grace", given, "below a second nearly every due time would be missed");
        }
        Ok(())
    }
}

/// Is responsible for enqueueing what is due, together with every other scheduler on the same database.
///
/// Any number of them may run. There is no leader, no lease, and no schedule in memory: a pass takes what is due from
/// the database, skips what another scheduler has in its hands, and in one transaction writes down what came of each
/// due time, enqueues the jobs and moves the entries on. Of one that is stopped in the middle nothing is kept, and the
/// others go on; a server lets go of what a silent one holds after a few seconds. A due time has one row, so it happens
/// once.
pub struct Beat {
    database: Database,
    client: Client,
    settings: BeatSettings,
    lookouts: Lookouts,
    watch: Watch,
}

impl Beat {
    /// Makes a scheduler. Its client's queue must be in the environment's database, or have an outbox there.
    ///
    /// # Errors
    /// A setting that can't be.
    pub fn new(environment: &Environment, settings: BeatSettings) -> Result<Self, LoopSettingsError> {
        settings.validate()?;
        Ok(Self {
            database: environment.database().clone(),
            client: environment.client().clone(),
            watch: Watch::new(settings.clock),
            lookouts: Lookouts::default(),
            settings,
        })
    }

    /// Has it look at the rows of these workflows when their jobs are due: where no row is due, or as many runs go on
    /// as may, it enqueues nothing, and the due time passes. That is counted, and not written down as what came of it, so
    /// that an idle table fills no history. Jobs of workflows that it does not know it enqueues at all of their times.
    #[must_use]
    pub fn looking_at(mut self, lookouts: Lookouts) -> Self {
        self.lookouts = lookouts;
        self
    }

    /// Takes up entries again whose due times a clock has passed over that was far ahead.
    async fn wake_from_future(&self, now: Timestamp) -> Result<(), BeatError> {
        let wake = async move |tx: &celeriac_db::DbTx| {
            Ok::<_, BeatError>(wake_from_future(tx, now, now + MAX_BELIEVED).await?)
        };
        let entries = self.database.write("wake schedules", wake).await?;
        if entries > 0 {
            tracing::warn!(entries, "schedules were dealt with by a clock far ahead; they go on from now");
        }
        Ok(())
    }

    async fn fire_all(&self, ctx: &LoopCtx, time: Time) -> Result<(Fired, bool), BeatError> {
        let mut all = Fired::default();
        for _ in 0..self.settings.batches_per_pass {
            let fired = self.fire_some(time.again(ctx.clock().as_ref())).await?;
            all.add(fired);
            if !fired.more || ctx.is_stopping() {
                return Ok((all, false));
            }
        }
        Ok((all, true))
    }

    async fn fire_some(&self, now: Timestamp) -> Result<Fired, BeatError> {
        let firer = Firer {
            client: self.client.clone(),
            database: self.database.clone(),
            grace: self.settings.misfire_grace,
            lookouts: self.lookouts.clone(),
        };
        let batch = self.settings.batch;
        let fire = async move |tx: &celeriac_db::DbTx| firer.fire_due(tx, now, batch).await;
        self.database.write("fire schedules", fire).await
    }
}

#[async_trait]
impl Loop for Beat {
    fn name(&self) -> &'static str {
        BEAT
    }

    fn describe(&self) -> &'static str {
        "enqueues what the schedule says is due"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        let reader = self.database.reader();
        let time = self.watch.look(ctx.clock().as_ref(), reader).await?;
        if time.was_set_back {
            self.wake_from_future(time.now).await?;
        }
        let mut report = PassReport::default();
        let mut next = next_wake(reader).await?;
        if next.is_some_and(|next| next <= time.now) {
            let (fired, more) = self.fire_all(ctx, time).await?;
            report = fired.report().more(more);
            next = next_wake(reader).await?;
        }
        let cancelled = cancel::cancel_older(&self.database, &self.client).await?;
        let report = report.with("cancelled", cancelled);
        Ok(PassReport { next_at: next.map(|next| time.on_own_clock(next)), ..report })
    }
}

impl Fired {
    fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.fired += other.fired;
        self.skipped += other.skipped;
        self.missed += other.missed;
        self.idle += other.idle;
        self.busy += other.busy;
        self.failed += other.failed;
        self.switched_off += other.switched_off;
        self.late_ms = self.late_ms.max(other.late_ms);
        self.more = other.more;
    }

    fn report(self) -> PassReport {
        PassReport::default()
            .with("fired", self.fired)
            .with("skipped", self.skipped)
            .with("missed", self.missed)
            .with("idle", self.idle)
            .with("busy", self.busy)
            .with("failed", self.failed)
            .with("switched_off", self.switched_off)
            .with("late_ms", self.late_ms)
    }
}

impl fmt::Debug for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beat").field("settings", &self.settings).finish_non_exhaustive()
    }
}
