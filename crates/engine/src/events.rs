//! Tells whoever listens what happened to jobs: live frames, metrics, Celery's events. It may lose.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use celeriac_protocol::JobEvent;

/// Listens to what happens to jobs through this process: what it enqueues, cancels, revives and
/// runs. It is called on the path of who does that, for a job enqueued in a transaction on the
/// database's writer: return at once, and hand longer work to a bounded queue of your own.
///
/// Events of one job may come out of order, as when a worker begins it before its sender has told
/// of it; [`JobEvent::version`] says which one is newer.
pub trait EventSink: Send + Sync + 'static {
    /// Takes one event, after it was recorded.
    fn tell(&self, event: &JobEvent);
}

/// Passes events to every sink. Cloning is cheap and shares the sinks.
#[derive(Clone, Default)]
pub struct EventHub {
    sinks: Arc<RwLock<Vec<Arc<dyn EventSink>>>>,
}

impl EventHub {
    /// Adds a sink.
    pub fn add(&self, sink: Arc<dyn EventSink>) {
        self.sinks.write().expect("no sink list holder panics").push(sink);
    }

    /// Tells every sink.
    pub fn tell(&self, events: &[JobEvent]) {
        let sinks = self.sinks.read().expect("no sink list holder panics");
        for sink in sinks.iter() {
            // A listener that panics must not take the worker with it.
            let told = catch_unwind(AssertUnwindSafe(|| events.iter().for_each(|event| sink.tell(event))));
            if told.is_err() {
                tracing::error!("an event sink panicked; the events were recorded all the same");
            }
        }
    }
}

impl std::fmt::Debug for EventHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.sinks.read().map_or(0, |sinks| sinks.len());
        f.debug_struct("EventHub").field("sinks", &count).finish()
    }
}
