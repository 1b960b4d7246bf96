//! Removing finished jobs: one, or those whose time is over.

use celeriac_db::DbTx;
use celeriac_protocol::{JobId, JobStatus, Timestamp};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::StoreError;
use crate::entity::job::{COLUMN, Column, Entity, Word};
use crate::micros::Micros;
use crate::recording::{CountChanges, Standing, add_counts};

/// Instants before which a job must have ended for its record to be removed, by how it ended;
/// `None` keeps all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cutoffs {
    /// For completed jobs.
    pub completed: Option<Timestamp>,
    /// For failed jobs, dead ones too.
    pub failed: Option<Timestamp>,
    /// For cancelled jobs.
    pub cancelled: Option<Timestamp>,
}

impl Cutoffs {
    fn newest(&self) -> Option<Micros> {
        [self.completed, self.failed, self.cancelled].into_iter().flatten().max().map(Micros::from)
    }

    fn cover(&self, row: &Row) -> bool {
        let cutoff = match row.status {
            Word::Completed => self.completed,
            Word::Failed => self.failed,
            Word::Cancelled => self.cancelled,
            Word::Scheduled | Word::Pending | Word::Running | Word::Retrying => None,
        };
        cutoff.zip(row.completed_at).is_some_and(|(cutoff, ended_at)| ended_at < cutoff.into())
    }
}

/// Which of some rows are to be removed, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Their numbers, for [`remove`].
    pub seqs: Vec<i64>,
    /// Pass as `after` to look at the rows behind these; `None` where nothing further can be due.
    pub next: Option<i64>,
}

/// Looks through `window` rows behind the cursor, oldest first, for those that are over.
///
/// There is no index by end, which every job would pay for: rows are nearly in the order of their
/// making, and the walk stops where a whole window was made after the newest cutoff.
///
/// # Errors
/// What the database says.
pub async fn expired(
    reader: &impl ConnectionTrait,
    cutoffs: &Cutoffs,
    after: i64,
    window: u64,
) -> Result<Expired, StoreError> {
    let Some(newest) = cutoffs.newest() else { return Ok(Expired::default()) };
    let rows = Entity::find()
        .filter(COLUMN.seq.gt(after))
        .order_by_asc(Column::Seq)
        .limit(window)
        .into_partial_model::<Row>()
        .all(reader)
        .await
        .map_err(StoreError::doing("look for old jobs"))?;
    let is_last = (rows.len() as u64) < window || rows.iter().all(|row| row.created_at >= newest);
    let seqs = rows.iter().filter(|row| cutoffs.cover(row)).map(|row| row.seq).collect();
    Ok(Expired { seqs, next: rows.last().map(|row| row.seq).filter(|_| !is_last) })
}

/// Removes those of the rows that are (still) over, with their attempts, and returns how many.
///
/// # Errors
/// What the database says.
pub async fn remove(tx: &DbTx, seqs: &[i64], cutoffs: &Cutoffs) -> Result<u64, StoreError> {
    let mut removed = 0;
    for seqs in seqs.chunks(ROWS_PER_STATEMENT) {
        let rows = Entity::find()
            .filter(COLUMN.seq.is_in(seqs.iter().copied()))
            .into_partial_model::<Row>()
            .all(tx)
            .await
            .map_err(StoreError::doing("read old jobs"))?;
        let rows = rows.into_iter().filter(|row| cutoffs.cover(row)).collect();
        removed += remove_rows(tx, rows).await?;
    }
    Ok(removed)
}

/// What came of removing one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Its record is gone.
    Removed,
    /// It has not come to its end; nothing was changed.
    NotFinished(JobStatus),
    /// There is no record of it.
    NotFound,
}

/// Removes the record of one job that has come to its end, with its attempts.
///
/// # Errors
/// What the database says.
pub async fn remove_finished(tx: &DbTx, id: &JobId) -> Result<Removal, StoreError> {
    let row = Entity::find()
        .filter(COLUMN.id.eq(id.as_str()))
        // On a server it might be revived between the look and the removal.
        .lock(LockType::Update)
        .into_partial_model::<Row>()
        .one(tx)
        .await
        .map_err(StoreError::doing("read job"))?;
    let Some(row) = row else { return Ok(Removal::NotFound) };
    let status = JobStatus::from(row.status);
    if !status.is_final() {
        return Ok(Removal::NotFinished(status));
    }
    remove_rows(tx, vec![row]).await?;
    Ok(Removal::Removed)
}

/// Removes what is left of tasks that have no jobs any more.
///
/// # Errors
/// What the database says.
pub async fn drop_empty_counts(tx: &DbTx) -> Result<(), StoreError> {
    crate::recording::drop_empty_counts(tx).await
}

/// The most rows that one statement removes.
const ROWS_PER_STATEMENT: usize = 256;

/// What of a row decides whether it goes.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "Entity")]
struct Row {
    seq: i64,
    task: String,
    status: Word,
    created_at: Micros,
    completed_at: Option<Micros>,
    dead_lettered_at: Option<Micros>,
}

async fn remove_rows(tx: &DbTx, rows: Vec<Row>) -> Result<u64, StoreError> {
    let mut changes = CountChanges::default();
    for row in &rows {
        changes.moved(Some((&row.task, Standing::new(row.status, row.dead_lettered_at.is_some()))), None);
    }
    // Attempts go with their job, by the foreign key.
    let removed = Entity::delete_many()
        .filter(Column::Seq.is_in(rows.iter().map(|row| row.seq)))
        .exec(tx)
        .await
        .map_err(StoreError::doing("remove jobs"))?;
    add_counts(tx, &changes).await?;
    Ok(removed.rows_affected)
}
