//! Hosts: who is asked, when each may be asked again, and what its robots.txt allows.
//!
//! ```text
//! claim ──► rows of hosts that are ready, each with its turn
//! visit ──► robots.txt first, then each request at its turn ──► what the host said
//! record ─► the row's own transaction also holds what was learnt of the host
//! ```

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use crate::fetch::HostState;

mod book;
pub(crate) mod claim;
pub(crate) mod entity;
mod ledger;
pub(crate) mod queue;
mod robots;
pub(crate) mod rules;
mod signal;
mod turn;
pub(crate) mod visit;

pub(crate) use book::{HostBook, KnownHost};
pub(crate) use ledger::Ledger;
pub(crate) use robots::Outcome;

/// The host of rows whose address is none. It is given up for ever, so that they end in *error* with the
/// others' rules.
pub(crate) const NOWHERE: &str = "invalid:";

/// An instant that does not come.
pub(crate) const FOR_EVER: Timestamp = Timestamp::from_micros(i64::MAX);

impl entity::Model {
    /// Returns what the rules of politeness look at, without what is under way.
    pub(crate) fn state(&self) -> HostState {
        HostState {
            crawl_delay: self.crawl_delay.map(duration),
            next_allowed_at: Timestamp::from_micros(self.next_allowed_at),
            in_flight: 0,
            parked_until: self.parked_until.map(Timestamp::from_micros),
            failures: u32::try_from(self.failures).unwrap_or(0),
            backoffs: u32::try_from(self.backoffs).unwrap_or(0),
        }
    }

    /// Returns the least pause that an operator set for this host.
    pub(crate) fn min_delay(&self) -> Option<Duration> {
        self.min_delay.map(duration)
    }
}

/// Finds a host or makes its row, and returns its id.
///
/// # Errors
/// The database's.
pub(crate) async fn ensure(tx: &DbTx, origin: &str, now: Timestamp) -> Result<i64, DbErr> {
    use entity::Column as C;
    let find = entity::Entity::find().select_only().column(C::Id).filter(C::Origin.eq(origin));
    if let Some(id) = find.clone().into_tuple().one(tx).await? {
        return Ok(id);
    }
    let row = entity::ActiveModel {
        origin: Set(origin.to_owned()),
        next_allowed_at: Set(0),
        failures: Set(0),
        backoffs: Set(0),
        given_up_until: Set((origin == NOWHERE).then_some(FOR_EVER.as_micros())),
        robots_expires_at: Set(0),
        robots_tries: Set(0),
        requests: Set(0),
        bytes: Set(0),
        created_at: Set(now.as_micros()),
        ..Default::default()
    };
    let nothing = OnConflict::column(C::Origin).do_nothing().to_owned();
    entity::Entity::insert(row).on_conflict(nothing).exec_without_returning(tx).await?;
    find.into_tuple().one(tx).await?.ok_or_else(|| missing(origin))
}

/// Reads a host's row in order to change it.
async fn find(tx: &DbTx, host_id: i64) -> Result<entity::Model, DbErr> {
    let host = entity::Entity::find_by_id(host_id).lock_exclusive().one(tx).await?;
    host.ok_or_else(|| missing(host_id))
}

fn missing(host: impl std::fmt::Display) -> DbErr {
    DbErr::RecordNotFound(format!("host {host}"))
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
