//! Results in the table of Celery's database backend, `celery_taskmeta`, in a SQLite file or on a PostgreSQL server.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::{
    BodyForm, Clock, Extended, JobId, RawValue, ResultError, TaskResult, TaskState, Timestamp, error_text,
    without_nul,
};
use sea_orm::sea_query::{
    Expr, ExprTrait, Func, InsertStatement, OnConflict, Query, SelectStatement, SimpleExpr,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};

use self::entity::{Column, Entity};
use crate::{BrokerError, KeptResult, ResultStore};

mod entity;
mod schema;

/// How many results one statement reads, and one transaction writes, at most.
const SLICE: usize = 200;

/// How often results are looked for that have been kept long enough, and how many of them go at a time.
const PRUNE_EVERY: Duration = Duration::from_secs(300);
const PRUNE_ROWS: u64 = 10_000;

/// The longest name of a task, worker or queue that a column holds, in characters.
const MAX_NAME: usize = 155;

/// Keeps results in the table of Celery's database backend, where its clients look for them by asking again and again.
pub struct SqlResults {
    database: Database,
    form: BodyForm,
    clock: Arc<dyn Clock>,
    pruned_at: AtomicI64,
}

impl SqlResults {
    /// Uses the table in `database`, and makes it, or what it lacks, where it is not whole. Each part of a result is
    /// written in `form`.
    ///
    /// # Errors
    /// [`BrokerError::Database`]: what the database says.
    pub async fn open(
        database: Database,
        form: BodyForm,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        schema::complete(&database).await?;
        Ok(Self { database, form, clock, pruned_at: AtomicI64::new(0) })
    }

    fn rows_of(&self, results: &[KeptResult], now: Timestamp) -> Vec<Row> {
        let read = |kept: &KeptResult| {
            let result = TaskResult::decode(&kept.id, &kept.body);
            let unread = |error: &ResultError| tracing::error!(job.id = %kept.id, error = error_text(error), "result can't be kept");
            result.inspect_err(unread).ok().map(|result| Row::of(&result, self.form, now))
        };
        results.iter().filter_map(read).collect()
    }

    /// Removes results that have been kept for `keep`, once in a while.
    async fn prune(&self, keep: Duration) -> Result<(), BrokerError> {
        let now = self.clock.now();
        let last = Timestamp::from_micros(self.pruned_at.load(Ordering::Relaxed));
        if now.since(last) < PRUNE_EVERY {
            return Ok(());
        }
        self.pruned_at.store(now.as_micros(), Ordering::Relaxed);
        let before = civil(now - keep);
        self.database
            .write("remove old results", async move |tx| {
                let old = Query::select()
                    .column(Column::Id)
                    .from(Entity)
                    .and_where(
                        Expr::col(Column::DateDone).lt(instant(tx.get_database_backend(), Some(before))),
                    )
                    .limit(PRUNE_ROWS)
                    .to_owned();
                let delete = Query::delete()
                    .from_table(Entity)
                    .and_where(Expr::col(Column::Id).in_subquery(old))
                    .to_owned();
                tx.execute(&delete).await?;
                Ok::<_, DbError>(())
            })
            .await
            .map_err(failed("remove old results"))
    }
}

