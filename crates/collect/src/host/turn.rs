//! Turns: the instants at which requests to one host may begin, given out so that none comes too early.
//!
//! A turn is reserved by moving the host's `next_allowed_at` on, in one transaction with whatever else is
//! decided, before the request is made. So turns hold for all workers together, and one that dies has used
//! its turn up at worst. Hosts that want no pause cost no write.

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::entity as host;
use crate::fetch::{HostPolicy, HostState};

/// How much later than its turn a request may go out, as a share of the pause, within these bounds.
///
/// Requests begin a little late on a busy machine, and one that is late comes too close to the next, which
/// is on time. So turns lie further apart than the pause by twice this, once for the sender and once for
/// the way, and a turn that was missed by more is given up for a new one.
const LATE_SHARE: u32 = 10;
const LATE_MIN: Duration = Duration::from_millis(5);
const LATE_MAX: Duration = Duration::from_millis(20);

/// Returns the policy as an operator has changed it for one host.
pub(super) fn with_min_delay(policy: &HostPolicy, min_delay: Option<Duration>) -> HostPolicy {
    HostPolicy { min_delay: min_delay.unwrap_or(policy.min_delay), ..*policy }
}

/// Returns how many more rows of the host may be claimed.
pub(super) fn free_slots(policy: &HostPolicy, host: &HostState) -> usize {
    let at_its_turn = policy.next_start(host);
    policy.free_slots(host, at_its_turn) as usize
}

/// Takes a slot and a turn that begins within `ahead` from now.
pub(super) fn reserve(
    policy: &HostPolicy,
    host: &mut HostState,
    now: Timestamp,
    ahead: Duration,
) -> Option<Timestamp> {
    let turn = policy.reserve(host, now, ahead)?;
    host.next_allowed_at = host.next_allowed_at + lateness(policy.delay(host)) * 2;
    Some(turn)
}

/// Returns the next turn after a request that ended just now.
pub(super) fn after(policy: &HostPolicy, host: &HostState, now: Timestamp) -> Timestamp {
    let delay = policy.delay(host);
    now + delay + lateness(delay) * 2
}

/// Returns how much later than its turn a request may begin.
pub(super) fn lateness(delay: Duration) -> Duration {
    if delay.is_zero() { Duration::ZERO } else { (delay / LATE_SHARE).clamp(LATE_MIN, LATE_MAX) }
}

/// A turn that was asked for in the middle of a row's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is reserved; the request may begin then.
    At(Timestamp),
    /// Nothing is reserved: it would begin later than the caller can wait.
    TooFar(Timestamp),
}

/// Reserves one more turn for a row that has its slot already.
pub(super) async fn take(
    tx: &DbTx,
    policy: &HostPolicy,
    host_id: i64,
    now: Timestamp,
    ahead: Duration,
) -> Result<Turn, DbErr> {
    let host = super::find(tx, host_id).await?;
    let policy = with_min_delay(policy, host.min_delay());
    let mut state = HostState { in_flight: 0, ..host.state() };
    let Some(turn) = reserve(&policy, &mut state, now, ahead) else {
        return Ok(Turn::TooFar(policy.next_start(&state)));
    };
    host::Entity::update_many()
        .col_expr(host::Column::NextAllowedAt, Expr::value(state.next_allowed_at.as_micros()))
        .filter(host::Column::Id.eq(host_id))
        .exec(tx)
        .await?;
    Ok(Turn::At(turn))
}
