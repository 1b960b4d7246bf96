//! The first example, run as the guide says.

use std::path::Path;
use std::process::Command;

use crate::support::{Worker, example};

fn command(folder: &Path, line: &str) -> Command {
    example("hello", folder, line)
}

#[test]
fn a_program_of_one_task_enqueues_and_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_worker, started) = Worker::start("hello", folder.path());
    assert!(started.contains("\"celeriac.health_check\",\"greet\"]"), "{started}");
    let greeted = command(folder.path(), "enqueue greet Ada --kwarg greeting=Salve --wait").output().unwrap();
    assert_eq!(String::from_utf8(greeted.stdout).unwrap(), "\"Salve, Ada!\"\n");
    let refused = command(folder.path(), "enqueue greet --kwarg name=").args(["--wait"]).output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("failed: nobody to greet"));
}

#[test]
fn it_stays_a_small_program() {
    let source = include_str!("../../../../examples/hello.rs");
    assert!(source.lines().count() < 40);
}
