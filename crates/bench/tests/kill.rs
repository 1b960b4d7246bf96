//! Workers are killed with SIGKILL at every named point of a job's path, and no job is lost.

use std::process::Command;

#[test]
fn workers_that_are_killed_at_any_point_lose_no_job() {
    kill_at_each_point(&[]);
}

#[test]
fn workers_that_are_killed_at_any_point_lose_no_job_that_leaves_no_record() {
    kill_at_each_point(&["--quiet"]);
}

#[test]
fn workers_that_are_killed_side_by_side_lose_no_job_in_redis() {
    kill_at_each_point(&["--broker", "redis", "--at-once", "4"]);
}

#[test]
fn workers_that_are_killed_side_by_side_lose_no_job_in_postgresql() {
    kill_at_each_point(&["--broker", "postgres", "--at-once", "4"]);
}

#[test]
fn workers_that_are_killed_side_by_side_lose_no_job_in_rabbitmq() {
    kill_at_each_point(&["--broker", "amqp", "--at-once", "4"]);
}

/// `cargo xtask soak kill` does the same more often.
fn kill_at_each_point(more: &[&str]) {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_celeriac-bench"));
    let kill = bench.args(["kill", "--kills", "8", "--jobs-per-kill", "260"]).args(more).output();
    let kill = kill.expect("the bench starts");
    let (told, errors) = (String::from_utf8_lossy(&kill.stdout), String::from_utf8_lossy(&kill.stderr));
    assert!(kill.status.success(), "{told}{errors}");
    assert!(told.contains("enqueued minus completed:   0"), "{told}");
    assert_eq!(
        told.lines().filter(|line| line.starts_with("  at ") && line.ends_with(" 1")).count(),
        8,
        "{told}"
    );
}
