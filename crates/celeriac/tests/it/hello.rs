//! The first example, run as the guide says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Returns where cargo puts the example: beside the folder of this test.
fn hello() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples/hello")
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(hello());
    command.args(line.split(' ')).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Ends a worker with the test.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_program_of_one_task_enqueues_and_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker =
        command(folder.path(), "worker --json").stdout(Stdio::piped()).spawn().map(Worker).unwrap();
    let mut started = String::new();
    BufReader::new(worker.0.stdout.take().unwrap()).read_line(&mut started).unwrap();
    assert!(started.contains("\"tasks\":[\"greet\"]"), "{started}");
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
