//! Keeping the queue's table small.
//!
//! PostgreSQL leaves the rows that were changed or removed where they are until the table is vacuumed,
//! and looks around only once a minute by itself. A queue goes through a million rows in that time, and
//! every fetch would step over all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use celeriac_db::Database;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::statement::{Values, Via};

/// How many messages this process settles before it has the table vacuumed. As long as nothing is
/// settled, the server's own vacuum is enough.
const SETTLED: u64 = 50_000;

/// Takes no lock that anybody would wait for, and gives way to whoever vacuums already.
const VACUUM: &str = "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) celeriac_queue";

/// Is responsible for having the queue's table vacuumed in time.
#[derive(Debug)]
pub(super) struct Keeper {
    settled: AtomicU64,
    /// One order waits at most.
    orders: mpsc::Sender<()>,
    /// What vacuums; ended when this is dropped.
    _task: JoinSet<()>,
}

impl Keeper {
    /// Begins to keep the queue in `db`. Call it within a tokio runtime.
    pub(super) fn new(db: Database) -> Self {
        let (orders, inbox) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(vacuum(db, inbox));
        Self { settled: AtomicU64::new(0), orders, _task: task }
    }

    /// Notes that messages were settled.
    pub(super) fn note(&self, settled: usize) {
        let more = settled as u64;
        let before = self.settled.fetch_add(more, Ordering::Relaxed);
        if before / SETTLED != (before + more) / SETTLED {
            // One that waits already will do for this one, too.
            self.orders.try_send(()).ok();
        }
    }
}

async fn vacuum(db: Database, mut orders: mpsc::Receiver<()>) {
    // Statements that are not kept prepared run in a transaction, in which nobody may vacuum.
    let can = db.server().is_some_and(|server| server.options().prepared_statements);
    while orders.recv().await.is_some() {
        let Ok(via) = Via::alone(&db) else { return };
        if can && let Err(error) = via.query("vacuum the queue", VACUUM, Values::default()).await {
            tracing::debug!(%error, "the queue's table is left to the server's own vacuum");
        }
    }
}
