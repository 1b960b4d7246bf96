//! The `test interop` command: our client and worker beside real Celery, and a report of each line that holds.

use std::path::Path;

use anyhow::Context;
use celeriac_peers::RabbitMq;
use celeriac_peers::shared::rabbitmq_variables;

use super::counts::{self, Counts};
use super::{coloured_cargo, has, watch};
use crate::needs;

/// What stands in the place of a filter to ask for this.
pub(super) const WORD: &str = "interop";

/// The tests, each of which talks to a live Python process.
const TESTS: &str = "package(celeriac-cli) & binary(interop)";

/// What the tests need that all tests do: they start servers of their own, and share a RabbitMQ.
const SHARED: [&str; 4] = ["cargo-nextest", "Redis", "PostgreSQL", "RabbitMQ"];

/// Runs the tests and prints what each Python process has said that it is; returns whether all passed.
pub(super) fn run(root: &Path, install: bool) -> anyhow::Result<bool> {
    let command = "cargo xtask test interop --install";
    let lacks_shared = needs::missing(needs::TESTS, root, false)?;
    let lacks_shared = lacks_shared.iter().any(|need| SHARED.contains(&need.name));
    if lacks_shared && !has(needs::TESTS, root, install, command)?
        || !has(needs::INTEROP, root, install, command)?
    {
        return Ok(false);
    }
    let report = root.join("target/interop/report.txt");
    // Of an earlier run.
    std::fs::remove_file(&report).ok();
    let mut nextest = coloured_cargo(root);
    nextest.args(["nextest", "run", "--package", "celeriac-cli", "--no-fail-fast", "--run-ignored", "all"]);
    nextest.args(["-E", TESTS]).env("CELERIAC_TEST_INTEROP_REPORT", &report);
    let rabbitmq = RabbitMq::start()?;
    nextest.envs(rabbitmq_variables(&rabbitmq));
    for (version, _) in needs::CELERIES {
        let variable = format!("CELERIAC_TEST_PYTHON_{}", version.replace('.', "_"));
        nextest.env(variable, needs::python(root, version));
    }
    let counts: Counts = watch(nextest, counts::of_nextest_line)?;
    let told = std::fs::read_to_string(&report).context("read the report: no test has passed")?;
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    println!("\nWhat holds, and what Python said that it is:\n{}\n\n{counts}", lines.join("\n"));
    Ok(counts.are_good())
}
