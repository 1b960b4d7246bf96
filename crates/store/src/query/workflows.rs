//! Slots of workflows, and what is known of each workflow across the cluster.

use std::time::Duration;

use celeriac_db::DbTx;
use celeriac_protocol::{JobId, Timestamp};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::StoreError;
use crate::entity::{workflow, workflow_slot};
use crate::micros::Micros;

/// Asks for a slot.
#[derive(Clone, Debug)]
pub struct SlotRequest {
    /// The workflow.
    pub workflow: &'static str,
    /// How many slots there are.
    pub max_instances: u32,
    /// The job that asks.
    pub holder: JobId,
    /// Tells this holding from earlier ones; random.
    pub fence: i64,
    /// The present instant.
    pub now: Timestamp,
    /// How long it is held unless renewed.
    pub lease: Duration,
}

/// A slot that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldSlot {
    /// The workflow.
    pub workflow: &'static str,
    /// The slot, from 0.
    pub slot: i32,
    /// Tells this holding from earlier ones.
    pub fence: i64,
}

/// What is known of a workflow across the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowState {
    /// When a run last began.
    pub last_started_at: Option<Timestamp>,
    /// When a run last ended.
    pub last_ended_at: Option<Timestamp>,
    /// Whether rows were due when the last run ended.
    pub more: bool,
    /// Runs that began.
    pub runs: u64,
    /// Runs that were refused because every slot was taken.
    pub refused: u64,
    /// Since when an operator holds it back.
    pub paused_at: Option<Timestamp>,
    /// How many slots are held now.
    pub held_slots: u32,
    /// Settings that operators have changed, a JSON object.
    pub settings: Option<String>,
    /// Due times at which no row was due.
    pub idle: u64,
}

/// Due times of a workflow at which no run was enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The workflow.
    pub workflow: &'static str,
    /// Those at which no row was due.
    pub idle: u64,
    /// Those at which every slot was taken.
    pub refused: u64,
}

/// Takes a free slot, or counts the refusal. A slot whose holder let its lease end is free, and so is
/// one that this very job held before its worker was lost: the new fence shuts the old run out.
///
/// # Errors
/// What the database says.
pub async fn take_slot(tx: &DbTx, request: &SlotRequest) -> Result<Option<HeldSlot>, StoreError> {
    take(tx, request).await.map_err(StoreError::doing("take a slot of a workflow"))
}

async fn take(tx: &DbTx, request: &SlotRequest) -> Result<Option<HeldSlot>, DbErr> {
    lock(tx, request.workflow).await?;
    let held: Vec<workflow_slot::Model> = workflow_slot::Entity::find()
        .filter(workflow_slot::Column::Workflow.eq(request.workflow))
        .filter(workflow_slot::Column::HeldUntil.gt(Micros::from(request.now)))
        .all(tx)
        .await?;
    let free = free_slot_of(&held, request);
    note(tx, request, free.is_some()).await?;
    let Some(slot) = free else { return Ok(None) };
    let row = workflow_slot::ActiveModel {
        workflow: Set(request.workflow.to_owned()),
        slot: Set(slot),
        holder: Set(request.holder.to_string()),
        fence: Set(request.fence),
        held_until: Set((request.now + request.lease).into()),
    };
    use workflow_slot::Column as C;
    let replace = OnConflict::columns([C::Workflow, C::Slot])
        .update_columns([C::Holder, C::Fence, C::HeldUntil])
        .to_owned();
    workflow_slot::Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(Some(HeldSlot { workflow: request.workflow, slot, fence: request.fence }))
}

/// Finds a slot that nobody else holds, unless as many are held as there are now: there may have been more before.
fn free_slot_of(held: &[workflow_slot::Model], request: &SlotRequest) -> Option<i32> {
    let others: Vec<i32> =
        held.iter().filter(|held| held.holder != *request.holder.as_str()).map(|held| held.slot).collect();
    let slots = i32::try_from(request.max_instances).unwrap_or(i32::MAX);
    let is_full = others.len() >= usize::try_from(slots).unwrap_or(usize::MAX);
    (0..slots).find(|slot| !others.contains(slot)).filter(|_| !is_full)
}

/// Locks what is known of a workflow, so that its slots and its settings can be read in order to be changed.
///
/// # Errors
/// What the database says.
pub async fn lock_workflow(tx: &DbTx, workflow: &str) -> Result<(), StoreError> {
    lock(tx, workflow).await.map_err(StoreError::doing("lock a workflow"))
}

/// There may be no row yet that could be locked.
async fn lock(tx: &DbTx, workflow: &str) -> Result<(), DbErr> {
    tx.lock(&format!("slots of {workflow}")).await
}

/// Counts a run or a refusal.
async fn note(tx: &DbTx, request: &SlotRequest, taken: bool) -> Result<(), DbErr> {
    use workflow::Column as C;
    let row = workflow::ActiveModel {
        last_started_at: Set(taken.then(|| request.now.into())),
        runs: Set(i64::from(taken)),
        refused: Set(i64::from(!taken)),
        ..blank(request.workflow)
    };
    let counted = if taken { C::Runs } else { C::Refused };
    let mut more = OnConflict::column(C::Name);
    more.value(counted, Expr::col((workflow::Entity, counted)).add(1));
    if taken {
        more.update_column(C::LastStartedAt);
    }
    workflow::Entity::insert(row).on_conflict(more).exec_without_returning(tx).await?;
    Ok(())
}

