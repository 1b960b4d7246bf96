//! Loops are run by the clock, by being woken, and outlive their own mistakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use celeriac_broker::{Broker, MemoryBroker, Notice};
use celeriac_control::{
    Driver, DriverHandle, DuplicateLoop, Loop, LoopBoard, LoopCtx, LoopError, LoopStatus, PassReport,
};
use celeriac_protocol::{Clock, ManualClock};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(60);

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);

/// What a pass is to do.
type Script = fn(pass: u32, ctx: &LoopCtx) -> Result<PassReport, LoopError>;

/// Follows a script; a pass begins when the test lets it.
struct Scripted {
    name: &'static str,
    script: Script,
    passes: AtomicU32,
    permits: Arc<Semaphore>,
}

impl Scripted {
    fn new(name: &'static str, script: Script, permits: &Arc<Semaphore>) -> Self {
        Self { name, script, passes: AtomicU32::default(), permits: Arc::clone(permits) }
    }
}

#[async_trait::async_trait]
impl Loop for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> &'static str {
        "follows a script"
    }

    fn period(&self) -> Duration {
        PERIOD
    }

    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        self.permits.acquire().await?.forget();
        (self.script)(self.passes.fetch_add(1, Ordering::Relaxed), ctx)
    }
}

/// A driver at work.
struct Stage {
    clock: ManualClock,
    permits: Arc<Semaphore>,
    board: LoopBoard,
    activator: celeriac_control::Activator,
    handle: DriverHandle,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Stage {
    /// Runs one loop, `work`, whose first `passes` passes need no leave.
    fn of(passes: usize, script: Script) -> Self {
        Self::with(passes, script, |driver| driver)
    }

    fn with(passes: usize, script: Script, change: impl FnOnce(Driver) -> Driver) -> Self {
        let (clock, permits) = (ManualClock::default(), Arc::new(Semaphore::new(passes)));
        let scripted = Scripted::new("work", script, &permits);
        let driver = change(Driver::new(Arc::new(clock.clone())).with(scripted).unwrap());
        let (board, activator, stop) = (driver.board(), driver.activator(), CancellationToken::new());
        let handle = driver.handle();
        let mut running = JoinSet::new();
        running.spawn(driver.run(stop.clone()));
        Self { clock, permits, board, activator, handle, stop, running }
    }

    /// Waits until the loop's status is as asked for.
    async fn until(&self, is_so: impl Fn(&LoopStatus) -> bool) -> LoopStatus {
        self.until_of("work", is_so).await
    }

    async fn until_of(&self, name: &str, is_so: impl Fn(&LoopStatus) -> bool) -> LoopStatus {
        let found = tokio::time::timeout(SOON, async {
            loop {
                match self.board.status(name) {
                    Some(status) if is_so(&status) => return status,
                    _ => tokio::task::yield_now().await,
                }
            }
        });
        found.await.expect("the loop comes to it")
    }

    /// Waits until so many passes are over and the loop rests.
    async fn rests_after(&self, passes: u64) -> LoopStatus {
        self.until(|status| status.iteration == passes && status.next_at.is_some()).await
    }

    async fn stops(mut self) -> LoopBoard {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.running.join_next()).await.expect("the driver stops");
        self.board
    }
}

fn fine(pass: u32, _: &LoopCtx) -> Result<PassReport, LoopError> {
    Ok(PassReport::default().with("pass", pass.into()))
}

