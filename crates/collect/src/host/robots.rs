//! What the fetch of a robots.txt came to, as the host's row keeps it.

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait};

use super::entity as host;
use super::signal::{Learnt, ready_at};
use super::{micros, rules, turn};
use crate::fetch::RobotsOutcome;

/// The words of `hosts.robots_outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There are rules.
    Rules,
    /// There is no file, so nothing is forbidden.
    None,
    /// The file can't be had, so everything is forbidden for now.
    Unreachable,
}

impl Outcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::None => "none",
            Self::Unreachable => "unreachable",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::Rules, Self::None, Self::Unreachable].into_iter().find(|outcome| outcome.word() == word)
    }

    pub(crate) const fn of(outcome: &RobotsOutcome) -> Self {
        match outcome {
            RobotsOutcome::Rules(_) => Self::Rules,
            RobotsOutcome::Unrestricted => Self::None,
            RobotsOutcome::Unreachable { .. } => Self::Unreachable,
        }
    }
}

/// How long what was fetched holds, and how often one tries in vain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) holds_for: Duration,
    pub(super) tries_max: u32,
}

/// What keeping the outcome means for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// The host may be asked by these rules.
    Known,
    /// Nothing may be asked until then.
    Wait(Timestamp),
    /// It was tried often enough.
    GivenUp,
}

/// Keeps the outcome, with what the request told of the host itself.
pub(super) async fn keep(
    tx: &DbTx,
    learnt: &Learnt,
    outcome: &RobotsOutcome,
    terms: Terms,
    now: Timestamp,
) -> Result<Kept, DbErr> {
    let (mut row, mut state) = learnt.settle(tx).await?;
    let kept = match outcome {
        RobotsOutcome::Unreachable { reason, .. } => {
            let tries = learnt_tries(&row) + 1;
            row.robots_tries = Set(i32::try_from(tries).unwrap_or(i32::MAX));
            row.parked_reason = Set(Some(unreachable(reason)));
            if tries >= terms.tries_max {
                row.given_up_until = Set(Some((now + terms.holds_for).as_micros()));
                state.parked_until = None;
                row.parked_until = Set(None);
                Kept::GivenUp
            } else {
                Kept::Wait(state.parked_until.unwrap_or(now).max(state.next_allowed_at))
            }
        }
        RobotsOutcome::Rules(_) | RobotsOutcome::Unrestricted => {
            row.robots_tries = Set(0);
            row.robots_expires_at = Set((now + terms.holds_for).as_micros());
            row.crawl_delay = Set(outcome.crawl_delay().map(micros));
            state.crawl_delay = outcome.crawl_delay();
            // The pause that was just learnt holds after this very request.
            state.next_allowed_at =
                state.next_allowed_at.max(turn::after(&learnt.policy_of(&row), &state, now));
            row.next_allowed_at = Set(state.next_allowed_at.as_micros());
            Kept::Known
        }
    };
    row.robots_outcome = Set(Some(Outcome::of(outcome).word().to_owned()));
    row.robots_fetched_at = Set(Some(now.as_micros()));
    ready_at(&mut row, &state, now);
    host::Entity::update(row).exec(tx).await?;
    keep_rules(tx, learnt.host_id, outcome).await?;
    Ok(kept)
}

async fn keep_rules(tx: &DbTx, host_id: i64, outcome: &RobotsOutcome) -> Result<(), DbErr> {
    let RobotsOutcome::Rules(robots) = outcome else {
        rules::Entity::delete_by_id(host_id).exec(tx).await?;
        return Ok(());
    };
    let row = rules::ActiveModel { host_id: Set(host_id), rules: Set(robots.condensed()) };
    let update = OnConflict::column(rules::Column::HostId).update_column(rules::Column::Rules).to_owned();
    rules::Entity::insert(row).on_conflict(update).exec_without_returning(tx).await?;
    Ok(())
}

fn learnt_tries(row: &host::ActiveModel) -> u32 {
    row.robots_tries.try_as_ref().and_then(|tries| u32::try_from(*tries).ok()).unwrap_or(0)
}

fn unreachable(reason: &str) -> String {
    format!("its robots.txt can't be read: {reason}")
}

/// Says why a host is given up.
pub(super) fn given_up_reason(row: &host::Model) -> String {
    let why = row.parked_reason.as_deref().or(row.last_error.as_deref()).unwrap_or("it does not answer");
    if row.origin == super::NOWHERE {
        return "it is not a web address".to_owned();
    }
    format!("{} was given up after many tries: {why}", row.origin)
}
