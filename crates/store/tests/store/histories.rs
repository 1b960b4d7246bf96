//! Random histories: whatever the order in which they are heard, the record is the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use celeriac_db::testing::TestDatabase;
use celeriac_protocol::{JobEvent, JobStatus, What};
use celeriac_store::query::jobs::{self, Cutoffs, JobFilter};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use crate::kit::{self, Story, at};

/// How one delivery goes on after its start.
#[derive(Clone, Debug)]
enum Run {
    /// Its worker vanishes, and nobody says so.
    Gone,
    /// Its worker vanishes, and that is found out.
    Lost,
    Retried,
    Snoozed,
    Released,
}

/// How a generation ends.
#[derive(Clone, Debug)]
enum End {
    Open,
    Succeeded,
    Failed,
    Dead,
    Cancelled,
    CancelledWaiting,
}

#[derive(Clone, Debug)]
struct Generation {
    runs: Vec<(Run, Vec<u8>)>,
    end: End,
}

fn generation() -> impl Strategy<Value = Generation> {
    let run = prop_oneof![
        Just(Run::Gone),
        Just(Run::Lost),
        Just(Run::Retried),
        Just(Run::Snoozed),
        Just(Run::Released)
    ];
    let runs = prop::collection::vec((run, prop::collection::vec(0..=100_u8, 0..3)), 0..3);
    let end = prop_oneof![
        Just(End::Open),
        Just(End::Succeeded),
        Just(End::Failed),
        Just(End::Dead),
        Just(End::Cancelled),
        Just(End::CancelledWaiting),
    ];
    (runs, end).prop_map(|(runs, end)| Generation { runs, end })
}

/// Tells a history that could happen: each generation but the last comes to an end.
fn history(id: &str, generations: &[Generation]) -> Vec<JobEvent> {
    let mut story = Story::new(id);
    for (number, generation) in generations.iter().enumerate() {
        if number == 0 {
            story.enqueued()
        } else {
            story.revived()
        };
        for (run, percents) in &generation.runs {
            story.started(&format!("w{}", story.delivery));
            for percent in percents {
                let message = (percent % 2 == 0).then(|| format!("at {percent}"));
                story.progressed(*percent, message.as_deref());
                if percent % 3 == 0 {
                    story.partial(&percent.to_string());
                }
            }
            let until = at(story.seconds + 9);
            match run {
                Run::Gone => &mut story,
                Run::Lost => story.tell(What::Lost),
                Run::Retried => story.retried("boom"),
                Run::Snoozed => story.tell(What::Snoozed { until }),
                Run::Released => story.tell(What::Released),
            };
        }
        let is_last = number + 1 == generations.len();
        match generation.end {
            End::Open if is_last => &mut story,
            End::CancelledWaiting => story.cancelled("operator"),
            End::Succeeded => story.started("last").succeeded("7"),
            End::Dead => story.started("last").failed("bang", true),
            End::Cancelled => story.started("last").cancelled("told"),
            End::Failed | End::Open => story.started("last").failed("bang", false),
        };
    }
    story.events
}

/// Doubles some events and moves others about, and cuts the whole into batches.
fn disturbed(
    events: &[JobEvent],
    doubles: &[Index],
    swaps: &[(Index, Index)],
    cuts: &[Index],
) -> Vec<Vec<JobEvent>> {
    let mut events = events.to_vec();
    for double in doubles {
        let copy = double.get(&events).clone();
        events.push(copy);
    }
    for (a, b) in swaps {
        let (a, b) = (a.index(events.len()), b.index(events.len()));
        events.swap(a, b);
    }
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(events.len())).collect();
    ends.extend([0, events.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|ends| events[ends[0]..ends[1]].to_vec()).collect()
}

/// Returns all that a reader can see of a job.
async fn seen(db: &TestDatabase, id: &str) -> String {
    let mut record = kit::find(db, id).await;
    record.summary.seq = 0;
    format!("{record:#?}")
}

/// Counts the rows themselves, which nothing but a test does.
async fn counted(db: &TestDatabase) -> ([u64; 7], u64) {
    let page = jobs::list(db.reader(), &JobFilter::default(), None, jobs::MAX_PAGE).await.unwrap();
    let of = |status| page.jobs.iter().filter(|job| job.status == status).count() as u64;
    let dead = page.jobs.iter().filter(|job| job.dead_lettered_at.is_some()).count() as u64;
    (JobStatus::ALL.map(of), dead)
}

async fn kept(db: &TestDatabase) -> ([u64; 7], u64) {
    let counts = jobs::counts(db.reader(), None).await.unwrap();
    (JobStatus::ALL.map(|status| counts.of(status)), counts.dead)
}

/// Runs a test's body; proptest calls plain functions.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn late_and_doubled_events_leave_the_record_of_the_history_in_order() {
    let runtime = runtime();
    let (in_order, out_of_order) = runtime.block_on(async { (kit::database().await, kit::database().await) });
    let number = AtomicUsize::new(0);
    let histories = (
        prop::collection::vec(generation(), 1..4),
        prop::collection::vec(any::<Index>(), 0..6),
        prop::collection::vec((any::<Index>(), any::<Index>()), 0..24),
        prop::collection::vec(any::<Index>(), 0..8),
    );
    let outcome = runner(256).run(&histories, |(generations, doubles, swaps, cuts)| {
        let id = format!("job-{}", number.fetch_add(1, Ordering::Relaxed));
        let events = history(&id, &generations);
        runtime.block_on(async {
            kit::record(&in_order, &events).await;
            for batch in disturbed(&events, &doubles, &swaps, &cuts) {
                kit::record(&out_of_order, &batch).await;
            }
            let (expected, found) = (seen(&in_order, &id).await, seen(&out_of_order, &id).await);
            prop_assert!(expected == found, "in order {expected}\ndisturbed {found}");
            Ok(())
        })
    });
    outcome.unwrap();
}

#[test]
fn counts_are_those_of_the_rows_whatever_happened() {
    let runtime = runtime();
    let histories = (
        prop::collection::vec(prop::collection::vec(generation(), 1..3), 1..12),
        prop::collection::vec((any::<Index>(), any::<Index>()), 0..64),
        prop::collection::vec(any::<Index>(), 0..8),
        0..60_i64,
    );
    let outcome = runner(32).run(&histories, |(histories, swaps, cuts, keeps)| {
        let histories = histories.iter().enumerate();
        let events: Vec<_> = histories.flat_map(|(n, one)| history(&format!("job-{n}"), one)).collect();
        runtime.block_on(async {
            let db = kit::database().await;
            for batch in disturbed(&events, &[], &swaps, &cuts) {
                kit::record(&db, &batch).await;
                prop_assert_eq!(kept(&db).await, counted(&db).await);
            }
            let before = Some(at(keeps));
            let cutoffs = Cutoffs { completed: before, failed: before, cancelled: None };
            let expired = jobs::expired(db.reader(), &cutoffs, 0, 100).await.unwrap();
            kit::write(&db, async move |tx| jobs::remove(tx, &expired.seqs, &cutoffs).await).await;
            prop_assert_eq!(kept(&db).await, counted(&db).await);
            kit::record(&db, &events).await;
            prop_assert_eq!(kept(&db).await, counted(&db).await);
            Ok(())
        })
    });
    outcome.unwrap();
}
