//! `soak beat`: schedulers are killed, stopped and started again, and so are their servers, while a schedule runs
//! on; then every due time is looked for, in the tables and in the messages, and nowhere else.

use std::time::Duration;

use celeriac_protocol::Timestamp;

use crate::ground::Transport;
use crate::setup::{self, Records};
use crate::tasks;

mod check;
mod clock;
mod entries;
mod plan;
pub(crate) mod scheduler;
mod second;
mod soak;
mod verdict;

pub(crate) use clock::ScaledClock;
pub(crate) use entries::{record, write};

use check::Found;
use entries::{Made, Window};
use plan::Plan;
use soak::Soak;
use verdict::Verdict;

/// How `soak beat` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What carries the queue. The schedule is in PostgreSQL, and what is beside that gets its jobs through the outbox.
    #[arg(long = "broker", value_enum, default_value = "postgres")]
    transport: Transport,
    /// How many entries are due each second; as many again are due each minute.
    #[arg(long, default_value_t = 1_000)]
    entries: usize,
    /// How long the schedule runs at least, in seconds of real time; what is done to it takes as long as it takes.
    #[arg(long, default_value_t = 180)]
    seconds: u64,
    /// How many seconds of the schedule pass in one.
    #[arg(long, default_value_t = 2)]
    speed: u32,
    /// How many schedulers there are.
    #[arg(long, default_value_t = 3)]
    schedulers: usize,
    /// What the order of the disturbances derives from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long a scheduler's transaction may take; the server cuts off a second later what stands still.
    #[arg(long, default_value_t = 5_000)]
    deadline_ms: u64,
    /// How long a scheduler is stopped; without it longer than every lease that it may have.
    #[arg(long)]
    stop_ms: Option<u64>,
}

/// How much longer than the server waits a scheduler is stopped.
const LONGER: Duration = Duration::from_secs(3);

/// How long a relay has a batch of the outbox for itself, and some more.
const RELAY_LEASE: Duration = Duration::from_secs(62);

/// How long after the schedulers are up the first entries are due.
const BEFORE_START: Duration = Duration::from_secs(1);

impl Options {
    fn has_relay(&self) -> bool {
        self.transport != Transport::Postgres
    }

    /// Returns how long a scheduler is stopped.
    fn stop(&self) -> Duration {
        let cut_off = Duration::from_millis(self.deadline_ms) + LONGER;
        let longest = if self.has_relay() { cut_off.max(RELAY_LEASE) } else { cut_off };
        self.stop_ms.map_or(longest, Duration::from_millis)
    }
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    anyhow::ensure!(options.transport != Transport::Sqlite, "a file has no server and is no cluster's");
    anyhow::ensure!(options.schedulers > 1 && options.entries > 0 && options.speed > 0, "nothing to show");
    let mut soak = Soak::begin(&options).await?;
    let start = Window::start_after(soak.clock.told() + BEFORE_START * options.speed);
    let entries = entries::make(&soak.database, options.entries, start).await?;
    let plan = Plan::new(options.seed, options.has_relay());
    let disturbances = soak.disturb(&options, plan).await?;
    let window = Window { start, end: soak.clock.told() };
    soak.until_all_is_met(window).await?;
    soak.dismiss().await?;
    let (place, clock) = (soak.place.clone(), soak.clock);
    let ground = soak.end();
    // Nothing that anybody remembers is asked from here on.
    let (database, client) = setup::open_for(&place, Records::All, tasks::registry()).await?;
    let mut found = Found::read(&database, &client, &entries).await?;
    let seconds = second::pairs(std::mem::take(&mut found.marked), &found.messages)?;
    let dropped = second::dropped(&client, seconds).await?;
    drop(ground);
    let made = Made { entries, window };
    let verdict = Verdict::of(&made, found);
    let lateness = verdict::Lateness::of(&verdict, &disturbances, clock);
    verdict.print(&options, &made);
    lateness.print(&disturbances);
    dropped.print();
    verdict.judge(options.transport, &disturbances)?;
    dropped.judge()?;
    lateness.judge(&disturbances)
}

/// An instant of the world, where others are of the schedule's clock.
type Real = Timestamp;
