//! Why a job is not running: everything that stands in its way, in the order in which it would have to give way.
//!
//! Pure: what is known of the job, its message and its queue goes in, reasons come out. Command line, API and screens say the
//! same.

use std::time::Duration;

use celeriac_broker::{MessageState, QueueDepth};
use celeriac_engine::Registry;
use celeriac_protocol::{JobStatus, Timestamp};
use celeriac_store::JobSummary;

use crate::words;

/// What is known of a job's surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The tasks that this app knows.
    pub registry: &'a Registry,
    /// Where its message stands; none where no queue has one.
    pub message: Option<&'a MessageState>,
    /// Whether the queue's server can be asked for a message at all.
    pub can_look: bool,
    /// What its queue holds, where it holds anything.
    pub queue: Option<&'a QueueDepth>,
    /// The present instant.
    pub now: Timestamp,
}

/// Something that a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is, in one word. The words are stable.
    pub word: &'static str,
    /// What it is, in a sentence without its full stop.
    pub text: String,
    /// What to do about it, where there is something to do.
    pub advice: Option<String>,
}

/// How long a message may rest after its record says that it waits, before its absence means something.
const SETTLED: Duration = Duration::from_secs(10);

/// Says what stands in the way of a job; nothing where it runs or has ended.
pub fn obstacles(job: &JobSummary, around: &Surroundings<'_>) -> Vec<Obstacle> {
    if job.status == JobStatus::Running || job.status.is_final() {
        return Vec::new();
    }
    let found = [not_due(job, around), expired(job, around), missing(job, around), paused(around)];
    let mut obstacles: Vec<Obstacle> = found.into_iter().flatten().collect();
    obstacles.extend(held(around));
    if obstacles.is_empty() && around.message.is_some() {
        obstacles.push(in_line(job, around));
    }
    obstacles.extend(unknown_task(job, around));
    obstacles
}

fn obstacle(word: &'static str, text: String, advice: Option<String>) -> Obstacle {
    Obstacle { word, text, advice }
}

fn not_due(job: &JobSummary, around: &Surroundings<'_>) -> Option<Obstacle> {
    let told = match around.message {
        Some(MessageState::Delayed { until }) => Some(*until),
        _ => job.scheduled_for.filter(|_| job.status != JobStatus::Pending),
    };
    let due = told.filter(|due| *due > around.now)?;
    let text = match job.status {
        JobStatus::Retrying => {
            format!("it failed and is tried again {}", words::until(due, around.now))
        }
        _ => format!("it is due {}", words::until(due, around.now)),
    };
    Some(obstacle("not_due", text, None))
}

fn expired(job: &JobSummary, around: &Surroundings<'_>) -> Option<Obstacle> {
    let expires = job.expires_at.filter(|expires| *expires <= around.now)?;
    let text = format!(
        "it expired {}, and the next worker that takes it cancels it",
        words::ago(expires, around.now)
    );
    Some(obstacle("expired", text, Some("retry it to have it run all the same".to_owned())))
}

fn missing(job: &JobSummary, around: &Surroundings<'_>) -> Option<Obstacle> {
    let is_fresh = around.now.since(job.updated_at) < SETTLED;
    if around.message.is_some() || !around.can_look || is_fresh {
        return None;
    }
    let text = format!("no queue has its message, though it should be in {}", job.queue);
    let advice =
        "a worker's rescuer corrects the record of a job that is lost; cancel it to end it now".to_owned();
    Some(obstacle("no_message", text, Some(advice)))
}

fn paused(around: &Surroundings<'_>) -> Option<Obstacle> {
    let queue = around.queue?;
    let paused = queue.paused_at?;
    let text = format!("its queue {} was paused {}", queue.queue, words::ago(paused, around.now));
    Some(obstacle("queue_paused", text, Some("resume the queue".to_owned())))
}

fn unknown_task(job: &JobSummary, around: &Surroundings<'_>) -> Option<Obstacle> {
    if around.registry.find(&job.task).is_some() {
        return None;
    }
    let text =
        format!("no task of this app is called {}, so a worker of another program has to take it", job.task);
    Some(obstacle("unknown_task", text, None))
}

fn held(around: &Surroundings<'_>) -> Option<Obstacle> {
    let Some(MessageState::Held { holder, until }) = around.message else { return None };
    let text = match *until > around.now {
        true => format!("worker {holder} has its message and is about to begin, or waits for a limit"),
        false => {
            format!("worker {holder} had its message and has not been heard of; the next worker takes it")
        }
    };
    Some(obstacle("held", text, None))
}

/// Nothing is in the way but those before it.
fn in_line(job: &JobSummary, around: &Surroundings<'_>) -> Obstacle {
    let running = around.queue.map_or(0, |queue| queue.held);
    let ready = around.queue.map_or(0, |queue| queue.ready);
    let text = match (ready, running) {
        (0 | 1, 0) => format!("it is ready in queue {}, and no worker is taking from there", job.queue),
        (0 | 1, running) => {
            format!(
                "it is ready, and the workers of queue {} are busy with {}",
                job.queue,
                words::counted(running, "job")
            )
        }
        (ready, 0) => {
            format!(
                "it is one of {} jobs ready in queue {}, and no worker is taking from there",
                words::grouped(ready),
                job.queue
            )
        }
        (ready, running) => format!(
            "it is one of {} jobs ready in queue {}, of which {} run",
            words::grouped(ready),
            job.queue,
            words::grouped(running)
        ),
    };
    let advice = (running == 0).then(|| format!("start a worker that takes from queue {}", job.queue));
    obstacle("in_line", text, advice)
}

#[cfg(test)]
mod tests;
