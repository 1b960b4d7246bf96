//! What follows a job that has ended: the messages of its links and of its chain, or word to those who wait for
//! the rest of a chain that is broken.

use std::sync::Arc;

use celeriac_protocol::{
    Envelope, ErrorKind, Following, JobError, JobEvent, Outcome, TaskMessage, Timestamp, What,
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
    let client = &shared.client;
    let following = Following {
        parent: message,
        now,
        origin: client.origin(),
        queue_of: &|task| client.queue_of(task),
        priority_of: &|number| client.broker().priority_from_wire(number),
    };
    match outcome {
        Outcome::Succeeded(result) => match message.continuation.next(result, &following) {
            Ok(messages) => published(shared, messages, now),
            // The gate lets through nothing that can't be made.
            Err(error) => {
                tracing::error!(worker = %shared.name, job.id = %message.id, %error, "what follows the job can't be made");
                Follow::default()
            }
        },
        Outcome::Failed { error } => broken(shared, message.continuation.abandoned(&following), error, now),
        Outcome::Retry { .. } | Outcome::Snoozed { .. } | Outcome::Cancelled { .. } => Follow::default(),
    }
}

fn published(shared: &Shared, messages: Vec<TaskMessage>, now: Timestamp) -> Follow {
    let events = messages.iter().map(|message| event(shared, message, now, What::Enqueued)).collect();
    Follow { following: messages.iter().map(TaskMessage::encode).collect(), events }
}

/// Tells that jobs have failed that will never begin, by the error that ended what they were to follow, as Celery
/// does: a client waits for the last of a chain.
fn broken(shared: &Shared, messages: Vec<TaskMessage>, error: &JobError, now: Timestamp) -> Follow {
    let mut error = error.clone();
    if error.kind == ErrorKind::WorkerLost {
        // No guess: it is known that it will not run.
        error.kind = ErrorKind::Error;
    }
    let failed = |message: &TaskMessage| {
        event(shared, message, now, What::Failed { error: error.clone(), dead_lettered: false })
    };
    Follow { following: Vec::new(), events: messages.iter().map(failed).collect() }
}

fn event(shared: &Shared, message: &TaskMessage, at: Timestamp, what: What) -> JobEvent {
    let job = Arc::new(facts_of(&shared.registry, message));
    JobEvent { at, job, delivery: 0, attempt: 0, what }
}
