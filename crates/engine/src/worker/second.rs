//! Second messages of one run: a relay that could not know whether the queue had the first has handed it on again.
//!
//! Redis and the databases refuse the second while the first is in its queue; RabbitMQ takes it. The relay marks what it
//! hands on again, so that nothing is looked up for any other message.

use std::time::Duration;

use celeriac_broker::{Delivery, Settle};
use celeriac_protocol::{JobStatus, TaskMessage, Timestamp, error_text};

use super::Shared;
use crate::RecordError;

/// How long a message rests that may be the second: the first stands before it in its queue, so that by then its job has
/// begun, and is recorded to have.
const REST: Duration = Duration::from_secs(5);

/// How long it rests while its job runs by another message.
const REST_WHILE_RUNNING: Duration = Duration::from_secs(30);

/// How long it is put off altogether. What runs for longer may run twice, rather than never where the first was lost.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What is known of the run that a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It has not begun, or nothing is recorded of it.
    Waiting,
    /// It goes on, or waits to be tried again.
    Begun,
    /// It has ended.
    Over,
    /// The record could not be read.
    Unknown,
}

/// What is done with a message that may be the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Run,
    Drop,
    Rest(Duration),
}

/// Looks whether a message that was handed on again is the second of its run; returns how to let go of it then, or for
/// now, and `None` where it is to run.
pub(super) async fn look(shared: &Shared, delivery: &Delivery, message: &TaskMessage) -> Option<Settle> {
    let again_at = message.celeriac.again_at?;
    let stand = stand(shared, message).await.unwrap_or_else(|error| {
        let (id, error) = (&message.id, error_text(&error));
        tracing::warn!(worker = %shared.name, job.id = %id, error, "record could not be read, the message is put off");
        Stand::Unknown
    });
    let now = shared.clock().now();
    match judge(stand, delivery.delivery, delivery.lost, now.since(again_at)) {
        Verdict::Run => None,
        Verdict::Drop => {
            tracing::info!(worker = %shared.name, job.id = %message.id, "second message of a job that has ended is dropped");
            Some(Settle::Ack)
        }
        Verdict::Rest(rest) => Some(put_off(now + rest)),
    }
}

async fn stand(shared: &Shared, message: &TaskMessage) -> Result<Stand, RecordError> {
    let (recorder, id) = (shared.client.recorder(), &message.id);
    let known = recorder.generations(std::slice::from_ref(id)).await?;
    match known.get(id) {
        Some(generation) if *generation > message.celeriac.generation => return Ok(Stand::Over),
        Some(generation) if *generation == message.celeriac.generation => {}
        _ => return Ok(Stand::Waiting),
    }
    let status = recorder.snapshot(id).await?.map(|snapshot| snapshot.status);
    Ok(match status {
        None | Some(JobStatus::Pending | JobStatus::Scheduled) => Stand::Waiting,
        Some(JobStatus::Running | JobStatus::Retrying) => Stand::Begun,
        Some(JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled) => Stand::Over,
    })
}

/// Decides by where its run stands, how often the message was handed out, how often in vain, and how long ago it was
/// handed on again. One whose holder was lost may itself be the one whose run has begun.
fn judge(stand: Stand, delivery: u32, lost: u32, waited: Duration) -> Verdict {
    let is_patient = waited < PATIENCE;
    match stand {
        Stand::Over => Verdict::Drop,
        Stand::Unknown if is_patient => Verdict::Rest(REST),
        Stand::Waiting if delivery <= 1 && is_patient => Verdict::Rest(REST),
        Stand::Begun if lost == 0 && is_patient => Verdict::Rest(REST_WHILE_RUNNING),
        Stand::Waiting | Stand::Begun | Stand::Unknown => Verdict::Run,
    }
}

fn put_off(until: Timestamp) -> Settle {
    Settle::Requeue { content: None, due_at: Some(until), charged: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stand: Stand, delivery: u32, lost: u32, waited: Duration, expected: Verdict) {
        assert_eq!(
            judge(stand, delivery, lost, waited),
            expected,
            "{stand:?}, {delivery}, {lost}, {waited:?}"
        );
    }

    #[test]
    fn second_message_is_dropped_once_its_run_is_over_and_rests_until_then() {
        let soon = Duration::from_secs(1);
        check(Stand::Waiting, 1, 0, soon, Verdict::Rest(REST));
        check(Stand::Begun, 1, 0, soon, Verdict::Rest(REST_WHILE_RUNNING));
        check(Stand::Begun, 9, 0, soon, Verdict::Rest(REST_WHILE_RUNNING));
        check(Stand::Over, 1, 0, soon, Verdict::Drop);
        check(Stand::Over, 3, 2, PATIENCE, Verdict::Drop);
        check(Stand::Unknown, 1, 0, soon, Verdict::Rest(REST));
    }

    #[test]
    fn message_that_may_be_the_only_one_runs() {
        let soon = Duration::from_secs(1);
        check(Stand::Waiting, 2, 0, soon, Verdict::Run);
        check(Stand::Begun, 2, 1, soon, Verdict::Run);
        check(Stand::Waiting, 1, 0, PATIENCE, Verdict::Run);
        check(Stand::Begun, 1, 0, PATIENCE, Verdict::Run);
        check(Stand::Unknown, 1, 0, PATIENCE, Verdict::Run);
    }
}
