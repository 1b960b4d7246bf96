//! Decides whether a delivery may run at all.

use std::sync::Arc;

use celeriac_broker::Delivery;
use celeriac_protocol::{ErrorKind, JobError, JobFacts, TaskMessage, Timestamp};

use super::Shared;
use crate::RegisteredTask;
use crate::client::{facts_of, facts_of_unreadable};

/// What the gate decided.
pub(super) enum Passage {
    /// It runs.
    Admitted(Box<Admitted>),
    /// It does not; this is what is recorded and done instead. With the message where more than one waits for it.
    Refused(Counted, Refusal, Option<Box<TaskMessage>>),
}

/// A job, and which of its hand-outs and attempts a delivery is.
#[derive(Clone)]
pub(super) struct Counted {
    pub(super) job: Arc<JobFacts>,
    pub(super) number: u32,
    pub(super) attempt: u32,
}

/// A delivery that may run, understood.
pub(super) struct Admitted {
    pub(super) message: TaskMessage,
    pub(super) task: Arc<RegisteredTask>,
    pub(super) counted: Counted,
}

/// Why a delivery does not run.
pub(super) enum Refusal {
    /// It is over before it began.
    Cancelled(String),
    /// It goes to the dead letters.
    Dead(JobError),
    /// It was handed out before its time, which stands where the transport does not look.
    Early(Timestamp),
}

/// Looks at a delivery. Nothing is changed by it.
pub(super) fn check(shared: &Shared, delivery: &Delivery, now: Timestamp) -> Passage {
    let message = match TaskMessage::decode_accepted(&delivery.envelope, shared.options.accept_content) {
        Ok(message) => message,
        Err(error) => {
            let job = Arc::new(facts_of_unreadable(&delivery.envelope));
            let counted = Counted { job, number: delivery.delivery, attempt: delivery.attempt };
            return Passage::Refused(counted, Refusal::Dead(error.to_job_error()), None);
        }
    };
    let job = Arc::new(facts_of(&shared.registry, &message));
    let (number, attempt) = message.celeriac.counted(delivery.delivery, delivery.attempt);
    let counted = Counted { job, number, attempt };
    if let Some(refusal) = refuse(shared, delivery, &message, now) {
        return Passage::Refused(counted, refusal, followed(message));
    }
    match shared.registry.find(&message.task).cloned() {
        Some(task) => Passage::Admitted(Box::new(Admitted { message, task, counted })),
        None => Passage::Refused(counted, Refusal::Dead(unknown_task(&message.task)), followed(message)),
    }
}

/// Returns a message that others are to follow.
fn followed(message: TaskMessage) -> Option<Box<TaskMessage>> {
    (!message.continuation.parts().is_empty()).then(|| Box::new(message))
}

fn refuse(shared: &Shared, delivery: &Delivery, message: &TaskMessage, now: Timestamp) -> Option<Refusal> {
    if let Some(reason) = &delivery.cancel_requested {
        return Some(Refusal::Cancelled(reason.clone()));
    }
    if message.expires.is_some_and(|expires| expires <= now) {
        return Some(Refusal::Cancelled("expired".to_owned()));
    }
    if delivery.envelope.due_at.is_none()
        && let Some(eta) = message.eta.filter(|eta| *eta > now)
    {
        return Some(Refusal::Early(eta));
    }
    if delivery.lost >= shared.options.max_deliveries {
        let text = format!("{} workers in a row vanished while they held this message", delivery.lost);
        return Some(Refusal::Dead(JobError::new(ErrorKind::WorkerLost, text).with_type("WorkerLostError")));
    }
    // Before it begins, so that nothing is run by half.
    let unsupported = message.continuation.check_sent(&|to| shared.client.check_destination(to)).err()?;
    Some(Refusal::Dead(JobError::new(ErrorKind::Unsupported, unsupported.to_string())))
}

fn unknown_task(name: &str) -> JobError {
    let text = format!("task \"{name}\" is not registered with this worker");
    JobError::new(ErrorKind::UnknownTask, text).with_type("NotRegistered")
}
