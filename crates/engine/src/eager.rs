//! Eager mode: a job runs where it is enqueued, without a server, through the same executor, judge
//! and settler as a worker's. Celery's `task_always_eager`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use celeriac_broker::MemoryBroker;
use celeriac_protocol::{Clock, Timestamp, WhenReached};

use crate::worker::{Shared, drain};
use crate::{
    Client, ClientParts, EventHub, MemoryRecorder, Registry, Sending, States, SystemClock, Worker,
    WorkerError, WorkerOptions,
};

/// How many attempts one `enqueue` may come to, its retries and what they enqueue included.
const MAX_ATTEMPTS: usize = 10_000;

/// Makes a client whose jobs run as they are enqueued: when `enqueue` returns, the job has ended,
/// retries and all. Waiting times are skipped, not slept through.
///
/// # Errors
/// A state that a task asks for and that is not there.
pub fn eager_client(registry: Registry, states: States) -> Result<Client, WorkerError> {
    let clock: Arc<SkippingClock> = Arc::default();
    let parts = ClientParts {
        broker: Arc::new(MemoryBroker::new(Arc::clone(&clock) as Arc<dyn Clock>)),
        recorder: Arc::new(MemoryRecorder::default()),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        registry: registry.clone(),
        events: EventHub::default(),
        origin: "eager".to_owned(),
    };
    // What a task enqueues runs after it, not inside it: its client is a plain one on the same broker.
    let inner = Client::new(parts.clone());
    let options = WorkerOptions { name: "eager".to_owned(), queues: Vec::new(), ..WorkerOptions::default() };
    let worker = Worker::for_every_queue(inner, registry, states, options)?;
    Ok(Client::build(
        parts,
        None,
        Sending::default(),
        Some(Eager { worker: Arc::clone(worker.shared()), clock, turn: Arc::default() }),
    ))
}

/// Runs jobs in place.
#[derive(Clone)]
pub(crate) struct Eager {
    worker: Arc<Shared>,
    clock: Arc<SkippingClock>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Eager {
    /// Runs everything that waits, skipping ahead to what is delayed.
    pub(crate) async fn run(&self) {
        // Whoever is at it already will find what was just enqueued; a task that enqueues by this very
        // client stands inside of that turn.
        let Ok(_turn) = self.turn.try_lock() else { return };
        for _ in 0..MAX_ATTEMPTS {
            let drained = drain(&self.worker, MAX_ATTEMPTS).await.expect("a queue in memory can't fail");
            match drained.next_due_at {
                Some(due) => self.clock.skip_to(due),
                None => return,
            }
        }
        tracing::error!(limit = MAX_ATTEMPTS, "eager run was ended: jobs keep enqueueing jobs or retrying");
    }
}

/// The node's clock, but it jumps over what nobody wants to wait for.
#[derive(Debug, Default)]
struct SkippingClock {
    system: SystemClock,
    skipped_micros: AtomicI64,
}

impl SkippingClock {
    fn skip_to(&self, instant: Timestamp) {
        let ahead = i64::try_from(instant.since(self.now()).as_micros()).unwrap_or(i64::MAX);
        self.skipped_micros.fetch_add(ahead, Ordering::AcqRel);
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        let skipped = u64::try_from(self.skipped_micros.load(Ordering::Acquire)).unwrap_or(0);
        self.system.now() + Duration::from_micros(skipped)
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        self.system.sleep_until(self.system.now() + instant.since(self.now()))
    }
}
