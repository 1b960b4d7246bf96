//! Schedulers and their servers are killed, stopped and restarted, and every due time is met once.

use std::process::Command;

#[test]
fn schedulers_that_are_killed_and_stopped_meet_each_due_time_once_with_postgresql() {
    beat("postgres");
}

#[test]
fn schedulers_that_are_killed_and_stopped_meet_each_due_time_once_with_redis() {
    beat("redis");
}

#[test]
fn schedulers_that_are_killed_and_stopped_meet_each_due_time_once_with_rabbitmq() {
    beat("amqp");
}

/// `cargo xtask soak beat` does the same with more entries, for longer, and stops schedulers for longer than a relay's
/// lease, too.
fn beat(broker: &str) {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_celeriac-bench"));
    bench.args(["beat", "--broker", broker, "--seconds", "15"]);
    bench.args(["--entries", "10", "--speed", "10", "--deadline-ms", "2000", "--stop-ms", "5000"]);
    let beat = bench.output().expect("the bench starts");
    let (told, errors) = (String::from_utf8_lossy(&beat.stdout), String::from_utf8_lossy(&beat.stderr));
    assert!(beat.status.success(), "{told}{errors}");
    assert!(told.contains("without a firing:                 0"), "{told}");
}
