//! Runs loops: one pass of each at a time, by the clock, by being woken, until told to stop.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Notice, Notices};
use celeriac_protocol::{Clock, Timestamp, error_text, panic_text};
use futures_util::FutureExt;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::r#loop::{Loop, LoopCtx, LoopError, PassReport};

mod seats;
mod status;

use seats::{Seat, Seats};
pub use status::{LoopStatus, Pass};

/// How long a pass may go on after it was told to stop, before it is dropped.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The shortest rest between two passes of a loop that says it is due already or has more to do, so
/// that one that is wrong about that takes a bounded share of the machine: a hundred passes a second.
/// What a loop does for long it does within a pass, in batches, so the rest costs it little.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// Is responsible for a set of loops: it alone starts tasks for them, and waits until they have ended.
///
/// Each loop passes once when the driver starts, then whenever its period is over, something wakes
/// it, or, after a moment, if its last pass said that work remains. A pass that fails or panics ends only that pass.
/// Loops may come and go while it runs ([`Driver::handle`]).
pub struct Driver {
    seats: Arc<Seats>,
    notices: Vec<Notices>,
}

/// Two loops have one name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("drive loop \"{0}\": there is one of that name")]
pub struct DuplicateLoop(pub &'static str);

impl Driver {
    /// Makes a driver that has nothing to drive yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { seats: Arc::new(Seats::new(clock)), notices: Vec::new() }
    }

    /// Adds a loop.
    ///
    /// # Errors
    /// There is one of this name.
    pub fn with(self, work: impl Loop) -> Result<Self, DuplicateLoop> {
        let name = work.name();
        match self.seats.take(Seat::of(work)) {
            Ok(()) => Ok(self),
            Err(_) => Err(DuplicateLoop(name)),
        }
    }

    /// Lets other processes wake the loops, by [`Notice::Loop`]; one more line is listened to by each call.
    #[must_use]
    pub fn woken_by(mut self, notices: Notices) -> Self {
        self.notices.push(notices);
        self
    }

    /// Returns what adds loops to this driver and removes them, also while it runs.
    pub fn handle(&self) -> DriverHandle {
        DriverHandle { seats: Arc::clone(&self.seats) }
    }

    /// Returns what wakes the loops of this driver.
    pub fn activator(&self) -> Activator {
        Activator { seats: Arc::clone(&self.seats) }
    }

    /// Returns what shows how the loops of this driver stand.
    pub fn board(&self) -> LoopBoard {
        LoopBoard { seats: Arc::clone(&self.seats) }
    }

    /// Runs the loops until `stop` is cancelled, then lets the passes that go on end.
    pub async fn run(self, stop: CancellationToken) {
        let activator = self.activator();
        let mut running = JoinSet::new();
        for notices in self.notices {
            running.spawn(listen(notices, activator.clone(), stop.clone()));
        }
        let (seats, clock) = (self.seats, activator.seats.clock());
        loop {
            for seat in seats.not_driven() {
                let left = seat.left.clone().drop_guard();
                running.spawn(turn(seat, left, Arc::clone(clock), stop.child_token()));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = seats.changed() => {}
                // Loops that were removed.
                Some(_) = running.join_next() => {}
            }
        }
        let patience = clock.sleep(STOP_PATIENCE);
        tokio::select! {
            biased;
            () = async { while running.join_next().await.is_some() {} } => {}
            () = patience => tracing::warn!(after = ?STOP_PATIENCE, "loops did not stop in time and were dropped"),
        }
        running.shutdown().await;
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driver").field(&self.seats.names()).finish()
    }
}

/// Adds loops to a driver and removes them, before it runs and while it does. Cloning is cheap.
#[derive(Clone)]
pub struct DriverHandle {
    seats: Arc<Seats>,
}

impl DriverHandle {
    /// Adds a loop, in place of the one of its name if there is one, whose pass that goes on is waited for.
    pub async fn add(&self, work: impl Loop) {
        let mut seat = Seat::of(work);
        while let Err(returned) = self.seats.take(seat) {
            self.remove(returned.work.name()).await;
            seat = returned;
        }
    }

    /// Removes a loop and waits for its pass that goes on. `false`: there is none of this name.
    pub async fn remove(&self, name: &str) -> bool {
        let Some(seat) = self.seats.give_up(name) else { return false };
        seat.leave(&**self.seats.clock()).await;
        true
    }
}

impl fmt::Debug for DriverHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DriverHandle").field(&self.seats.names()).finish()
    }
}

/// Wakes loops. Cloning is cheap.
#[derive(Clone)]
pub struct Activator {
    seats: Arc<Seats>,
}

