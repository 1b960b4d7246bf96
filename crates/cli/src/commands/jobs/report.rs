//! What came of each of several jobs: printed as it comes, with the worst of it as the exit code.

use celeriac_control::jobs::Each;
use celeriac_protocol::JobId;
use serde::Serialize;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;

/// A job that was left as it is, as JSON. The field names are stable.
#[derive(Serialize)]
struct RefusedView<'a> {
    id: &'a JobId,
    /// Why, in one of the words of [`celeriac_control::jobs::JobsError::word`].
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
    let told = Failure::from(error);
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
