//! Claims by the rules of hosts: few rows of each, each at its turn, and none of a host that must rest.

use std::time::Duration;

use celeriac_control::workflow::{ClaimRequest, Claimed, take_claim};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::sea_query::{ExprTrait, LockBehavior, LockType, Query, SelectStatement, SubQueryStatement};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::entity as host;
use super::queue::HostTable;
use super::turn;
use crate::domain::entity as domain;
use crate::fetch::{HostPolicy, HostState};
use crate::page::entity as page;
use crate::sitemap::entity as sitemap;

/// How far ahead turns are given out. Rows that wait for their turn hold a claim and a place in the batch,
/// so it is short; it has to cover the time from one claim to the next.
const HORIZON: Duration = Duration::from_millis(500);

/// After how long a host is looked at again whose slots are all taken. Each of its requests that ends
/// makes it ready before that.
const SLOT_RECHECK: Duration = Duration::from_secs(1);

/// How long pages leave a slot of their host to a domain or sitemap that is ready. A workflow that has not
/// looked by then is not running anywhere.
const YIELD: Duration = Duration::from_secs(5);

/// How many rows of a given-up host one claim takes: they end in *error* without a request.
const GIVEN_UP_ROWS: usize = 64;

/// The fewest hosts that a claim looks at, so that a few that turn out not to be ready don't fill its view.
const HOSTS_MIN: usize = 16;

/// Claims up to `request.max` rows, round robin over the hosts that are ready.
///
/// Per host it costs one entry of the host index, one look into the table's index for as many rows as are
/// taken, and one small update, whatever number of rows wait there.
pub(crate) async fn claim<T: HostTable>(
    tx: &DbTx,
    policy: &HostPolicy,
    request: ClaimRequest,
) -> Result<Vec<Claimed<T::Model>>, DbErr> {
    // What is in flight at a host is counted before it is added to.
    tx.lock("claims at hosts").await?;
    let hosts = candidates::<T>(&request).into_model::<Candidate>().all(tx).await?;
    let mut given = Vec::new();
    let mut left = request.max;
    for (nth, host) in hosts.iter().enumerate() {
        if left == 0 {
            break;
        }
        let fair = left.div_ceil(hosts.len() - nth);
        let of_host = give::<T>(tx, policy, host, fair, request.now).await?;
        left -= of_host.len();
        given.extend(of_host);
    }
    let ids: Vec<i64> = given.iter().map(|given| given.id).collect();
    let rows = take_claim::<T>(tx, &ids, &request).await?;
    Ok(with_turns::<T>(rows, &given, request.now))
}

/// What a claim looks at of a host.
#[derive(Debug, FromQueryResult)]
struct Candidate {
    id: i64,
    crawl_delay: Option<i64>,
    min_delay: Option<i64>,
    next_allowed_at: i64,
    parked_until: Option<i64>,
    given_up_until: Option<i64>,
    robots_expires_at: i64,
    domains_ready_at: Option<i64>,
    sitemaps_ready_at: Option<i64>,
    ready_at: i64,
    /// Rows of all tables that are claimed just now: each asks the host for one thing at a time.
    in_flight: i64,
}

/// A row and the instant at which it may begin.
#[derive(Debug, Clone, Copy)]
struct Given {
    id: i64,
    turn: Option<Timestamp>,
}

/// What may be taken of a host.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Up to so many rows, each at a turn of its own.
    Take(usize),
    /// Up to so many rows, which will fail without a request.
    GiveUp(usize),
    /// Nothing before this instant.
    Later(Timestamp),
}

impl Candidate {
    fn state(&self) -> HostState {
        HostState {
            crawl_delay: self.crawl_delay.map(super::duration),
            next_allowed_at: Timestamp::from_micros(self.next_allowed_at),
            in_flight: u32::try_from(self.in_flight).unwrap_or(u32::MAX),
            parked_until: self.parked_until.map(Timestamp::from_micros),
            ..HostState::default()
        }
    }

    fn policy(&self, policy: &HostPolicy) -> HostPolicy {
        turn::with_min_delay(policy, self.min_delay.map(super::duration))
    }

    /// Decides what may be taken. `yields` says whether domains and sitemaps go first.
    fn look(&self, policy: &HostPolicy, yields: bool, now: Timestamp) -> Look {
        let policy = &self.policy(policy);
        let state = self.state();
        if self.given_up_until.is_some_and(|until| until > now.as_micros()) {
            return Look::GiveUp(GIVEN_UP_ROWS);
        }
        let start = policy.next_start(&state);
        if start > now + HORIZON {
            return Look::Later(start);
        }
        if self.robots_expires_at <= now.as_micros() {
            // The one row that is taken reads robots.txt before all others.
            return if self.in_flight == 0 { Look::Take(1) } else { Look::Later(now + SLOT_RECHECK) };
        }
        let kept = usize::from(yields && self.has_others_ready(now));
        let free = turn::free_slots(policy, &state).saturating_sub(kept);
        match free {
            // A host without pauses is not written to when a request ends, so it is looked at each time.
            0 if policy.delay(&state).is_zero() => Look::Later(now),
            0 => Look::Later(now + SLOT_RECHECK),
            free => Look::Take(free),
        }
    }

