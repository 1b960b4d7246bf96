//! Celery's message protocol 1, which is read and never written: everything stands in the body.

use serde::Deserialize;

use super::{DecodeError, Headers, arguments, limits};
use crate::{Arguments, Continuation, RawValue};

/// A body of protocol 1. A chain lies in its `callbacks`; `taskset` is the older name of `group`.
#[derive(Deserialize)]
struct Body {
    task: String,
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    group: Option<String>,
    taskset: Option<String>,
    group_index: Option<i64>,
    retries: Option<u32>,
    eta: Option<String>,
    expires: Option<String>,
    timelimit: Option<(Option<f64>, Option<f64>)>,
    callbacks: Option<Box<RawValue>>,
    errbacks: Option<Box<RawValue>>,
    chord: Option<Box<RawValue>>,
}

/// Reads a body of protocol 1 into the headers that protocol 2 would have had. An instant without an
/// offset is in UTC.
pub(super) fn read(body: &[u8], headers: &mut Headers) -> Result<(Arguments, Continuation), DecodeError> {
    let body: Body = serde_json::from_slice(body).map_err(DecodeError::Version1)?;
    headers.task = Some(body.task);
    headers.group = body.taskset.or(body.group);
    headers.group_index = body.group_index;
    headers.retries = body.retries;
    headers.eta = body.eta;
    headers.expires = body.expires;
    headers.time_limits = limits(body.timelimit);
    let continuation = Continuation {
        callbacks: body.callbacks,
        errbacks: body.errbacks,
        chord: body.chord,
        ..Continuation::default()
    };
    let none = Arguments::default();
    let args = arguments(body.args.unwrap_or(none.positional), body.kwargs.unwrap_or(none.named))?;
    Ok((args, continuation))
}
