//! Each check of the doctor, and the very thing that breaks it.

use std::time::Duration;

use celeriac_engine::SystemClock;
use celeriac_protocol::Clock;
use rustix::process::Signal;
use serde_json::Value;

use crate::faults::migrate_from_the_future;
use crate::support::{Bed, Outcome, lines_of};

/// What breaks, and how the doctor is asked.
#[derive(Default)]
struct Case<'a> {
    arguments: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    check: &'a str,
    verdict: &'a str,
    detail: &'a str,
    /// A check that cannot be well either.
    also: &'a str,
}

/// Returns what the doctor found, by check, and its exit code.
fn examine(bed: &Bed, case: &Case<'_>) -> (Vec<Value>, Option<i32>) {
    let arguments: Vec<&str> = ["doctor", "--json"].iter().chain(case.arguments).copied().collect();
    let outcome = Outcome::of(bed.command(&arguments).envs(case.environment.iter().copied()));
    (lines_of(&outcome.stdout), outcome.code)
}

/// Checks that the doctor finds this one thing and nothing else.
#[track_caller]
fn finds(bed: &Bed, case: &Case<'_>) {
    let (findings, code) = examine(bed, case);
    let found = findings.iter().find(|finding| finding["check"] == case.check);
    let found = found.unwrap_or_else(|| panic!("no check {} in {findings:?}", case.check));
    assert_eq!(found["verdict"], case.verdict, "{found}");
    assert!(found["detail"].as_str().unwrap().contains(case.detail), "{found}");
    assert!(found["hint"].is_string(), "{found}");
    assert_eq!(code, Some(i32::from(case.verdict == "failed")));
    let others = findings.iter().filter(|finding| finding["check"] != case.check);
    for other in others.filter(|finding| finding["verdict"] != "skipped" && finding["check"] != case.also) {
        assert_eq!(other["verdict"], "ok", "{other}");
    }
}

fn healthy() -> Bed {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    bed
}

/// Returns a clock of tests that is this far ahead, and goes on at twice the speed.
fn clock_ahead(by: Duration) -> String {
    let pivot = SystemClock.now() - by;
    format!("{pivot}*2")
}

#[test]
fn all_is_well_on_a_healthy_database() {
    let bed = healthy();
    let (findings, code) = examine(&bed, &Case::default());
    assert!(findings.iter().all(|finding| finding["verdict"] == "ok"), "{findings:?}");
    assert_eq!((findings.len(), code), (11, Some(0)));
    assert!(bed.ok(&["doctor"]).ends_with("all is well\n"));
}

#[test]
fn config_fails_on_a_file_that_cannot_be_read() {
    let bed = healthy();
    bed.write("celeriac.toml", "[worker]\nqueue = 'x'");
    let detail = "celeriac.toml:2: unknown key \"worker.queue\"";
    finds(&bed, &Case { check: "config", verdict: "failed", detail, ..Case::default() });
}

#[test]
fn config_warns_of_variables_that_are_not_used_and_strictly_fails() {
    let bed = healthy();
    let environment = &[("CELERY_RESULT_BACKEND", "mongodb://host")];
    let detail = "CELERY_RESULT_BACKEND is set and not used";
    finds(&bed, &Case { environment, check: "config", verdict: "warning", detail, ..Case::default() });
    let (_, code) = examine(&bed, &Case { environment, arguments: &["--strict"], ..Case::default() });
    assert_eq!(code, Some(1));
}

#[test]
fn database_fails_where_there_is_none() {
    let detail = "no such file";
    finds(&Bed::new(), &Case { check: "database", verdict: "failed", detail, ..Case::default() });
}

#[tokio::test]
async fn write_fails_while_another_process_holds_the_lock() {
    let check = |bed: &Bed| {
        let arguments = &["--set", "database.busy_timeout=50ms"];
        let detail = "is locked by another process";
        finds(bed, &Case { arguments, check: "write", verdict: "failed", detail, ..Case::default() });
    };
    healthy().while_locked(check).await;
}

