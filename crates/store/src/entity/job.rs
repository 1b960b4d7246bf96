//! One row per job: what it is, where it stands and what came of it.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// A job's record. The newest attempt stands in the row itself: a job that runs once and succeeds
/// costs one row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_jobs")]
pub struct Model {
    /// Orders jobs by when they were first heard of; cursors hold it.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// The job's id.
    #[sea_orm(unique, column_type = "String(StringLen::N(155))")]
    pub id: String,
    /// The label it is listed under.
    pub job_type: String,
    /// The task's name; empty where it could not be read.
    pub task: String,
    /// The queue.
    pub queue: String,
    /// One of the seven words.
    pub status: Word,
    /// (generation, delivery, rank) of the event that the row stands at.
    pub version: i64,
    /// The priority, where one was given.
    pub priority: Option<i16>,
    /// Positional arguments: JSON text as it was received.
    #[sea_orm(column_type = "Text")]
    pub args: String,
    /// Named arguments: JSON text as it was received.
    #[sea_orm(column_type = "Text")]
    pub kwargs: String,
    /// The named argument of that name.
    pub account_key: Option<String>,
    /// The first job of the chain of causes.
    pub root_id: Option<String>,
    /// The job that enqueued it.
    pub parent_id: Option<String>,
    /// Retries allowed.
    pub max_retries: Option<i64>,
    /// When its message was made, or it was first heard of.
    pub created_at: Micros,
    /// When it is, or was at first, due.
    pub scheduled_for: Option<Micros>,
    /// After when it is not to run.
    pub expires_at: Option<Micros>,
    /// The newest instant that the row knows of.
    pub updated_at: Micros,
    /// Which run of the task it is at, from 1; 0 before the first.
    pub attempt: i64,
    /// The delivery of the newest run; 0 before the first.
    pub run_delivery: i64,
    /// The worker of the newest run.
    pub worker: Option<String>,
    /// When the newest run began.
    pub started_at: Option<Micros>,
    /// How far the newest run is, 0 to 100.
    pub progress: i16,
    /// What the newest run said it was doing.
    #[sea_orm(column_type = "Text", nullable)]
    pub progress_message: Option<String>,
    /// When it said so.
    pub progress_message_at: Option<Micros>,
    /// The newest intermediate result, JSON text.
    #[sea_orm(column_type = "Text", nullable)]
    pub partial: Option<String>,
    /// When it was told.
    pub partial_at: Option<Micros>,
    /// When the job came to its end.
    pub completed_at: Option<Micros>,
    /// How long the run that succeeded took.
    pub runtime_micros: Option<i64>,
    /// What it returned, JSON text.
    #[sea_orm(column_type = "Text", nullable)]
    pub result: Option<String>,
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
    /// Who stopped it, or why.
    #[sea_orm(column_type = "Text", nullable)]
    pub cancel_reason: Option<String>,
    /// When its message went to the dead letters.
    pub dead_lettered_at: Option<Micros>,
    /// Why it did, in one word.
    pub dead_reason: Option<String>,
    /// The entry of the schedule that it comes from.
    pub schedule: Option<String>,
    /// When that was due.
    pub schedule_due_at: Option<Micros>,
}

impl ActiveModelBehavior for ActiveModel {}

/// A status as the column holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Word {
    /// See [`celeriac_protocol::JobStatus`].
    Scheduled,
    /// Likewise.
    Pending,
    /// Likewise.
    Running,
    /// Likewise.
    Retrying,
    /// Likewise.
    Completed,
    /// Likewise.
    Failed,
    /// Likewise.
    Cancelled,
}

macro_rules! same_words {
    ($($word:ident),*) => {
        impl From<celeriac_protocol::JobStatus> for Word {
            fn from(status: celeriac_protocol::JobStatus) -> Self {
                match status {
                    $(celeriac_protocol::JobStatus::$word => Self::$word,)*
                }
            }
        }

        impl From<Word> for celeriac_protocol::JobStatus {
            fn from(word: Word) -> Self {
                match word {
                    $(Word::$word => Self::$word,)*
                }
            }
        }
    };
}

same_words!(Scheduled, Pending, Running, Retrying, Completed, Failed, Cancelled);

#[cfg(test)]
mod tests {
    use celeriac_protocol::JobStatus;

    use super::*;

    #[test]
    fn column_holds_the_words_that_everybody_uses() {
        for status in JobStatus::ALL {
            let word = Word::from(status);
            assert_eq!(word.to_value(), status.as_str());
            assert_eq!(JobStatus::from(word), status);
        }
    }
}
