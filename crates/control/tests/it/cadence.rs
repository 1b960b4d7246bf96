//! When workflows run: their entries in the schedule, met by the beat, on the table of the workflow's own tests.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, sql};
use celeriac_control::workflow::{Lookout, Lookouts, ProcessPending, Workflow as _, WorkflowSettings};
use celeriac_control::{
    Beat, BeatClock, BeatSettings, Environment, Loop as _, LoopCtx, PassReport, Schedules, StoreRecorder,
};
use celeriac_db::{Database, DbTx};
use celeriac_engine::{Client, ClientParts, EventHub, Registry};
use celeriac_protocol::{Clock as _, JobEvent, JobId, ManualClock, TaskMessage, Timestamp, What};
use celeriac_store::StoreError;
use celeriac_store::query::jobs;
use celeriac_store::query::schedules::{self, Firing, FiringOutcome, ScheduleEntry, ScheduleState};
use celeriac_store::query::workflows::{SlotRequest, WorkflowState, take_slot, workflow_states};
use tokio_util::sync::CancellationToken;

use super::workflow::{Act, Bench};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A scheduler, and rows that are moved when the test says so.
pub(crate) struct Timed {
    pub(crate) bench: Bench,
    broker: Arc<dyn Broker>,
    client: Client,
    beat: Beat,
}

/// One scheduler as another process would have it, on the same clock, which knows these workflows.
async fn scheduler(
    database: Database,
    clock: &ManualClock,
    lookouts: Lookouts,
) -> (Arc<dyn Broker>, Client, Beat) {
    let registry = Registry::builder().task::<ProcessPending<Act>>().build().unwrap();
    let broker = sql::open(database.clone(), Arc::new(clock.clone())).await.unwrap();
    let client = Client::new(ClientParts {
        broker: Arc::clone(&broker),
        recorder: Arc::new(StoreRecorder::new(database.clone())),
        clock: Arc::new(clock.clone()),
        registry,
        events: EventHub::default(),
        origin: "test".to_owned(),
    });
    // The test's clock is not the server's.
    let settings = BeatSettings { clock: BeatClock::Own, ..BeatSettings::default() };
    let beat = Beat::new(&Environment::new(database, client.clone()).by_own_clock(), settings).unwrap();
    (broker, client, beat.looking_at(lookouts))
}

async fn pass(beat: &Beat, clock: &ManualClock) -> PassReport {
    beat.pass(&LoopCtx::new(Arc::new(clock.clone()), CancellationToken::new())).await.unwrap()
}

impl Timed {
    pub(crate) async fn new(settings: WorkflowSettings) -> Self {
        let bench = Bench::new(settings.clone()).await;
        let lookouts = [Lookout::of::<Act>(settings)].into_iter().collect();
        let (broker, client, beat) =
            scheduler(bench.test.database().clone(), bench.kit.clock(), lookouts).await;
        let timed = Self { bench, broker, client, beat };
        let entries = timed.bench.workflows.iter().map(|workflow| workflow.lookout().entry());
        timed.schedules().merge_declared("shop", entries.collect()).await.unwrap();
        timed
    }

    pub(crate) fn clock(&self) -> &ManualClock {
        self.bench.kit.clock()
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment::new(self.bench.test.database().clone(), self.client.clone()).by_own_clock()
    }

    pub(crate) fn schedules(&self) -> Schedules {
        Schedules::new(&self.environment())
    }

    pub(crate) async fn advance(&self, by: Duration) -> PassReport {
        self.clock().advance(by);
        pass(&self.beat, self.clock()).await
    }

    /// Counts the jobs that wait.
    pub(crate) async fn waiting(&self) -> usize {
        let depths = self.broker.admin().depths().await.unwrap();
        depths.iter().map(|depth| usize::try_from(depth.ready + depth.delayed).unwrap()).sum()
    }

