#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to its terminal")]

mod measure;
mod needs;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use celeriac_peers::shared::Shared;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  test [--install] [FILTER]   run tidy, the workspace's tests and the doc tests;
                              --install first fetches what the tests need
  test interop [--install]    run our client and worker beside real Celery, and print what holds
  peers                       start the servers that the tests talk to, and print where they are
  tidy                        check the rules of the house
  bench queue [OPTIONS]       enqueue, drain, latency and delayed jobs, beside the bare rate of the
                              same work; --broker sqlite|redis|postgres|amqp, on a private server
  bench versus [--install]    our worker beside Celery's on the same server and the same messages:
                              --broker redis|amqp
  bench collect [OPTIONS]     collect a folder of HTML and a long sitemap from loopback
  bench plans [OPTIONS]       what each statement looks at on PostgreSQL with a million jobs: --rows N
  bench schedule [--install]  ticks, start, lateness and memory of a large schedule, beside Celery's beat:
                              --entries N, --broker sqlite|postgres, --seconds N
  soak kill [OPTIONS]         kill workers at named points of a job's path, and look for every job:
                              --broker sqlite|redis|postgres|amqp, --kills N, --at-once N
  soak restart [OPTIONS]      restart the queue's server under load, and look for every job:
                              --broker redis|postgres|amqp, --restarts N
  soak rows [OPTIONS]         kill processes that move rows through a workflow, and look at every row:
                              --broker postgres|redis|sqlite, --rows N, --kills N
  soak beat [OPTIONS]         kill and stop schedulers, restart their servers, and look for every due time:
                              --broker postgres|redis|amqp, --entries N, --seconds N, --speed N, --seed N
  soak site [OPTIONS]         kill the demonstration over a folder of HTML, and look for every page
                              it and `bench collect` take --dir DIR, or the documentation tree
                              that --install fetches
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command; `false` means that it ran and found something wrong.
fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(true);
    };
    match command.as_str() {
        "test" => test::run(&root(), &test::Options::parse(rest)?),
        "peers" => peers(),
        "tidy" => tidy::run(&root()),
        "bench" | "soak" => measure::run(&root(), rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        unknown => anyhow::bail!("unknown command `{unknown}`\n{HELP}"),
    }
}

/// Serves the tests that somebody runs by another command, until the input ends or a signal comes.
fn peers() -> anyhow::Result<bool> {
    let peers = Shared::start()?;
    for (variable, url) in peers.variables() {
        println!("export {variable}={url}");
    }
    eprintln!("they stop when this is ended by Ctrl-D or Ctrl-C");
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(true)
}

/// Returns the workspace's folder: the parent of this package's.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("xtask lies one folder below the workspace").to_path_buf()
}

/// Returns a call of the cargo that runs us, in the workspace's folder.
#[expect(clippy::disallowed_methods, reason = "cargo names itself in the environment")]
fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Returns whether we run unattended, by the variable that every CI sets.
#[expect(clippy::disallowed_methods, reason = "CI is told by the environment and by nothing else")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}
