//! Writes what a row came to, in a short transaction of its own, and only while the claim holds.

use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::{SHORTEST_SNOOZE, Timestamp, without_nul};
use sea_orm::prelude::Expr;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{ColumnTrait, DbErr, ExprTrait, QueryFilter};
use serde::{Deserialize, Serialize};

use super::{
    Again, ItemError, ItemStatus, MAX_REASON_BYTES, Processed, RowState, RowsWaiting, WorkflowSettings,
    WorkflowTable, Write,
};

/// How many earlier failures a row keeps.
const MAX_HISTORY: usize = 10;

/// What was recorded of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is done.
    Done,
    /// It will be tried again.
    Again,
    /// It ended in *error*.
    Error,
    /// The claim had run out: somebody else has the row, and nothing was written.
    Fenced,
}

/// One earlier failure.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    attempt: u32,
    at: String,
    error: String,
}

/// How a row is left.
pub(super) struct Left {
    pub(super) status: ItemStatus,
    pub(super) due_at: Option<Timestamp>,
    error: Option<String>,
    history: Option<String>,
    charged: bool,
}

/// Writes what a row came to.
pub(super) async fn record<E: WorkflowTable>(
    database: &Database,
    settings: &WorkflowSettings,
    claim: i64,
    state: &RowState,
    outcome: Result<Processed, ItemError>,
    now: Timestamp,
) -> Result<Recorded, DbError> {
    let (left, write) = decide(settings, state, outcome, now);
    debug_assert!(ItemStatus::Processing.can_become(left.status), "a processed row goes where it may");
    let (id, recorded) = (state.id, recorded(&left));
    let again = left.due_at.map(|due_at| RowsWaiting::One { id, due_at });
    database
        .write("record row", async move |tx| {
            if !leave::<E>(tx, id, E::columns().claim.eq(claim), left, now).await? {
                return Ok(Recorded::Fenced);
            }
            if let Some(write) = write {
                write(tx).await?;
            }
            if let Some(again) = again {
                E::update_waiting(tx, again).await?;
            }
            Ok(recorded)
        })
        .await
}

fn recorded(left: &Left) -> Recorded {
    match left.status {
        ItemStatus::Done => Recorded::Done,
        ItemStatus::Error => Recorded::Error,
        ItemStatus::Waiting | ItemStatus::Processing => Recorded::Again,
    }
}

/// Decides what becomes of a row, and what is written with it.
pub(super) fn decide(
    settings: &WorkflowSettings,
    state: &RowState,
    outcome: Result<Processed, ItemError>,
    now: Timestamp,
) -> (Left, Option<Write>) {
    let error = match outcome {
        Ok(Processed { write }) => {
            let left =
                Left { status: ItemStatus::Done, due_at: None, error: None, history: None, charged: true };
            return (left, write);
        }
        Err(error) => error,
    };
    let reason = shorten(error.reason);
    let more = state.attempts < settings.max_attempts;
    let backoff = || now + settings.retry().delay(state.attempts.saturating_sub(1), rand::random());
    let (status, due_at) = match error.again {
        Again::Uncharged(at) => (ItemStatus::Waiting, Some(at.max(now + SHORTEST_SNOOZE))),
        Again::At(at) if more => (ItemStatus::Waiting, Some(at)),
        Again::Backoff if more => (ItemStatus::Waiting, Some(backoff())),
        Again::At(_) | Again::Backoff | Again::Never => (ItemStatus::Error, None),
    };
    let charged = !matches!(error.again, Again::Uncharged(_));
    let history = charged.then(|| with_failure(state, &reason, now));
    (Left { status, due_at, error: Some(reason), history, charged }, error.write)
}

/// Leaves the row as decided, if its claim is still the one that is meant.
pub(super) async fn leave<E: WorkflowTable>(
    tx: &DbTx,
    id: i64,
    claim: SimpleExpr,
    left: Left,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let c = E::columns();
    let mut update = E::update_many()
        .col_expr(c.status, Expr::value(E::STATUSES.word(left.status)))
        .col_expr(c.claim, Expr::value(None::<i64>))
        .col_expr(c.claimed_until, Expr::value(None::<i64>))
        .col_expr(c.error, Expr::value(left.error))
        .col_expr(c.updated_at, Expr::value(now.as_micros()));
    if let Some(due_at) = left.due_at {
        update = update.col_expr(c.due_at, Expr::value(due_at.as_micros()));
    }
    if let Some(history) = left.history {
        update = update.col_expr(c.history, Expr::value(history));
    }
    if !left.charged {
        update = update.col_expr(c.attempts, Expr::col(c.attempts).sub(1));
    }
    let held =
        update.filter(c.id.eq(id)).filter(claim).filter(c.status.eq(E::STATUSES.processing)).exec(tx).await?;
    Ok(held.rows_affected == 1)
}

fn with_failure(state: &RowState, reason: &str, now: Timestamp) -> String {
    // A history that can't be read is begun anew rather than kept from growing.
    let mut history: Vec<Failure> = serde_json::from_str(&state.history).unwrap_or_default();
    history.push(Failure { attempt: state.attempts, at: now.to_string(), error: reason.to_owned() });
    let surplus = history.len().saturating_sub(MAX_HISTORY);
    history.drain(..surplus);
    serde_json::to_string(&history).unwrap_or_else(|_| "[]".to_owned())
}

fn shorten(reason: String) -> String {
    let mut reason = without_nul(reason);
    if reason.len() > MAX_REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES - '…'.len_utf8()));
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(attempts: u32) -> RowState {
        RowState { id: 1, label: "row".into(), attempts, history: "[]".into() }
    }

    fn check(error: ItemError, attempts: u32, expected: (ItemStatus, Option<i64>, bool)) {
        let settings = WorkflowSettings {
            backoff: celeriac_protocol::Backoff::Fixed { delay: std::time::Duration::ZERO },
            ..WorkflowSettings::default()
        };
        let (left, _) = decide(&settings, &state(attempts), Err(error), Timestamp::EPOCH);
        assert_eq!((left.status, left.due_at.map(Timestamp::as_micros), left.charged), expected);
    }

    #[test]
    fn attempts_are_bounded_and_postponing_charges_none() {
        let soon = Timestamp::from_micros(5);
        check(ItemError::transient("x"), 1, (ItemStatus::Waiting, Some(0), true));
        check(ItemError::transient("x"), 3, (ItemStatus::Error, None, true));
        check(ItemError::permanent("x"), 1, (ItemStatus::Error, None, true));
        check(ItemError::transient("x").at(soon), 2, (ItemStatus::Waiting, Some(5), true));
        check(ItemError::transient("x").at(soon), 3, (ItemStatus::Error, None, true));
        check(ItemError::postpone(soon, "x"), 3, (ItemStatus::Waiting, Some(100_000), false));
    }

    #[test]
    fn history_is_kept_and_bounded() {
        let mut row = state(1);
        for attempt in 1..=12 {
            row.attempts = attempt;
            row.history = with_failure(&row, &format!("reason {attempt}"), Timestamp::EPOCH);
        }
        let history: Vec<Failure> = serde_json::from_str(&row.history).unwrap();
        assert_eq!((history.len(), history[0].attempt, history[9].error.as_str()), (10, 3, "reason 12"));
    }
}
