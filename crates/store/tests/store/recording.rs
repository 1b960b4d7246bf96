//! What events leave in the record.

use std::time::Duration;

use celeriac_protocol::{JobFacts, JobStatus, RecordLevel, What};
use celeriac_store::query::jobs;
use celeriac_store::{AttemptOutcome, limits};

use crate::kit::{self, Story, at, facts, raw};

/// Records a story at once and event by event, and returns the record, which must be the same.
async fn told(story: &Story) -> celeriac_store::JobRecord {
    let id = story.facts.id.as_str();
    let (at_once, one_by_one) = (kit::database().await, kit::database().await);
    kit::record(&at_once, &story.events).await;
    for event in &story.events {
        kit::record(&one_by_one, std::slice::from_ref(event)).await;
    }
    let (record, other) = (kit::find(&at_once, id).await, kit::find(&one_by_one, id).await);
    assert_eq!(format!("{record:?}"), format!("{other:?}"));
    record
}

fn outcomes(record: &celeriac_store::JobRecord) -> Vec<(u32, &str)> {
    let outcome =
        |attempt: &celeriac_store::AttemptRecord| attempt.outcome.map_or("", AttemptOutcome::as_str);
    record.attempts.iter().map(|attempt| (attempt.attempt, outcome(attempt))).collect()
}

