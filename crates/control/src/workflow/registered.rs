//! The workflows that a process knows, by name, and what operators ask of them.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{Database, DbError};
use celeriac_engine::{Call, Ctx, Registry};
use celeriac_protocol::Timestamp;
use sea_orm::prelude::Expr;
use sea_orm::{ColumnTrait, Condition, DatabaseConnection, DbErr, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use super::lookout::is_due;
use super::{
    ItemStatus, Lookout, RowsWaiting, RunReport, SettingsError, Statuses, Workflow, WorkflowError,
    WorkflowSettings, WorkflowTable, process_pending, run_job_loop, run_workflow,
};

/// The span over which a check counts what was done.
const THROUGHPUT_SPAN: Duration = Duration::from_secs(3_600);

/// How many rows one reset changes in one transaction.
const RESET_ROWS: u64 = 1_000;

/// The workflows that a process knows. Cloning is cheap and shares them.
#[derive(Clone, Default)]
pub struct Workflows {
    by_name: Arc<RwLock<BTreeMap<&'static str, Arc<dyn RegisteredWorkflow>>>>,
}

impl Workflows {
    /// Adds a workflow, in place of one of the same name.
    ///
    /// # Errors
    /// A setting with a value that it can't have.
    pub fn with<W: Workflow>(self, workflow: W, settings: WorkflowSettings) -> Result<Self, SettingsError> {
        self.add(workflow, settings).map(|_| self)
    }

    /// Adds a workflow, in place of one of the same name, for all who share these; runs that go on end as they began.
    ///
    /// # Errors
    /// A setting with a value that it can't have.
    pub fn add<W: Workflow>(
        &self,
        workflow: W,
        settings: WorkflowSettings,
    ) -> Result<Arc<dyn RegisteredWorkflow>, SettingsError> {
        settings.validate()?;
        let registered: Arc<dyn RegisteredWorkflow> =
            Arc::new(Registered { workflow: Arc::new(workflow), settings, table: PhantomData });
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(W::NAME, Arc::clone(&registered));
        Ok(registered)
    }

    /// Finds a workflow.
    ///
    /// # Errors
    /// There is none of this name; the error lists those that are.
    pub fn find(&self, name: &str) -> Result<Arc<dyn RegisteredWorkflow>, WorkflowError> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let known = || by_name.keys().copied().collect();
        let found = by_name.get(name).cloned();
        found.ok_or_else(|| WorkflowError::Unknown { name: name.to_owned(), known: known() })
    }

    /// Returns all workflows by name, as they are now.
    pub fn iter(&self) -> impl Iterator<Item = Arc<dyn RegisteredWorkflow>> + use<> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.values().cloned().collect::<Vec<_>>().into_iter()
    }
}

impl fmt::Debug for Workflows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|workflow| workflow.name())).finish()
    }
}

/// A workflow without its types, as the loop and the command line use it.
#[async_trait]
pub trait RegisteredWorkflow: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The id of its scheduler's job: the name of its runs' task, of its entry in the schedule, and of its loop.
    fn job(&self) -> &'static str;

    /// What it does, in one line for people.
    fn description(&self) -> &'static str;

    /// How it runs where no operator has changed that.
    fn settings(&self) -> &WorkflowSettings;

    /// What a scheduler needs to know of it.
    fn lookout(&self) -> Lookout;

    /// Asks for a run by the workflow's own task, or where `registry` does not know that, by its name.
    fn call(&self, registry: &Registry) -> Call;

    /// The table's words.
    fn statuses(&self) -> Statuses;

    /// Runs it once by the settings in force; see [`run_job_loop`].
    async fn run(
        &self,
        settings: &WorkflowSettings,
        database: &Database,
        ctx: &Ctx,
    ) -> Result<RunReport, WorkflowError>;

    /// Says whether a row is due, or a claim has run out. Cheap.
    async fn is_due(&self, reader: &DatabaseConnection, now: Timestamp) -> Result<bool, WorkflowError>;

    /// Returns when the next waiting row falls due, or `None` where none waits. Cheap.
    async fn next_due_at(&self, reader: &DatabaseConnection) -> Result<Option<Timestamp>, WorkflowError>;

    /// Counts its rows and shows its last errors.
    async fn check(
        &self,
        reader: &DatabaseConnection,
        now: Timestamp,
    ) -> Result<WorkflowCheck, WorkflowError>;

    /// Puts rows back to waiting, attempts and errors forgotten, and returns how many there are; a
    /// dry run only counts.
    async fn reset(
        &self,
        database: &Database,
        filter: ResetFilter,
        now: Timestamp,
        dry_run: bool,
    ) -> Result<u64, WorkflowError>;
}

