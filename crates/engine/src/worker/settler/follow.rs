//! What follows a job that has ended: the messages of its links and of its chain, or word to those who wait for
//! the rest of a chain that is broken.

use std::sync::Arc;

use celeriac_broker::BrokerError;
use celeriac_protocol::{
    Envelope, ErrorKind, Following, JobError, JobEvent, Outcome, TaskMessage, Timestamp, What, error_text,
};

use super::super::Shared;
use super::super::executor::{Ending, Finished};
use crate::client::facts_of;

/// What follows a job.
#[derive(Default)]
pub(super) struct Follow {
    /// Messages to be published; their ids are the same however often this is asked.
    pub(super) following: Vec<Envelope>,
    /// What is told of them.
    pub(super) events: Vec<JobEvent>,
}

/// Returns what follows a job.
pub(super) fn up(shared: &Shared, finished: &Finished, now: Timestamp) -> Follow {
    let Ending::Outcome { outcome, message: Some(message), .. } = &finished.ending else {
        return Follow::default();
    };
    match outcome {
        Outcome::Succeeded(result) => {
            match after(shared, message, now, |following| message.continuation.next(result, following)) {
                Ok(messages) => published(shared, messages, now),
                // The gate lets through nothing that can't be made.
                Err(error) => {
                    tracing::error!(worker = %shared.name, job.id = %message.id, %error, "what follows the job can't be made");
                    Follow::default()
                }
            }
        }
        Outcome::Failed { error } => {
            let events = broken(shared, abandoned(shared, message, now), error, now);
            Follow { following: Vec::new(), events }
        }
        Outcome::Retry { .. } | Outcome::Snoozed { .. } | Outcome::Cancelled { .. } => Follow::default(),
    }
}

/// Returns what is told of a message that the transport refuses: its job has failed, and the rest of its chain never
/// begins. The job before it has done its work all the same.
pub(super) fn refused(shared: &Shared, envelope: &Envelope, error: &BrokerError) -> Vec<JobEvent> {
    let now = shared.clock().now();
    let text = format!("its message could not be sent to {}: {}", envelope.queue, error_text(error));
    let error = JobError::new(ErrorKind::Error, text).with_type("Undeliverable");
    match TaskMessage::decode(envelope) {
        Ok(message) => {
            let rest = abandoned(shared, &message, now);
            broken(shared, std::iter::once(message).chain(rest).collect(), &error, now)
        }
        Err(unread) => {
            tracing::error!(worker = %shared.name, job.id = %envelope.id, error = error_text(&unread), "message that could not be sent can't be read");
            Vec::new()
        }
    }
}

fn abandoned(shared: &Shared, message: &TaskMessage, now: Timestamp) -> Vec<TaskMessage> {
    after(shared, message, now, |following| message.continuation.abandoned(following))
}

/// Makes what comes after a job.
fn after<T>(
    shared: &Shared,
    parent: &TaskMessage,
    now: Timestamp,
    make: impl FnOnce(&Following<'_>) -> T,
) -> T {
    let client = &shared.client;
    make(&Following {
        parent,
        now,
        origin: client.origin(),
        queue_of: &|task| client.queue_of(task),
        priority_of: &|number| client.broker().priority_from_wire(number),
    })
}

fn published(shared: &Shared, messages: Vec<TaskMessage>, now: Timestamp) -> Follow {
    let events = messages.iter().map(|message| event(shared, message, now, What::Enqueued)).collect();
    Follow { following: messages.iter().map(TaskMessage::encode).collect(), events }
}

/// Tells that jobs have failed that will never begin, by the error that ended what they were to follow, as Celery
/// does: a client waits for the last of a chain.
fn broken(shared: &Shared, messages: Vec<TaskMessage>, error: &JobError, now: Timestamp) -> Vec<JobEvent> {
    let mut error = error.clone();
    if error.kind == ErrorKind::WorkerLost {
        // No guess: it is known that it will not run.
        error.kind = ErrorKind::Error;
    }
    let failed = |message: &TaskMessage| {
        event(shared, message, now, What::Failed { error: error.clone(), dead_lettered: false })
    };
    messages.iter().map(failed).collect()
}

fn event(shared: &Shared, message: &TaskMessage, at: Timestamp, what: What) -> JobEvent {
    let job = Arc::new(facts_of(&shared.registry, message));
    JobEvent { at, job, delivery: 0, attempt: 0, what }
}