impl Activator {
    /// Makes a loop pass as soon as it can, once more if it is passing right now. `false`: there is
    /// no loop of that name here.
    pub fn activate(&self, name: &str) -> bool {
        self.seats.find(name).inspect(|seat| seat.wake.notify_one()).is_some()
    }

    /// Makes all loops pass as soon as they can.
    pub fn activate_all(&self) {
        self.seats.all().iter().for_each(|seat| seat.wake.notify_one());
    }
}

impl fmt::Debug for Activator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Activator").field(&self.seats.names()).finish()
    }
}

/// Shows how loops stand. Cloning is cheap, and what it shows outlives the driver's run.
#[derive(Clone)]
pub struct LoopBoard {
    seats: Arc<Seats>,
}

impl LoopBoard {
    /// Returns how each loop stands, in the order in which they were added.
    pub fn statuses(&self) -> Vec<LoopStatus> {
        self.seats.all().iter().map(|seat| seat.status(|status| status.clone())).collect()
    }

    /// Returns how one loop stands.
    pub fn status(&self, name: &str) -> Option<LoopStatus> {
        Some(self.seats.find(name)?.status(|status| status.clone()))
    }
}

impl fmt::Debug for LoopBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoopBoard").field(&self.seats.names()).finish()
    }
}

/// Drives one loop until the process stops, or the loop is removed. Whatever ends it, `_left` tells of it.
async fn turn(seat: Arc<Seat>, _left: DropGuard, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let ctx = LoopCtx::new(clock, stop.clone());
    let leaving = async {
        seat.leave.cancelled().await;
        stop.cancel();
        seat.drop.cancelled().await;
    };
    tokio::select! {
        biased;
        () = leaving => {}
        () = passes(&seat, &ctx) => {}
    }
}

/// Makes one pass after the other until told to stop.
async fn passes(seat: &Seat, ctx: &LoopCtx) {
    while !ctx.is_stopping() {
        let next_at = pass(seat, ctx).await;
        tokio::select! {
            biased;
            () = ctx.stopping() => {}
            () = seat.wake.notified() => {}
            () = ctx.clock().sleep_until(next_at) => {}
        }
    }
    seat.status(|status| status.next_at = None);
}

/// Makes one pass, notes what came of it, and returns when the next is due.
async fn pass(seat: &Seat, ctx: &LoopCtx) -> Timestamp {
    let started_at = ctx.now();
    seat.status(|status| status.begin(started_at));
    let outcome = AssertUnwindSafe(seat.work.pass(ctx)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| {
        Err(LoopError::from(format!("panicked: {}", panic_text(&*panic).unwrap_or("no message"))))
    });
    let now = ctx.now();
    let next_at = next_after(&outcome, now, seat.work.period());
    log(seat.work.name(), &outcome, seat.status(|status| status.failures_in_a_row));
    let outcome = outcome.map_err(|error| error_text(&*error));
    seat.status(|status| status.end(Pass { started_at, finished_at: now, outcome }, next_at));
    next_at
}

fn next_after(outcome: &Result<PassReport, LoopError>, now: Timestamp, period: Duration) -> Timestamp {
    let rested = now + period;
    match outcome {
        Ok(report) if report.more => (now + SHORTEST_REST).min(rested),
        Ok(PassReport { next_at: Some(at), .. }) => (*at).max(now + SHORTEST_REST).min(rested),
        _ => rested,
    }
}

/// Tells of failures when they begin, and then at ever longer intervals while they go on.
fn log(name: &str, outcome: &Result<PassReport, LoopError>, failed_before: u32) {
    match outcome {
        Ok(report) if failed_before > 0 => {
            tracing::info!(loop.name = name, %report, failures = failed_before, "loop works again");
        }
        Ok(report) => tracing::debug!(loop.name = name, %report, "loop passed"),
        Err(error) if (failed_before + 1).is_power_of_two() => {
            let failures = failed_before + 1;
            tracing::warn!(loop.name = name, error = error_text(&**error), failures, "pass of loop failed");
        }
        Err(error) => {
            tracing::debug!(loop.name = name, error = error_text(&**error), "pass of loop failed again");
        }
    }
}

/// Wakes loops that other processes have work for.
async fn listen(mut notices: Notices, activator: Activator, stop: CancellationToken) {
    loop {
        let notice = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            notice = notices.recv() => notice,
        };
        match notice {
            Ok(Notice::Loop(name)) => drop(activator.activate(&name)),
            Ok(_) => {}
            // Any of them may have been meant.
            Err(RecvError::Lagged(_)) => activator.activate_all(),
            Err(RecvError::Closed) => return,
        }
    }
}