    /// Returns what came of due times, oldest first: seconds after the test began, and the outcome.
    async fn story(&self) -> Vec<(u64, FiringOutcome)> {
        let firings = self.firings().await;
        firings.iter().map(|firing| (seconds(firing.due_at), firing.outcome)).collect()
    }

    async fn firings(&self) -> Vec<Firing> {
        let mut firings = self.schedules().show(Act::JOB).await.unwrap().firings;
        firings.reverse();
        firings
    }

    pub(crate) async fn entry(&self) -> (ScheduleEntry, ScheduleState) {
        let found = schedules::find(self.bench.test.reader(), Act::JOB).await.unwrap().unwrap();
        (found.record.unwrap().entry, found.state)
    }

    pub(crate) async fn known(&self) -> WorkflowState {
        let states = workflow_states(self.bench.test.reader(), self.clock().now()).await.unwrap();
        states.into_iter().find(|(name, _)| name == Act::NAME).map(|(_, state)| state).unwrap_or_default()
    }

    pub(crate) async fn done(&self) -> usize {
        self.bench.states().await.iter().filter(|state| *state == "ok").count()
    }

    /// Has a worker take the jobs that wait, move rows, and end.
    pub(crate) async fn work(&self) {
        for firing in self.firings().await {
            let Some(id) = firing.job_id.map(|id| JobId::parse(&id).unwrap()) else { continue };
            let record = jobs::find(self.bench.test.reader(), &id).await.unwrap().expect("it is recorded");
            let job = Arc::new(record.facts());
            let what = What::Succeeded { result: None, runtime_micros: Some(1) };
            let event = JobEvent { at: self.clock().now(), job, delivery: 1, attempt: 1, what };
            self.client.recorder().record(&[event]).await.unwrap();
        }
        self.client.purge(celeriac_control::workflow::WORKFLOW_QUEUE, "taken").await.unwrap();
        self.bench.run().await;
    }

    /// Has a run go on elsewhere for a while.
    pub(crate) async fn hold_slot(&self, lease: Duration) {
        let request = SlotRequest {
            workflow: Act::NAME,
            max_instances: 1,
            holder: JobId::fresh(self.clock().now()),
            fence: 7,
            now: self.clock().now(),
            lease,
        };
        let take = async move |tx: &DbTx| take_slot(tx, &request).await;
        let taken: Result<_, StoreError> = self.bench.test.database().write("take", take).await;
        assert!(taken.unwrap().is_some());
    }
}

/// Returns how many seconds after the test's beginning an instant lies.
fn seconds(at: Timestamp) -> u64 {
    at.since(ManualClock::default().now()).as_secs()
}

fn number(report: &PassReport, name: &str) -> u64 {
    report.numbers.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number)
}

fn every_minute() -> WorkflowSettings {
    WorkflowSettings::default()
}

#[tokio::test]
async fn an_idle_table_enqueues_nothing_and_leaves_no_history() {
    let timed = Timed::new(every_minute()).await;
    for idle in 1..=3 {
        let report = timed.advance(MINUTE).await;
        assert_eq!((number(&report, "idle"), number(&report, "fired")), (1, 0));
        assert_eq!(timed.known().await.idle, idle);
    }
    assert_eq!((timed.waiting().await, timed.story().await), (0, vec![]));
    let (_, state) = timed.entry().await;
    assert_eq!(state.last_due_at.map(seconds), Some(180), "each due time was dealt with");
    assert_eq!(state.next_due_at.map(seconds), Some(240));
}

#[tokio::test]
async fn rows_that_nobody_announced_are_moved_when_the_job_is_due() {
    let timed = Timed::new(every_minute()).await;
    timed.bench.add(&["a", "b"]).await;
    timed.advance(59 * SECOND).await;
    assert_eq!(timed.waiting().await, 0);
    timed.advance(SECOND).await;
    let firing = timed.firings().await.remove(0);
    let id = JobId::parse(&firing.job_id.unwrap()).unwrap();
    let found = timed.broker.admin().find(&id).await.unwrap().unwrap();
    let message = TaskMessage::decode(&found.envelope).unwrap();
    assert_eq!((message.task.as_str(), message.queue.as_str()), (Act::JOB, "celeriac.workflows"));
    timed.work().await;
    assert_eq!(timed.done().await, 2);
    timed.advance(MINUTE).await;
    assert_eq!(timed.story().await, [(60, FiringOutcome::Fired)]);
}