    fn has_others_ready(&self, now: Timestamp) -> bool {
        let fresh = (now - YIELD).as_micros()..=now.as_micros();
        [self.domains_ready_at, self.sitemaps_ready_at].into_iter().flatten().any(|at| fresh.contains(&at))
    }
}

/// Decides what a host gives, and writes down its next turn.
async fn give<T: HostTable>(
    tx: &DbTx,
    policy: &HostPolicy,
    host: &Candidate,
    fair: usize,
    now: Timestamp,
) -> Result<Vec<Given>, DbErr> {
    let yields = matches!(T::READY_AT, host::Column::PagesReadyAt);
    let (most, is_asked) = match host.look(policy, yields, now) {
        Look::Take(free) => (free.min(fair), true),
        Look::GiveUp(rows) => (rows.min(fair), false),
        Look::Later(at) => {
            leave::<T>(tx, host, host.next_allowed_at, Some(at)).await?;
            return Ok(Vec::new());
        }
    };
    let rows: Vec<(i64, i64)> = first_waiting::<T>(host.id, most + 1).into_tuple().all(tx).await?;
    let due = rows.iter().take(most).take_while(|(_, due_at)| *due_at <= now.as_micros());
    let mut state = host.state();
    let mut given = Vec::new();
    for (id, _) in due {
        let turn = match is_asked {
            true => match turn::reserve(&host.policy(policy), &mut state, now, HORIZON) {
                Some(turn) => Some(turn),
                None => break,
            },
            false => None,
        };
        given.push(Given { id: *id, turn });
    }
    let next = rows.get(given.len()).map(|(_, due_at)| Timestamp::from_micros(*due_at));
    // A host that was served stands behind those that were not.
    let ready_at = next.map(|due_at| due_at.max(policy.next_start(&state)).max(now));
    leave::<T>(tx, host, state.next_allowed_at.as_micros(), ready_at).await?;
    Ok(given)
}

/// Writes down when the host is to be looked at again, and when its next turn is.
async fn leave<T: HostTable>(
    tx: &DbTx,
    host: &Candidate,
    next_allowed_at: i64,
    ready_at: Option<Timestamp>,
) -> Result<(), DbErr> {
    let ready_at = ready_at.map(Timestamp::as_micros);
    if ready_at == Some(host.ready_at) && next_allowed_at == host.next_allowed_at {
        return Ok(());
    }
    host::Entity::update_many()
        .col_expr(T::READY_AT, Expr::value(ready_at))
        .col_expr(host::Column::NextAllowedAt, Expr::value(next_allowed_at))
        .filter(host::Column::Id.eq(host.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Returns the hosts at which rows of the table may be had, longest ready first. Those that another
/// transaction is just changing are passed over where the database can (`SKIP LOCKED`).
fn candidates<T: HostTable>(request: &ClaimRequest) -> Select<host::Entity> {
    use host::Column as C;
    host::Entity::find()
        .select_only()
        .columns([
            C::Id,
            C::CrawlDelay,
            C::MinDelay,
            C::NextAllowedAt,
            C::ParkedUntil,
            C::GivenUpUntil,
            C::RobotsExpiresAt,
            C::DomainsReadyAt,
            C::SitemapsReadyAt,
        ])
        .column_as(T::READY_AT, "ready_at")
        .expr_as(in_flight(), "in_flight")
        .filter(T::READY_AT.lte((request.now + HORIZON).as_micros()))
        .order_by_asc(T::READY_AT)
        .limit(request.max.max(HOSTS_MIN) as u64)
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
}

/// Counts the rows of all three tables that are claimed at the host of the outer query. The claims
/// themselves are the count, so a worker that dies leaves nothing behind that would have to be mended.
fn in_flight() -> Expr {
    processing::<domain::Entity>().add(processing::<sitemap::Entity>()).add(processing::<page::Entity>())
}

fn processing<T: HostTable>() -> Expr {
    let count: SelectStatement = Query::select()
        .expr(T::columns().id.count())
        .from(T::default())
        .and_where(T::columns().status.eq(T::STATUSES.processing))
        .and_where(Expr::col((T::default(), T::HOST_ID)).equals((host::Entity, host::Column::Id)))
        .to_owned();
    Expr::from(SubQueryStatement::SelectStatement(count))
}

/// Returns the first waiting rows of a host with their due times, which may lie ahead.
fn first_waiting<T: HostTable>(host_id: i64, limit: usize) -> Select<T> {
    let c = T::columns();
    T::find()
        .select_only()
        .columns([c.id, c.due_at])
        .filter(c.status.eq(T::STATUSES.waiting))
        .filter(T::HOST_ID.eq(host_id))
        .order_by_asc(c.due_at)
        .limit(limit as u64)
}

fn with_turns<T: HostTable>(rows: Vec<T::Model>, given: &[Given], now: Timestamp) -> Vec<Claimed<T::Model>> {
    let turn_of = |id: i64| given.iter().find(|given| given.id == id).and_then(|given| given.turn);
    rows.into_iter()
        .map(|mut row| {
            let turn = turn_of(T::state(&row).id);
            if let Some(turn) = turn {
                T::set_turn(&mut row, turn);
            }
            Claimed { row, not_before: turn.filter(|turn| *turn > now) }
        })
        .collect()
}

#[cfg(test)]
mod tests;
