//! A running worker: slots, stopping, cancelling, leases.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use celeriac_broker::{Broker, FetchRequest, MemoryBroker, MessageState, Notice};
use celeriac_db::DbError;
use celeriac_engine::testing::TestKit;
use celeriac_engine::{
    CancelOutcome, Client, ClientParts, EventHub, JobHandle, JobSnapshot, MemoryRecorder, RecordError,
    Recorder, States, Worker, WorkerOptions,
};
use celeriac_protocol::{Clock, ErrorKind, JobEvent, JobId, JobStatus, ManualClock, TaskMessage, What};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tasks::{self, Gate, Runs, always_at_most_once, at_most_once, deaf, gate, obedient};

/// A worker in the background of a test, on the queue in memory and a clock moved by hand.
struct Bench {
    clock: ManualClock,
    broker: Arc<MemoryBroker>,
    client: Client,
    gate: Gate,
    stop: CancellationToken,
    hurry: CancellationToken,
    running: JoinHandle<()>,
}

/// A record in memory that refuses what it is told to refuse.
struct Refusing<F> {
    kept: MemoryRecorder,
    refuses: F,
}

#[async_trait::async_trait]
impl<F: Fn(&JobEvent) -> Option<RecordError> + Send + Sync + 'static> Recorder for Refusing<F> {
    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        match events.iter().find_map(&self.refuses) {
            Some(error) => Err(error),
            None => self.kept.record(events).await,
        }
    }

    async fn generations(&self, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        self.kept.generations(ids).await
    }

    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        self.kept.snapshot(id).await
    }
}

fn refusing(refuses: impl Fn(&JobEvent) -> Option<RecordError> + Send + Sync + 'static) -> Arc<dyn Recorder> {
    Arc::new(Refusing { kept: MemoryRecorder::default(), refuses })
}

impl Bench {
    fn start(concurrency: usize) -> Self {
        Self::start_on(concurrency, Arc::new(MemoryRecorder::default()))
    }

    fn start_on(concurrency: usize, recorder: Arc<dyn Recorder>) -> Self {
        let clock = ManualClock::default();
        let broker = Arc::new(MemoryBroker::new(Arc::new(clock.clone())));
        let client = Client::new(ClientParts {
            broker: Arc::clone(&broker) as Arc<dyn Broker>,
            recorder,
            clock: Arc::new(clock.clone()) as Arc<dyn Clock>,
            registry: tasks::registry(),
            events: EventHub::default(),
            origin: "test".to_owned(),
        });
        let gate = Gate::default();
        let states = States::default().with(gate.clone()).with(Runs::default());
        let options = WorkerOptions { concurrency, ..WorkerOptions::default() };
        let worker = Worker::new(client.clone(), tasks::registry(), states, options).unwrap();
        let (stop, hurry) = (CancellationToken::new(), worker.hurry());
        let running = TaskTracker::new().spawn(worker.run(stop.clone()));
        Self { clock, broker, client, gate, stop, hurry, running }
    }

