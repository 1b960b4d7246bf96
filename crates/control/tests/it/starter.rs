//! The loop that starts runs, on the table of the workflow's own tests.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, Notice};
use celeriac_control::workflow::{
    ProcessPending, WORKFLOW_QUEUE, Workflow as _, WorkflowSettings, WorkflowStarter,
};
use celeriac_control::{Environment, Loop as _, LoopCtx, PassReport};
use celeriac_protocol::Backoff;
use tokio_util::sync::CancellationToken;

use super::workflow::{Act, Bench};

const INTERVAL: Duration = Duration::from_secs(60);

struct Starting {
    bench: Bench,
    starter: WorkflowStarter,
    ctx: LoopCtx,
}

impl Starting {
    async fn new(settings: WorkflowSettings) -> Self {
        let bench = Bench::new(settings).await;
        let environment =
            Environment::new(bench.test.database().clone(), bench.kit.client().clone()).by_own_clock();
        let starter = WorkflowStarter::all(&bench.workflows, &environment).remove(0);
        let ctx = LoopCtx::new(Arc::new(bench.kit.clock().clone()), CancellationToken::new());
        Self { bench, starter, ctx }
    }

    /// As in a process that moves rows without a schedule.
    async fn alone(settings: WorkflowSettings) -> Self {
        let starting = Self::new(settings).await;
        Self { starter: starting.starter.alone(), ..starting }
    }

    async fn pass(&self) -> PassReport {
        // Past the rest that a starter takes while runs go on.
        self.bench.kit.clock().advance(Duration::from_millis(100));
        self.starter.pass(&self.ctx).await.unwrap()
    }

    async fn started(&self) -> bool {
        self.pass().await == PassReport::default().with("started", 1)
    }

    fn announce(&self) {
        self.bench.kit.broker().notifier().notify(Notice::Loop(Act::JOB.to_owned()));
    }
}

fn settings() -> WorkflowSettings {
    let backoff = Backoff::Fixed { delay: Duration::from_secs(5) };
    WorkflowSettings { interval: INTERVAL, backoff, ..WorkflowSettings::default() }
}

#[tokio::test]
async fn nothing_is_enqueued_while_nothing_is_due() {
    let starting = Starting::new(settings()).await;
    assert!(!starting.started().await);
    starting.announce();
    assert!(!starting.started().await);
    assert!(starting.bench.kit.broker().waiting().is_empty());
}

#[tokio::test]
async fn due_rows_start_one_run_in_the_queue_of_workflows_however_often_it_passes() {
    let starting = Starting::new(settings()).await;
    starting.bench.add(&["a"]).await;
    assert!(starting.started().await);
    starting.announce();
    assert!(!starting.started().await, "a run waits already");
    let message = starting.bench.kit.assert_enqueued::<ProcessPending<Act>>().await;
    assert_eq!(message.queue, WORKFLOW_QUEUE);
    starting.bench.kit.drain().await;
    assert_eq!(starting.bench.states().await, ["ok"]);
}

#[tokio::test]
async fn a_run_that_nobody_takes_from_its_queue_keeps_no_other_queue_waiting() {
    let mut starting = Starting::new(settings()).await;
    starting.bench.add(&["a"]).await;
    assert!(starting.started().await);
    starting.starter = starting.starter.in_queue("apart");
    starting.announce();
    assert!(starting.started().await);
    assert!(!starting.started().await, "a run waits there already");
    let mut queues: Vec<String> =
        starting.bench.kit.broker().waiting().into_iter().map(|message| message.queue).collect();
    queues.sort_unstable();
    assert_eq!(queues, ["apart", WORKFLOW_QUEUE]);
}

#[tokio::test]
async fn rows_that_nobody_announced_wait_for_the_interval_where_there_is_no_schedule() {
    let starting = Starting::alone(settings()).await;
    starting.bench.add(&["a"]).await;
    assert!(starting.started().await);
    starting.bench.kit.drain().await;
    assert!(!starting.started().await);
    starting.bench.add(&["b"]).await;
    assert!(!starting.started().await, "the workflow rests");
    starting.bench.kit.clock().advance(INTERVAL);
    assert!(starting.started().await);
}

#[tokio::test]
async fn announced_rows_start_a_run_at_once() {
    let starting = Starting::new(settings()).await;
    starting.bench.add(&["a"]).await;
    assert!(starting.started().await);
    starting.bench.kit.drain().await;
    starting.bench.add(&["b"]).await;
    starting.announce();
    assert!(starting.started().await);
}

#[tokio::test]
async fn a_row_that_waits_for_its_next_attempt_starts_a_run_when_its_time_has_come() {
    let starting = Starting::new(settings()).await;
    starting.bench.add(&["flaky"]).await;
    assert!(starting.started().await);
    starting.bench.kit.drain().await;
    let report = starting.pass().await;
    let due = report.next_at.expect("the row's next attempt is known");
    assert!(due > starting.ctx.now());
    starting.bench.kit.clock().set(due);
    assert!(starting.started().await);
}

#[tokio::test]
async fn a_throttled_workflow_runs_one_batch_in_an_interval_where_there_is_no_schedule() {
    let starting = Starting::alone(WorkflowSettings { continuous: false, ..settings() }).await;
    starting.bench.add(&["a"; 25]).await;
    for done in [10, 20, 25] {
        assert!(starting.started().await);
        starting.bench.kit.drain().await;
        let states = starting.bench.states().await;
        assert_eq!(states.iter().filter(|state| *state == "ok").count(), done);
        starting.announce();
        assert!(!starting.started().await, "its interval has not passed");
        starting.bench.kit.clock().advance(INTERVAL);
    }
}

#[tokio::test]
async fn a_run_that_left_due_rows_is_followed_at_once() {
    let starting = Starting::new(WorkflowSettings { run_limit: Duration::ZERO, ..settings() }).await;
    starting.bench.add(&["a"]).await;
    assert!(starting.started().await);
    starting.bench.kit.drain().await;
    assert!(starting.started().await);
}

#[tokio::test]
async fn a_disabled_workflow_starts_nothing() {
    let starting = Starting::new(WorkflowSettings { enabled: false, ..settings() }).await;
    starting.bench.add(&["a"]).await;
    assert!(!starting.started().await);
}