impl fmt::Debug for SqlResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlResults").field("database", &self.database.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ResultStore for SqlResults {
    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        for slice in results.chunks(SLICE) {
            let rows = self.rows_of(slice, self.clock.now());
            let put = async move |tx: &DbTx| {
                for row in rows {
                    tx.execute(&row.insert(tx.get_database_backend())).await?;
                }
                Ok::<_, DbError>(())
            };
            self.database.write("keep results", put).await.map_err(failed("keep results"))?;
        }
        match results.iter().find_map(|result| result.keep) {
            Some(keep) => self.prune(keep).await,
            None => Ok(()),
        }
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, BrokerError> {
        let mut found: HashMap<String, Vec<u8>> = HashMap::with_capacity(ids.len());
        for slice in ids.chunks(SLICE) {
            let rows = self.database.reader().query_all(&select(slice)).await;
            for row in rows.map_err(DbError::from).map_err(failed("read results"))? {
                let (id, result) = self.read(&row).map_err(DbError::from).map_err(failed("read results"))?;
                found.extend(result.map(|result| (id, result)));
            }
        }
        Ok(ids.iter().map(|id| found.get(id.as_str()).cloned()).collect())
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), BrokerError> {
        for slice in ids.chunks(SLICE) {
            let delete = Query::delete().from_table(Entity).and_where(is_one_of(slice)).to_owned();
            let forget = async move |tx: &DbTx| tx.execute(&delete).await.map(drop).map_err(DbError::from);
            self.database.write("forget results", forget).await.map_err(failed("forget results"))?;
        }
        Ok(())
    }
}

impl SqlResults {
    /// Reads a row as the text that other backends hold; nothing where it can't be read.
    fn read(&self, row: &QueryResult) -> Result<(String, Option<Vec<u8>>), DbErr> {
        let id: String = row.try_get("", "task_id")?;
        let part = |bytes: Option<Vec<u8>>| match bytes {
            Some(bytes) => TaskResult::decode_part(&bytes, self.form.serializer),
            None => Ok(RawValue::NULL.to_owned()),
        };
        let parts = [
            row.try_get("", "result")?,
            row.try_get("", "children")?,
            row.try_get("", "args")?,
            row.try_get("", "kwargs")?,
        ];
        let Ok(job) = JobId::parse(&id) else { return Ok((id, None)) };
        let [result, children, args, kwargs] = match parts.map(part) {
            [Ok(result), Ok(children), Ok(args), Ok(kwargs)] => [result, children, args, kwargs],
            [Err(error), ..] | [_, Err(error), ..] | [_, _, Err(error), _] | [.., Err(error)] => {
                tracing::debug!(job.id = %id, error = error_text(&error), "result ignored");
                return Ok((id, None));
            }
        };
        let done_at: Option<String> = row.try_get("", "date_done")?;
        let name: Option<String> = row.try_get("", "name")?;
        let (worker, retries, queue) = (
            row.try_get("", "worker")?,
            row.try_get::<Option<i32>>("", "retries")?,
            row.try_get::<Option<String>>("", "queue")?,
        );
        let state = TaskState::from_word(&row.try_get::<Option<String>>("", "status")?.unwrap_or_default());
        let meta = TaskResult {
            id: job,
            done_at: done_at.filter(|_| state.is_final()).and_then(|at| read_instant(&at)),
            state,
            result,
            traceback: row.try_get("", "traceback")?,
            children,
            parent_id: None,
            group: None,
            extended: name.map(|name| Extended {
                name,
                args,
                kwargs,
                worker,
                retries: retries.and_then(|retries| u32::try_from(retries).ok()).unwrap_or(0),
                queue: queue.unwrap_or_default(),
            }),
        };
        Ok((id, Some(meta.encode().into_bytes())))
    }
}

/// One row, as it is written.
struct Row {
    id: String,
    status: String,
    result: Vec<u8>,
    /// Celery notes when a state was written that is not the last one, too.
    written_at: Timestamp,
    traceback: Option<String>,
    children: Option<Vec<u8>>,
    extended: Option<(Extended, Vec<u8>, Vec<u8>)>,
}

/// The columns that a result is written to, but the id of its task.
const WRITTEN: [Column; 11] = [
    Column::Status,
    Column::Result,
    Column::DateDone,
    Column::Traceback,
    Column::Children,
    Column::Name,
    Column::Args,
    Column::Kwargs,
    Column::Worker,
    Column::Retries,
    Column::Queue,
];

