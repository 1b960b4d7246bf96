//! Jobs that have not come to their end and have not been heard of for long.

use celeriac_protocol::{JobId, JobStatus, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::find::job_id;
use super::list::is_in;
use crate::StoreError;
use crate::entity::job::{Column, Entity, Word};
use crate::micros::Micros;

/// A job that has been silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Its row's number; the cursor of the next question.
    pub seq: i64,
    /// The job.
    pub id: JobId,
    /// Where its record says that it stands.
    pub status: JobStatus,
}

/// Returns up to `limit` jobs of a status that were last heard of before `before`, oldest first,
/// behind the cursor.
///
/// # Errors
/// What the database says; [`StoreError::Corrupt`] where an id can't be read.
pub async fn silent(
    reader: &impl ConnectionTrait,
    status: JobStatus,
    before: Timestamp,
    after: i64,
    limit: u64,
) -> Result<Vec<Silent>, StoreError> {
    let rows: Vec<(i64, String, Word)> = Entity::find()
        .select_only()
        .columns([Column::Seq, Column::Id, Column::Status])
        .filter(is_in(&[status]))
        .filter(Column::UpdatedAt.lt(Micros::from(before)))
        .filter(Column::Seq.gt(after))
        .order_by_asc(Column::Seq)
        .limit(limit)
        .into_tuple()
        .all(reader)
        .await
        .map_err(StoreError::doing("look for silent jobs"))?;
    rows.into_iter()
        .map(|(seq, id, status)| Ok(Silent { seq, id: job_id(&id, "id")?, status: status.into() }))
        .collect()
}
