//! Our scheduler, as a process of its own, with a schedule that is full.

use std::time::Duration;

use celeriac_db::Database;
use celeriac_engine::SystemClock;
use celeriac_protocol::{Clock as _, Timestamp};
use celeriac_store::query::schedules::{
    Firing, Overlap, ScheduleEntry, ScheduleRecord, ScheduleState, firings_between,
};

use crate::beat::{ScaledClock, record, write};
use crate::ground::Ground;
use crate::process::{Second, Usage, cpu_of_tree};
use crate::setup::{self, Place, Records};
use crate::tasks;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// When the first of those is due that are not due within the run.
const LATER: Duration = Duration::from_secs(6 * 3_600);

/// How many entries are written in one transaction.
const CHUNK: usize = 2_000;

/// How long after its first job a scheduler has caught up with what fell due while it started.
const CAUGHT_UP: Duration = Duration::from_secs(2);

/// How long a scheduler may take for its first job.
const LONGEST_START: Duration = Duration::from_secs(60);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// A schedule with entries that are due each minute, spread over it, and others that are not.
pub(super) struct Filled {
    pub(super) start: Timestamp,
    /// The numbers of those that are due, and when each is for the first time.
    due: Vec<(i64, Timestamp)>,
}

impl Filled {
    /// Fills it; the first is due just after `start`.
    pub(super) async fn fill(
        database: &Database,
        entries: usize,
        due: usize,
        start: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut filled = Self { start, due: Vec::with_capacity(due) };
        for first in (0..entries).step_by(CHUNK) {
            let numbers = first..entries.min(first + CHUNK);
            let rows: Vec<_> = numbers.clone().map(|number| entry(number, due, entries, start)).collect();
            let first_due: Vec<_> = rows.iter().filter_map(|(_, state)| state.next_due_at).collect();
            let ids = write(database, rows).await?;
            let made = numbers.zip(ids.into_iter().zip(first_due));
            filled.due.extend(made.filter(|(number, _)| *number < due).map(|(_, made)| made));
        }
        Ok(filled)
    }

    /// Returns how long after one entry the next is due.
    pub(super) fn step(&self) -> Duration {
        MINUTE / u32::try_from(self.due.len()).unwrap_or(u32::MAX)
    }
}

fn entry(number: usize, due: usize, entries: usize, start: Timestamp) -> (ScheduleRecord, ScheduleState) {
    let (spec, period, first) = if number < due {
        ("every 1m", MINUTE, start + MINUTE * share(number + 1) / share(due))
    } else {
        ("every 1d", DAY, start + LATER + (DAY / 2 / share(entries)) * share(number))
    };
    let entry = ScheduleEntry {
        anchor_at: Some(first - period),
        overlap: Overlap::Allow,
        args: format!("[{number}]"),
        ..ScheduleEntry::new(format!("entry-{number:07}"), "bench.noop", spec)
    };
    let state = ScheduleState { wake_at: Some(first), next_due_at: Some(first), ..ScheduleState::default() };
    (record(entry, start), state)
}