impl Row {
    fn of(result: &TaskResult, form: BodyForm, now: Timestamp) -> Self {
        let part = |raw: &RawValue| TaskResult::encode_part(raw, form);
        let has_children = !matches!(result.children.get(), "[]" | "null");
        let extended = result.extended.clone().map(|extended| {
            let (args, kwargs) = (part(&extended.args), part(&extended.kwargs));
            (extended, args, kwargs)
        });
        Self {
            id: result.id.as_str().to_owned(),
            status: without_nul(result.state.as_str().to_owned()),
            result: part(&result.result),
            written_at: result.done_at.unwrap_or(now),
            traceback: result.traceback.clone().map(without_nul),
            children: has_children.then(|| part(&result.children)),
            extended,
        }
    }

    /// Inserts the row, or updates the one that is there, unless that tells of a success.
    fn insert(self, backend: DbBackend) -> InsertStatement {
        let (mut name, mut args, mut kwargs, mut worker, mut retries, mut queue) =
            (None, None, None, None, None, None);
        if let Some((extended, positional, named)) = self.extended {
            name = Some(shortened(&extended.name));
            (args, kwargs) = (Some(positional), Some(named));
            worker = extended.worker.as_deref().map(shortened);
            retries = i32::try_from(extended.retries).ok();
            queue = Some(shortened(&extended.queue));
        }
        let mut columns = vec![Column::TaskId];
        columns.extend(WRITTEN);
        let mut values: Vec<SimpleExpr> = vec![
            self.id.into(),
            self.status.into(),
            self.result.into(),
            instant(backend, Some(civil(self.written_at))),
            self.traceback.into(),
            self.children.into(),
            name.into(),
            args.into(),
            kwargs.into(),
            worker.into(),
            retries.into(),
            queue.into(),
        ];
        if backend == DbBackend::Postgres {
            // The column has no default where SQLAlchemy has made it: it asks for the number itself.
            columns.push(Column::Id);
            values.push(Func::cust("nextval").arg(schema::SEQUENCE).cast_as("integer"));
        }
        let status = || Expr::col((Entity, Column::Status));
        let update = OnConflict::column(Column::TaskId)
            .update_columns(WRITTEN)
            .action_and_where(status().is_null().or(status().ne(TaskState::Success.as_str())))
            .to_owned();
        Query::insert()
            .into_table(Entity)
            .columns(columns)
            .values_panic(values)
            .on_conflict(update)
            .to_owned()
    }
}

fn select(ids: &[JobId]) -> SelectStatement {
    let columns = [
        Column::TaskId,
        Column::Status,
        Column::Result,
        Column::Traceback,
        Column::Children,
        Column::Name,
        Column::Args,
        Column::Kwargs,
        Column::Worker,
        Column::Retries,
        Column::Queue,
    ];
    Query::select()
        .columns(columns)
        .expr_as(Expr::col(Column::DateDone).cast_as("text"), "date_done")
        .from(Entity)
        .and_where(is_one_of(ids))
        .to_owned()
}

fn is_one_of(ids: &[JobId]) -> SimpleExpr {
    Expr::col(Column::TaskId).is_in(ids.iter().map(JobId::as_str))
}

/// Returns an instant as the column takes it: naive, in UTC.
fn instant(backend: DbBackend, text: Option<String>) -> SimpleExpr {
    match backend {
        DbBackend::Postgres => Expr::val(text).cast_as("timestamp"),
        _ => Expr::val(text),
    }
}

/// Writes an instant as SQLAlchemy does: naive, in UTC, to the microsecond.
fn civil(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.strip_suffix("+00:00").or_else(|| text.strip_suffix('Z')).unwrap_or(&text);
    let fraction = if text.contains('.') { "" } else { ".000000" };
    format!("{}{fraction}", text.replacen('T', " ", 1))
}

fn read_instant(text: &str) -> Option<Timestamp> {
    format!("{}+00:00", text.replacen(' ', "T", 1)).parse().ok()
}

fn shortened(name: &str) -> String {
    without_nul(name.chars().take(MAX_NAME).collect())
}

fn failed(action: &'static str) -> impl FnOnce(DbError) -> BrokerError {
    move |source| BrokerError::Database { action, source }
}
