//! The table of Celery's database backend that holds the result of each task.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

/// The result of one task, with the columns of Celery's `result_extended`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celery_taskmeta")]
pub struct Model {
    /// Its number.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The task's id.
    #[sea_orm(unique)]
    pub task_id: Option<String>,
    /// Where it stands, in Celery's words.
    pub status: Option<String>,
    /// The result, in the serializer of results.
    pub result: Option<Vec<u8>>,
    /// When it was written: naive, in UTC.
    pub date_done: Option<String>,
    /// The trace of what went wrong.
    pub traceback: Option<String>,
    /// Tasks that it has sent.
    pub children: Option<Vec<u8>>,
    /// The task's name.
    pub name: Option<String>,
    /// Positional arguments.
    pub args: Option<Vec<u8>>,
    /// Named arguments.
    pub kwargs: Option<Vec<u8>>,
    /// The worker.
    pub worker: Option<String>,
    /// How often it was tried again.
    pub retries: Option<i32>,
    /// The queue.
    pub queue: Option<String>,
    /// Its stamps.
    pub stamps: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