#[tokio::test]
async fn a_loop_passes_at_the_start_and_then_once_a_period() {
    let stage = Stage::of(9, fine);
    let first = stage.rests_after(1).await;
    assert_eq!(first.next_at, Some(stage.clock.now() + PERIOD));
    stage.clock.advance(PERIOD);
    let second = stage.rests_after(2).await;
    let last = second.last.unwrap();
    assert_eq!((last.started_at, last.outcome.unwrap().to_string()), (stage.clock.now(), "pass 1".into()));
    let board = stage.stops().await;
    assert_eq!(board.status("work").unwrap().next_at, None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_loop_rest_for_longer() {
    let stage = Stage::of(9, fine);
    stage.rests_after(1).await;
    stage.clock.step(stage.clock.now() - Duration::from_secs(3_600));
    stage.clock.advance(PERIOD);
    stage.rests_after(2).await;
}

#[tokio::test]
async fn a_loop_that_is_woken_passes_before_its_period_is_over() {
    let stage = Stage::of(9, fine);
    stage.rests_after(1).await;
    assert!(stage.activator.activate("work"));
    assert!(!stage.activator.activate("nobody"));
    stage.rests_after(2).await;
}

#[tokio::test]
async fn a_loop_that_is_woken_while_it_passes_makes_one_more_pass() {
    let stage = Stage::of(0, fine);
    stage.until(|status| status.passing_since.is_some()).await;
    stage.activator.activate("work");
    stage.activator.activate("work");
    stage.permits.add_permits(9);
    stage.rests_after(2).await;
}

#[tokio::test]
async fn another_process_can_wake_a_loop() {
    let broker = MemoryBroker::new(Arc::new(ManualClock::default()));
    let notifier = broker.notifier();
    let notices = notifier.listen();
    let stage = Stage::with(9, fine, |driver| driver.woken_by(notices));
    stage.rests_after(1).await;
    notifier.notify(Notice::Queue("celery".into()));
    notifier.notify(Notice::Loop("work".into()));
    stage.rests_after(2).await;
}

#[tokio::test]
async fn a_loop_with_more_to_do_goes_on_after_a_moment_and_never_spins() {
    let stage = Stage::of(9, |pass, _| Ok(PassReport::default().more(pass < 3)));
    for pass in 1..4 {
        let rest = stage.rests_after(pass).await.next_at.unwrap().since(stage.clock.now());
        assert!(!rest.is_zero() && rest <= Duration::from_millis(10), "{rest:?}");
        stage.clock.advance(rest);
    }
    assert_eq!(stage.rests_after(4).await.next_at, Some(stage.clock.now() + PERIOD));
}

#[tokio::test]
async fn a_loop_may_ask_for_an_earlier_pass_but_not_for_a_later_one() {
    let stage = Stage::of(9, |pass, ctx| {
        let wait = if pass == 0 { PERIOD / 2 } else { PERIOD * 2 };
        Ok(PassReport { next_at: Some(ctx.now() + wait), ..PassReport::default() })
    });
    let first = stage.rests_after(1).await;
    assert_eq!(first.next_at, Some(stage.clock.now() + PERIOD / 2));
    stage.clock.advance(PERIOD / 2);
    assert_eq!(stage.rests_after(2).await.next_at, Some(stage.clock.now() + PERIOD));
}

#[tokio::test]
async fn a_pass_that_fails_or_panics_ends_only_itself_and_is_shown() {
    let stage = Stage::of(9, |pass, _| match pass {
        0 => Err("the disk is full".into()),
        1 => panic!("no such thing"),
        _ => Ok(PassReport::default()),
    });
    let reason = |status: &LoopStatus| status.last.clone().unwrap().outcome.unwrap_err();
    let failed = stage.rests_after(1).await;
    assert_eq!((reason(&failed).as_str(), failed.failures_in_a_row), ("the disk is full", 1));
    stage.clock.advance(PERIOD);
    let panicked = stage.rests_after(2).await;
    assert_eq!((reason(&panicked).as_str(), panicked.failures_in_a_row), ("panicked: no such thing", 2));
    assert_eq!(panicked.succeeded_at, None);
    stage.clock.advance(PERIOD);
    let works = stage.rests_after(3).await;
    assert_eq!((works.failures_in_a_row, works.succeeded_at), (0, Some(stage.clock.now())));
}

#[tokio::test]
async fn stopping_lets_the_pass_that_goes_on_come_to_its_end() {
    let stage = Stage::of(0, fine);
    stage.until(|status| status.passing_since.is_some()).await;
    stage.stop.cancel();
    stage.permits.add_permits(1);
    let status = stage.stops().await.status("work").unwrap();
    assert!(status.last.unwrap().outcome.is_ok());
    assert_eq!((status.iteration, status.passing_since), (1, None));
}

#[tokio::test]
async fn a_pass_that_does_not_stop_is_dropped_when_patience_is_over() {
    let stage = Stage::of(0, fine);
    stage.until(|status| status.passing_since.is_some()).await;
    stage.stop.cancel();
    while stage.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    stage.clock.advance(PERIOD);
    assert!(stage.stops().await.status("work").unwrap().last.is_none());
}

#[test]
fn two_loops_of_one_name_are_refused() {
    let scripted = || Scripted::new("work", fine, &Arc::new(Semaphore::new(0)));
    let driver = Driver::new(Arc::new(ManualClock::default())).with(scripted()).unwrap();
    assert_eq!(driver.with(scripted()).unwrap_err(), DuplicateLoop("work"));
}

#[tokio::test]
async fn a_loop_that_is_added_while_the_driver_runs_passes_and_is_woken_as_the_others() {
    let stage = Stage::of(9, fine);
    stage.rests_after(1).await;
    stage.handle.add(Scripted::new("late", fine, &stage.permits)).await;
    stage.until_of("late", |status| status.iteration == 1 && status.next_at.is_some()).await;
    assert!(stage.activator.activate("late"));
    stage.until_of("late", |status| status.iteration == 2).await;
}

#[tokio::test]
async fn a_loop_that_is_added_again_replaces_the_first_whose_pass_ends_before() {
    let stage = Stage::of(0, fine);
    stage.until(|status| status.passing_since.is_some()).await;
    let second: Script = |_, _| Ok(PassReport::default().with("second", 1));
    let (permits, replacing) = (Arc::new(Semaphore::new(9)), stage.handle.clone());
    let mut replaced = JoinSet::new();
    let work = Scripted::new("work", second, &permits);
    replaced.spawn(async move { replacing.add(work).await });
    while stage.board.status("work").is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(permits.available_permits(), 9, "the second waits for the first");
    stage.permits.add_permits(1);
    tokio::time::timeout(SOON, replaced.join_next()).await.expect("it is replaced");
    let status = stage.until(|status| status.last.is_some()).await;
    assert_eq!(status.last.unwrap().outcome.unwrap().to_string(), "second 1");
    assert_eq!(stage.board.statuses().len(), 1);
}

#[tokio::test]
async fn a_loop_that_is_removed_passes_no_more_and_may_come_back() {
    let stage = Stage::of(9, fine);
    stage.rests_after(1).await;
    assert!(stage.handle.remove("work").await);
    assert!(!stage.handle.remove("work").await);
    assert_eq!((stage.board.statuses().len(), stage.activator.activate("work")), (0, false));
    stage.clock.advance(PERIOD);
    stage.handle.add(Scripted::new("work", fine, &stage.permits)).await;
    stage.rests_after(1).await;
    assert_eq!(stage.permits.available_permits(), 7);
}

#[tokio::test]
async fn a_removed_loop_whose_pass_does_not_end_is_dropped_when_patience_is_over() {
    let stage = Stage::of(0, fine);
    stage.until(|status| status.passing_since.is_some()).await;
    let mut removing = JoinSet::new();
    let handle = stage.handle.clone();
    removing.spawn(async move { handle.remove("work").await });
    while stage.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    stage.clock.advance(PERIOD);
    let removed = tokio::time::timeout(SOON, removing.join_next()).await.expect("it is dropped");
    assert!(removed.unwrap().unwrap());
}
