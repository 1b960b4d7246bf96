//! Queues as they are printed.

use celeriac_protocol::Timestamp;
use celeriac_server::views::QueueView;

use crate::output::{Cell, Column, Paint, Table, ago, grouped};

/// Lists queues.
pub(crate) fn queues_table(views: &[QueueView], now: Timestamp) -> Table {
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
        let oldest = view.oldest_ready_at;
        let state = match view.paused_at {
            Some(at) => Cell::painted(Paint::Warning, format!("paused {}", ago(at.0, now))).exactly("paused"),
            None => Cell::painted(Paint::Good, "open"),
        };
        table.row([
            Cell::painted(Paint::Strong, &view.queue),
            count(view.ready),
            count(view.delayed),
            count(view.running),
            Cell::new(oldest.map(|at| ago(at.0, now)).unwrap_or_default())
                .exactly(oldest.map(|at| at.to_string()).unwrap_or_default()),
            state,
        ]);
    }
    table
}
