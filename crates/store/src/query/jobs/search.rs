//! Jobs as a person looks for them: some of the newest at once, however many there are.

use celeriac_protocol::JobStatus;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::filter::{JobFilter, StatusFilter};
use super::list::list_above;
use crate::StoreError;
use crate::entity::job::{COLUMN, Column, Entity};
use crate::record::JobSummary;

/// How many rows one search looks through where no index knows what is asked for.
///
/// Enough for what is looked for as a rule, and little enough that nobody waits; the cursor goes on with older ones.
pub const SEARCH_WINDOW: i64 = 50_000;

/// Some jobs, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct JobSearch {
    /// The jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// Pass as `before` to go on; `None` where there are no more.
    pub next: Option<i64>,
    /// Whether the search ended at its window: older jobs were not looked at.
    pub cut: bool,
}

/// Lists jobs as [`list`](super::list()) does, looking through at most [`SEARCH_WINDOW`] rows below the cursor where no index
/// leads to what is wanted.
///
/// # Errors
/// What the database says; [`StoreError::Corrupt`] where a row can't be read.
pub async fn search(
    reader: &impl ConnectionTrait,
    filter: &JobFilter,
    before: Option<i64>,
    limit: u64,
) -> Result<JobSearch, StoreError> {
    let floor = match is_indexed(filter, reader.get_database_backend()) {
        true => None,
        false => floor(reader, before).await?,
    };
    let page = list_above(reader, filter, before, limit, floor).await?;
    let (None, Some(floor)) = (page.next, floor) else {
        return Ok(JobSearch { jobs: page.jobs, next: page.next, cut: false });
    };
    let cut = has_rows_below(reader, floor).await?;
    Ok(JobSearch { jobs: page.jobs, next: cut.then_some(floor), cut })
}

/// Says whether the rows are found, or are nearly all that there are, without looking through others.
fn is_indexed(filter: &JobFilter, backend: DbBackend) -> bool {
    let JobFilter { id_prefix, status, task, any_task, .. } = filter;
    let rest =
        JobFilter { id_prefix: None, status: None, task: None, any_task: Vec::new(), ..filter.clone() };
    if rest.asks() || any_task.len() > 1 {
        return false;
    }
    let by_task = task.is_some() || !any_task.is_empty();
    match (id_prefix, status) {
        // A server orders texts by its language, which is no order of prefixes.
        (Some(_), _) => backend == DbBackend::Sqlite,
        (None, Some(StatusFilter::In(JobStatus::Completed) | StatusFilter::Dead)) => false,
        (None, Some(StatusFilter::In(_) | StatusFilter::Open | StatusFilter::Ended)) => !by_task,
        (None, None) => true,
    }
}

impl JobFilter {
    /// Says whether it leaves any job out.
    fn asks(&self) -> bool {
        let texts = [
            &self.id_prefix,
            &self.task,
            &self.job_type,
            &self.queue,
            &self.worker,
            &self.account_key,
            &self.schedule,
            &self.error_text,
        ];
        texts.into_iter().any(Option::is_some)
            || self.status.is_some()
            || [self.since, self.until].into_iter().any(|at| at.is_some())
            || [self.longer_than, self.shorter_than].into_iter().any(|span| span.is_some())
            || !self.any_task.is_empty()
            || !self.arguments.is_empty()
    }
}

/// Returns the lowest row that one search looks at.
async fn floor(reader: &impl ConnectionTrait, before: Option<i64>) -> Result<Option<i64>, StoreError> {
    let top = match before {
        Some(before) => Some(before),
        None => Entity::find()
            .select_only()
            .column(Column::Seq)
            .order_by_desc(Column::Seq)
            .limit(1)
            .into_tuple::<i64>()
            .one(reader)
            .await
            .map_err(StoreError::doing("look for the newest job"))?
            .map(|newest| newest + 1),
    };
    Ok(top.map(|top| top.saturating_sub(SEARCH_WINDOW)))
}

async fn has_rows_below(reader: &impl ConnectionTrait, floor: i64) -> Result<bool, StoreError> {
    let below: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Seq)
        .filter(COLUMN.seq.lt(floor))
        .limit(1)
        .into_tuple()
        .one(reader)
        .await
        .map_err(StoreError::doing("look for older jobs"))?;
    Ok(below.is_some())
}
