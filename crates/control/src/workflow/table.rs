//! A table that a workflow runs on: which columns and words it has for what the loop needs.

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::ItemStatus;

/// A table that a workflow runs on.
///
/// An existing table's columns and words are named here, not migrated. The columns are the
/// entity's, so a wrong name does not compile. Times are microseconds since the Unix epoch in a
/// `bigint`.
pub trait WorkflowTable: EntityTrait<Model: Send + Sync + FromQueryResult + 'static> + Send + Sync {
    /// The table's words.
    const STATUSES: Statuses;

    /// The table's columns.
    fn columns() -> Columns<Self>;

    /// Reads what the loop needs from a row.
    fn state(row: &Self::Model) -> RowState;

    /// Claims due rows within the caller's short transaction and returns them.
    ///
    /// A table whose rows belong to hosts claims in its own way and ends with [`take_claim`].
    fn get_pending_items(
        tx: &DbTx,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Vec<Claimed<Self::Model>>, DbErr>> {
        async move {
            let ids = due_ids::<Self>(tx, &request).await?;
            let rows = take_claim::<Self>(tx, &ids, &request).await?;
            Ok(rows.into_iter().map(|row| Claimed { row, not_before: None }).collect())
        }
    }

    /// Is told, in the same transaction, of rows that wait again: after a failure, a release, a claim
    /// that ran out, a reset. Nothing is told of rows that the table's own code adds.
    ///
    /// A table that keeps an index of its own of what is due brings it up to date here.
    fn update_waiting(tx: &DbTx, rows: RowsWaiting) -> impl Future<Output = Result<(), DbErr>> {
        let _ = (tx, rows);
        async { Ok(()) }
    }

    /// Returns when the next waiting row is due, or `None` where none waits. Cheap: the loop asks often.
    fn next_due_at(
        reader: &DatabaseConnection,
    ) -> impl Future<Output = Result<Option<Timestamp>, DbErr>> + Send {
        async move {
            let c = Self::columns();
            let due: Option<i64> = Self::find()
                .select_only()
                .column(c.due_at)
                .filter(c.status.eq(Self::STATUSES.waiting))
                .order_by_asc(c.due_at)
                .into_tuple()
                .one(reader)
                .await?;
            Ok(due.map(Timestamp::from_micros))
        }
    }
}

/// A table's words for the four things that a status can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// Asks for work.
    pub waiting: &'static str,
    /// Is claimed.
    pub processing: &'static str,
    /// Has been worked on.
    pub done: &'static str,
    /// Could not be worked on.
    pub error: &'static str,
}

impl Statuses {
    /// Returns the table's word.
    pub const fn word(&self, status: ItemStatus) -> &'static str {
        match status {
            ItemStatus::Waiting => self.waiting,
            ItemStatus::Processing => self.processing,
            ItemStatus::Done => self.done,
            ItemStatus::Error => self.error,
        }
    }

    /// Reads the table's word.
    pub fn meaning(&self, word: &str) -> Option<ItemStatus> {
        ItemStatus::ALL.into_iter().find(|status| self.word(*status) == word)
    }
}

/// A table's columns for what the loop needs.
#[derive(Clone, Copy, Debug)]
pub struct Columns<E: EntityTrait> {
    /// `bigint`, the primary key.
    pub id: E::Column,
    /// Text, one of [`Statuses`]' words.
    pub status: E::Column,
    /// `bigint`: not to be claimed before.
    pub due_at: E::Column,
    /// `bigint`, null unless claimed: when the claim ends.
    pub claimed_until: E::Column,
    /// `bigint`, null unless claimed: tells this claim from earlier ones.
    pub claim: E::Column,
    /// `integer`: attempts charged so far.
    pub attempts: E::Column,
    /// Text, null unless it failed: the last reason.
    pub error: E::Column,
    /// Text: earlier failures, a JSON array; `[]` at first.
    pub history: E::Column,
    /// `bigint`: when the row was last changed.
    pub updated_at: E::Column,
}

/// What the loop reads from a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowState {
    /// The primary key.
    pub id: i64,
    /// What people call it: a URL, a name.
    pub label: String,
    /// Attempts charged so far, this one included.
    pub attempts: u32,
    /// Earlier failures, a JSON array.
    pub history: String,
}

/// Asks for rows.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest {
    /// How many at most.
    pub max: usize,
    /// The present instant.
    pub now: Timestamp,
    /// How long the claim holds.
    pub lease: Duration,
    /// Tells this claim from earlier ones.
    pub claim: i64,
}

/// Says which rows wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsWaiting {
    /// One row, until this instant.
    One {
        /// The row.
        id: i64,
        /// When it is due.
        due_at: Timestamp,
    },
    /// Some rows, and nobody has noted which; due from this instant.
    Some {
        /// The earliest instant at which they are due.
        due_at: Timestamp,
    },
    /// Rows that an operator put back, and nobody has noted which; due from this instant.
    Reset {
        /// The instant.
        due_at: Timestamp,
    },
}

/// A claimed row.
#[derive(Clone, Debug)]
pub struct Claimed<M> {
    /// The row as it is now, claimed.
    pub row: M,
    /// Its turn: the loop waits until then before it processes the row.
    pub not_before: Option<Timestamp>,
}

/// Returns the ids of due rows, oldest due first. Rows that another transaction is just claiming
/// are passed over where the database can (`SKIP LOCKED`).
async fn due_ids<E: WorkflowTable>(tx: &DbTx, request: &ClaimRequest) -> Result<Vec<i64>, DbErr> {
    let c = E::columns();
    E::find()
        .select_only()
        .column(c.id)
        .filter(c.status.eq(E::STATUSES.waiting))
        .filter(c.due_at.lte(request.now.as_micros()))
        .order_by_asc(c.due_at)
        .order_by_asc(c.id)
        .limit(request.max as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await
}

/// Marks waiting rows as claimed and returns them; rows that wait no longer are passed over.
///
/// # Errors
/// The database's.
pub async fn take_claim<E: WorkflowTable>(
    tx: &DbTx,
    ids: &[i64],
    request: &ClaimRequest,
) -> Result<Vec<E::Model>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let c = E::columns();
    E::update_many()
        .col_expr(c.status, Expr::value(E::STATUSES.processing))
        .col_expr(c.claim, Expr::value(request.claim))
        .col_expr(c.claimed_until, Expr::value((request.now + request.lease).as_micros()))
        .col_expr(c.attempts, Expr::col(c.attempts).add(1))
        .col_expr(c.updated_at, Expr::value(request.now.as_micros()))
        .filter(c.id.is_in(ids.iter().copied()))
        .filter(c.status.eq(E::STATUSES.waiting))
        .exec_with_returning(tx)
        .await
}
