//! What came of each of several jobs: printed as it comes, with the worst of it as the exit code.

use celeriac_control::jobs::{Each, JobsError};
use celeriac_protocol::JobId;
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;

/// A job that was left as it is, as JSON. The field names are stable.
#[derive(Serialize)]
struct RefusedView<'a> {
    id: &'a JobId,
    /// Why, in one of the words of [`JobsError::word`].
    refused: &'static str,
    message: String,
}

/// Prints what came of a job by `print`; where it was left as it is and it was one of several, why.
///
/// # Errors
/// It was left as it is and was the only one, or queue or database failed.
pub(super) fn each<T>(
    context: &Context,
    each: Each<T>,
    several: bool,
    print: impl Fn(&Context, &JobId, &T) -> Result,
) -> Result<Exit> {
    let Each { id, result } = each;
    let error = match result {
        Ok(done) => return print(context, &id, &done).map(|()| Exit::Done),
        Err(error) => error,
    };
    if !several || !error.is_refusal() {
        return Err(error.into());
    }
    let word = error.word();
    let told = CliError::from(error);
    let (exit, message) = (told.code().exit(), told.to_string());
    if context.output.is_json() {
        context.output.json(&RefusedView { id: &id, refused: word, message })?;
    } else {
        context.output.note(message);
    }
    Ok(exit)
}

/// Returns the worse of two: what is not there before what was left as it is.
pub(super) fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Done, other) => other,
        (one, Exit::Done) => one,
        (Exit::NotFound, _) | (_, Exit::NotFound) => Exit::NotFound,
        (one, _) => one,
    }
}

impl From<JobsError> for CliError {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::Unknown { id } => Self::plain(Code::UnknownJob, format!("there is no job {id}")),
            JobsError::Unrecorded { id, queue } => Self::plain(
                Code::UnknownJob,
                format!("there is no record of job {id}"),
            )
            .hint(format!(
                "its message is in queue {queue}; its task leaves no record until it fails, or none at all"
            )),
            JobsError::NotEnded { id, status } => {
                Self::plain(Code::JobState, format!("job {id} has not ended, it is {status}"))
            }
            JobsError::ArgumentsCut { id } => Self::failed_to(Code::JobState, format_args!("copy job {id}"))
                .because("its arguments were too long to be kept in the record"),
            JobsError::Arguments { id, source } => {
                Self::failed_to(Code::InvalidArguments, format_args!("change the arguments of job {id}"))
                    .caused_by(&source)
            }
            JobsError::NoLetter { id } => {
                Self::plain(Code::UnknownDeadLetter, format!("there is no dead letter of job {id}"))
            }
            JobsError::Enqueue(error) => error.into(),
            JobsError::Broker(error) => error.into(),
            JobsError::Store(error) => error.into(),
            other => Self::failed_to(Code::Internal, &other),
        }
    }
}