fn share(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What a scheduler did in real time.
pub(super) struct Run {
    pub(super) who: String,
    pub(super) entries: usize,
    /// From its start to its first job; `None` where none came in time.
    pub(super) start: Option<Duration>,
    /// Shortest first.
    pub(super) late: Vec<Duration>,
    /// Seconds of processor time that a minute took, of its process and of the database's server.
    pub(super) cpu: f64,
    pub(super) server_cpu: f64,
    pub(super) mib: f64,
}

impl Run {
    pub(super) const HEADER: [&'static str; 9] = [
        "scheduler",
        "entries",
        "start",
        "jobs",
        "p50 late",
        "p99",
        "longest",
        "CPU s/min (server's)",
        "MiB",
    ];

    /// Returns how late so many of a hundred were at most.
    pub(super) fn late(&self, percent: usize) -> Duration {
        let last = self.late.len().saturating_sub(1);
        self.late.get(last * percent / 100).copied().unwrap_or_default()
    }

    pub(super) fn row(&self) -> Vec<String> {
        let ms = |late: Duration| format!("{:.1} ms", late.as_secs_f64() * 1_000.0);
        vec![
            self.who.clone(),
            self.entries.to_string(),
            self.start.map_or_else(|| "none".to_owned(), |start| format!("{:.2} s", start.as_secs_f64())),
            self.late.len().to_string(),
            ms(self.late(50)),
            ms(self.late(99)),
            ms(self.late(100)),
            format!("{:.2} ({:.2})", self.cpu, self.server_cpu),
            format!("{:.1}", self.mib),
        ]
    }
}

/// A full schedule whose first entry is due in a moment.
pub(super) struct Full {
    place: Place,
    database: Database,
    filled: Filled,
    entries: usize,
}

impl Full {
    /// Fills it, which takes about so long.
    pub(super) async fn fill(
        ground: &Ground,
        entries: usize,
        due: usize,
        filling: Duration,
    ) -> anyhow::Result<Self> {
        let place = ground.place();
        let (database, _) = setup::open_for(&place, Records::All, tasks::registry()).await?;
        // Ahead, so that the last is written before the first is due.
        let ahead = filling * 2 + CAUGHT_UP;
        let filled = Filled::fill(&database, entries, due, SystemClock.now() + ahead).await?;
        anyhow::ensure!(
            SystemClock.now() < filled.start,
            "it took longer than {ahead:?} to fill the schedule"
        );
        Ok(Self { place, database, filled, entries })
    }

    /// Watches one scheduler with it.
    pub(super) async fn watch(self, ground: &Ground, long: Duration) -> anyhow::Result<Run> {
        let Self { place, database, filled, entries } = self;
        SystemClock.sleep_until(filled.start + filled.step()).await;
        let spawned = SystemClock.now();
        let mut arguments = vec!["scheduler".to_owned()];
        arguments.extend(place.arguments());
        arguments.extend(ScaledClock::starting_now(1).arguments());
        let mut scheduler = Second::start(&arguments)?;
        anyhow::ensure!(scheduler.line()?.as_deref() == Some("ready"), "the scheduler did not start");
        let first = first_job(&database, &filled, spawned).await?;
        let before = (cpu_of_tree(scheduler.pid())?, ground.cpu_seconds()?);
        let watched = SystemClock.now();
        tokio::time::sleep(long).await;
        let minutes = SystemClock.now().since(watched).as_secs_f64() / 60.0;
        let after = (cpu_of_tree(scheduler.pid())?, ground.cpu_seconds()?);
        let usage: Usage = serde_json::from_str(&scheduler.stop()?)?;
        Ok(Run {
            who: format!("Celeriac, {}", format!("{:?}", ground.transport()).to_lowercase()),
            entries,
            start: Some(first.since(spawned)),
            late: lateness(&database, &filled, first + CAUGHT_UP).await?,
            cpu: (after.0 - before.0) / minutes,
            server_cpu: (after.1 - before.1) / minutes,
            mib: usage.peak_rss_mib,
        })
    }
}

/// Waits for the first job, which is that of the entry that is due first, and returns when it was enqueued.
async fn first_job(database: &Database, filled: &Filled, spawned: Timestamp) -> anyhow::Result<Timestamp> {
    let (id, due) = filled.due[0];
    loop {
        let firings = firings_between(database.reader(), id, due, due, 1).await?;
        if let Some(firing) = firings.first() {
            return Ok(firing.handled_at);
        }
        let waited = SystemClock.now().since(spawned);
        anyhow::ensure!(waited < LONGEST_START, "no job {waited:?} after the start");
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns how late each due time behind an instant was met, shortest first.
async fn lateness(database: &Database, filled: &Filled, from: Timestamp) -> anyhow::Result<Vec<Duration>> {
    let (mut late, end) = (Vec::new(), Timestamp::from_micros(i64::MAX));
    for (id, _) in &filled.due {
        let firings = firings_between(database.reader(), *id, from, end, 100).await?;
        late.extend(firings.iter().map(Firing::lateness));
    }
    anyhow::ensure!(!late.is_empty(), "nothing was due");
    late.sort_unstable();
    Ok(late)
}
