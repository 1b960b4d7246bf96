//! The log of what was done, and by whom.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Condition, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use super::Via;
use super::rows::{cut, short};
use crate::StoreError;
use crate::entity::audit::{ActiveModel, Column, Entity, Model};
use crate::limits::TRUNCATED;
use crate::micros::Micros;

/// The most entries that one page holds.
const MAX_PAGE: u64 = 1_000;

/// The longest detail that is kept, in bytes of JSON.
pub const MAX_DETAIL_BYTES: usize = 16 * 1024;

/// The longest name of an action, in bytes.
const MAX_ACTION_BYTES: usize = 64;

/// Something that was done, or tried.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// By which way in.
    pub via: Via,
    /// What, as a noun and a verb: `jobs.cancel`.
    pub action: String,
    /// To what: a name or an id.
    pub object: String,
    /// More about it.
    pub detail: Option<Value>,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// What came of something that somebody wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed, and did not succeed.
    Failed,
}

impl AuditOutcome {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// An entry as it is kept. Words are text: one that a newer version wrote is shown as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Orders them, and is the cursor.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// By which way in.
    pub via: String,
    /// What.
    pub action: String,
    /// To what.
    pub object: String,
    /// More about it, as JSON.
    pub detail: Option<String>,
    /// What came of it.
    pub outcome: String,
}

/// Which entries a list shows; the default shows all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only what this user, token or operator did.
    pub who: Option<String>,
    /// Only what came by this way in.
    pub via: Option<Via>,
    /// Only this action; all of one noun where it ends in a dot (`jobs.`).
    pub action: Option<String>,
    /// Only what was done to this.
    pub object: Option<String>,
    /// Only what came to this.
    pub outcome: Option<String>,
    /// Only at or after this instant.
    pub since: Option<Timestamp>,
    /// Only before this instant.
    pub until: Option<Timestamp>,
}

/// Some entries, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// The entries, newest first.
    pub entries: Vec<AuditRecord>,
    /// Pass as `before` for the next page; `None` on the last.
    pub next: Option<i64>,
}

/// Writes entries, in the transaction of what they tell of where there is one.
///
/// # Errors
/// What the database says.
pub async fn add(tx: &DbTx, entry: &AuditEntry) -> Result<(), StoreError> {
    let row = ActiveModel {
        seq: NotSet,
        at: Set(entry.at.into()),
        who: Set(short(&entry.who)),
        via: Set(entry.via.as_str().to_owned()),
        action: Set(cut(&entry.action, MAX_ACTION_BYTES)),
        object: Set(short(&entry.object)),
        detail: Set(entry.detail.as_ref().map(kept)),
        outcome: Set(entry.outcome.as_str().to_owned()),
    };
    let added = Entity::insert(row).exec_without_returning(tx).await;
    added.map(drop).map_err(StoreError::doing("write down what was done"))
}

/// Writes the detail, or an object that says that it was too long. JSON has NUL in an escape only, which PostgreSQL's text
/// takes.
fn kept(detail: &Value) -> String {
    let text = detail.to_string();
    if text.len() <= MAX_DETAIL_BYTES {
        return text;
    }
    serde_json::json!({ TRUNCATED: { "bytes": text.len(), "limit": MAX_DETAIL_BYTES, "beginning": cut(&text, 1024) } })
        .to_string()
}

/// Lists up to `limit` entries before the cursor, newest first; `limit` is moved into 1 to 1000.
///
/// # Errors
/// What the database says.
pub async fn list(
    reader: &impl ConnectionTrait,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u64,
) -> Result<AuditPage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut rows = Entity::find()
        .filter(condition(filter, before))
        .order_by_desc(Column::Seq)
        .limit(limit + 1)
        .all(reader)
        .await
        .map_err(StoreError::doing("list what was done"))?;
    let has_more = rows.len() as u64 > limit;
    if has_more {
        rows.pop();
    }
    let next = rows.last().map(|row| row.seq).filter(|_| has_more);
    Ok(AuditPage { entries: rows.into_iter().map(record).collect(), next })
}

fn condition(filter: &AuditFilter, before: Option<i64>) -> Condition {
    let text = |column: Column, wanted: &Option<String>| wanted.as_deref().map(|wanted| column.eq(wanted));
    let action = filter.action.as_deref().map(|action| match action.strip_suffix('.') {
        Some(_) => Column::Action.starts_with(action),
        None => Column::Action.eq(action),
    });
    Condition::all()
        .add_option(before.map(|before| Column::Seq.lt(before)))
        .add_option(text(Column::Who, &filter.who))
        .add_option(filter.via.map(|via| Column::Via.eq(via.as_str())))
        .add_option(action)
        .add_option(text(Column::Object, &filter.object))
        .add_option(text(Column::Outcome, &filter.outcome))
        .add_option(filter.since.map(|since| Column::At.gte(Micros::from(since))))
        .add_option(filter.until.map(|until| Column::At.lt(Micros::from(until))))
}

/// Removes up to `batch` entries from before an instant, the oldest first, and returns how many.
///
/// # Errors
/// What the database says.
pub async fn prune(tx: &DbTx, before: Timestamp, batch: u64) -> Result<u64, StoreError> {
    let mut old = Query::select();
    old.column(Column::Seq)
        .from(Entity)
        .and_where(Column::At.lt(Micros::from(before)))
        .order_by(Column::At, sea_orm::Order::Asc)
        .limit(batch);
    let removed = Entity::delete_many().filter(Column::Seq.in_subquery(old)).exec(tx).await;
    Ok(removed.map_err(StoreError::doing("remove old entries of the audit log"))?.rows_affected)
}

fn record(row: Model) -> AuditRecord {
    AuditRecord {
        seq: row.seq,
        at: row.at.into(),
        who: row.who,
        via: row.via,
        action: row.action,
        object: row.object,
        detail: row.detail,
        outcome: row.outcome,
    }
}
