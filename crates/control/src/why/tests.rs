//! Reasons, by a table.

use celeriac_protocol::JobId;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + seconds * 1_000)
}

fn job(status: JobStatus) -> JobSummary {
    JobSummary {
        seq: 1,
        id: JobId::parse("a-job").expect("an id"),
        job_type: "mail".into(),
        task: "mail".into(),
        queue: "celery".into(),
        status,
        priority: None,
        account_key: None,
        schedule: None,
        schedule_due_at: None,
        created_at: at(-100),
        scheduled_for: None,
        expires_at: None,
        started_at: None,
        completed_at: None,
        updated_at: at(-100),
        worker: None,
        attempt: 0,
        max_retries: None,
        generation: 0,
        delivery: 0,
        progress: 0,
        progress_message: None,
        error: None,
        cancel_reason: None,
        dead_lettered_at: None,
        dead_reason: None,
    }
}

fn depth(ready: u64, held: u64, paused: bool) -> QueueDepth {
    let paused_at = paused.then(|| at(-60));
    QueueDepth { queue: "celery".into(), ready, delayed: 0, held, oldest_ready_at: None, paused_at }
}

fn check(job: &JobSummary, message: Option<MessageState>, queue: Option<QueueDepth>, expected: &[&str]) {
    let registry = Registry::default();
    let around = Surroundings {
        registry: &registry,
        message: message.as_ref(),
        can_look: true,
        queue: queue.as_ref(),
        now: at(0),
    };
    let told = obstacles(job, &around);
    // This app knows no task at all, which every job that waits is told.
    let words: Vec<&str> = told.iter().map(|told| told.word).filter(|word| *word != "unknown_task").collect();
    assert_eq!(words, expected, "{:?}: {told:?}", job.status);
}

#[test]
fn each_obstacle_is_named_and_none_where_there_is_none() {
    use JobStatus::{Completed, Pending, Retrying, Running, Scheduled};
    let due = |status, seconds| JobSummary { scheduled_for: Some(at(seconds)), ..job(status) };
    let expired = JobSummary { expires_at: Some(at(-1)), ..job(Pending) };
    let fresh = JobSummary { updated_at: at(-1), ..job(Pending) };
    let ready = || Some(MessageState::Ready);
    let held = |until| Some(MessageState::Held { holder: "w".into(), until: at(until) });
    check(&job(Running), held(5), None, &[]);
    check(&job(Completed), None, None, &[]);
    check(&due(Scheduled, 60), Some(MessageState::Delayed { until: at(60) }), None, &["not_due"]);
    check(&due(Retrying, 60), Some(MessageState::Delayed { until: at(60) }), None, &["not_due"]);
    check(&due(Pending, -60), ready(), Some(depth(1, 0, true)), &["queue_paused"]);
    check(&due(Scheduled, 60), None, Some(depth(0, 0, true)), &["not_due", "no_message", "queue_paused"]);
    check(&expired, ready(), Some(depth(1, 0, false)), &["expired"]);
    check(&job(Pending), None, None, &["no_message"]);
    check(&fresh, None, None, &[]);
    check(&job(Pending), held(5), Some(depth(0, 1, false)), &["held"]);
}

#[test]
fn a_job_that_only_waits_for_its_turn_says_how_many_are_there() {
    for (ready, held, text) in [
        (1, 0, "it is ready in queue celery, and no worker is taking from there"),
        (1, 4, "it is ready, and the workers of queue celery are busy with 4 jobs"),
        (1_200, 4, "it is one of 1 200 jobs ready in queue celery, of which 4 run"),
        (3, 0, "it is one of 3 jobs ready in queue celery, and no worker is taking from there"),
    ] {
        let registry = Registry::default();
        let queue = depth(ready, held, false);
        let around = Surroundings {
            registry: &registry,
            message: Some(&MessageState::Ready),
            can_look: true,
            queue: Some(&queue),
            now: at(0),
        };
        assert_eq!(in_line(&job(JobStatus::Pending), &around).text, text);
    }
}
