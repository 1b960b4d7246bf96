//! The command line's errors: the one that reaches people, and what only commands know.

pub(crate) use celeriac_server::{Code, Failure};

use crate::service::RunError;

mod report;

pub(crate) use report::report;

/// What a command's work comes to.
pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::failed_to(Code::Internal, error)
            .hint("start it again; jobs that were running come back when their leases end")
    }
}
