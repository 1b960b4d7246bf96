//! What the tests need beyond Rust: how each thing is looked for, and how it is fetched.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// One thing that has to be there before the tests run.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    pub(crate) what_for: &'static str,
    /// What a person types to get it without us.
    pub(crate) by_hand: &'static str,
    is_there: fn(&Path) -> bool,
    install: fn(&Path) -> anyhow::Result<()>,
}

/// Everything that today's tests need.
const NEEDS: &[Need] = &[Need {
    name: "cargo-nextest",
    what_for: "runs each test in a process of its own",
    by_hand: "cargo install --locked --version 0.9.143 cargo-nextest",
    is_there: |root| succeeds(root, &["cargo", "nextest", "--version"]),
    install: |root| run(root, &["cargo", "install", "--locked", "--version", "0.9.143", "cargo-nextest"]),
}];

/// Returns what is missing; with `install` it is fetched first, and only what still lacks is returned.
pub(crate) fn missing(root: &Path, install: bool) -> anyhow::Result<Vec<&'static Need>> {
    let mut missing = Vec::new();
    for need in NEEDS.iter().filter(|need| !(need.is_there)(root)) {
        if install {
            println!("installing {} ({})", need.name, need.by_hand);
            (need.install)(root).with_context(|| format!("install {}", need.name))?;
        }
        if !(need.is_there)(root) {
            missing.push(need);
        }
    }
    Ok(missing)
}

fn succeeds(root: &Path, words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command
        .current_dir(root)
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(words[0]).current_dir(root).args(&words[1..]).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("start {}", words[0]))?;
    ensure!(status.success(), "`{}` ended with {status}", words.join(" "));
    Ok(())
}
