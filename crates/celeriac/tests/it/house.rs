//! The platform's own periodic tasks, in an app that never asked for them.

use std::path::Path;
use std::time::Duration;

use celeriac::{App, Call, Embedded, JobStatus, Running, task};
use celeriac_control::health::{HEALTH_CHECK, HealthReport, Verdict, health_check};
use celeriac_control::{CLEANUP_OLD_JOBS, cleanup_old_jobs};
use celeriac_protocol::Arguments;

/// How long anything may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// Does nothing.
#[task(name = "rest")]
async fn rest() {}

fn app() -> App {
    App::new("housed").task::<rest>()
}

async fn start(folder: &Path) -> Running {
    embedded(folder).start().await.unwrap()
}

fn embedded(folder: &Path) -> Embedded {
    Embedded::new(app()).set("database.url", folder.join("jobs.db").display())
}

#[tokio::test]
async fn a_health_check_looks_at_five_things_and_answers_to_its_short_name() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let job = running.client().send(Call::new("health_check", Arguments::default())).await.unwrap();
    let ended = job.wait_ended(LONGEST).await.unwrap();
    let report: HealthReport = serde_json::from_str(ended.result.unwrap().get()).unwrap();
    let checks: Vec<&str> = report.checks.iter().map(|finding| finding.check.as_ref()).collect();
    assert_eq!(checks, ["broker", "database", "workers", "disk", "schedule"]);
    assert_eq!(report.verdict, Verdict::Ok, "{report:?}");
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_job_whose_check_fails_fails_and_keeps_what_all_checks_found() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    // No disk has so much room.
    let job = running.client().enqueue(health_check(1 << 40, 600, 60, 1_000)).await.unwrap();
    let ended = job.wait_ended(LONGEST).await.unwrap();
    assert_eq!((ended.status, ended.attempt), (JobStatus::Failed, 1));
    assert!(ended.error.unwrap().message.starts_with("disk: "));
    let report: HealthReport = serde_json::from_str(ended.partial.unwrap().get()).unwrap();
    let disk = report.checks.iter().find(|finding| finding.check == "disk").unwrap();
    assert_eq!((report.verdict, disk.verdict), (Verdict::Failed, Verdict::Failed));
    assert!(disk.hint.is_some() && report.checks.len() == 5);
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_cleanup_removes_what_ended_before_and_says_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let job = running.client().enqueue(rest()).await.unwrap();
    job.wait(LONGEST).await.unwrap();
    let report = running.client().enqueue(cleanup_old_jobs(30)).await.unwrap().wait(LONGEST).await.unwrap();
    assert_eq!((report.jobs, report.firings, report.more), (0, 0, false));
    assert!(running.client().snapshot(job.id()).await.unwrap().is_some());
    let report = running.client().enqueue(cleanup_old_jobs(0)).await.unwrap().wait(LONGEST).await.unwrap();
    assert_eq!((report.jobs, report.more), (2, false), "the job, and the cleanup before");
    assert!(running.client().snapshot(job.id()).await.unwrap().is_none());
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn its_entries_are_declared_by_whoever_starts_and_stay_as_an_operator_leaves_them() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let entry = |running: &Running, name: &'static str| {
        let schedules = running.schedules();
        async move { schedules.show(name).await.unwrap().schedule.record.unwrap().entry }
    };
    let (health, cleanup) = (entry(&running, HEALTH_CHECK).await, entry(&running, CLEANUP_OLD_JOBS).await);
    assert_eq!((health.spec.as_str(), cleanup.spec.as_str()), ("*/5 * * * *", "0 3 1 * *"));
    running.schedules().disable(HEALTH_CHECK).await.unwrap();
    running.shutdown().await.unwrap();
    let again = embedded(folder.path()).set("beat.cleanup_old_jobs", false).start().await.unwrap();
    assert!(!entry(&again, HEALTH_CHECK).await.enabled, "an operator's edit stays");
    assert!(!entry(&again, CLEANUP_OLD_JOBS).await.enabled, "the configuration wants none");
    again.shutdown().await.unwrap();
}

#[tokio::test]
async fn where_the_configuration_wants_none_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let none = embedded(folder.path()).set("beat.cleanup_old_jobs", false).set("beat.health_check", false);
    let running = none.start().await.unwrap();
    assert!(running.schedules().show(HEALTH_CHECK).await.is_err());
    assert!(running.schedules().show(CLEANUP_OLD_JOBS).await.is_err());
    running.shutdown().await.unwrap();
}
