//! What this process remembers of hosts for a moment, so that not every page asks the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use celeriac_db::{Database, DbError};
use celeriac_protocol::Timestamp;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::entity::{self as host, Model};
use super::robots::{self, Outcome};
use super::{ensure, rules, turn};
use crate::fetch::{HostPolicy, PRODUCT_TOKEN, Robots, RobotsOutcome};

/// How long a host's row is believed before it is read again. Another process may have changed it.
const BELIEVED_FOR: Duration = Duration::from_secs(2);

/// How many hosts are remembered; beyond it all are forgotten and read again as they are needed.
const HOSTS_MAX: usize = 1_000;

/// How many bytes of rules are remembered; likewise.
const RULES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is remembered of one host.
#[derive(Debug)]
pub(crate) struct KnownHost {
    pub(crate) id: i64,
    pub(super) origin: String,
    /// The pause between two requests.
    pub(super) delay: Duration,
    /// Whether requests to it never overlap.
    pub(super) is_exclusive: bool,
    /// Whether it failed or was parked lately, so that a good answer is news.
    pub(super) is_troubled: bool,
    pub(super) parked_until: Option<Timestamp>,
    /// Until when it is given up, and why.
    pub(super) given_up: Option<(Timestamp, String)>,
    robots: Option<Arc<RobotsOutcome>>,
    robots_fetched_at: Option<i64>,
    robots_expires_at: Timestamp,
    rules_bytes: usize,
    read_at: Timestamp,
}

impl KnownHost {
    /// Returns what robots.txt came to, if that still holds.
    pub(super) fn robots(&self, now: Timestamp) -> Option<&Arc<RobotsOutcome>> {
        self.robots.as_ref().filter(|_| self.robots_expires_at > now)
    }
}

/// Is responsible for what this process remembers of hosts.
#[derive(Debug, Default)]
pub(crate) struct HostBook {
    hosts: Mutex<HashMap<String, Arc<KnownHost>>>,
    /// Held by whoever reads the robots.txt of a host.
    readers: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
}

impl HostBook {
    /// Returns what is known of a host, from memory or from its row, which is made where there is none.
    pub(crate) async fn find(
        &self,
        database: &Database,
        policy: &HostPolicy,
        origin: &str,
        now: Timestamp,
    ) -> Result<Arc<KnownHost>, DbError> {
        let known = self.hosts().get(origin).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.read_at + BELIEVED_FOR > now) {
            return Ok(Arc::clone(known));
        }
        let row = row_of(database, origin, now).await?;
        let read = Arc::new(read(database, policy, row, known.as_deref(), now).await?);
        self.keep(Arc::clone(&read));
        Ok(read)
    }

    /// Forgets a host whose row has just been changed.
    pub(super) fn forget(&self, origin: &str) {
        self.hosts().remove(origin);
    }

    /// Lets one reader of a host's robots.txt in at a time.
    pub(super) async fn lock_robots(&self, host_id: i64) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            readers.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(readers.entry(host_id).or_default())
        };
        lock.lock_owned().await
    }

    fn keep(&self, known: Arc<KnownHost>) {
        let mut hosts = self.hosts();
        let rules_bytes: usize = hosts.values().map(|host| host.rules_bytes).sum();
        if hosts.len() >= HOSTS_MAX || rules_bytes + known.rules_bytes > RULES_BYTES_MAX {
            hosts.clear();
        }
        hosts.insert(known.origin.clone(), known);
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Arc<KnownHost>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn row_of(database: &Database, origin: &str, now: Timestamp) -> Result<Model, DbError> {
    let find = || host::Entity::find().filter(host::Column::Origin.eq(origin)).one(database.reader());
    if let Some(row) = find().await? {
        return Ok(row);
    }
    let made = origin.to_owned();
    database.write("add host", async move |tx| Ok::<_, DbError>(ensure(tx, &made, now).await?)).await?;
    find().await?.ok_or_else(|| DbErr::RecordNotFound(format!("host {origin}")).into())
}

/// Reads a host's rules, unless they are those that are remembered.
async fn read(
    database: &Database,
    policy: &HostPolicy,
    row: Model,
    known: Option<&KnownHost>,
    now: Timestamp,
) -> Result<KnownHost, DbError> {
    let same = known.filter(|known| known.robots_fetched_at == row.robots_fetched_at);
    let (robots, rules_bytes) = match same {
        Some(same) => (same.robots.clone(), same.rules_bytes),
        None => read_rules(database, &row).await?,
    };
    let (state, policy) = (row.state(), turn::with_min_delay(policy, row.min_delay()));
    let given_up_until = row.given_up_until.map(Timestamp::from_micros).filter(|until| *until > now);
    Ok(KnownHost {
        id: row.id,
        delay: policy.delay(&state),
        is_exclusive: policy.delay(&state) >= policy.exclusive_delay,
        is_troubled: row.failures > 0 || row.backoffs > 0,
        parked_until: state.parked_until,
        given_up: given_up_until.map(|until| (until, robots::given_up_reason(&row))),
        robots,
        robots_fetched_at: row.robots_fetched_at,
        robots_expires_at: Timestamp::from_micros(row.robots_expires_at),
        rules_bytes,
        read_at: now,
        origin: row.origin,
    })
}

async fn read_rules(
    database: &Database,
    row: &Model,
) -> Result<(Option<Arc<RobotsOutcome>>, usize), DbError> {
    let outcome = match row.robots_outcome.as_deref().and_then(Outcome::of_word) {
        Some(Outcome::None) => RobotsOutcome::Unrestricted,
        Some(Outcome::Rules) => {
            let rules = rules::Entity::find_by_id(row.id).one(database.reader()).await?;
            let text = rules.map(|row| row.rules).unwrap_or_default();
            let bytes = text.len();
            let robots = Robots::parse(text.as_bytes(), PRODUCT_TOKEN);
            return Ok((Some(Arc::new(RobotsOutcome::Rules(robots))), bytes));
        }
        // What can't be had is no answer: the next row tries again.
        Some(Outcome::Unreachable) | None => return Ok((None, 0)),
    };
    Ok((Some(Arc::new(outcome)), 0))
}
