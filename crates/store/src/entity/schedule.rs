//! One row per entry of the schedule: what is to be enqueued, and when. People change it; the beat only switches off
//! what has come to its end.
//!
//! Words are plain text here: one that a newer version wrote makes its own entry unreadable and no other.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

use crate::micros::Micros;

/// An entry of the schedule.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_schedules")]
pub struct Model {
    /// Orders entries by when they were made.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// What its jobs' ids derive from: another one for each entry that ever was, whatever its name.
    #[sea_orm(column_type = "String(StringLen::N(36))")]
    pub uid: String,
    /// Its name.
    #[sea_orm(unique, column_type = "String(StringLen::N(200))")]
    pub name: String,
    /// The task's name.
    pub task: String,
    /// Positional arguments, a JSON array.
    #[sea_orm(column_type = "Text")]
    pub args: String,
    /// Named arguments, a JSON object.
    #[sea_orm(column_type = "Text")]
    pub kwargs: String,
    /// The queue, where one is named.
    pub queue: Option<String>,
    /// The priority, where one is given.
    pub priority: Option<i16>,
    /// Headers that its messages carry besides Celery's, a JSON object.
    #[sea_orm(column_type = "Text")]
    pub headers: String,
    /// After when neither it nor its jobs run.
    pub expires_at: Option<Micros>,
    /// How long after its enqueueing a job may begin.
    pub expire_after: Option<i64>,
    /// When it is due, in the text form of a schedule.
    #[sea_orm(column_type = "Text")]
    pub spec: String,
    /// The zone in which that is meant, an IANA name.
    pub zone: String,
    /// What is left out, in the text form of a calendar.
    #[sea_orm(column_type = "Text", nullable)]
    pub calendar: Option<String>,
    /// From when an interval counts, where that is not its making.
    pub anchor_at: Option<Micros>,
    /// Not due before.
    pub start_at: Option<Micros>,
    /// Not due after.
    pub end_at: Option<Micros>,
    /// Whether it fires.
    pub enabled: bool,
    /// Since when it does: what was due before is nobody's.
    pub enabled_at: Micros,
    /// Whether it fires once and is switched off.
    pub one_off: bool,
    /// What it is for.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// Whose it is.
    pub owner: String,
    /// What happens while earlier jobs of it have not ended.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub overlap: String,
    /// How many of its jobs may be under way before that matters.
    pub max_instances: i32,
    /// What happens to due times that were missed.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub catch_up: String,
    /// How many of them at most.
    pub catch_up_limit: i32,
    /// How far back at most.
    pub catch_up_window: Option<i64>,
    /// Whether several due times that are met together make one job.
    pub coalesce: bool,
    /// By how much at most a firing is put off, so that not all come at once.
    pub jitter: i64,
    /// How late a due time may be met and still count as met.
    pub misfire_grace: Option<i64>,
    /// Where it came from.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub origin: String,
    /// What its declaration said last, as JSON.
    #[sea_orm(column_type = "Text", nullable)]
    pub declared: Option<String>,
    /// Why it was switched off by itself.
    #[sea_orm(column_type = "Text", nullable)]
    pub disabled_reason: Option<String>,
    /// The same in one word.
    #[sea_orm(column_type = "String(StringLen::N(16))", nullable)]
    pub disabled_word: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// When somebody changed it.
    pub changed_at: Micros,
    /// How often it was changed.
    pub revision: i64,
}

impl ActiveModelBehavior for ActiveModel {}
