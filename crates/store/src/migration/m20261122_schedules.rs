//! Makes the tables of the schedule: its entries, where each stands, and what came of their due times.
//!
//! Written out and not made from the entities, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{
    ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, ForeignKey, ForeignKeyAction,
    ForeignKeyCreateStatement, Index, IndexCreateStatement, Table, TableCreateStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait};

use crate::entity::{firing, schedule, schedule_state};

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        for table in [schedules(), states(), firings()] {
            tx.execute(&table).await?;
        }
        for index in indexes() {
            tx.execute(&index).await?;
        }
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::drop().table(firing::Entity)).await?;
        tx.execute(Table::drop().table(schedule_state::Entity)).await?;
        tx.execute(Table::drop().table(schedule::Entity)).await?;
        Ok(())
    })
}

fn schedules() -> TableCreateStatement {
    use schedule::Column as C;
    Table::create()
        .table(schedule::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Uid).string_len(36).not_null())
        .col(ColumnDef::new(C::Name).string_len(200).not_null().unique_key())
        .col(ColumnDef::new(C::Task).string().not_null())
        .col(ColumnDef::new(C::Queue).string())
        .col(ColumnDef::new(C::Priority).small_integer())
        .col(ColumnDef::new(C::ExpiresAt).big_integer())
        .col(ColumnDef::new(C::ExpireAfter).big_integer())
        .col(ColumnDef::new(C::Spec).text().not_null())
        .col(ColumnDef::new(C::Zone).string().not_null())
        .col(ColumnDef::new(C::AnchorAt).big_integer())
        .col(ColumnDef::new(C::StartAt).big_integer())
        .col(ColumnDef::new(C::EndAt).big_integer())
        .col(ColumnDef::new(C::Enabled).boolean().not_null())
        .col(ColumnDef::new(C::EnabledAt).big_integer().not_null())
        .col(ColumnDef::new(C::OneOff).boolean().not_null())
        .col(ColumnDef::new(C::Owner).string().not_null())
        .col(ColumnDef::new(C::Overlap).string_len(16).not_null())
        .col(ColumnDef::new(C::MaxInstances).integer().not_null())
        .col(ColumnDef::new(C::CatchUp).string_len(16).not_null())
        .col(ColumnDef::new(C::CatchUpLimit).integer().not_null())
        .col(ColumnDef::new(C::CatchUpWindow).big_integer())
        .col(ColumnDef::new(C::Coalesce).boolean().not_null())
        .col(ColumnDef::new(C::Jitter).big_integer().not_null())
        .col(ColumnDef::new(C::MisfireGrace).big_integer())
        .col(ColumnDef::new(C::Origin).string_len(16).not_null())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::ChangedAt).big_integer().not_null())
        .col(ColumnDef::new(C::Revision).big_integer().not_null())
        .col(ColumnDef::new(C::Args).text().not_null())
        .col(ColumnDef::new(C::Kwargs).text().not_null())
        .col(ColumnDef::new(C::Headers).text().not_null())
        .col(ColumnDef::new(C::Description).text().not_null())
        .col(ColumnDef::new(C::Calendar).text())
        .col(ColumnDef::new(C::Declared).text())
        .col(ColumnDef::new(C::DisabledReason).text())
        .to_owned()
}

fn states() -> TableCreateStatement {
    use schedule_state::Column as C;
    Table::create()
        .table(schedule_state::Entity)
        .col(ColumnDef::new(C::ScheduleId).big_integer().not_null().primary_key())
        .col(ColumnDef::new(C::WakeAt).big_integer())
        .col(ColumnDef::new(C::NextDueAt).big_integer())
        .col(ColumnDef::new(C::LastDueAt).big_integer())
        .col(ColumnDef::new(C::WaitingDueAt).big_integer())
        .col(ColumnDef::new(C::LastRunAt).big_integer())
        .col(ColumnDef::new(C::TotalRunCount).big_integer().not_null())
        .col(ColumnDef::new(C::LastError).text())
        .foreign_key(&mut of_schedule(
            "celeriac_schedule_states_schedule",
            C::ScheduleId,
            schedule_state::Entity,
        ))
        .to_owned()
}

fn firings() -> TableCreateStatement {
    use firing::Column as C;
    Table::create()
        .table(firing::Entity)
        .col(ColumnDef::new(C::ScheduleId).big_integer().not_null())
        .col(ColumnDef::new(C::DueAt).big_integer().not_null())
        .col(ColumnDef::new(C::HandledAt).big_integer().not_null())
        .col(ColumnDef::new(C::Outcome).string_len(16).not_null())
        .col(ColumnDef::new(C::Count).big_integer().not_null())
        .col(ColumnDef::new(C::FirstDueAt).big_integer())
        .col(ColumnDef::new(C::JobId).string_len(155))
        .col(ColumnDef::new(C::Open).boolean().not_null())
        .col(ColumnDef::new(C::Cancels).text())
        .col(ColumnDef::new(C::Reason).text())
        .primary_key(Index::create().col(C::ScheduleId).col(C::DueAt))
        .foreign_key(&mut of_schedule("celeriac_firings_schedule", C::ScheduleId, firing::Entity))
        .to_owned()
}

/// States and firings go with their entry.
fn of_schedule<E: EntityTrait, C: ColumnTrait>(name: &str, column: C, table: E) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, column)
        .to(schedule::Entity, schedule::Column::Id)
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

/// The beat finds what is due by the first alone; the next two hold a few rows whatever the table's size; the last is
/// for the pruner.
fn indexes() -> [IndexCreateStatement; 4] {
    use firing::Column as F;
    let wake = Index::create()
        .name("celeriac_schedule_states_wake")
        .table(schedule_state::Entity)
        .col(schedule_state::Column::WakeAt)
        .to_owned();
    let open = Index::create()
        .name("celeriac_firings_open")
        .table(firing::Entity)
        .col(F::ScheduleId)
        .and_where(crate::query::is_open())
        .to_owned();
    let cancels = Index::create()
        .name("celeriac_firings_cancels")
        .table(firing::Entity)
        .col(F::ScheduleId)
        .col(F::DueAt)
        .and_where(Expr::col(F::Cancels).is_not_null())
        .to_owned();
    let handled = Index::create()
        .name("celeriac_firings_handled")
        .table(firing::Entity)
        .col(F::HandledAt)
        .col(F::ScheduleId)
        .col(F::DueAt)
        .to_owned();
    [wake, open, cancels, handled]
}
