//! Named questions to the platform's tables.

use sea_orm::sea_query::{Expr, ExprTrait};

use crate::entity::job::Column;

pub mod access;
pub mod jobs;
pub mod schedules;
pub mod workers;
pub mod workflows;

/// The condition of the index by status, as a constant: a bound value would hide it from the planner.
pub(crate) fn not_completed() -> Expr {
    Expr::col(Column::Status).ne(Expr::Constant("completed".into()))
}

/// The condition of the index of firings whose jobs are under way, as a constant likewise.
pub(crate) fn is_open() -> Expr {
    Expr::col(crate::entity::firing::Column::Open).eq(Expr::Constant(true.into()))
}
