//! On PostgreSQL no statement of queue and records looks at more rows than it must.

use std::process::Command;

/// `cargo xtask bench plans` does the same with a million jobs.
#[test]
fn statements_on_postgresql_look_at_what_they_are_asked_for() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_celeriac-bench"));
    let plans = bench.args(["plans", "--rows", "30000"]).output().expect("the bench starts");
    let (told, errors) = (String::from_utf8_lossy(&plans.stdout), String::from_utf8_lossy(&plans.stderr));
    assert!(plans.status.success(), "{told}{errors}");
}