/// Which rows to put back. Nothing but the status restricts unless it is given; rows that are being processed are
/// never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetFilter {
    /// Only rows in one of these statuses; *error* where none is given.
    pub statuses: Vec<ItemStatus>,
    /// Only rows last changed before.
    pub before: Option<Timestamp>,
    /// Only these rows.
    pub ids: Vec<i64>,
}

/// How a workflow's table stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkflowCheck {
    /// The workflow.
    pub name: &'static str,
    /// Rows by the table's own words, in the order of a row's life; other words after.
    pub counts: Vec<(String, u64)>,
    /// When the row that has waited longest fell due.
    pub oldest_waiting_at: Option<Timestamp>,
    /// Rows that were done within the last hour.
    pub done_last_hour: u64,
    /// The last rows that ended in *error*, newest first.
    pub last_errors: Vec<RowError>,
}

/// A row that ended in *error*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// Its id.
    pub id: i64,
    /// What people call it.
    pub label: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

struct Registered<W: Workflow> {
    workflow: Arc<W>,
    settings: WorkflowSettings,
    table: PhantomData<fn() -> W::Table>,
}

impl<W: Workflow> Registered<W> {
    fn fail(action: &'static str) -> impl Fn(DbErr) -> WorkflowError {
        move |source| WorkflowError::Database { workflow: W::NAME, action, source: source.into() }
    }
}

#[async_trait]
impl<W: Workflow> RegisteredWorkflow for Registered<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn job(&self) -> &'static str {
        W::JOB
    }

    fn description(&self) -> &'static str {
        W::DESCRIPTION
    }

    fn settings(&self) -> &WorkflowSettings {
        &self.settings
    }

    fn statuses(&self) -> Statuses {
        W::Table::STATUSES
    }

    fn lookout(&self) -> Lookout {
        Lookout::of::<W>(self.settings.clone())
    }

    fn call(&self, registry: &Registry) -> Call {
        match registry.find(W::JOB) {
            Some(_) => process_pending::<W>().into_call(),
            None => run_workflow(W::NAME.to_owned()).into_call(),
        }
    }

    async fn run(
        &self,
        settings: &WorkflowSettings,
        database: &Database,
        ctx: &Ctx,
    ) -> Result<RunReport, WorkflowError> {
        run_job_loop(Arc::clone(&self.workflow), settings, database, ctx).await
    }

    async fn is_due(&self, reader: &DatabaseConnection, now: Timestamp) -> Result<bool, WorkflowError> {
        is_due::<W>(reader, now).await.map_err(Self::fail("look for due rows"))
    }

    async fn next_due_at(&self, reader: &DatabaseConnection) -> Result<Option<Timestamp>, WorkflowError> {
        Ok(W::Table::next_due_at(reader).await.map_err(Self::fail("look for due rows"))?)
    }

    async fn check(
        &self,
        reader: &DatabaseConnection,
        now: Timestamp,
    ) -> Result<WorkflowCheck, WorkflowError> {
        check::<W::Table>(W::NAME, reader, now).await.map_err(Self::fail("check rows"))
    }

    async fn reset(
        &self,
        database: &Database,
        filter: ResetFilter,
        now: Timestamp,
        dry_run: bool,
    ) -> Result<u64, WorkflowError> {
        let fail = Self::fail("reset rows");
        if dry_run {
            return count::<W::Table>(database.reader(), condition::<W::Table>(&filter)).await.map_err(fail);
        }
        let mut total = 0;
        loop {
            let filter = filter.clone();
            let changed = database.write("reset rows", async move |tx| {
                reset::<W::Table>(tx, &filter, now).await.map_err(DbError::from)
            });
            match changed.await {
                Ok(0) => return Ok(total),
                Ok(changed) => total += changed,
                Err(source) => {
                    return Err(WorkflowError::Database { workflow: W::NAME, action: "reset rows", source });
                }
            }
        }
    }
}

async fn check<E: WorkflowTable>(
    name: &'static str,
    reader: &DatabaseConnection,
    now: Timestamp,
) -> Result<WorkflowCheck, DbErr> {
    let c = E::columns();
    let counted: Vec<(String, i64)> = E::find()
        .select_only()
        .column(c.status)
        .column_as(c.id.count(), "rows")
        .group_by(c.status)
        .into_tuple()
        .all(reader)
        .await?;
    let since = (now - THROUGHPUT_SPAN).as_micros();
    let done = Condition::all().add(c.status.eq(E::STATUSES.done)).add(c.updated_at.gte(since));
    Ok(WorkflowCheck {
        name,
        counts: in_order(E::STATUSES, counted),
        oldest_waiting_at: oldest_waiting::<E>(reader).await?,
        done_last_hour: count::<E>(reader, done).await?,
        last_errors: last_errors::<E>(reader).await?,
    })
}

