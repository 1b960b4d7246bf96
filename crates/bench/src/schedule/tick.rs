//! What one tick costs, by how many entries are due, on a clock that is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use celeriac_control::{Beat, BeatClock, BeatSettings, Environment, Loop as _, LoopCtx};
use celeriac_protocol::{Clock, Timestamp, WhenReached};
use tokio_util::sync::CancellationToken;

use super::ours::Filled;
use crate::ground::Ground;
use crate::setup::{self, Records};
use crate::tasks;

/// How many are due, tick for tick.
const DUE: [usize; 4] = [0, 1, 10, 100];

/// How often each is measured.
const TIMES: usize = 15;

/// A clock that stands.
#[derive(Debug)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, _: Timestamp) -> WhenReached<'_> {
        Box::pin(std::future::ready(()))
    }
}

pub(super) fn header() -> [&'static str; 8] {
    ["database", "entries", "made in", "0 due", "1", "10", "100", "all of a minute"]
}

/// Fills a schedule, and measures ticks.
///
/// Returns what is shown, and how long it took to fill it.
pub(super) async fn row(
    ground: &Ground,
    entries: usize,
    due: usize,
) -> anyhow::Result<(Vec<String>, Duration)> {
    let (database, client) = setup::open_for(&ground.place(), Records::All, tasks::registry()).await?;
    let begun = Instant::now();
    let filled = Filled::fill(&database, entries, due, client.clock().now()).await?;
    let took = begun.elapsed();
    let clock = Arc::new(Standing(AtomicI64::new(filled.start.as_micros())));
    let settings = BeatSettings { clock: BeatClock::Own, ..BeatSettings::default() };
    let beat = Beat::new(&Environment::new(database, client), settings)?;
    let ctx = LoopCtx::new(Arc::clone(&clock) as Arc<dyn Clock>, CancellationToken::new());
    let transport = format!("{:?}", ground.transport()).to_lowercase();
    let mut row = vec![transport, entries.to_string(), format!("{:.1} s", took.as_secs_f64())];
    // The first one opens connections and prepares statements.
    advance(&clock, filled.step());
    beat.pass(&ctx).await.map_err(|error| anyhow::anyhow!(error))?;
    for many in DUE.into_iter().chain([due]) {
        if many > due {
            row.push(String::new());
            continue;
        }
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..if many == due { 3 } else { TIMES } {
            advance(&clock, filled.step() * u32::try_from(many)?);
            let begun = Instant::now();
            let report = beat.pass(&ctx).await.map_err(|error| anyhow::anyhow!(error))?;
            times.push(begun.elapsed());
            let fired = report.numbers.iter().find(|(name, _)| *name == "fired").map_or(0, |(_, n)| *n);
            anyhow::ensure!(fired == many as u64, "{many} were due, {report} came of it");
        }
        times.sort_unstable();
        row.push(format!("{:.2}", times[times.len() / 2].as_secs_f64() * 1_000.0));
    }
    Ok((row, took))
}

fn advance(clock: &Standing, by: Duration) {
    clock.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(0), Ordering::Relaxed);
}
