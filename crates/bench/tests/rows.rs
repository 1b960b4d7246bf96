//! Processes that move rows are killed with SIGKILL, and no row is lost, stored twice or left behind.

use std::process::Command;

#[test]
fn two_processes_that_are_killed_move_every_row_once_in_postgresql() {
    rows("postgres");
}

#[test]
fn two_processes_that_are_killed_move_every_row_once_in_a_file() {
    rows("sqlite");
}

/// `cargo xtask soak rows` does the same with more of them.
fn rows(broker: &str) {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_celeriac-bench"));
    let rows = bench.args(["rows", "--rows", "800", "--kills", "2", "--broker", broker]).output();
    let rows = rows.expect("the bench starts");
    let (told, errors) = (String::from_utf8_lossy(&rows.stdout), String::from_utf8_lossy(&rows.stderr));
    assert!(rows.status.success(), "{told}{errors}");
    assert!(told.contains("rows not stored exactly once:    0"), "{told}");
}
