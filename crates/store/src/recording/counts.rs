//! Keeps the table of counts true: every write of jobs says how many moved from where to where.

use std::collections::BTreeMap;

use celeriac_db::DbTx;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveEnum, ActiveValue::Set, DeriveIden, EntityTrait, QueryFilter};

use crate::StoreError;
use crate::entity::count::{ActiveModel, COLUMN, Column, Entity};
use crate::entity::job::Word;

/// Where a job is counted: under its status, or among the dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Under its status.
    In(Word),
    /// Failed, its message kept among the dead letters.
    Dead,
}

impl Standing {
    pub(crate) fn new(status: Word, is_dead: bool) -> Self {
        if is_dead { Self::Dead } else { Self::In(status) }
    }

    pub(crate) fn word(self) -> String {
        match self {
            Self::In(status) => status.to_value(),
            Self::Dead => "dead".to_owned(),
        }
    }
}

/// How many jobs of each task came to and left each standing.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<(String, String), i64>);

impl Counts {
    /// Notes one job's move from a task's standing to another; `None` is where there is no row.
    pub(crate) fn moved(&mut self, from: Option<(&str, Standing)>, to: Option<(&str, Standing)>) {
        if from == to {
            return;
        }
        for (counted, jobs) in [(from, -1), (to, 1)] {
            if let Some((task, standing)) = counted {
                *self.0.entry((task.to_owned(), standing.word())).or_default() += jobs;
            }
        }
    }
}

/// The row that an insert would have made, as `ON CONFLICT` names it.
#[derive(DeriveIden)]
enum Conflict {
    Excluded,
}

/// Adds the changes to the table.
pub(crate) async fn add(tx: &DbTx, counts: &Counts) -> Result<(), StoreError> {
    let changes = counts.0.iter().filter(|(_, jobs)| **jobs != 0);
    let rows = changes.map(|((task, standing), jobs)| ActiveModel {
        task: Set(task.clone()),
        standing: Set(standing.clone()),
        jobs: Set(*jobs),
    });
    let sum = Expr::col((Entity, Column::Jobs)).add(Expr::col((Conflict::Excluded, Column::Jobs)));
    let adding = OnConflict::columns([Column::Task, Column::Standing]).value(Column::Jobs, sum).to_owned();
    Entity::insert_many(rows)
        .on_conflict(adding)
        .exec_without_returning(tx)
        .await
        .map_err(StoreError::doing("count jobs"))?;
    Ok(())
}

/// Removes rows that count nothing, which tasks of long ago leave behind.
pub(crate) async fn drop_empty(tx: &DbTx) -> Result<(), StoreError> {
    Entity::delete_many()
        .filter(COLUMN.jobs.eq(0))
        .exec(tx)
        .await
        .map_err(StoreError::doing("drop empty counts"))?;
    Ok(())
}
