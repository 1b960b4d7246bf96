//! Named questions to the platform's tables.

use sea_orm::sea_query::{Expr, ExprTrait};

use crate::entity::job::Column;

pub mod jobs;
pub mod workflows;

/// The condition of the index by status, as a constant: a bound value would hide it from the planner.
pub(crate) fn not_completed() -> Expr {
    Expr::col(Column::Status).ne(Expr::Constant("completed".into()))
}
