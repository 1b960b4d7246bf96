//! Reads and writes many rows with few statements, each of a size that was used before.

use std::collections::{BTreeMap, HashMap};

use celeriac_db::DbTx;
use sea_orm::sea_query::{
    Expr, ExprTrait, InsertStatement, IntoIden, LockType, OnConflict, Query, TableRef, UpdateStatement,
    Value, ValueTuple,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, Iterable,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::attempts;
use super::merge::{JobState, Known, Write};
use crate::StoreError;
use crate::entity::{attempt, job};

/// The most rows that one statement holds: more are no faster, and every text that a connection has
/// prepared costs memory by its rows. A file is as near as memory; to a server each statement is a
/// journey.
const ROWS_PER_STATEMENT: usize = 32;
/// See [`ROWS_PER_STATEMENT`].
const ROWS_PER_STATEMENT_ON_SERVER: usize = 128;

/// Returns the most rows that one statement holds in this transaction.
pub(crate) fn most_rows(tx: &DbTx) -> usize {
    match tx.get_database_backend() {
        DbBackend::Postgres => ROWS_PER_STATEMENT_ON_SERVER,
        _ => ROWS_PER_STATEMENT,
    }
}

/// Keeps the rows that are read from being changed before they are written, always in the same order.
/// A SQLite file has one writer.
fn locked(tx: &DbTx, rows: Select<job::Entity>) -> Select<job::Entity> {
    match tx.get_database_backend() {
        DbBackend::Postgres => rows.order_by_asc(job::Column::Seq).lock(LockType::NoKeyUpdate),
        _ => rows,
    }
}

/// Reads what is known of the jobs that have a row.
pub(super) async fn load(tx: &DbTx, mut ids: Vec<&str>) -> Result<HashMap<String, Known>, StoreError> {
    let mut rows = HashMap::with_capacity(ids.len());
    fill_up(tx, &mut ids);
    for ids in in_known_sizes(&ids, most_rows(tx)) {
        let found = locked(tx, job::Entity::find())
            .filter(job::Column::Id.is_in(ids.iter().copied()))
            .into_partial_model::<Known>()
            .all(tx)
            .await
            .map_err(StoreError::doing("read jobs"))?;
        rows.extend(found.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(rows)
}

/// Inserts rows for the states that have none, and returns those that had none, by id; what they
/// say of attempts is yet to be written.
pub(super) async fn make(tx: &DbTx, states: Vec<JobState>) -> Result<HashMap<String, JobState>, StoreError> {
    let (mut rows, mut states) = take_inserts(states);
    let mut made = HashMap::with_capacity(states.len());
    while !rows.is_empty() {
        let some: Vec<_> = rows.drain(..known_size(rows.len(), most_rows(tx))).collect();
        let mut statement = insert_statement(some);
        statement.returning(Query::returning().columns([job::Column::Id, job::Column::Seq]));
        let returned = tx.query_all(&statement).await.map_err(StoreError::doing("insert new jobs"))?;
        for row in returned {
            let (id, seq): (String, i64) =
                row.try_get_many_by_index().map_err(StoreError::doing("insert new jobs"))?;
            if let Some(state) = states.remove(&id) {
                made.insert(id, state.with_row(seq));
            }
        }
    }
    Ok(made)
}

fn take_inserts(states: Vec<JobState>) -> (Vec<job::ActiveModel>, HashMap<String, JobState>) {
    let mut rows = Vec::with_capacity(states.len());
    let mut rest = HashMap::with_capacity(states.len());
    for mut state in states {
        if let Write::Insert(row) = state.take_write() {
            rows.push(row);
            rest.insert(state.id().to_owned(), state);
        }
    }
    (rows, rest)
}

fn insert_statement(rows: Vec<job::ActiveModel>) -> InsertStatement {
    let nothing = OnConflict::column(job::Column::Id).do_nothing().to_owned();
    job::Entity::insert_many(rows).on_conflict(nothing).into_query()
}

/// Writes what the states came to.
pub(super) async fn write(tx: &DbTx, mut states: Vec<JobState>) -> Result<(), StoreError> {
    let mut inserts = Vec::new();
    let mut updates: BTreeMap<u64, Vec<(job::ActiveModel, i64)>> = BTreeMap::new();
    for state in &mut states {
        match state.take_write() {
            Write::Insert(row) => inserts.push(row),
            Write::Update(row, version) => updates.entry(columns_of(&row)).or_default().push((row, version)),
            Write::Nothing => {}
        }
    }
    insert(tx, inserts).await?;
    for rows in updates.into_values() {
        update(tx, rows).await?;
    }
    write_attempts(tx, states).await
}

async fn insert(tx: &DbTx, mut rows: Vec<job::ActiveModel>) -> Result<(), StoreError> {
    while !rows.is_empty() {
        let some: Vec<_> = rows.drain(..known_size(rows.len(), most_rows(tx))).collect();
        let expected = some.len() as u64;
        let made = tx.execute(&insert_statement(some)).await.map_err(StoreError::doing("insert jobs"))?;
        refuse_race(expected, made.rows_affected())?;
    }
    Ok(())
}

/// Updates rows that change in the same columns.
async fn update(tx: &DbTx, mut rows: Vec<(job::ActiveModel, i64)>) -> Result<(), StoreError> {
    let (expected, mut found) = (rows.len() as u64, 0);
    // A row that stands in the list twice is changed once.
    fill_up(tx, &mut rows);
    while !rows.is_empty() {
        let some: Vec<_> = rows.drain(..known_size(rows.len(), most_rows(tx))).collect();
        let updated = tx.execute(&update_statement(some)).await.map_err(StoreError::doing("update jobs"))?;
        found += updated.rows_affected();
    }
    refuse_race(expected, found)
}

fn refuse_race(expected: u64, found: u64) -> Result<(), StoreError> {
    if expected == found { Ok(()) } else { Err(StoreError::Raced { expected, found }) }
}

/// What an update calls its `VALUES` list.
const NEW_ROWS: &str = "new_rows";

/// Builds `UPDATE celeriac_jobs SET … FROM (VALUES …) AS new_rows WHERE seq = … AND version = …`.
fn update_statement(rows: Vec<(job::ActiveModel, i64)>) -> UpdateStatement {
    let columns: Vec<job::Column> = match rows.first() {
        Some((row, _)) => changed_columns(row).collect(),
        None => Vec::new(),
    };
    let mut statement = Query::update();
    statement.table(job::Entity);
    for (place, column) in columns.iter().enumerate() {
        statement.value(*column, new_value(place + 3));
    }
    let values = rows.into_iter().map(|(row, version)| row_values(row, version, &columns)).collect();
    statement
        .from(TableRef::ValuesList(values, NEW_ROWS.into_iden()))
        .and_where(Expr::col((job::Entity, job::Column::Seq)).eq(new_value(1)))
        .and_where(Expr::col((job::Entity, job::Column::Version)).eq(new_value(2)))
        .to_owned()
}

/// Names a column of the `VALUES` list, from 1; SQLite and PostgreSQL number them alike.
fn new_value(place: usize) -> Expr {
    Expr::col((NEW_ROWS, format!("column{place}").into_iden()))
}

/// Returns a row's number, the version that it must still have, and the new values in `columns`.
fn row_values(mut row: job::ActiveModel, version: i64, columns: &[job::Column]) -> ValueTuple {
    let mut values = Vec::with_capacity(columns.len() + 2);
    values.extend(row.take(job::Column::Seq).into_value());
    values.push(Value::from(version));
    values.extend(columns.iter().filter_map(|column| row.take(*column).into_value()));
    ValueTuple::Many(values)
}

fn changed_columns(row: &job::ActiveModel) -> impl Iterator<Item = job::Column> + '_ {
    job::Column::iter().filter(|column| !matches!(column, job::Column::Seq) && !row.is_not_set(*column))
}

/// Returns the set of columns that a row changes, one bit for each.
fn columns_of(row: &job::ActiveModel) -> u64 {
    let set = job::Column::iter().enumerate().filter(|(_, column)| !row.is_not_set(*column));
    set.fold(0, |bits, (place, _)| bits | 1 << place)
}

/// Writes what the states say of attempts, joined with what is known of them.
async fn write_attempts(tx: &DbTx, mut states: Vec<JobState>) -> Result<(), StoreError> {
    states.retain(JobState::has_attempts);
    if states.is_empty() {
        return Ok(());
    }
    let seqs = seqs_of(tx, &states).await?;
    let mut attempts = known_attempts(tx, &states).await?;
    for state in &mut states {
        let Some(seq) = seqs.get(state.id()) else { continue };
        for attempt in state.take_attempts() {
            let attempt = attempt::Model { job_seq: *seq, ..attempt };
            let key = (attempt.job_seq, attempt.generation, attempt.delivery);
            match attempts.get_mut(&key) {
                Some(known) => attempts::merge(known, attempt),
                None => drop(attempts.insert(key, attempt)),
            }
        }
    }
    upsert_attempts(tx, attempts.into_values().collect()).await
}

type AttemptKey = (i64, i64, i64);

/// Returns the row numbers of the states' jobs, asking for those that were just made.
async fn seqs_of(tx: &DbTx, states: &[JobState]) -> Result<HashMap<String, i64>, StoreError> {
    let mut seqs: HashMap<String, i64> = HashMap::with_capacity(states.len());
    let mut made = Vec::new();
    for state in states {
        match state.seq() {
            0 => made.push(state.id()),
            seq => drop(seqs.insert(state.id().to_owned(), seq)),
        }
    }
    for ids in in_known_sizes(&made, most_rows(tx)) {
        let rows: Vec<(String, i64)> = job::Entity::find()
            .select_only()
            .columns([job::Column::Id, job::Column::Seq])
            .filter(job::Column::Id.is_in(ids.iter().copied()))
            .into_tuple()
            .all(tx)
            .await
            .map_err(StoreError::doing("read new jobs"))?;
        seqs.extend(rows);
    }
    Ok(seqs)
}

async fn known_attempts(
    tx: &DbTx,
    states: &[JobState],
) -> Result<BTreeMap<AttemptKey, attempt::Model>, StoreError> {
    let seqs: Vec<i64> = states.iter().map(JobState::seq).filter(|seq| *seq != 0).collect();
    let mut attempts = BTreeMap::new();
    for seqs in in_known_sizes(&seqs, most_rows(tx)) {
        let rows = attempt::Entity::find()
            .filter(attempt::Column::JobSeq.is_in(seqs.iter().copied()))
            .all(tx)
            .await
            .map_err(StoreError::doing("read attempts"))?;
        attempts.extend(rows.into_iter().map(|row| ((row.job_seq, row.generation, row.delivery), row)));
    }
    Ok(attempts)
}

async fn upsert_attempts(tx: &DbTx, mut rows: Vec<attempt::Model>) -> Result<(), StoreError> {
    use attempt::Column as C;
    let key = [C::JobSeq, C::Generation, C::Delivery];
    let others = C::iter().filter(|column| !matches!(column, C::JobSeq | C::Generation | C::Delivery));
    let replacing = OnConflict::columns(key).update_columns(others).to_owned();
    while !rows.is_empty() {
        let some =
            rows.drain(..known_size(rows.len(), most_rows(tx))).map(IntoActiveModel::into_active_model);
        attempt::Entity::insert_many(some.collect::<Vec<attempt::ActiveModel>>())
            .on_conflict(replacing.clone())
            .exec_without_returning(tx)
            .await
            .map_err(StoreError::doing("write attempts"))?;
    }
    Ok(())
}

/// Returns how many of `rows` rows the next statement takes: a power of two, so that six texts of
/// each statement, or eight on a server, are all that a connection ever has to prepare.
fn known_size(rows: usize, most: usize) -> usize {
    let rows = rows.min(most);
    if rows == 0 { 0 } else { 1 << rows.ilog2() }
}

/// Repeats the last item of a list that goes to a server until the last piece has a known size, for a journey takes longer
/// than a few items more.
fn fill_up<T: Clone>(tx: &DbTx, list: &mut Vec<T>) {
    let most = most_rows(tx);
    if tx.get_database_backend() == DbBackend::Postgres
        && let Some(last) = list.last().cloned()
    {
        let rest = list.len() % most;
        list.resize(list.len() - rest + filled(rest), last);
    }
}

/// Returns the known size that so many rows are filled up to.
fn filled(rest: usize) -> usize {
    if rest == 0 { 0 } else { rest.next_power_of_two() }
}

/// Cuts a list into pieces of known sizes.
pub(crate) fn in_known_sizes<T>(mut list: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (piece, rest) = list.split_at(known_size(list.len(), most));
        list = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_into_few_pieces_of_few_sizes() {
        for (length, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (7, vec![4, 2, 1]),
            (100, vec![32, 32, 32, 4]),
            (70, vec![32, 32, 4, 2]),
        ] {
            let list = vec![0; length];
            let sizes: Vec<_> = in_known_sizes(&list, ROWS_PER_STATEMENT).map(<[i32]>::len).collect();
            assert_eq!(sizes, expected);
        }
    }

    #[test]
    fn lists_for_a_server_are_filled_up_to_one_known_size() {
        for (rest, expected) in [(0, 0), (1, 1), (3, 4), (61, 64), (100, 128), (127, 128)] {
            assert_eq!(filled(rest), expected, "{rest}");
        }
    }
}
