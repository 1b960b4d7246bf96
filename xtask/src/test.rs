//! The `test` command: everything that is tested, in one run, with one count at its end.

mod counts;
mod interop;

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use celeriac_peers::shared::Shared;
use counts::Counts;

use crate::needs;

/// What `cargo xtask test` was told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    install: bool,
    filter: Option<String>,
}

impl Options {
    /// Reads the arguments after `test`.
    pub(crate) fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--install" => options.install = true,
                flag if flag.starts_with('-') => bail!("unknown flag `{flag}`; there is only `--install`"),
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                second => bail!("one filter at most, and `{second}` is the second"),
            }
        }
        Ok(options)
    }
}

/// Runs the tests and returns whether all of them passed.
///
/// The last line of the output is `N passed, N failed`, which CI reads.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<bool> {
    if options.filter.as_deref() == Some(interop::WORD) {
        return interop::run(root, options.install);
    }
    if !has(needs::TESTS, root, options.install, "cargo xtask test --install")? {
        return Ok(false);
    }
    let mut counts = Counts::default();
    // A finding shows in a second here, and only after the whole build as one test among many.
    if options.filter.is_none() && !crate::tidy::run(root)? {
        println!("0 passed, 1 failed");
        return Ok(false);
    }
    println!("starting PostgreSQL, Redis and RabbitMQ for the tests");
    let peers = Shared::start()?;
    counts += nextest(root, options.filter.as_deref(), &peers, &["--workspace"], &[])?;
    println!("the same on PostgreSQL, for what lies in a database");
    counts += nextest(root, options.filter.as_deref(), &peers, ON_EITHER_ENGINE, ON_POSTGRES)?;
    if options.filter.is_none() {
        println!("every switch of every time zone, optimised for the while");
        counts += nextest(root, None, &peers, EVERY_SWITCH, &[])?.of_chosen();
    }
    counts += doctests(root, options.filter.as_deref())?;
    drop(peers);
    if options.filter.is_none() && counts.skipped() > 0 {
        println!("\n{} marked `ignore` did not run by themselves; each says why", counts.skipped());
    }
    println!("\n{counts}");
    Ok(counts.are_good())
}

/// Says whether everything is there that is needed, and what lacks; with `install` it is fetched first.
fn has(needs: &'static [needs::Need], root: &Path, install: bool, command: &str) -> anyhow::Result<bool> {
    let missing = needs::missing(needs, root, install)?;
    if missing.is_empty() {
        return Ok(true);
    }
    println!("The tests need more than Rust, and this is missing:\n");
    needs::tell(&missing, command);
    println!("0 passed, {} failed", missing.len());
    Ok(false)
}

/// The crates whose tests open a database of whichever engine the run asks for.
const ON_EITHER_ENGINE: &[&str] =
    &["-p", "celeriac-store", "-p", "celeriac-control", "-p", "celeriac-collect"];

/// The test of the calculus with all zones there are, which takes minutes as it is built for the others. Its crate alone
/// is built otherwise: the others stay as they are.
const EVERY_SWITCH: &[&str] = &[
    "-p",
    "celeriac-protocol",
    "--lib",
    "--config",
    "profile.dev.package.celeriac-protocol.opt-level=2",
    "--run-ignored",
    "only",
    "every_switch_of_every_zone",
];

/// What asks for PostgreSQL.
const ON_POSTGRES: &[(&str, &str)] = &[("CELERIAC_TEST_ENGINE", "postgres")];

fn nextest(
    root: &Path,
    filter: Option<&str>,
    peers: &Shared,
    packages: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<Counts> {
    let mut command = coloured_cargo(root);
    command.args(["nextest", "run", "--no-fail-fast", "--no-tests=pass"]).args(packages);
    if crate::is_ci() {
        command.args(["--profile", "ci"]);
    }
    command.args(filter).envs(peers.variables()).envs(environment.iter().copied());
    watch(command, counts::of_nextest_line)
}

fn doctests(root: &Path, filter: Option<&str>) -> anyhow::Result<Counts> {
    let mut command = coloured_cargo(root);
    command.args(["test", "--quiet", "--doc", "--workspace", "--no-fail-fast"]);
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    watch(command, counts::of_libtest_line)
}

fn coloured_cargo(root: &Path) -> Command {
    let mut command = crate::cargo(root);
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Runs a test runner, shows its output as it comes, and counts by the lines that `count` knows.
fn watch(mut command: Command, count: fn(&str) -> Option<Counts>) -> anyhow::Result<Counts> {
    let (reader, writer) = std::io::pipe().context("open a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
    // The command holds the pipe's other end, and the loop below would wait for it for ever.
    drop(command);
    let mut counts = Counts::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        counts += count(&counts::without_colour(&line)).unwrap_or_default();
    }
    let status = child.wait().context("wait for the test runner")?;
    Ok(counts.confirmed_by(status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn install_and_a_filter_may_stand_in_any_order() {
        let expected = Options { install: true, filter: Some("lease".into()) };
        assert_eq!(parse(&["lease", "--install"]).expect("these are known"), expected);
        assert_eq!(parse(&["--install", "lease"]).expect("these are known"), expected);
        assert_eq!(parse(&[]).expect("nothing is asked"), Options::default());
    }

    #[test]
    fn an_unknown_flag_or_a_second_filter_is_refused() {
        assert!(parse(&["--instal"]).is_err());
        assert!(parse(&["a", "b"]).is_err());
    }

    #[test]
    fn a_runner_that_fails_without_a_count_counts_as_failed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: ok. 2 passed; 0 failed; 1 ignored'; exit 1"]);
        let counts = watch(command, counts::of_libtest_line).expect("sh starts");
        assert_eq!((counts.to_string().as_str(), counts.skipped()), ("2 passed, 1 failed", 1));
    }
}
