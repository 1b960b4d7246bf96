//! What the system says of a process, and the second process itself.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

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
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().context("read /proc/self/stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // Fields 14 and 15 of the file, counted behind the name, in ticks of 10 ms.
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).context("find VmHWM")?;
    let kib: f64 = peak.split_whitespace().nth(1).context("read VmHWM")?.parse()?;
    Ok(Usage { cpu_seconds: ticks / 100.0, peak_rss_mib: kib / 1024.0 })
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
