//! The example with a loop of its own, run as a user would.

use std::time::{Duration, Instant};

use crate::support::{Worker, example};

/// How long the loop's first pass and its job may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

#[test]
#[expect(clippy::disallowed_methods, reason = "the record that another process writes gives no signal")]
fn a_worker_drives_a_loop_of_the_apps_own() {
    let folder = tempfile::tempdir().unwrap();
    let _worker = Worker::start("nudge", folder.path());
    let begun = Instant::now();
    let listed = || {
        let listed = example("nudge", folder.path(), "jobs list --json").output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    while !listed().contains("\"status\":\"completed\"") {
        assert!(begun.elapsed() < LONGEST, "{}", listed());
    }
    assert!(listed().contains("\"task\":\"look\""), "{}", listed());
}
