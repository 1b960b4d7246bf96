//! Counts of jobs, read from the kept table and never by counting rows.

use std::collections::BTreeMap;

use celeriac_protocol::JobStatus;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ConnectionTrait, DeriveIden, EntityTrait, QueryFilter, QuerySelect};

use crate::StoreError;
use crate::entity::count::{COLUMN, Column, Entity};

/// How many jobs stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    by_status: [u64; 7],
    /// Failed jobs whose message is among the dead letters; they are counted as failed, too.
    pub dead: u64,
}

impl JobCounts {
    /// Returns the number of jobs of one status.
    pub fn of(&self, status: JobStatus) -> u64 {
        self.by_status[place(status)]
    }

    /// Returns the number of all jobs.
    pub fn total(&self) -> u64 {
        self.by_status.iter().sum()
    }

    fn add(&mut self, standing: &str, jobs: u64) {
        if standing == "dead" {
            self.dead += jobs;
            self.by_status[place(JobStatus::Failed)] += jobs;
        } else if let Ok(status) = standing.parse() {
            self.by_status[place(status)] += jobs;
        }
    }
}

fn place(status: JobStatus) -> usize {
    JobStatus::ALL.iter().position(|other| *other == status).expect("ALL holds every status")
}

/// PostgreSQL sums up to a number without bounds.
#[derive(DeriveIden)]
enum Cast {
    Bigint,
}

/// Counts all jobs, or one task's.
///
/// # Errors
/// What the database says.
pub async fn counts(reader: &impl ConnectionTrait, task: Option<&str>) -> Result<JobCounts, StoreError> {
    let mut query = Entity::find()
        .select_only()
        .column(Column::Standing)
        .column_as(Expr::col(Column::Jobs).sum().cast_as(Cast::Bigint), Column::Jobs)
        .group_by(Column::Standing);
    if let Some(task) = task {
        query = query.filter(COLUMN.task.eq(task));
    }
    let rows: Vec<(String, i64)> =
        query.into_tuple().all(reader).await.map_err(StoreError::doing("read counts of jobs"))?;
    let mut counts = JobCounts::default();
    for (standing, jobs) in rows {
        counts.add(&standing, u64::try_from(jobs).unwrap_or(0));
    }
    Ok(counts)
}

/// Counts the jobs of each task that has any, by the task's name.
///
/// # Errors
/// What the database says.
pub async fn counts_by_task(
    reader: &impl ConnectionTrait,
) -> Result<BTreeMap<String, JobCounts>, StoreError> {
    let query = Entity::find()
        .select_only()
        .columns([Column::Task, Column::Standing])
        .column_as(Expr::col(Column::Jobs).sum().cast_as(Cast::Bigint), Column::Jobs)
        .group_by(Column::Task)
        .group_by(Column::Standing);
    let rows: Vec<(String, String, i64)> =
        query.into_tuple().all(reader).await.map_err(StoreError::doing("read counts of tasks"))?;
    let mut tasks: BTreeMap<String, JobCounts> = BTreeMap::new();
    for (task, standing, jobs) in rows.into_iter().filter(|(.., jobs)| *jobs > 0) {
        tasks.entry(task).or_default().add(&standing, u64::try_from(jobs).unwrap_or(0));
    }
    Ok(tasks)
}
