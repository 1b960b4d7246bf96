//! How loops stand, as a process tells it of itself.

use celeriac_protocol::Timestamp;
use celeriac_store::query::workers::{LoopRecord, MAX_LOOPS};

use crate::{LoopBoard, LoopStatus};

/// How much is told of what a pass did, or why it failed, in bytes.
const MAX_TEXT: usize = 300;

/// Tells how the loops of a process stand.
pub(super) fn loops(board: &LoopBoard) -> Vec<LoopRecord> {
    board.statuses().into_iter().take(MAX_LOOPS).map(told).collect()
}

fn told(status: LoopStatus) -> LoopRecord {
    let last = status.last.as_ref();
    let took = last.map(|pass| pass.finished_at.since(pass.started_at));
    LoopRecord {
        name: status.name.to_owned(),
        passes: status.iteration,
        failures: status.failures_in_a_row,
        succeeded_at: status.succeeded_at.map(Timestamp::as_micros),
        next_at: status.next_at.map(Timestamp::as_micros),
        took_micros: took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        last: last.map(|pass| match &pass.outcome {
            Ok(report) => report.to_string(),
            Err(error) => error[..error.floor_char_boundary(MAX_TEXT)].to_owned(),
        }),
    }
}
