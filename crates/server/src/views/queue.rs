//! Queues.

use celeriac_broker::QueueDepth;
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;

/// The counts of one queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub struct QueueView {
    /// Its name.
    pub queue: String,
    /// Messages that a worker could take now.
    pub ready: u64,
    /// Messages that wait for their due time.
    pub delayed: u64,
    /// Messages that workers hold.
    pub running: u64,
    /// Since when the oldest of those that are ready has been waiting.
    pub oldest_ready_at: Option<Moment>,
    /// When it was paused; null while it is open.
    pub paused_at: Option<Moment>,
}

impl From<QueueDepth> for QueueView {
    fn from(depth: QueueDepth) -> Self {
        Self {
            queue: depth.queue,
            ready: depth.ready,
            delayed: depth.delayed,
            running: depth.held,
            oldest_ready_at: Moment::or_none(depth.oldest_ready_at),
            paused_at: Moment::or_none(depth.paused_at),
        }
    }
}
