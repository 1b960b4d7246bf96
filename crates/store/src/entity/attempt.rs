//! One row per attempt that is over and is not the one a job's own row holds.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// A run that ended in anything but the job's success, or whose worker vanished.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_attempts")]
pub struct Model {
    /// The job's row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_seq: i64,
    /// How often the job had been revived.
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i64,
    /// Which hand-out of the message it was.
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery: i64,
    /// Which run of the task it was, from 1.
    pub attempt: i64,
    /// The worker.
    pub worker: Option<String>,
    /// When it began; absent where it is not known that it did.
    pub started_at: Option<Micros>,
    /// When it ended; absent where nobody saw it.
    pub finished_at: Option<Micros>,
    /// What it came to, in one word.
    pub outcome: Word,
    /// How long it ran.
    pub runtime_micros: Option<i64>,
    /// The kind of failure, in one word.
    pub error_kind: Option<String>,
    /// The error's type.
    pub error_type: Option<String>,
    /// What a person reads first.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// The whole story.
    #[sea_orm(column_type = "Text", nullable)]
    pub traceback: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

/// An outcome as the column holds it; see [`crate::AttemptOutcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Word {
    /// Its worker vanished.
    Lost,
    /// It ended well.
    Succeeded,
    /// It failed, and the job ran again.
    Retried,
    /// It asked to be run later.
    Snoozed,
    /// Its worker stopped and gave it back.
    Released,
    /// It failed for good.
    Failed,
    /// It was stopped.
    Cancelled,
}
