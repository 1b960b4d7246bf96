//! The example with a workflow over a table of its own, run as a user would.

use std::time::{Duration, Instant};

use crate::support::{Worker, example};

/// How long two rows may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

#[test]
#[expect(clippy::disallowed_methods, reason = "rows that another process writes give no signal")]
fn rows_of_a_users_own_table_move_and_their_errors_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = |line: &str| {
        let out = example("orders", folder.path(), line).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let (_worker, started) = Worker::start("orders", folder.path());
    assert!(started.contains("\"celeriac.workflows\""), "{started}");
    said("enqueue order teapot --wait");
    said("enqueue order unicorn --wait");
    let begun = Instant::now();
    let check = || said("workflow order check --json");
    while !(check().contains("\"shipped\":1") && check().contains("\"lost\":1")) {
        assert!(begun.elapsed() < LONGEST, "{}", check());
    }
    assert!(check().contains("there are no unicorns"), "{}", check());
    assert!(said("workflow order reset --dry-run").starts_with("1 row would be put back"));
}