#[tokio::test]
async fn a_throttled_workflow_takes_one_batch_each_time_it_is_due() {
    let timed = Timed::new(WorkflowSettings { continuous: false, ..every_minute() }).await;
    timed.bench.add(&["a"; 25]).await;
    for done in [10, 20, 25] {
        timed.advance(MINUTE).await;
        timed.work().await;
        assert_eq!(timed.done().await, done);
    }
    timed.advance(MINUTE).await;
    assert_eq!((timed.firings().await.len(), timed.known().await.idle), (3, 1));
}

#[tokio::test]
async fn a_due_time_at_which_every_slot_is_taken_is_refused_and_counted() {
    let timed = Timed::new(every_minute()).await;
    timed.bench.add(&["a"]).await;
    timed.hold_slot(90 * SECOND).await;
    let report = timed.advance(MINUTE).await;
    assert_eq!((number(&report, "busy"), timed.known().await.refused), (1, 1));
    assert_eq!((timed.waiting().await, timed.story().await.len()), (0, 0));
    // The slot's holder is gone.
    timed.advance(MINUTE).await;
    assert_eq!((timed.waiting().await, timed.known().await.refused), (1, 1));
}

#[tokio::test]
async fn runs_that_nobody_takes_do_not_pile_up() {
    let timed = Timed::new(every_minute()).await;
    timed.bench.add(&["a"]).await;
    for _ in 0..3 {
        timed.advance(MINUTE).await;
    }
    assert_eq!(timed.waiting().await, 1);
    let skipped = FiringOutcome::SkippedOverlap;
    assert_eq!(timed.story().await, [(60, FiringOutcome::Fired), (120, skipped), (180, skipped)]);
}

#[tokio::test]
async fn a_scheduler_that_knows_no_workflow_enqueues_each_time_and_the_run_finds_nothing() {
    let timed = Timed::new(every_minute()).await;
    let database = timed.bench.test.database().clone();
    let (_, _, plain) = scheduler(database, timed.clock(), Lookouts::default()).await;
    timed.clock().advance(MINUTE);
    assert_eq!(number(&pass(&plain, timed.clock()).await, "fired"), 1);
    timed.work().await;
    assert_eq!(timed.known().await.runs, 1);
}

#[tokio::test]
async fn where_the_rows_can_not_be_looked_at_a_run_finds_out() {
    let timed = Timed::new(every_minute()).await;
    timed.bench.drop_table().await;
    let report = timed.advance(MINUTE).await;
    assert_eq!((number(&report, "fired"), number(&report, "idle")), (1, 0));
}

#[tokio::test]
async fn two_schedulers_deal_with_each_due_time_once() {
    let timed = Timed::new(every_minute()).await;
    let lookouts: Lookouts = [Lookout::of::<Act>(every_minute())].into_iter().collect();
    let database = timed.bench.test.database().clone();
    let (_, _, other) = scheduler(database, timed.clock(), lookouts).await;
    timed.clock().advance(MINUTE);
    let (one, two) = tokio::join!(pass(&timed.beat, timed.clock()), pass(&other, timed.clock()));
    assert_eq!(number(&one, "idle") + number(&two, "idle"), 1);
    timed.bench.add(&["a"]).await;
    timed.clock().advance(MINUTE);
    let (one, two) = tokio::join!(pass(&timed.beat, timed.clock()), pass(&other, timed.clock()));
    assert_eq!(number(&one, "fired") + number(&two, "fired"), 1);
    assert_eq!((timed.waiting().await, timed.known().await.idle), (1, 1));
}

