//! Takes claims away from workers that died.

use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::Timestamp;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, QueryFilter, QuerySelect};

use super::record::{decide, leave};
use super::{ItemError, ItemStatus, RowsWaiting, WorkflowSettings, WorkflowTable};

/// How many lapsed claims one transaction takes back; the next one takes the rest.
const SWEEP_ROWS: u64 = 500;

/// What a sweep took back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Rows that wait again.
    pub(super) requeued: u64,
    /// Rows that had no attempt left and ended in *error*.
    pub(super) given_up: u64,
}

impl Swept {
    pub(super) fn total(self) -> u64 {
        self.requeued + self.given_up
    }
}

/// Says whether a claim has run out.
pub(super) async fn has_lapsed<E: WorkflowTable>(
    reader: &DatabaseConnection,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let c = E::columns();
    let row: Option<i64> = E::find()
        .select_only()
        .column(c.id)
        .filter(c.status.eq(E::STATUSES.processing))
        .filter(c.claimed_until.lte(now.as_micros()))
        .into_tuple()
        .one(reader)
        .await?;
    Ok(row.is_some())
}

/// Takes back claims that have run out: a row with attempts left waits again, one without ends in *error*.
/// Where there are none, nothing is written.
pub(super) async fn sweep<E: WorkflowTable>(
    database: &Database,
    settings: &WorkflowSettings,
    now: Timestamp,
) -> Result<Swept, DbError> {
    let mut total = Swept::default();
    while has_lapsed::<E>(database.reader(), now).await? {
        let settings = settings.clone();
        let take_back = async move |tx: &DbTx| take_back::<E>(tx, &settings, now).await;
        let swept = database.write("take back lapsed claims", take_back).await?;
        total.requeued += swept.requeued;
        total.given_up += swept.given_up;
        if swept == Swept::default() {
            // Somebody else was quicker.
            break;
        }
    }
    Ok(total)
}

async fn take_back<E: WorkflowTable>(
    tx: &DbTx,
    settings: &WorkflowSettings,
    now: Timestamp,
) -> Result<Swept, DbError> {
    let c = E::columns();
    let lapsed = c.claimed_until.lte(now.as_micros());
    let rows = E::find()
        .filter(c.status.eq(E::STATUSES.processing))
        .filter(lapsed.clone())
        .limit(SWEEP_ROWS)
        .all(tx)
        .await?;
    let mut swept = Swept::default();
    let mut first_due_at: Option<Timestamp> = None;
    for row in rows {
        let state = E::state(&row);
        let vanished = ItemError::transient("the worker that processed it vanished");
        let (left, _) = decide(settings, &state, Err(vanished), now);
        first_due_at = first_due_at.into_iter().chain(left.due_at).min();
        match left.status {
            ItemStatus::Error => swept.given_up += 1,
            _ => swept.requeued += 1,
        }
        leave::<E>(tx, state.id, lapsed.clone(), left, now).await?;
    }
    if let Some(due_at) = first_due_at {
        E::update_waiting(tx, RowsWaiting::Some { due_at }).await?;
    }
    Ok(swept)
}