    async fn ended<T>(&self, job: &JobHandle<T>) -> JobStatus {
        loop {
            if let Some(snapshot) = job.status().await.unwrap()
                && snapshot.status.is_final()
            {
                return snapshot.status;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock on in steps until `ready` says so.
    async fn advance_until(&self, step: Duration, mut ready: impl AsyncFnMut() -> bool) {
        for _ in 0..10_000 {
            if ready().await {
                return;
            }
            self.clock.advance(step);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        unreachable!("what was waited for never came")
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

#[tokio::test]
async fn a_start_that_could_not_be_recorded_is_told_again() {
    let refused = AtomicU32::new(0);
    let bench = Bench::start_on(
        2,
        refusing(move |event| {
            let is_start = matches!(event.what, What::Started { .. });
            let lost = || RecordError::Database(DbError::TransactionLost { label: "record" });
            (is_start && refused.fetch_add(1, Ordering::SeqCst) < 3).then(lost)
        }),
    );
    let job = bench.client.enqueue(gate()).await.unwrap();
    bench.gate.entered(1).await;
    bench
        .advance_until(Duration::from_millis(50), async || {
            job.status().await.unwrap().unwrap().status == JobStatus::Running
        })
        .await;
    bench.gate.open.add_permits(1);
    assert_eq!(bench.ended(&job).await, JobStatus::Completed);
    bench.stop().await;
}

#[tokio::test]
async fn a_job_of_which_nothing_can_be_recorded_keeps_no_other_back() {
    let cursed = JobId::parse("cursed").unwrap();
    let bench = Bench::start_on(
        2,
        refusing(move |event| {
            let is_meant = event.job.id == cursed && matches!(event.what, What::Started { .. });
            is_meant.then(|| RecordError::Corrupt { id: "cursed".into(), reason: "is bad".into() })
        }),
    );
    bench.client.enqueue(gate().id(JobId::parse("cursed").unwrap())).await.unwrap();
    let job = bench.client.enqueue(gate()).await.unwrap();
    bench.gate.entered(2).await;
    bench
        .advance_until(Duration::from_millis(50), async || {
            job.status().await.unwrap().unwrap().status == JobStatus::Running
        })
        .await;
}

#[tokio::test]
async fn a_job_whose_outcome_the_record_refuses_runs_once_and_ends_as_a_dead_letter() {
    let (cursed, tries) = (JobId::parse("cursed").unwrap(), Arc::new(AtomicU32::new(0)));
    let (id, counted) = (cursed.clone(), Arc::clone(&tries));
    let bench = Bench::start_on(
        1,
        refusing(move |event| {
            let is_meant = event.job.id == id && matches!(event.what, What::Succeeded { .. });
            is_meant.then(|| {
                counted.fetch_add(1, Ordering::SeqCst);
                RecordError::Corrupt { id: "cursed".into(), reason: "is bad".into() }
            })
        }),
    );
    bench.client.enqueue(gate().id(cursed.clone())).await.unwrap();
    bench.gate.open.add_permits(2);
    bench.gate.entered(1).await;
    let other = bench.client.enqueue(gate()).await.unwrap();
    assert_eq!(bench.ended(&other).await, JobStatus::Completed, "it is kept back by no other");
    bench.gate.entered(1).await;
    let dead = async || bench.broker.admin().dead_letter(&cursed).await.unwrap();
    bench.advance_until(Duration::from_secs(1), async || dead().await.is_some()).await;
    let letter = dead().await.unwrap();
    assert_eq!((letter.reason.as_str(), letter.delivery), ("unrecorded", 1));
    assert!(
        letter.detail.starts_with("the job has completed, which can't be recorded: "),
        "{}",
        letter.detail
    );
    assert!(letter.detail.ends_with("is bad"), "{}", letter.detail);
    // Once with the other job, or not, and then by itself: as often as it might be handed out.
    assert!((5..=6).contains(&tries.load(Ordering::SeqCst)));
    assert_eq!(bench.gate.entered.available_permits(), 0, "it ran once");
    bench.stop().await;
}

/// What a server says that is away, or that has got too much for its deadline.
fn too_late() -> RecordError {
    RecordError::Database(DbError::TransactionLost { label: "record" })
}

fn is_success(event: &JobEvent) -> bool {
    matches!(event.what, What::Succeeded { .. })
}

/// A record in memory that takes one success at a time.
#[derive(Default)]
struct Narrow {
    kept: MemoryRecorder,
    refused: Arc<AtomicU32>,
}

#[async_trait::async_trait]
impl Recorder for Narrow {
    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        if events.iter().filter(|event| is_success(event)).count() > 1 {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(too_late());
        }
        self.kept.record(events).await
    }

    async fn generations(&self, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        self.kept.generations(ids).await
    }

    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        self.kept.snapshot(id).await
    }
}

#[tokio::test]
async fn outcomes_too_large_together_for_one_deadline_are_written_in_parts() {
    let recorder = Narrow::default();
    let refused = Arc::clone(&recorder.refused);
    let bench = Bench::start_on(4, Arc::new(recorder));
    let jobs = bench.client.enqueue_many((0..4).map(|_| gate())).await.unwrap();
    bench.gate.entered(4).await;
    bench.gate.open.add_permits(4);
    for job in &jobs {
        bench
            .advance_until(Duration::from_millis(50), async || {
                job.status().await.unwrap().unwrap().status == JobStatus::Completed
            })
            .await;
    }
    assert!(refused.load(Ordering::SeqCst) > 0, "they ended together");
    bench.stop().await;
}

#[tokio::test]
async fn an_outcome_too_large_for_one_deadline_keeps_no_other_back_and_ends_as_a_dead_letter() {
    let cursed = JobId::parse("cursed").unwrap();
    let id = cursed.clone();
    let bench =
        Bench::start_on(2, refusing(move |event| (event.job.id == id && is_success(event)).then(too_late)));
    bench.gate.open.add_permits(1_000);
    bench.client.enqueue(gate().id(cursed.clone())).await.unwrap();
    bench.gate.entered(1).await;
    let is_dead = async || bench.broker.admin().dead_letter(&cursed).await.unwrap().is_some();
    // While nothing else is written, the record may be away: nothing is given up.
    for _ in 0..100 {
        bench.clock.advance(Duration::from_secs(1));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert!(!is_dead().await);
    bench
        .advance_until(Duration::from_secs(1), async || {
            let other = bench.client.enqueue(gate()).await.unwrap();
            bench
                .advance_until(Duration::from_millis(50), async || {
                    other.status().await.unwrap().unwrap().status == JobStatus::Completed
                })
                .await;
            is_dead().await
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn no_more_jobs_run_or_are_held_than_there_are_slots() {
    let bench = Bench::start(3);
    let jobs = bench.client.enqueue_many((0..10).map(|_| gate())).await.unwrap();
    bench.gate.entered(3).await;
    let depth = bench.broker.admin().depths().await.unwrap().remove(0);
    assert_eq!((depth.held, depth.ready), (3, 7));
    bench.gate.open.add_permits(10);
    for job in &jobs {
        assert_eq!(bench.ended(job).await, JobStatus::Completed);
    }
    assert_eq!(bench.gate.most.load(Ordering::SeqCst), 3);
    bench.stop().await;
}

#[tokio::test]
async fn a_hurried_worker_gives_its_jobs_back_without_waiting() {
    let bench = Bench::start(2);
    let jobs = [bench.client.enqueue(deaf()).await.unwrap(), bench.client.enqueue(obedient()).await.unwrap()];
    bench.gate.entered(2).await;
    bench.stop.cancel();
    bench.hurry.cancel();
    let (client, broker) = (bench.client.clone(), Arc::clone(&bench.broker));
    // The clock stands still: nothing is waited for.
    bench.running.await.unwrap();
    for job in &jobs {
        assert_eq!(client.snapshot(job.id()).await.unwrap().unwrap().status, JobStatus::Pending);
        let message = broker.admin().find(job.id()).await.unwrap().unwrap();
        assert_eq!((message.state, message.attempt), (MessageState::Ready, 0));
    }
}

#[tokio::test]
async fn a_stopping_worker_lets_its_jobs_finish() {
    let bench = Bench::start(2);
    let jobs = bench.client.enqueue_many((0..3).map(|_| gate())).await.unwrap();
    bench.gate.entered(2).await;
    bench.stop.cancel();
    bench.gate.open.add_permits(2);
    let (client, broker) = (bench.client.clone(), Arc::clone(&bench.broker));
    bench.running.await.unwrap();
    let mut ends = Vec::new();
    for job in &jobs {
        ends.push(client.snapshot(job.id()).await.unwrap().unwrap().status);
    }
    assert_eq!(ends, [JobStatus::Completed, JobStatus::Completed, JobStatus::Pending]);
    assert_eq!(broker.waiting().len(), 1);
}

#[tokio::test]
async fn a_job_given_back_at_the_end_of_patience_is_not_charged() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(deaf()).await.unwrap();
    bench.gate.entered(1).await;
    bench.stop.cancel();
    bench.advance_until(Duration::from_secs(1), async || bench.running.is_finished()).await;
    let found = bench.broker.admin().find(job.id()).await.unwrap().unwrap();
    assert_eq!((found.state, found.delivery, found.attempt), (MessageState::Ready, 1, 0));
    assert_eq!(job.status().await.unwrap().unwrap().status, JobStatus::Pending);
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_one_that_does_not_listen_is_dropped() {
    let bench = Bench::start(2);
    let listens = bench.client.enqueue(obedient()).await.unwrap();
    let ignores = bench.client.enqueue(deaf()).await.unwrap();
    bench.gate.entered(2).await;
    assert_eq!(listens.cancel().await.unwrap(), CancelOutcome::Requested);
    assert_eq!(ignores.cancel().await.unwrap(), CancelOutcome::Requested);
    assert_eq!(bench.ended(&listens).await, JobStatus::Cancelled);
    bench
        .advance_until(Duration::from_secs(1), async || {
            ignores.status().await.unwrap().unwrap().status == JobStatus::Cancelled
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn the_record_tells_why_a_running_job_was_cancelled() {
    for early in [false, true] {
        let bench = Bench::start(1);
        let call = if early { at_most_once().into_call() } else { obedient().into_call() };
        let job = bench.client.send(call).await.unwrap();
        bench.gate.entered(1).await;
        // Of what is run at most once only the record knows that it runs.
        bench
            .advance_until(Duration::from_millis(10), async || {
                job.status().await.unwrap().unwrap().status == JobStatus::Running
            })
            .await;
        let outcome = bench.client.cancel(job.id(), "the shop has closed").await.unwrap();
        assert_eq!(outcome, CancelOutcome::Requested);
        bench
            .advance_until(Duration::from_secs(1), async || {
                job.status().await.unwrap().unwrap().status.is_final()
            })
            .await;
        let snapshot = job.status().await.unwrap().unwrap();
        assert_eq!(snapshot.cancel_reason.as_deref(), Some("the shop has closed"), "early: {early}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_notice_stops_no_job_that_the_queue_knows_to_be_uncancelled() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(gate()).await.unwrap();
    bench.gate.entered(1).await;
    let notifier = bench.broker.notifier();
    notifier.notify(Notice::Cancel(job.id().clone()));
    notifier.notify(Notice::Stop { id: job.id().clone(), reason: "a word from elsewhere".into() });
    // Longer than a job that was told to stop is waited for.
    for _ in 0..20 {
        bench.clock.advance(Duration::from_secs(1));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    bench.gate.open.add_permits(1);
    assert_eq!(bench.ended(&job).await, JobStatus::Completed);
    bench.stop().await;
}

#[tokio::test]
async fn a_task_over_its_soft_limit_is_told_and_the_record_says_which_limit() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(obedient()).await.unwrap();
    bench.gate.entered(1).await;
    bench
        .advance_until(Duration::from_secs(1), async || {
            job.status().await.unwrap().is_some_and(|snapshot| snapshot.status.is_final())
        })
        .await;
    let error = job.status().await.unwrap().unwrap().error.unwrap();
    assert_eq!(error.kind, ErrorKind::TimeLimit);
    assert_eq!(error.message, "the task ran longer than its soft limit of 60s");
    bench.stop().await;
}

#[tokio::test]
async fn a_task_over_its_hard_limit_is_dropped_at_once_and_not_tried_again() {
    let bench = Bench::start(1);
    for call in [deaf(), deaf().soft_limit(Duration::from_secs(18))] {
        let began = bench.clock.now();
        let job = bench.client.enqueue(call.hard_limit(Duration::from_secs(20))).await.unwrap();
        bench.gate.entered(1).await;
        bench
            .advance_until(Duration::from_secs(1), async || {
                job.status().await.unwrap().is_some_and(|snapshot| snapshot.status.is_final())
            })
            .await;
        let snapshot = job.status().await.unwrap().unwrap();
        assert_eq!((snapshot.status, snapshot.attempt), (JobStatus::Failed, 1));
        let error = snapshot.error.unwrap();
        assert_eq!(
            (error.kind, error.type_name.as_deref()),
            (ErrorKind::TimeLimit, Some("TimeLimitExceeded"))
        );
        assert_eq!(error.message, "the task ran longer than its hard limit of 20s");
        assert!(bench.clock.now().since(began) < Duration::from_secs(23), "it had no grace beyond the limit");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_long_job_keeps_its_lease() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(gate()).await.unwrap();
    bench.gate.entered(1).await;
    let began = bench.clock.now();
    bench
        .advance_until(Duration::from_secs(1), async || {
            bench.clock.now().since(began) > Duration::from_secs(300)
        })
        .await;
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(1), holder: "thief" };
    assert!(bench.broker.fetch(&request).await.unwrap().deliveries.is_empty(), "the lease was let go");
    bench.gate.open.add_permits(1);
    assert_eq!(bench.ended(&job).await, JobStatus::Completed);
    bench.stop().await;
}

#[tokio::test]
async fn a_message_whose_holders_vanish_is_run_again_and_at_last_dies() {
    let states = States::default().with(Gate::default()).with(Runs::default());
    let kit = TestKit::new(tasks::registry(), states).unwrap();
    let job = kit.client().enqueue(tasks::add(1, 1, None)).await.unwrap();
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max: 1, lease: Duration::from_secs(30), holder: "doomed" };
    for lost in 0..5 {
        let fetched = kit.broker().fetch(&request).await.unwrap();
        assert_eq!(fetched.deliveries[0].lost, lost);
        kit.clock().advance(Duration::from_secs(30));
    }
    assert_eq!(kit.drain().await, 1);
    let snapshot = job.status().await.unwrap().unwrap();
    let error = snapshot.error.unwrap();
    assert_eq!((snapshot.status, error.kind), (JobStatus::Failed, ErrorKind::WorkerLost));
    assert_eq!(kit.broker().admin().dead_letter(job.id()).await.unwrap().unwrap().reason, "worker_lost");
}

#[tokio::test]
async fn at_most_once_is_acknowledged_before_it_runs_and_still_retried() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(at_most_once()).await.unwrap();
    bench.gate.entered(1).await;
    assert!(
        bench.broker.admin().find(job.id()).await.unwrap().is_none(),
        "the message is gone while it runs"
    );
    bench.gate.open.add_permits(2);
    bench
        .advance_until(Duration::from_millis(100), async || {
            job.status().await.unwrap().is_some_and(|snapshot| snapshot.status == JobStatus::Completed)
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn runs_of_what_is_acknowledged_early_are_counted_and_bounded() {
    let bench = Bench::start(1);
    bench.gate.open.add_permits(100);
    let job = bench.client.enqueue(always_at_most_once()).await.unwrap();
    let mut seen = Vec::new();
    bench
        .advance_until(Duration::from_millis(100), async || {
            let snapshot = job.status().await.unwrap().unwrap();
            seen.push(snapshot.attempt);
            snapshot.status.is_final()
        })
        .await;
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3], "each run is an attempt of its own");
    let snapshot = job.status().await.unwrap().unwrap();
    assert_eq!((snapshot.status, snapshot.error.unwrap().message.as_str()), (JobStatus::Failed, "never"));
    bench.stop().await;
}

#[tokio::test]
async fn a_job_given_back_after_it_was_acknowledged_keeps_its_count() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(at_most_once()).await.unwrap();
    bench.gate.entered(1).await;
    bench.stop.cancel();
    bench.hurry.cancel();
    let (client, broker) = (bench.client.clone(), Arc::clone(&bench.broker));
    bench.running.await.unwrap();
    assert_eq!(client.snapshot(job.id()).await.unwrap().unwrap().status, JobStatus::Pending);
    let waiting = TaskMessage::decode(&broker.waiting().remove(0)).unwrap();
    assert_eq!((waiting.celeriac.past_deliveries, waiting.celeriac.past_attempts), (1, 0));
}

#[tokio::test]
async fn a_retry_that_the_queue_does_not_take_ends_the_job_and_says_why() {
    let bench = Bench::start(1);
    let job = bench.client.enqueue(at_most_once().unique("key")).await.unwrap();
    bench.gate.entered(1).await;
    let other = bench.client.enqueue(at_most_once().unique("key").queue("other")).await.unwrap();
    assert_ne!(job.id(), other.id(), "what is acknowledged early holds its key no longer");
    bench.gate.open.add_permits(1);
    assert_eq!(bench.ended(&job).await, JobStatus::Failed);
    let error = job.status().await.unwrap().unwrap().error.unwrap().message;
    assert!(error.contains(other.id().as_str()) && error.ends_with("it had failed: once more"), "{error}");
    bench.stop().await;
}