#[tokio::test]
async fn a_job_that_succeeds_is_recorded_whole() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").progressed(40, Some("page 4 of 10")).succeeded(r#"{"n": 1.10}"#);
    let record = told(&story).await;
    let job = &record.summary;
    assert_eq!((job.status, job.progress, job.attempt), (JobStatus::Completed, 100, 1));
    assert_eq!((job.created_at, job.started_at, job.completed_at), (at(0), Some(at(1)), Some(at(3))));
    assert_eq!(job.progress_message.as_deref(), Some("page 4 of 10"));
    assert_eq!((job.worker.as_deref(), job.account_key.as_deref()), (Some("w1"), Some("shop-1")));
    assert_eq!((record.args.get(), record.result.as_ref().unwrap().get()), ("[1, 2.50]", r#"{"n": 1.10}"#));
    assert_eq!(outcomes(&record), [(1, "succeeded")]);
    let attempt = &record.attempts[0];
    assert_eq!((attempt.started_at, attempt.finished_at), (Some(at(1)), Some(at(3))));
    assert_eq!(attempt.runtime, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn numbers_of_arguments_and_results_keep_every_digit() {
    let numbers = "[12345678901234567890123, 0.1000000000000000000001, 1e400, -0.0]";
    let mut story = Story::of(JobFacts { args: raw(numbers), ..facts("a") });
    story.enqueued().started("w1").succeeded(numbers);
    let record = told(&story).await;
    assert_eq!((record.args.get(), record.result.unwrap().get()), (numbers, numbers));
}

#[tokio::test]
async fn a_nul_in_what_a_job_says_does_not_keep_it_from_the_record() {
    let named = raw(r#"{"account_key": "shop\u00001"}"#);
    let mut story = Story::of(JobFacts { kwargs: named, args: raw(r#"["\u0000"]"#), ..facts("a") });
    story.enqueued().started("w1").progressed(40, Some("page\0 4")).retried("bo\0om");
    // An error that was read need not have been made by its constructor.
    let mut error = kit::error("");
    (error.type_name, error.message) = (Some("Bo\0om".into()), "bo\0om".into());
    error.traceback = "at\0boom()".into();
    story.started("w1").tell(What::Failed { error, dead_lettered: false });
    let record = told(&story).await;
    let job = &record.summary;
    assert_eq!((job.status, job.progress_message.as_deref()), (JobStatus::Failed, None));
    assert_eq!(job.account_key.as_deref(), Some("shop\u{fffd}1"));
    for error in record.attempts.iter().map(|attempt| attempt.error.as_ref().unwrap()) {
        assert_eq!(error.message, "bo\u{fffd}om");
    }
    let error = record.attempts[1].error.as_ref().unwrap();
    assert_eq!(
        (error.type_name.as_deref(), error.traceback.as_str()),
        (Some("Bo\u{fffd}om"), "at\u{fffd}boom()")
    );
    let mut other = Story::new("b");
    other.enqueued().started("w1").progressed(40, Some("page\0 4")).succeeded(r#"["a\u0000b"]"#);
    let record = told(&other).await;
    assert_eq!(record.summary.progress_message.as_deref(), Some("page\u{fffd} 4"));
    assert_eq!(record.result.unwrap().get(), r#"["a\u0000b"]"#);
    let mut cancelled = Story::new("c");
    cancelled.enqueued().cancelled("by\0hand");
    assert_eq!(told(&cancelled).await.summary.cancel_reason.as_deref(), Some("by\u{fffd}hand"));
}

#[tokio::test]
async fn a_retry_shows_its_error_until_the_next_attempt_starts() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").retried("boom");
    let waiting = told(&story).await;
    assert_eq!(waiting.summary.status, JobStatus::Retrying);
    assert_eq!(waiting.summary.scheduled_for, Some(at(62)));
    assert_eq!(waiting.summary.error.as_ref().unwrap().message, "boom");
    let running = told(story.started("w2")).await;
    assert_eq!((running.summary.status, running.summary.scheduled_for), (JobStatus::Running, None));
    assert!(running.summary.error.is_none());
    assert_eq!(outcomes(&running), [(1, "retried"), (2, "")]);
    assert_eq!(running.attempts[0].error.as_ref().unwrap().traceback, "at boom()");
    assert_eq!(running.attempts[0].worker.as_deref(), Some("w1"));
}

#[tokio::test]
async fn an_attempt_whose_worker_vanished_is_lost_when_the_next_begins() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").started("w2").succeeded("1");
    let record = told(&story).await;
    assert_eq!(outcomes(&record), [(1, "lost"), (2, "succeeded")]);
    assert_eq!((record.attempts[0].worker.as_deref(), record.attempts[0].finished_at), (Some("w1"), None));
}

#[tokio::test]
async fn an_attempt_whose_worker_vanished_is_lost_when_the_job_ends_without_another() {
    let mut story = Story::new("a");
    story.enqueued().started("w1");
    story.delivery += 1;
    let record = told(story.failed("handed out too often", true)).await;
    assert_eq!(record.summary.status, JobStatus::Failed);
    assert_eq!(outcomes(&record), [(1, "lost")]);
}

#[tokio::test]
async fn a_dead_letter_is_a_failed_job_with_time_and_reason() {
    let mut story = Story::new("a");
    let record = told(story.enqueued().started("w1").failed("boom", true)).await;
    let job = &record.summary;
    assert_eq!((job.status, job.dead_lettered_at), (JobStatus::Failed, Some(at(2))));
    assert_eq!(job.dead_reason.as_deref(), Some("error"));
    assert_eq!(outcomes(&record), [(1, "failed")]);
}

#[tokio::test]
async fn a_job_enqueued_again_under_its_id_shows_the_new_run_and_no_late_word_of_the_old() {
    let said_at = |seconds| JobFacts { created_at: Some(at(seconds)), ..facts("a") };
    let mut story = Story::of(said_at(-5));
    story.enqueued().started("w1").progressed(70, Some("almost")).partial("[1]").succeeded("1");
    let old = story.events.clone();
    let other = JobFacts {
        task: "shop.report".into(),
        job_type: "shop.report".into(),
        kwargs: raw(r#"{"account_key": "shop-2"}"#),
        max_retries: None,
        schedule: Some("nightly".into()),
        ..said_at(5)
    };
    story.enqueued_again(other);
    let db = kit::database().await;
    for events in [&story.events, &old] {
        kit::record(&db, events).await;
    }
    for event in &old {
        kit::record(&db, std::slice::from_ref(event)).await;
    }
    let record = kit::find(&db, "a").await;
    let job = &record.summary;
    assert_eq!((job.status, job.generation, job.created_at), (JobStatus::Pending, 1, at(5)));
    assert_eq!((job.task.as_str(), job.job_type.as_str()), ("shop.report", "shop.report"));
    assert_eq!((job.account_key.as_deref(), job.max_retries), (Some("shop-2"), None));
    assert_eq!(job.schedule.as_deref(), Some("nightly"));
    assert!(job.completed_at.is_none() && job.progress == 0 && job.progress_message.is_none());
    assert!(record.result.is_none() && record.partial.is_none());
    let again = told(story.started("w2").succeeded("2")).await;
    assert_eq!(again.result.as_ref().unwrap().get(), "2");
    assert_eq!(outcomes(&again), [(1, "succeeded"), (1, "succeeded")]);
    for (task, expected) in [("shop.scrape", 0), ("shop.report", 1)] {
        assert_eq!(jobs::counts(db.reader(), Some(task)).await.unwrap().total(), expected, "{task}");
    }
}

#[tokio::test]
async fn a_revived_job_begins_anew_and_keeps_its_earlier_attempts() {
    let mut story = Story::new("a");
    story
        .enqueued()
        .started("w1")
        .partial("[1]")
        .progressed(70, Some("almost"))
        .failed("boom", true)
        .revived();
    let record = told(&story).await;
    let job = &record.summary;
    assert_eq!((job.status, job.generation, job.progress), (JobStatus::Pending, 1, 0));
    assert!(job.error.is_none() && job.dead_lettered_at.is_none() && job.dead_reason.is_none());
    assert!(job.completed_at.is_none() && job.started_at.is_none() && job.progress_message.is_none());
    assert!(record.partial.is_none());
    assert_eq!(job.created_at, at(0));
    let again = told(story.started("w2").succeeded("2")).await;
    assert_eq!(outcomes(&again), [(1, "failed"), (1, "succeeded")]);
    assert_eq!(again.attempts.iter().map(|attempt| attempt.generation).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_completed_job_that_is_revived_keeps_the_attempt_that_stood_in_its_row() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").succeeded("1").revived().cancelled("operator");
    let record = told(&story).await;
    assert_eq!(record.summary.status, JobStatus::Cancelled);
    assert_eq!(record.summary.cancel_reason.as_deref(), Some("operator"));
    assert!(record.result.is_none());
    assert_eq!(outcomes(&record), [(1, "succeeded")]);
    assert_eq!(record.attempts[0].finished_at, Some(at(2)));
}

#[tokio::test]
async fn progress_never_goes_back_while_an_attempt_lasts() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").progressed(60, Some("most")).progressed(20, None);
    let record = told(&story).await;
    assert_eq!((record.summary.progress, record.summary.progress_message.as_deref()), (60, Some("most")));
    let again = told(story.retried("boom").started("w2")).await;
    assert_eq!((again.summary.progress, again.summary.progress_message), (0, None));
}

#[tokio::test]
async fn an_intermediate_result_is_there_for_the_next_attempt() {
    let mut story = Story::new("a");
    story
        .enqueued()
        .started("w1")
        .partial(r#"{"done": 3}"#)
        .retried("boom")
        .started("w2")
        .progressed(1, None);
    assert_eq!(told(&story).await.partial.unwrap().get(), r#"{"done": 3}"#);
}

#[tokio::test]
async fn a_final_status_is_left_by_reviving_only() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").succeeded("1").started("w2").failed("boom", true);
    let record = told(&story).await;
    assert_eq!((record.summary.status, record.result.as_ref().unwrap().get()), (JobStatus::Completed, "1"));
    assert_eq!(record.summary.worker.as_deref(), Some("w1"));
    assert_eq!(outcomes(&record), [(1, "succeeded"), (2, "failed")]);
}

#[tokio::test]
async fn what_was_guessed_gives_way_to_the_workers_word() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").given_up();
    let given_up = told(&story).await;
    assert_eq!(given_up.summary.status, JobStatus::Failed);
    assert_eq!(outcomes(&given_up), [(1, "lost")]);
    let record = told(story.succeeded("1")).await;
    assert_eq!(record.summary.status, JobStatus::Completed);
    assert!(record.summary.error.is_none());
    assert_eq!(outcomes(&record), [(1, "succeeded")]);
}

#[tokio::test]
async fn a_job_whose_worker_vanished_waits_again_unless_the_worker_speaks_up() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").tell(What::Lost);
    let waiting = told(&story).await;
    assert_eq!(waiting.summary.status, JobStatus::Pending);
    assert_eq!(outcomes(&waiting), [(1, "lost")]);
    let record = told(story.succeeded("1")).await;
    assert_eq!(record.summary.status, JobStatus::Completed);
    assert_eq!(outcomes(&record), [(1, "succeeded")]);
}

#[tokio::test]
async fn a_job_cancelled_between_attempts_keeps_the_outcome_of_the_last() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").retried("boom").cancelled("operator");
    let record = told(&story).await;
    assert_eq!(outcomes(&record), [(1, "retried")]);
    assert!(record.summary.error.is_none());
}

#[tokio::test]
async fn a_message_that_could_not_be_run_has_no_attempt() {
    let mut story = Story::new("a");
    story.enqueued();
    (story.delivery, story.attempt) = (1, 1);
    let record = told(story.cancelled("expired")).await;
    assert_eq!(record.summary.cancel_reason.as_deref(), Some("expired"));
    assert!(record.attempts.is_empty());
}

#[tokio::test]
async fn a_job_may_be_heard_of_first_when_it_is_already_done() {
    let mut story = Story::new("a");
    let record = told(story.started("w1").succeeded("1")).await;
    assert_eq!((record.summary.status, record.summary.created_at), (JobStatus::Completed, at(0)));
    assert_eq!(outcomes(&record), [(1, "succeeded")]);
}

#[tokio::test]
async fn record_levels_leave_out_what_they_say() {
    let db = kit::database().await;
    let mut all = Vec::new();
    for (id, record, fails) in [
        ("none", RecordLevel::None, true),
        ("fine", RecordLevel::Failures, false),
        ("bad", RecordLevel::Failures, true),
    ] {
        let mut story = Story::of(JobFacts { record, ..facts(id) });
        story.enqueued().started("w1");
        if fails {
            story.failed("boom", false)
        } else {
            story.succeeded("1")
        };
        all.extend(story.events);
    }
    kit::record(&db, &all).await;
    let page = celeriac_store::query::jobs::list(db.reader(), &Default::default(), None, 9).await.unwrap();
    assert_eq!(page.jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["bad"]);
    assert_eq!(page.jobs[0].error.as_ref().unwrap().message, "boom");
}

#[tokio::test]
async fn many_jobs_in_one_batch_keep_the_order_in_which_they_were_enqueued() {
    let db = kit::database().await;
    let ids: Vec<String> = (0..2_500).map(|number| format!("job-{number:04}")).collect();
    let mut stories: Vec<Story> = ids.iter().map(|id| Story::new(id)).collect();
    let enqueued: Vec<_> = stories.iter_mut().flat_map(|story| story.enqueued().events.clone()).collect();
    kit::record(&db, &enqueued).await;
    let done = stories.iter_mut().rev().flat_map(|s| s.started("w").succeeded("1").events[1..].to_vec());
    kit::record(&db, &done.collect::<Vec<_>>()).await;
    let page =
        celeriac_store::query::jobs::list(db.reader(), &Default::default(), None, 1_000).await.unwrap();
    assert!(page.jobs.iter().zip(ids.iter().rev()).all(|(job, id)| job.id.as_str() == id));
    assert!(page.jobs.iter().all(|job| job.status == JobStatus::Completed));
    let counts = celeriac_store::query::jobs::counts(db.reader(), None).await.unwrap();
    assert_eq!((counts.of(JobStatus::Completed), counts.total()), (2_500, 2_500));
}

#[tokio::test]
async fn a_result_that_is_too_long_is_marked_and_not_kept() {
    let long = format!("\"{}\"", "x".repeat(limits::MAX_RESULT_BYTES));
    let mut story = Story::new("a");
    let record = told(story.started("w1").succeeded(&long)).await;
    assert!(record.result.unwrap().get().starts_with(&format!("{{\"{}\":", limits::TRUNCATED)));
}

#[tokio::test]
async fn a_worker_that_knows_the_task_better_fills_in_its_label() {
    let by_name = JobFacts { job_type: "shop.scrape".into(), max_retries: None, ..facts("a") };
    let mut story = Story::of(by_name);
    story.enqueued();
    story.facts = std::sync::Arc::new(facts("a"));
    let record = told(story.started("w1")).await;
    assert_eq!((record.summary.job_type.as_str(), record.summary.max_retries), ("scrape", Some(3)));
}

#[tokio::test]
async fn a_job_that_snoozes_waits_for_its_time_and_has_an_attempt_to_show() {
    let mut story = Story::new("a");
    story.enqueued().started("w1").tell(What::Snoozed { until: at(500) });
    let record = told(&story).await;
    assert_eq!((record.summary.status, record.summary.scheduled_for), (JobStatus::Scheduled, Some(at(500))));
    assert_eq!(outcomes(&record), [(1, "snoozed")]);
}
