//! The queue's server is killed and stopped under load, and no job is lost.

use std::process::Command;

#[test]
fn redis_that_is_restarted_loses_no_job() {
    restart("redis", 2);
}

#[test]
fn postgresql_that_is_restarted_loses_no_job() {
    restart("postgres", 2);
}

#[test]
fn rabbitmq_that_is_restarted_loses_no_job() {
    // Once, since it takes ten seconds to start.
    restart("amqp", 1);
}

/// `cargo xtask soak restart` does the same more often.
fn restart(broker: &str, restarts: u32) {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_celeriac-bench"));
    let restart = bench.args(["restart", "--restarts", &restarts.to_string(), "--broker", broker]).output();
    let restart = restart.expect("the bench starts");
    let (told, errors) = (String::from_utf8_lossy(&restart.stdout), String::from_utf8_lossy(&restart.stderr));
    assert!(restart.status.success(), "{told}{errors}");
    assert!(told.contains("enqueued minus completed:   0"), "{told}");
}
