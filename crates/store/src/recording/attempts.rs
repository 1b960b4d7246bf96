//! Attempts that are over: what an event says of one, and how two such sayings go together.

use celeriac_protocol::{JobError, JobEvent, What, without_nul};

use crate::entity::attempt::{Model, Word};
use crate::micros::Micros;

/// Returns an attempt of which nothing is known; so far its worker seems to have vanished.
pub(super) fn blank() -> Model {
    Model {
        job_seq: 0,
        generation: 0,
        delivery: 0,
        attempt: 0,
        worker: None,
        started_at: None,
        finished_at: None,
        outcome: Word::Lost,
        runtime_micros: None,
        error_kind: None,
        error_type: None,
        error_message: None,
        traceback: None,
    }
}

/// Returns what a start that came too late for the job's row says of its attempt.
pub(super) fn started(event: &JobEvent, worker: &str) -> Model {
    Model { worker: Some(worker.to_owned()), started_at: Some(event.at.into()), ..of(event) }
}

/// Returns what an end says of its attempt; `None` for events that end none.
pub(super) fn ended(event: &JobEvent) -> Option<Model> {
    let (outcome, error, runtime) = match &event.what {
        What::Enqueued | What::Started { .. } | What::Progressed { .. } => return None,
        What::Succeeded { runtime_micros, .. } => (Word::Succeeded, None, *runtime_micros),
        What::Retried { error, .. } => (Word::Retried, Some(error), None),
        What::Snoozed { .. } => (Word::Snoozed, None, None),
        What::Released => (Word::Released, None, None),
        What::Lost => (Word::Lost, None, None),
        What::Failed { .. } if event.is_guess() => (Word::Lost, None, None),
        What::Failed { error, .. } => (Word::Failed, Some(error), None),
        What::Cancelled { .. } => (Word::Cancelled, None, None),
    };
    // What ends before it was handed out has no attempt.
    if event.delivery == 0 {
        return None;
    }
    let finished_at = (outcome != Word::Lost).then(|| Micros::from(event.at));
    let runtime_micros = runtime.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX));
    Some(with_error(Model { finished_at, outcome, runtime_micros, ..of(event) }, error))
}

/// Adds what `other` knows of the same attempt.
///
/// How it ended is told by the stronger of the two: the worker's word on an attempt that was not
/// the job's last outweighs an end of the job, which may have come from outside; and any end
/// outweighs silence.
pub(super) fn merge(known: &mut Model, other: Model) {
    known.worker = known.worker.take().or(other.worker);
    known.started_at = known.started_at.or(other.started_at);
    if strength(other.outcome) > strength(known.outcome) {
        known.outcome = other.outcome;
        known.attempt = other.attempt;
        known.finished_at = other.finished_at;
        known.runtime_micros = other.runtime_micros;
        known.error_kind = other.error_kind;
        known.error_type = other.error_type;
        known.error_message = other.error_message;
        known.traceback = other.traceback;
    }
}

fn strength(outcome: Word) -> u8 {
    match outcome {
        Word::Lost => 0,
        Word::Failed | Word::Cancelled => 1,
        Word::Succeeded | Word::Retried | Word::Snoozed | Word::Released => 2,
    }
}

fn of(event: &JobEvent) -> Model {
    Model {
        generation: event.job.generation.into(),
        delivery: event.delivery.into(),
        attempt: event.attempt.into(),
        ..blank()
    }
}

fn with_error(attempt: Model, error: Option<&JobError>) -> Model {
    let Some(error) = error else { return attempt };
    let texts = texts(error.clone());
    Model {
        error_kind: Some(error.kind.as_str().to_owned()),
        error_type: texts.type_name,
        error_message: texts.message,
        traceback: texts.traceback,
        ..attempt
    }
}

/// The texts of an error, as they are kept.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) type_name: Option<String>,
    pub(super) message: Option<String>,
    pub(super) traceback: Option<String>,
}

/// Returns the texts of an error, which need not have been made by [`JobError::new`].
pub(super) fn texts(error: JobError) -> Texts {
    Texts {
        type_name: error.type_name.map(without_nul),
        message: Some(without_nul(error.message)),
        traceback: Some(without_nul(error.traceback)).filter(|text| !text.is_empty()),
    }
}