#[tokio::test]
async fn without_a_limit_the_last_due_time_that_was_missed_is_met_however_late() {
    let timed = Timed::new(every_minute()).await;
    timed.bench.add(&["a"]).await;
    timed.advance(2 * HOUR + 30 * SECOND).await;
    assert_eq!(timed.waiting().await, 1);
    let firings = timed.firings().await;
    let fired = firings.iter().find(|firing| firing.outcome == FiringOutcome::Fired).unwrap();
    assert_eq!(seconds(fired.due_at), 7_200);
}

#[tokio::test]
async fn what_is_later_than_its_grace_is_missed_and_the_next_is_waited_for() {
    let grace = Some(10 * SECOND);
    let timed = Timed::new(WorkflowSettings { misfire_grace: grace, ..every_minute() }).await;
    timed.bench.add(&["a"]).await;
    timed.advance(MINUTE + 11 * SECOND).await;
    assert_eq!((timed.waiting().await, timed.story().await), (0, vec![(60, FiringOutcome::Missed)]));
    timed.advance(MINUTE - SECOND).await;
    assert_eq!(timed.waiting().await, 1, "ten seconds late are within it");
}

#[tokio::test]
async fn several_due_times_that_are_met_together_make_one_run_unless_it_is_said() {
    for (coalesce, jobs) in [(true, 1), (false, 3)] {
        let settings = WorkflowSettings {
            interval: 10 * SECOND,
            misfire_grace: Some(MINUTE),
            max_instances: 5,
            coalesce,
            ..every_minute()
        };
        let timed = Timed::new(settings).await;
        timed.bench.add(&["a"]).await;
        timed.advance(30 * SECOND).await;
        assert_eq!(timed.waiting().await, jobs, "coalesce = {coalesce}");
    }
}

#[tokio::test]
async fn jitter_puts_a_due_time_off_by_no_more_than_is_said() {
    let timed = Timed::new(WorkflowSettings { jitter: 30 * SECOND, ..every_minute() }).await;
    timed.bench.add(&["a"]).await;
    let (_, state) = timed.entry().await;
    let put_off = state.wake_at.unwrap().since(state.next_due_at.unwrap());
    assert!(!put_off.is_zero() && put_off <= 30 * SECOND, "{put_off:?}");
    timed.advance(MINUTE + put_off - Duration::from_micros(1)).await;
    assert_eq!(timed.waiting().await, 0);
    timed.advance(Duration::from_micros(1)).await;
    assert_eq!((timed.waiting().await, timed.story().await), (1, vec![(60, FiringOutcome::Fired)]));
}

#[tokio::test]
async fn a_crontab_is_read_in_its_zone() {
    let settings = WorkflowSettings {
        cron: Some("30 2 * * *".to_owned()),
        timezone: Some("Asia/Kolkata".to_owned()),
        ..every_minute()
    };
    let timed = Timed::new(settings).await;
    timed.bench.add(&["a"]).await;
    let (entry, state) = timed.entry().await;
    assert_eq!((entry.spec.as_str(), entry.zone.as_str()), ("crontab 30 2 * * *", "Asia/Kolkata"));
    let due = state.next_due_at.unwrap();
    // Half past two there is nine in the evening here.
    assert_eq!(due.as_micros().rem_euclid(86_400_000_000), 21 * 3_600_000_000);
    timed.clock().set(due);
    assert_eq!(number(&timed.advance(Duration::ZERO).await, "fired"), 1);
}

#[tokio::test]
async fn a_workflow_that_is_disabled_is_due_no_more_and_an_operators_word_stays() {
    let timed = Timed::new(every_minute()).await;
    timed.bench.add(&["a"]).await;
    timed.schedules().disable(Act::JOB).await.unwrap();
    timed.advance(HOUR).await;
    assert_eq!((timed.waiting().await, timed.story().await.len()), (0, 0));
    let entries = timed.bench.workflows.iter().map(|workflow| workflow.lookout().entry());
    timed.schedules().merge_declared("shop", entries.collect()).await.unwrap();
    assert!(!timed.entry().await.0.enabled);
}
