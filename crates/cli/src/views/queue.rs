//! Queues as they are printed.

use celeriac_broker::QueueDepth;
use celeriac_protocol::Timestamp;
use serde::Serialize;

use super::instant_or_none;
use crate::output::{Cell, Column, Paint, Table, ago, grouped};

/// The counts of one queue.
#[derive(Serialize)]
pub(crate) struct QueueView {
    queue: String,
    ready: u64,
    delayed: u64,
    running: u64,
    oldest_ready_at: Option<String>,
    paused_at: Option<String>,
    #[serde(skip)]
    oldest: Option<Timestamp>,
    #[serde(skip)]
    paused: Option<Timestamp>,
}

impl From<QueueDepth> for QueueView {
    fn from(depth: QueueDepth) -> Self {
        Self {
            queue: depth.queue,
            ready: depth.ready,
            delayed: depth.delayed,
            running: depth.held,
            oldest_ready_at: instant_or_none(depth.oldest_ready_at),
            paused_at: instant_or_none(depth.paused_at),
            oldest: depth.oldest_ready_at,
            paused: depth.paused_at,
        }
    }
}

impl QueueView {
    /// Lists queues.
    pub(crate) fn table(views: &[Self], now: Timestamp) -> Table {
        let columns = [
            Column::elastic("QUEUE"),
            Column::number("READY"),
            Column::number("DELAYED"),
            Column::number("RUNNING"),
            Column::new("OLDEST"),
            Column::new("STATE"),
        ];
        let mut table = Table::new(columns, "all queues are empty");
        for view in views {
            let count = |count: u64| Cell::new(grouped(count)).exactly(count.to_string());
            let told = |at: Option<Timestamp>| at.map(|at| ago(at, now)).unwrap_or_default();
            let state = match view.paused {
                Some(at) => {
                    Cell::painted(Paint::Warning, format!("paused {}", ago(at, now))).exactly("paused")
                }
                None => Cell::painted(Paint::Good, "open"),
            };
            table.row([
                Cell::painted(Paint::Strong, &view.queue),
                count(view.ready),
                count(view.delayed),
                count(view.running),
                Cell::new(told(view.oldest)).exactly(view.oldest_ready_at.clone().unwrap_or_default()),
                state,
            ]);
        }
        table
    }
}
