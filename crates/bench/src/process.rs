//! What the system says of a process, and the second process itself.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Seconds of processor time, user and system.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident at a time, in MiB.
    pub(crate) peak_rss_mib: f64,
}

/// Reads what this process has used, from the proc file system.
pub(crate) fn usage() -> anyhow::Result<Usage> {
    let cpu_seconds = Times::read("self")?.own / TICKS_A_SECOND;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).context("find VmHWM")?;
    let kib: f64 = peak.split_whitespace().nth(1).context("read VmHWM")?.parse()?;
    Ok(Usage { cpu_seconds, peak_rss_mib: kib / 1024.0 })
}

/// Returns the seconds of processor time that a process and all that it has started have used, those
/// that have ended included.
pub(crate) fn cpu_of_tree(root: u32) -> anyhow::Result<f64> {
    let ticks = tree(root)?.iter().map(|(_, times)| times.own + times.of_the_ended).sum::<f64>();
    Ok(ticks / TICKS_A_SECOND)
}

/// Returns the memory of a process and all that it has started, in MiB; what several share counts once.
pub(crate) fn memory_of_tree(root: u32) -> anyhow::Result<f64> {
    let mut kib = 0.0;
    for (pid, _) in tree(root)? {
        // It may have ended meanwhile.
        let told = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let share = told.lines().find(|line| line.starts_with("Pss:"));
        kib += share.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(kib / 1024.0)
}

/// How the system counts processor time.
const TICKS_A_SECOND: f64 = 100.0;

/// What `/proc/<pid>/stat` says of a process' time, in ticks, and whose child it is.
struct Times {
    parent: u32,
    own: f64,
    /// Of its children that have ended and of theirs.
    of_the_ended: f64,
}

impl Times {
    fn read(pid: &str) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit(')').next().context("read the state of a process")?;
        // The third field of the file is the first here, behind the name.
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |first: usize| -> anyhow::Result<f64> {
            Ok(fields[first].parse::<f64>()? + fields[first + 1].parse::<f64>()?)
        };
        Ok(Self { parent: fields[1].parse()?, own: ticks(11)?, of_the_ended: ticks(13)? })
    }
}

/// Returns a process and all below it.
fn tree(root: u32) -> anyhow::Result<Vec<(u32, Times)>> {
    let mut all: Vec<(u32, Times)> = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended meanwhile.
        all.extend(Times::read(&pid.to_string()).ok().map(|times| (pid, times)));
    }
    let (mut found, mut parents) = (Vec::new(), vec![root]);
    while let Some(parent) = parents.pop() {
        let (below, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(pid, times)| times.parent == parent || *pid == parent);
        parents.extend(below.iter().map(|(pid, _)| *pid).filter(|pid| *pid != parent));
        found.extend(below);
        all = rest;
    }
    Ok(found)
}

/// Returns what is cancelled once this process' input is closed, which is how [`Second::stop`] asks it to stop.
pub(crate) fn input_closed() -> CancellationToken {
    let closed = CancellationToken::new();
    let tell = closed.clone();
    // Reading blocks its thread for good, so it has one to itself.
    std::thread::spawn(move || {
        // Ends when the other side closes it.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        tell.cancel();
    });
    closed
}

/// A second process of this program; killed when dropped.
pub(crate) struct Second {
    child: Child,
    lines: BufReader<ChildStdout>,
    stdin: Option<ChildStdin>,
}

impl Second {
    /// Starts this program again with other arguments.
    pub(crate) fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("take the worker's output")?);
        let stdin = child.stdin.take();
        Ok(Self { child, lines, stdin })
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its next line; `None` at its end.
    pub(crate) fn line(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        let bytes = self.lines.read_line(&mut line)?;
        Ok((bytes > 0).then(|| line.trim_end().to_owned()))
    }

    /// Asks it to stop, by closing its input, and returns its last line.
    pub(crate) fn stop(mut self) -> anyhow::Result<String> {
        drop(self.stdin.take());
        let mut last = String::new();
        while let Some(line) = self.line()? {
            last = line;
        }
        self.child.wait()?;
        Ok(last)
    }

    /// Lets it stand still, with SIGSTOP.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::STOP)?)
    }

    /// Lets it go on after [`freeze`](Self::freeze), with SIGCONT.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::CONT)?)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Gone already, in the ordinary case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
