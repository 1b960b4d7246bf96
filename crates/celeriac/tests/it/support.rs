//! Runs the examples as their users do.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Returns an example's program, to be run in a folder with an environment of its own.
pub(crate) fn example(name: &str, folder: &Path, line: &str) -> Command {
    let mut command = Command::new(path_of(name));
    command.args(line.split(' ')).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Returns where cargo puts an example: beside the folder of this test.
fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// Ends a worker with the test.
pub(crate) struct Worker(Child);

impl Worker {
    /// Starts one and returns it with what it says of itself once it takes jobs.
    pub(crate) fn start(name: &str, folder: &Path) -> (Self, String) {
        Self::start_with(name, folder, &[])
    }

    /// Does so with variables of the environment.
    pub(crate) fn start_with(name: &str, folder: &Path, variables: &[(&str, &str)]) -> (Self, String) {
        let mut command = example(name, folder, "worker --json");
        let command = command.envs(variables.iter().copied()).stdout(Stdio::piped());
        // What a test counts is its own.
        command.env("CELERIAC_BEAT__HEALTH_CHECK", "false").env("CELERIAC_BEAT__CLEANUP_OLD_JOBS", "false");
        let mut worker = command.spawn().map(Self).unwrap();
        let mut started = String::new();
        BufReader::new(worker.0.stdout.take().unwrap()).read_line(&mut started).unwrap();
        (worker, started)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
