//! Celery's worker as a process beside this one.

use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// The application, as its author would write it.
const APP: &str = include_str!("app.py");

/// A worker with a pool of processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefork {
    pub(super) processes: usize,
    /// How many messages are taken ahead for each.
    pub(super) prefetch: usize,
}

impl fmt::Display for Prefork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prefork {}, prefetch multiplier {}", self.processes, self.prefetch)
    }
}

impl Prefork {
    fn arguments(self) -> Vec<String> {
        let fixed = "-m celery -A app worker --pool prefork --without-gossip --without-mingle --without-heartbeat \
                     --loglevel ERROR";
        let mut arguments: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
        arguments.extend(["--concurrency".to_owned(), self.processes.to_string()]);
        arguments.extend(["--prefetch-multiplier".to_owned(), self.prefetch.to_string()]);
        arguments
    }

    /// Returns what a person types.
    pub(super) fn command(self, python: &Path, url: &str) -> String {
        format!("BROKER={url} {} {}", python.display(), self.arguments().join(" "))
    }

    /// Starts it in `folder`, where its application is put.
    pub(super) fn start(self, python: &Path, url: &str, folder: &Path) -> anyhow::Result<Worker> {
        std::fs::write(folder.join("app.py"), APP)?;
        let mut command = Command::new(std::path::absolute(python)?);
        command.args(self.arguments()).current_dir(folder).env("BROKER", url);
        // It warns of running as root, which a container's worker does.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Worker(command.spawn()?))
    }
}

/// Is responsible for the worker's processes, which end with this.
pub(super) struct Worker(Child);

impl Worker {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its queue is empty, so it holds nothing that would want an orderly end.
        kill_process_group(Pid::from_child(&self.0), Signal::KILL).ok();
        self.0.wait().ok();
    }
}

/// Asks the other side what it is.
pub(super) fn versions(python: &Path) -> anyhow::Result<String> {
    let code = "import celery, kombu, redis, amqp, platform as p; print(f'Celery {celery.__version__}, \
                kombu {kombu.__version__}, redis-py {redis.__version__}, py-amqp {amqp.__version__}, Python {p.python_version()}')";
    let output = Command::new(python).args(["-c", code]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