/// Makes the row of a workflow of which nothing is known yet.
fn blank(workflow: &str) -> workflow::ActiveModel {
    workflow::ActiveModel {
        name: Set(workflow.to_owned()),
        last_started_at: Set(None),
        last_ended_at: Set(None),
        more: Set(false),
        runs: Set(0),
        refused: Set(0),
        paused_at: Set(None),
        settings: Set(None),
        idle: Set(0),
    }
}

/// Counts due times at which no run was enqueued.
///
/// # Errors
/// What the database says.
pub async fn note_passed_over(tx: &DbTx, passed: &[PassedOver]) -> Result<(), StoreError> {
    use workflow::Column as C;
    for passed in passed {
        let (idle, refused) = (counted(passed.idle), counted(passed.refused));
        let row = workflow::ActiveModel { idle: Set(idle), refused: Set(refused), ..blank(passed.workflow) };
        let mut more = OnConflict::column(C::Name);
        for (column, count) in [(C::Idle, idle), (C::Refused, refused)] {
            more.value(column, Expr::col((workflow::Entity, column)).add(count));
        }
        let noted = workflow::Entity::insert(row).on_conflict(more).exec_without_returning(tx).await;
        noted.map_err(StoreError::doing("count due times of a workflow"))?;
    }
    Ok(())
}

fn counted(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Reads the settings of a workflow that operators have changed, a JSON object.
///
/// # Errors
/// What the database says.
pub async fn changed_settings(
    reader: &impl ConnectionTrait,
    workflow: &str,
) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> = workflow::Entity::find_by_id(workflow)
        .select_only()
        .column(workflow::Column::Settings)
        .into_tuple()
        .one(reader)
        .await
        .map_err(StoreError::doing("read the settings of a workflow"))?;
    Ok(found.flatten())
}

/// Writes the settings of a workflow that operators have changed. Who changes them has locked the workflow.
///
/// # Errors
/// What the database says.
pub async fn save_settings(tx: &DbTx, workflow: &str, settings: Option<String>) -> Result<(), StoreError> {
    use workflow::Column as C;
    let row = workflow::ActiveModel { settings: Set(settings), ..blank(workflow) };
    let replace = OnConflict::column(C::Name).update_column(C::Settings).to_owned();
    let saved = workflow::Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await;
    saved.map(drop).map_err(StoreError::doing("save the settings of a workflow"))
}

/// Holds on to a slot; `false` means that it was lost.
///
/// # Errors
/// What the database says.
pub async fn renew_slot(tx: &DbTx, slot: HeldSlot, until: Timestamp) -> Result<bool, StoreError> {
    let renewed =
        mine(slot).col_expr(workflow_slot::Column::HeldUntil, Expr::value(until.as_micros())).exec(tx).await;
    Ok(renewed.map_err(StoreError::doing("renew a slot of a workflow"))?.rows_affected == 1)
}

/// Frees a slot, and notes whether rows are due.
///
/// # Errors
/// What the database says.
pub async fn free_slot(tx: &DbTx, slot: HeldSlot, now: Timestamp, more: bool) -> Result<(), StoreError> {
    let free = async {
        let freed = mine(slot)
            .col_expr(workflow_slot::Column::HeldUntil, Expr::value(now.as_micros()))
            .exec(tx)
            .await?;
        if freed.rows_affected == 0 {
            // Lost to another run, which has its own say.
            return Ok(());
        }
        workflow::Entity::update_many()
            .col_expr(workflow::Column::More, Expr::value(more))
            .col_expr(workflow::Column::LastEndedAt, Expr::value(now.as_micros()))
            .filter(workflow::Column::Name.eq(slot.workflow))
            .exec(tx)
            .await
            .map(drop)
    };
    free.await.map_err(StoreError::doing("free a slot of a workflow"))
}

fn mine(slot: HeldSlot) -> sea_orm::UpdateMany<workflow_slot::Entity> {
    workflow_slot::Entity::update_many()
        .filter(workflow_slot::Column::Workflow.eq(slot.workflow))
        .filter(workflow_slot::Column::Slot.eq(slot.slot))
        .filter(workflow_slot::Column::Fence.eq(slot.fence))
}

/// Reads what is known of every workflow that has ever run.
///
/// # Errors
/// What the database says.
pub async fn workflow_states(
    reader: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<(String, WorkflowState)>, StoreError> {
    let read = async {
        let rows = workflow::Entity::find().order_by_asc(workflow::Column::Name).all(reader).await?;
        let held = workflow_slot::Column::HeldUntil.gt(Micros::from(now));
        let slots = workflow_slot::Entity::find().filter(held).all(reader).await?;
        Ok((rows, slots))
    };
    let (rows, slots) = read.await.map_err(StoreError::doing("read the workflows"))?;
    let held = |name: &str| slots.iter().filter(|slot| slot.workflow == name).count();
    Ok(rows
        .into_iter()
        .map(|row| {
            let held_slots = u32::try_from(held(&row.name)).unwrap_or(u32::MAX);
            let state = WorkflowState {
                last_started_at: row.last_started_at.map(Timestamp::from),
                last_ended_at: row.last_ended_at.map(Timestamp::from),
                more: row.more,
                runs: u64::try_from(row.runs).unwrap_or(0),
                refused: u64::try_from(row.refused).unwrap_or(0),
                paused_at: row.paused_at.map(Timestamp::from),
                held_slots,
                settings: row.settings,
                idle: u64::try_from(row.idle).unwrap_or(0),
            };
            (row.name, state)
        })
        .collect())
}
