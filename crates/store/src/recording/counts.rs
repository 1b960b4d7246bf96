//! Keeps the table of counts true: every write of jobs says how many moved from where to where.

use std::collections::BTreeMap;

use celeriac_db::DbTx;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ConnectionTrait, DbBackend, DeriveIden, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
};

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

/// In how many parts a server keeps each number: a few times as many as write at a time.
const SHARDS: i16 = 32;

/// Picks the part that a transaction changes, which it keeps from all others until it is committed.
fn shard(tx: &DbTx) -> i16 {
    match tx.get_database_backend() {
        DbBackend::Postgres => rand::random_range(0..SHARDS),
        // A file has one writer.
        _ => 0,
    }
}

/// Adds the changes to the table.
pub(crate) async fn add(tx: &DbTx, counts: &Counts) -> Result<(), StoreError> {
    let shard = shard(tx);
    let changes = counts.0.iter().filter(|(_, jobs)| **jobs != 0);
    let rows = changes.map(|((task, standing), jobs)| ActiveModel {
        task: Set(task.clone()),
        standing: Set(standing.clone()),
        shard: Set(shard),
        jobs: Set(*jobs),
    });
    let sum = Expr::col((Entity, Column::Jobs)).add(Expr::col((Conflict::Excluded, Column::Jobs)));
    let adding = OnConflict::columns([Column::Task, Column::Standing, Column::Shard])
        .value(Column::Jobs, sum)
        .to_owned();
    Entity::insert_many(rows)
        .on_conflict(adding)
        .exec_without_returning(tx)
        .await
        .map_err(StoreError::doing("count jobs"))?;
    Ok(())
}

/// Removes rows that count nothing, which tasks of long ago leave behind: those of a number that come to nothing together.
pub(crate) async fn drop_empty(tx: &DbTx) -> Result<(), StoreError> {
    let doing = || StoreError::doing("drop empty counts");
    let empty: Vec<(String, String)> = Entity::find()
        .select_only()
        .columns([Column::Task, Column::Standing])
        .group_by(Column::Task)
        .group_by(Column::Standing)
        .having(Expr::col(Column::Jobs).sum().eq(0))
        .into_tuple()
        .all(tx)
        .await
        .map_err(doing())?;
    for (task, standing) in empty {
        let of_number = Entity::find().filter(COLUMN.task.eq(&*task)).filter(COLUMN.standing.eq(&*standing));
        let rows = locked(tx, of_number).all(tx).await.map_err(doing())?;
        // Others may have added to it before they were kept from it.
        if rows.iter().map(|row| row.jobs).sum::<i64>() == 0 {
            Entity::delete_many()
                .filter(COLUMN.task.eq(task))
                .filter(COLUMN.standing.eq(standing))
                .filter(COLUMN.shard.is_in(rows.iter().map(|row| row.shard)))
                .exec(tx)
                .await
                .map_err(doing())?;
        }
    }
    Ok(())
}

/// Keeps rows that are read from being changed before they are removed; a SQLite file has one writer.
fn locked(tx: &DbTx, rows: Select<Entity>) -> Select<Entity> {
    match tx.get_database_backend() {
        DbBackend::Postgres => rows.order_by_asc(Column::Shard).lock_exclusive(),
        _ => rows,
    }
}
