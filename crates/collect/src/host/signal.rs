//! What a request taught about its host, and how the host's row takes it.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait, IntoActiveModel};

use super::entity::{self as host, ActiveModel};
use super::ledger::Counts;
use super::turn;
use crate::fetch::{HostPolicy, HostSignal, HostState};

/// After how many stays away in a row a host is given up. With the usual policy that is after an hour.
const BACKOFFS_MAX: u32 = 10;

/// For how long it is given up.
const GIVEN_UP_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// What one request taught about its host.
#[derive(Debug, Clone)]
pub(super) struct Learnt {
    pub(super) host_id: i64,
    pub(super) signal: HostSignal,
    pub(super) counts: Counts,
    /// The failure, in words for people.
    pub(super) error: Option<String>,
    pub(super) policy: HostPolicy,
}

impl Learnt {
    /// Writes it down.
    pub(super) async fn write(&self, tx: &DbTx) -> Result<(), DbErr> {
        let (mut row, state) = self.settle(tx).await?;
        ready_at(&mut row, &state, self.counts.last_request_at);
        host::Entity::update(row).exec(tx).await?;
        Ok(())
    }

    /// Returns the policy as it holds for the host.
    pub(super) fn policy_of(&self, row: &ActiveModel) -> HostPolicy {
        let min_delay = row.min_delay.try_as_ref().copied().flatten();
        turn::with_min_delay(&self.policy, min_delay.map(super::duration))
    }

    /// Reads the host and draws the conclusions; nothing is written yet.
    pub(super) async fn settle(&self, tx: &DbTx) -> Result<(ActiveModel, HostState), DbErr> {
        let known = super::find(tx, self.host_id).await?;
        let policy = turn::with_min_delay(&self.policy, known.min_delay());
        let ended_at = self.counts.last_request_at;
        let mut state = HostState { in_flight: 1, ..known.state() };
        let was_parked_until = state.parked_until;
        policy.settle(&mut state, self.signal, ended_at);
        let (requests, bytes) = (known.requests, known.bytes);
        let mut row = known.into_active_model();
        row.next_allowed_at = Set(state.next_allowed_at.as_micros());
        row.parked_until = Set(state.parked_until.map(Timestamp::as_micros));
        row.failures = Set(i32::try_from(state.failures).unwrap_or(i32::MAX));
        row.backoffs = Set(i32::try_from(state.backoffs).unwrap_or(i32::MAX));
        row.requests = Set(requests + self.counts.requests);
        row.bytes = Set(bytes + self.counts.bytes);
        row.last_request_at = Set(Some(ended_at.as_micros()));
        if let Some(status) = self.counts.last_status {
            row.last_status = Set(Some(i32::from(status)));
        }
        if let Some(error) = &self.error {
            row.last_error = Set(Some(error.clone()));
        }
        if state.parked_until.is_none() {
            row.parked_reason = Set(None);
        } else if state.parked_until != was_parked_until {
            row.parked_reason = Set(self.error.clone());
        }
        if state.backoffs >= BACKOFFS_MAX {
            state.parked_until = None;
            row.parked_until = Set(None);
            row.given_up_until = Set(Some((ended_at + GIVEN_UP_FOR).as_micros()));
        }
        Ok((row, state))
    }
}

/// Makes a host ready for its next turn wherever rows wait for it: a slot has become free.
pub(super) fn ready_at(row: &mut ActiveModel, state: &HostState, now: Timestamp) {
    let start = state.next_allowed_at.max(state.parked_until.unwrap_or(Timestamp::EPOCH)).max(now);
    for column in [&mut row.domains_ready_at, &mut row.sitemaps_ready_at, &mut row.pages_ready_at] {
        if column.try_as_ref().is_some_and(Option::is_some) {
            *column = Set(Some(start.as_micros()));
        }
    }
}

#[cfg(test)]
mod tests;
