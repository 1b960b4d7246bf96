//! The `bench` and `soak` commands: build as users do, and let the bench run.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::needs;

/// Builds the bench as users' builds are, and what it starts, and runs it; `false` means that it found something wrong.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    let kind = arguments.first().map(String::as_str).unwrap_or_default();
    let mut arguments = arguments.to_vec();
    if ["collect", "site"].contains(&kind) && !find_documentation(root, &mut arguments)? {
        return Ok(false);
    }
    if ["versus", "schedule"].contains(&kind) && !find_celery(root, &mut arguments)? {
        return Ok(false);
    }
    // Together, since each would otherwise be built with other features of what they share.
    let mut build = crate::cargo(root);
    build.args(["build", "--quiet", "--release", "--package", "celeriac-bench", "--bin", "celeriac-bench"]);
    if kind == "site" {
        build.args(["--package", "celeriac-cli", "--bin", "celeriac"]);
    }
    if !build.status().context("start cargo")?.success() {
        return Ok(false);
    }
    // Cargo puts both profiles into one folder, and has just built this program into the other.
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("find the folder that cargo builds into")?;
    let bench = target.join("release/celeriac-bench");
    let mut bench = Command::new(&bench);
    let status = bench.args(arguments).status();
    Ok(status.with_context(|| format!("start {}", bench.get_program().display()))?.success())
}

/// Names the Python that has Celery where no other is named, and says whether there is one.
fn find_celery(root: &Path, arguments: &mut Vec<String>) -> anyhow::Result<bool> {
    let install = take_install(arguments);
    if asks_for_help(arguments) || arguments.iter().any(|argument| argument.starts_with("--python")) {
        return Ok(true);
    }
    let missing = needs::missing(needs::INTEROP, root, install)?;
    if !missing.is_empty() {
        println!("The other side is missing:\n");
        needs::tell(&missing, "the same command with --install");
        return Ok(false);
    }
    let (version, _) = needs::CELERIES[0];
    arguments.extend(["--python".to_owned(), needs::python(root, version).display().to_string()]);
    Ok(true)
}

/// Takes `--install` out and says whether it was there.
fn take_install(arguments: &mut Vec<String>) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| argument != "--install");
    arguments.len() < before
}

fn asks_for_help(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| ["--help", "-h"].contains(&argument.as_str()))
}

/// Names the documentation tree where no other is named, and says whether there is one.
fn find_documentation(root: &Path, arguments: &mut Vec<String>) -> anyhow::Result<bool> {
    let install = take_install(arguments);
    if asks_for_help(arguments) || arguments.iter().any(|argument| is_dir(argument)) {
        return Ok(true);
    }
    let missing = needs::missing(needs::DOCUMENTATION, root, install)?;
    let Some(tree) = needs::documentation(root) else {
        println!("Something to collect is missing:\n");
        needs::tell(&missing, "the same command with --install");
        return Ok(false);
    };
    arguments.extend(["--dir".to_owned(), tree.display().to_string()]);
    Ok(true)
}

fn is_dir(argument: &str) -> bool {
    argument == "--dir" || argument.starts_with("--dir=")
}
