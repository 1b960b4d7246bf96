//! The loops of a driver, and what is known of each: shared by all who look at them, wake them, add and remove them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use celeriac_protocol::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{LoopStatus, STOP_PATIENCE};
use crate::r#loop::Loop;

/// One loop and what is known of it.
pub(super) struct Seat {
    pub(super) work: Box<dyn Loop>,
    pub(super) wake: Notify,
    /// Tells the loop that it is removed.
    pub(super) leave: CancellationToken,
    /// Ends a pass that does not end by itself.
    pub(super) drop: CancellationToken,
    /// Tells that the loop has ended.
    pub(super) left: CancellationToken,
    driven: AtomicBool,
    status: Mutex<LoopStatus>,
}

impl Seat {
    pub(super) fn of(work: impl Loop) -> Arc<Self> {
        Arc::new(Self {
            status: Mutex::new(LoopStatus::of(&work)),
            work: Box::new(work),
            wake: Notify::new(),
            leave: CancellationToken::new(),
            drop: CancellationToken::new(),
            left: CancellationToken::new(),
            driven: AtomicBool::new(false),
        })
    }

    pub(super) fn status<T>(&self, look: impl FnOnce(&mut LoopStatus) -> T) -> T {
        look(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the loop to end and waits until it has, for as long as loops are waited for at the process's end.
    pub(super) async fn leave(&self, clock: &dyn Clock) {
        self.leave.cancel();
        if !self.driven.load(Ordering::Acquire) {
            return;
        }
        tokio::select! {
            biased;
            () = self.left.cancelled() => return,
            () = clock.sleep(STOP_PATIENCE) => self.drop.cancel(),
        }
        tracing::warn!(loop.name = self.work.name(), after = ?STOP_PATIENCE, "loop did not end in time and was dropped");
        self.left.cancelled().await;
    }
}

/// Is responsible for which loops there are.
pub(super) struct Seats {
    clock: Arc<dyn Clock>,
    taken: Mutex<Vec<Arc<Seat>>>,
    changed: Notify,
}

impl Seats {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, taken: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Adds a loop, or returns it where there is one of its name.
    pub(super) fn take(&self, seat: Arc<Seat>) -> Result<(), Arc<Seat>> {
        let mut taken = self.lock();
        if taken.iter().any(|other| other.work.name() == seat.work.name()) {
            return Err(seat);
        }
        taken.push(seat);
        self.changed.notify_one();
        Ok(())
    }

    /// Removes a loop, which is yet to be told.
    pub(super) fn give_up(&self, name: &str) -> Option<Arc<Seat>> {
        let mut taken = self.lock();
        let place = taken.iter().position(|seat| seat.work.name() == name)?;
        Some(taken.remove(place))
    }

    /// Returns the loops that nobody drives yet; the caller does from now on.
    pub(super) fn not_driven(&self) -> Vec<Arc<Seat>> {
        let taken = self.lock();
        taken.iter().filter(|seat| !seat.driven.swap(true, Ordering::AcqRel)).cloned().collect()
    }

    /// Resolves when a loop was added since it last did.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Seat>> {
        self.lock().iter().find(|seat| seat.work.name() == name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Seat>> {
        self.lock().clone()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.lock().iter().map(|seat| seat.work.name()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