#[test]
fn schema_fails_while_migrations_are_pending() {
    let bed = healthy();
    bed.ok(&["migrate", "down", "--all-of", "platform"]);
    let detail = "pending: platform ";
    finds(&bed, &Case { check: "schema", verdict: "failed", detail, ..Case::default() });
}

#[tokio::test]
async fn schema_fails_on_a_newer_database() {
    let bed = healthy();
    migrate_from_the_future(&bed).await;
    let detail = "newer than this binary";
    finds(&bed, &Case { check: "schema", verdict: "failed", detail, ..Case::default() });
}

#[test]
fn disk_fails_where_too_little_is_free() {
    let arguments = &["--min-free", "1000TB"];
    let detail = "free, less than";
    finds(&healthy(), &Case { arguments, check: "disk", verdict: "failed", detail, ..Case::default() });
}

#[tokio::test]
async fn log_fails_when_it_has_grown() {
    let bed = healthy();
    // While a process has the file open, its log is kept.
    let database = bed.database().await;
    let checked = tokio::task::spawn_blocking(move || {
        bed.enqueue(&["greet", "Ada"]);
        let arguments = &["--max-wal", "1KiB"];
        let detail = "write-ahead log has";
        finds(&bed, &Case { arguments, check: "log", verdict: "failed", detail, ..Case::default() });
        bed
    });
    let bed = checked.await.unwrap();
    database.close().await;
    drop(bed);
}

#[test]
fn clock_fails_when_the_newest_job_is_from_later() {
    let bed = Bed::new();
    let ahead = clock_ahead(Duration::from_secs(3_600));
    let mut enqueue = bed.command(&["enqueue", "greet", "Ada"]);
    Outcome::of(enqueue.env("CELERIAC_TEST_CLOCK", ahead)).ok();
    let detail = "but the newest job is from ";
    finds(&bed, &Case { check: "clock", verdict: "failed", detail, ..Case::default() });
}

#[test]
fn queues_fail_when_nobody_takes_from_one() {
    let arguments = &["--max-wait", "0s"];
    let detail = "celery has waited for";
    finds(&healthy(), &Case { arguments, check: "queues", verdict: "failed", detail, ..Case::default() });
}

#[test]
fn queues_warn_of_jobs_that_lie_there_while_no_worker_holds_any() {
    let later = clock_ahead(Duration::from_secs(60));
    let environment = &[("CELERIAC_TEST_CLOCK", later.as_str())];
    let detail = "1 job ready in celery, of which no worker has taken any";
    finds(&healthy(), &Case { environment, check: "queues", verdict: "warning", detail, ..Case::default() });
}

#[test]
fn queues_warn_of_paused_ones() {
    let bed = healthy();
    bed.ok(&["queues", "pause", "celery"]);
    let detail = "celery was paused";
    finds(&bed, &Case { check: "queues", verdict: "warning", detail, ..Case::default() });
}

#[test]
fn dead_warns_of_dead_letters() {
    let bed = Bed::new();
    let id = bed.enqueue(&["fail", "no"]);
    bed.work_until_ended(&id);
    let detail = "1 dead letter";
    finds(&bed, &Case { check: "dead", verdict: "warning", detail, ..Case::default() });
}

#[test]
fn running_fails_on_a_job_whose_worker_has_vanished() {
    let bed = Bed::new();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let worker = bed.worker(&[]);
    let job = line.called();
    bed.until_running(&id);
    worker.signal(Signal::KILL);
    job.hung_up();
    let later = clock_ahead(Duration::from_secs(3_600));
    let environment = &[("CELERIAC_TEST_CLOCK", later.as_str())];
    let arguments = &["--max-wait", "10h"];
    let detail = "1 recorded as running and held by nobody";
    // What it held is ready again, and nobody takes it.
    let also = "queues";
    finds(&bed, &Case { environment, arguments, check: "running", verdict: "failed", detail, also });
}
