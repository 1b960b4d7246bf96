//! The demonstration in a process of its own.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;

/// How often the site's log is looked at: a few pages' time.
const LOOK: Duration = Duration::from_millis(3);

/// How long one start may take; a tree of thirty thousand pages takes a few minutes.
const LONGEST_START: Duration = Duration::from_secs(600);

/// A running `celeriac demo --site`; killed when dropped.
pub(super) struct Demo {
    child: Child,
    stderr: PathBuf,
}

/// What it says at its end.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) complete: bool,
    pub(super) starts: u32,
}

impl Demo {
    /// Starts it in a folder of its own, with nothing of our environment.
    pub(super) fn start(program: &Path, site: &Path, place: &Path) -> anyhow::Result<Self> {
        let stderr = place.join("stderr.log");
        let mut command = Command::new(program);
        command.args(["demo", "--json", "--site"]).arg(site).current_dir(place).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&stderr)?);
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        Ok(Self { child, stderr })
    }

    /// Waits until `reached`, while it must not end.
    pub(super) fn until(&mut self, reached: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !reached()? {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it ended by itself with {status} before it was to be killed: {}", self.said());
            }
            anyhow::ensure!(begun.elapsed() < LONGEST_START, "it stands still: {}", self.said());
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.code().is_none(), "it ended by itself with {status} as it was to be killed");
        Ok(())
    }

    /// Waits for its end and reads what it says.
    pub(super) fn finish(mut self) -> anyhow::Result<Told> {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None => std::thread::sleep(LOOK),
            }
            anyhow::ensure!(begun.elapsed() < LONGEST_START, "it does not end: {}", self.said());
        };
        anyhow::ensure!(status.success(), "it ended with {status}: {}", self.said());
        let mut text = String::new();
        self.child.stdout.take().context("take its output")?.read_to_string(&mut text)?;
        serde_json::from_str(&text).with_context(|| format!("read what it says: {text}"))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Gone already, in the ordinary case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
