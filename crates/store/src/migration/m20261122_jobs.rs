//! Makes the tables of jobs, attempts and counts.
//!
//! Written out and not made from the entities, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::ConditionalStatement as _;
use sea_orm::sea_query::{
    ColumnDef, ForeignKey, ForeignKeyAction, Index, IndexCreateStatement, Table, TableCreateStatement,
};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::{attempt, count, job};

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(&jobs()).await?;
        for index in job_indexes() {
            tx.execute(&index).await?;
        }
        tx.execute(&attempts()).await?;
        tx.execute(&counts()).await?;
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::drop().table(count::Entity)).await?;
        tx.execute(Table::drop().table(attempt::Entity)).await?;
        tx.execute(Table::drop().table(job::Entity)).await?;
        Ok(())
    })
}

/// What can be long stands last, so that reading the rest never follows it over many pages.
fn jobs() -> TableCreateStatement {
    use job::Column as C;
    Table::create()
        .table(job::Entity)
        .col(ColumnDef::new(C::Seq).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Id).string_len(155).not_null().unique_key())
        .col(ColumnDef::new(C::JobType).string().not_null())
        .col(ColumnDef::new(C::Task).string().not_null())
        .col(ColumnDef::new(C::Queue).string().not_null())
        .col(ColumnDef::new(C::Status).string_len(16).not_null())
        .col(ColumnDef::new(C::Version).big_integer().not_null())
        .col(ColumnDef::new(C::Priority).small_integer())
        .col(ColumnDef::new(C::AccountKey).string())
        .col(ColumnDef::new(C::RootId).string_len(155))
        .col(ColumnDef::new(C::ParentId).string_len(155))
        .col(ColumnDef::new(C::MaxRetries).big_integer())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::ScheduledFor).big_integer())
        .col(ColumnDef::new(C::ExpiresAt).big_integer())
        .col(ColumnDef::new(C::UpdatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::Attempt).big_integer().not_null())
        .col(ColumnDef::new(C::RunDelivery).big_integer().not_null())
        .col(ColumnDef::new(C::Worker).string())
        .col(ColumnDef::new(C::StartedAt).big_integer())
        .col(ColumnDef::new(C::Progress).small_integer().not_null())
        .col(ColumnDef::new(C::ProgressMessageAt).big_integer())
        .col(ColumnDef::new(C::PartialAt).big_integer())
        .col(ColumnDef::new(C::CompletedAt).big_integer())
        .col(ColumnDef::new(C::RuntimeMicros).big_integer())
        .col(ColumnDef::new(C::ErrorKind).string())
        .col(ColumnDef::new(C::ErrorType).string())
        .col(ColumnDef::new(C::DeadLetteredAt).big_integer())
        .col(ColumnDef::new(C::DeadReason).string())
        .col(ColumnDef::new(C::Args).text().not_null())
        .col(ColumnDef::new(C::Kwargs).text().not_null())
        .col(ColumnDef::new(C::ProgressMessage).text())
        .col(ColumnDef::new(C::Partial).text())
        .col(ColumnDef::new(C::Result).text())
        .col(ColumnDef::new(C::ErrorMessage).text())
        .col(ColumnDef::new(C::Traceback).text())
        .col(ColumnDef::new(C::CancelReason).text())
        .to_owned()
}

/// Each index is paid for by every job; these two carry the lists that would else read whole tables.
///
/// By status only for what is not completed: nearly all rows are, and a job that is recorded when it
/// was enqueued and again when it is done leaves that index as it found it.
fn job_indexes() -> [IndexCreateStatement; 2] {
    use job::Column as C;
    let standing = Index::create()
        .name("celeriac_jobs_status_seq")
        .table(job::Entity)
        .col(C::Status)
        .col(C::Seq)
        .and_where(crate::query::not_completed())
        .to_owned();
    let task =
        Index::create().name("celeriac_jobs_task_seq").table(job::Entity).col(C::Task).col(C::Seq).to_owned();
    [standing, task]
}

fn attempts() -> TableCreateStatement {
    use attempt::Column as C;
    let of_job = ForeignKey::create()
        .name("celeriac_attempts_job")
        .from(attempt::Entity, C::JobSeq)
        .to(job::Entity, job::Column::Seq)
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    Table::create()
        .table(attempt::Entity)
        .col(ColumnDef::new(C::JobSeq).big_integer().not_null())
        .col(ColumnDef::new(C::Generation).big_integer().not_null())
        .col(ColumnDef::new(C::Delivery).big_integer().not_null())
        .col(ColumnDef::new(C::Attempt).big_integer().not_null())
        .col(ColumnDef::new(C::Worker).string())
        .col(ColumnDef::new(C::StartedAt).big_integer())
        .col(ColumnDef::new(C::FinishedAt).big_integer())
        .col(ColumnDef::new(C::Outcome).string_len(16).not_null())
        .col(ColumnDef::new(C::RuntimeMicros).big_integer())
        .col(ColumnDef::new(C::ErrorKind).string())
        .col(ColumnDef::new(C::ErrorType).string())
        .col(ColumnDef::new(C::ErrorMessage).text())
        .col(ColumnDef::new(C::Traceback).text())
        .primary_key(Index::create().col(C::JobSeq).col(C::Generation).col(C::Delivery))
        .foreign_key(&mut of_job.clone())
        .to_owned()
}

fn counts() -> TableCreateStatement {
    use count::Column as C;
    Table::create()
        .table(count::Entity)
        .col(ColumnDef::new(C::Task).string().not_null())
        .col(ColumnDef::new(C::Standing).string_len(16).not_null())
        .col(ColumnDef::new(C::Shard).small_integer().not_null())
        .col(ColumnDef::new(C::Jobs).big_integer().not_null())
        .primary_key(Index::create().col(C::Task).col(C::Standing).col(C::Shard))
        .to_owned()
}
