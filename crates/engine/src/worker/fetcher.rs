//! Keeps the worker's slots filled: fetches as many messages as there are free slots, never more.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{BrokerError, Delivery, FetchRequest, Fetched, Notice, Notices};
use celeriac_protocol::{Timestamp, error_text};
use futures_util::future::BoxFuture;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::settler::FinishedSender;
use super::{Checkpoints, Shared, executor};
use crate::ctx::StopReason;

/// How long to wait before fetching again when the transport fails, at first and at most.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// A question asks for half of the slots at most, so that the transport answers it while the jobs of the other half run;
/// but not for fewer than this, where there are slots enough.
const FEWEST_AT_ONCE: usize = 16;

/// How long jobs that are to be dropped may take for it.
const LAST_CALL: Duration = Duration::from_millis(500);

/// Fetches and runs until told to stop, then drains.
pub(super) async fn run(shared: Arc<Shared>, to_settler: FinishedSender, stop: CancellationToken) {
    let mut fetcher = Fetcher::new(&shared, to_settler);
    fetcher.fill(&stop).await;
    fetcher.drain().await;
}

struct Fetcher<'a> {
    shared: &'a Arc<Shared>,
    to_settler: FinishedSender,
    notices: Notices,
    running: JoinSet<()>,
    /// Whether there may be messages that have not been asked for.
    hungry: bool,
    /// How many messages the running question asks for.
    asked: usize,
    /// When to ask again without having heard anything.
    ask_again_at: Timestamp,
    retry_pause: Duration,
}

type Asking = BoxFuture<'static, Result<Fetched, BrokerError>>;

impl<'a> Fetcher<'a> {
    fn new(shared: &'a Arc<Shared>, to_settler: FinishedSender) -> Self {
        Self {
            shared,
            to_settler,
            notices: shared.client.broker().notifier().listen(),
            running: JoinSet::new(),
            hungry: true,
            asked: 0,
            ask_again_at: shared.clock().now(),
            retry_pause: RETRY_PAUSE.0,
        }
    }

    async fn fill(&mut self, stop: &CancellationToken) {
        let mut asking: Option<Asking> = None;
        let clock = Arc::clone(self.shared.client.clock());
        let mut alarm_at = Some(self.ask_again_at);
        let mut alarm = clock.sleep_until(self.ask_again_at);
        loop {
            while let Some(joined) = self.running.try_join_next() {
                self.notice_end(joined);
            }
            if asking.is_none() && self.hungry && self.free_slots() > 0 && !stop.is_cancelled() {
                self.gather().await;
                asking = Some(self.ask());
            }
            if alarm_at != Some(self.ask_again_at) {
                alarm_at = Some(self.ask_again_at);
                alarm = clock.sleep_until(self.ask_again_at);
            }
            let rests = !self.hungry && asking.is_none();
            tokio::select! {
                biased;
                () = stop.cancelled(), if asking.is_none() => return,
                fetched = answer(&mut asking) => {
                    asking = None;
                    self.take(fetched);
                }
                Some(joined) = self.running.join_next() => self.notice_end(joined),
                notice = self.notices.recv() => self.hear(notice),
                () = &mut alarm, if rests => {
                    self.hungry = true;
                    // It has rung; the next one is set anew, should it be for the same instant.
                    alarm_at = None;
                }
            }
        }
    }

    fn free_slots(&self) -> usize {
        self.shared.options.concurrency.saturating_sub(self.running.len())
    }

    /// Returns how many messages are asked for at most.
    fn at_once(&self) -> usize {
        (self.shared.options.concurrency / 2).max(FEWEST_AT_ONCE)
    }

    /// Lets every job go on once that can, where few slots are free: jobs that end at once set their slots free together,
    /// and a question for many messages costs hardly more than one for a single message.
    async fn gather(&mut self) {
        if self.free_slots() < self.at_once() && !self.running.is_empty() {
            tokio::task::yield_now().await;
            while let Some(joined) = self.running.try_join_next() {
                self.notice_end(joined);
            }
        }
    }

    fn ask(&mut self) -> Asking {
        let (shared, max) = (Arc::clone(self.shared), self.free_slots().min(self.at_once()));
        (self.asked, self.hungry) = (max, false);
        Box::pin(async move {
            let options = &shared.options;
            let request =
                FetchRequest { queues: &options.queues, max, lease: options.lease, holder: &shared.name };
            shared.client.broker().fetch(&request).await
        })
    }