/// Unlike the table's own answer to when the next row is due, this one knows of no hosts that must wait.
async fn oldest_waiting<E: WorkflowTable>(reader: &DatabaseConnection) -> Result<Option<Timestamp>, DbErr> {
    let c = E::columns();
    let due: Option<Option<i64>> = E::find()
        .select_only()
        .column_as(c.due_at.min(), "oldest")
        .filter(c.status.eq(E::STATUSES.waiting))
        .into_tuple()
        .one(reader)
        .await?;
    Ok(due.flatten().map(Timestamp::from_micros))
}

fn in_order(statuses: Statuses, counted: Vec<(String, i64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> =
        ItemStatus::ALL.into_iter().map(|status| (statuses.word(status).to_owned(), 0)).collect();
    for (word, rows) in counted {
        let rows = u64::try_from(rows).unwrap_or(0);
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count = rows,
            None => counts.push((word, rows)),
        }
    }
    counts
}

async fn count<E: WorkflowTable>(reader: &DatabaseConnection, condition: Condition) -> Result<u64, DbErr> {
    let rows: Option<i64> = E::find()
        .select_only()
        .column_as(E::columns().id.count(), "rows")
        .filter(condition)
        .into_tuple()
        .one(reader)
        .await?;
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
}

/// How many errors a check shows.
const LAST_ERRORS: u64 = 5;

async fn last_errors<E: WorkflowTable>(reader: &DatabaseConnection) -> Result<Vec<RowError>, DbErr> {
    let c = E::columns();
    let failed = c.status.eq(E::STATUSES.error);
    let rows =
        E::find().filter(failed.clone()).order_by_desc(c.updated_at).limit(LAST_ERRORS).all(reader).await?;
    let ids: Vec<i64> = rows.iter().map(|row| E::state(row).id).collect();
    let reasons: Vec<(i64, Option<String>, i64)> = E::find()
        .select_only()
        .columns([c.id, c.error, c.updated_at])
        .filter(c.id.is_in(ids))
        .into_tuple()
        .all(reader)
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let state = E::state(row);
            let found = reasons.iter().find(|(id, ..)| *id == state.id);
            let (reason, at) = found.map_or((None, 0), |(_, reason, at)| (reason.clone(), *at));
            let (reason, at) = (reason.unwrap_or_default(), Timestamp::from_micros(at));
            RowError { id: state.id, label: state.label, reason, at }
        })
        .collect())
}

fn condition<E: WorkflowTable>(filter: &ResetFilter) -> Condition {
    let c = E::columns();
    let wanted = |status: &ItemStatus| !matches!(status, ItemStatus::Processing);
    let statuses: Vec<&str> = if filter.statuses.is_empty() {
        vec![E::STATUSES.error]
    } else {
        filter.statuses.iter().filter(|s| wanted(s)).map(|status| E::STATUSES.word(*status)).collect()
    };
    let mut condition = Condition::all().add(c.status.is_in(statuses));
    if let Some(before) = filter.before {
        condition = condition.add(c.updated_at.lt(before.as_micros()));
    }
    if !filter.ids.is_empty() {
        condition = condition.add(c.id.is_in(filter.ids.iter().copied()));
    }
    condition
}

async fn reset<E: WorkflowTable>(
    tx: &celeriac_db::DbTx,
    filter: &ResetFilter,
    now: Timestamp,
) -> Result<u64, DbErr> {
    use sea_orm::QueryTrait;
    let c = E::columns();
    // Rows that were changed since it began are left alone, by itself or by a run that has had them
    // since, so it comes to its end.
    let untouched = Condition::any()
        .add(c.status.ne(E::STATUSES.waiting))
        .add(c.attempts.ne(0))
        .add(c.due_at.gt(now.as_micros()));
    let rows = E::find()
        .select_only()
        .column(c.id)
        .filter(condition::<E>(filter))
        .filter(untouched)
        .filter(c.updated_at.lte(now.as_micros()))
        .limit(RESET_ROWS)
        .into_query();
    let changed = E::update_many()
        .col_expr(c.status, Expr::value(E::STATUSES.waiting))
        .col_expr(c.due_at, Expr::value(now.as_micros()))
        .col_expr(c.attempts, Expr::value(0))
        .col_expr(c.error, Expr::value(None::<String>))
        .col_expr(c.history, Expr::value("[]"))
        .col_expr(c.updated_at, Expr::value(now.as_micros()))
        .filter(c.id.in_subquery(rows))
        .exec(tx)
        .await?;
    if changed.rows_affected > 0 {
        E::update_waiting(tx, RowsWaiting::Reset { due_at: now }).await?;
    }
    Ok(changed.rows_affected)
}