    fn take(&mut self, fetched: Result<Fetched, BrokerError>) {
        let now = self.shared.clock().now();
        match fetched {
            Ok(Fetched { deliveries, next_due_at }) => {
                self.retry_pause = RETRY_PAUSE.0;
                // If whatever was asked for was there, there may be more. If not, a notice tells of what comes,
                // also of what came while the question was running.
                self.hungry |= deliveries.len() >= self.asked;
                let poll_at = now + self.shared.options.poll_interval;
                self.ask_again_at = next_due_at.map_or(poll_at, |due| due.min(poll_at));
                for delivery in deliveries {
                    self.start(delivery);
                }
            }
            Err(error) => {
                tracing::warn!(worker = %self.shared.name, error = error_text(&error), "messages could not be fetched, trying again");
                self.hungry = false;
                self.ask_again_at = now + self.retry_pause;
                self.retry_pause = (self.retry_pause * 2).min(RETRY_PAUSE.1);
            }
        }
    }

    fn start(&mut self, delivery: Delivery) {
        let stop = self.shared.held.hold(delivery.tag, delivery.envelope.id.clone());
        let (shared, to_settler) = (Arc::clone(self.shared), self.to_settler.clone());
        self.running.spawn(async move {
            shared.reach(Checkpoints::FETCHED);
            let finished = executor::run(&shared, delivery, stop).await;
            shared.reach(Checkpoints::RAN);
            // The slot is free only once the settler has room, so unrecorded outcomes are bounded.
            // The settler outlives every job, so sending fails only while the runtime is torn down.
            let _ = to_settler.send(finished).await;
        });
    }

    /// A job's own panic is caught where it runs; what comes here is a fault of the worker's.
    fn notice_end(&self, joined: Result<(), JoinError>) {
        if let Err(error) = joined {
            tracing::error!(worker = %self.shared.name, %error, "a job was left behind; its lease will bring it back");
        }
    }

    fn hear(&mut self, notice: Result<Notice, RecvError>) {
        match notice {
            Ok(Notice::Queue(queue)) => self.hungry |= self.shared.options.queues.contains(&queue),
            Ok(Notice::Cancel(id)) if self.shared.held.has_lease_on(&id) => {
                self.shared.look_at_leases.notify_one();
            }
            Ok(Notice::Stop { id, reason }) => {
                self.shared.held.cancel_unleased(&id, &reason, self.shared.clock().now());
            }
            Ok(Notice::Cancel(_) | Notice::Loop(_)) => {}
            Err(RecvError::Lagged(_)) => {
                self.hungry = true;
                self.shared.look_at_leases.notify_one();
            }
            // Nobody will wake us any more; polling goes on.
            Err(RecvError::Closed) => self.notices = self.shared.client.broker().notifier().listen(),
        }
    }

    /// Lets running jobs finish, tells what is left to stop, and waits for it.
    async fn drain(mut self) {
        let shared = Arc::clone(self.shared);
        let (clock, options, hurry) = (shared.clock(), &shared.options, &shared.hurry);
        if !self.running.is_empty() {
            tracing::info!(worker = %shared.name, running = self.running.len(), "worker is stopping, waiting for running jobs");
        }
        if self.finish_before(until(clock.sleep(options.shutdown_patience), hurry)).await {
            return;
        }
        shared.held.stop_all(StopReason::Shutdown, clock.now());
        // Dropped jobs are gone after the grace; a blocking thread can't be dropped, and a little
        // more than the grace is all the time it gets.
        let last_call = async {
            until(clock.sleep(options.stop_grace), hurry).await;
            clock.sleep(LAST_CALL).await;
        };
        if !self.finish_before(last_call).await {
            let running = self.running.len();
            tracing::error!(worker = %shared.name, running, "jobs that can't be stopped are left behind; their leases will bring them back");
            self.running.detach_all();
        }
    }

    /// Returns whether every job has ended before `deadline` resolved.
    async fn finish_before(&mut self, deadline: impl Future<Output = ()>) -> bool {
        let mut deadline = pin!(deadline);
        loop {
            tokio::select! {
                joined = self.running.join_next() => if joined.is_none() { return true },
                notice = self.notices.recv() => self.hear(notice),
                () = &mut deadline => return self.running.is_empty(),
            }
        }
    }
}

/// Resolves when `time` is over, or when nobody wants to wait any more.
async fn until(time: impl Future<Output = ()>, hurry: &CancellationToken) {
    tokio::select! {
        () = time => {}
        () = hurry.cancelled() => {}
    }
}

async fn answer(asking: &mut Option<Asking>) -> Result<Fetched, BrokerError> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}
