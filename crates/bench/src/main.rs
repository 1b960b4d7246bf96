#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its tables")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the stopwatch itself")]

use std::process::ExitCode;

use clap::Parser;

mod bare;
mod beat;
mod collect;
mod ground;
mod kill;
mod lost;
mod marks;
mod plans;
mod process;
mod queue;
mod resp;
mod restart;
mod rows;
mod schedule;
mod setup;
mod site;
mod tasks;
mod versus;
mod worker;

/// Measures Celeriac.
#[derive(Parser)]
enum Command {
    /// Enqueue, drain and latency on one kind of queue, beside the bare rate.
    Queue(queue::Options),
    /// Our worker beside Celery's on the same server.
    Versus(versus::Options),
    /// A documentation tree and a long sitemap, from loopback into the database.
    Collect(collect::Options),
    /// What each statement looks at on PostgreSQL with a million jobs.
    Plans(plans::Options),
    /// Kills workers at named points of a job's path and counts what is lost.
    Kill(kill::Options),
    /// Restarts the queue's server under load and counts what is lost.
    Restart(restart::Options),
    /// Kills processes that move the rows of a table and counts what is lost or stored twice.
    Rows(rows::Options),
    /// Kills, stops and restarts schedulers and their servers, and looks for every due time.
    Beat(beat::Options),
    /// A large schedule, of which a hundredth is due within the minute, beside Celery's beat.
    Schedule(schedule::Options),
    /// Kills the demonstration over a folder of HTML and counts what is lost or fetched twice.
    Site(site::Options),
    /// The site of `collect`.
    #[command(hide = true)]
    Serve(collect::site::Options),
    /// The collector of `collect`.
    #[command(hide = true)]
    Collector(collect::worker::Options),
    /// The processes of `rows`.
    #[command(hide = true)]
    Mover(rows::worker::Options),
    /// The schedulers of `beat` and `schedule`.
    #[command(hide = true)]
    Scheduler(beat::scheduler::Options),
    /// The second process of the others.
    #[command(hide = true)]
    Worker(worker::Options),
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // One line, whatever the environment says of backtraces: it names the bound that is broken.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Queue(options) => queue::run(options).await,
            Command::Versus(options) => versus::run(options).await,
            Command::Beat(options) => beat::run(options).await,
            Command::Schedule(options) => schedule::run(options).await,
            Command::Scheduler(options) => beat::scheduler::run(options).await,
            Command::Collect(options) => collect::run(options).await,
            Command::Site(options) => site::run(options).await,
            Command::Serve(options) => collect::site::run(options).await,
            Command::Collector(options) => collect::worker::run(options).await,
            Command::Kill(options) => kill::run(options).await,
            Command::Plans(options) => plans::run(options).await,
            Command::Rows(options) => rows::run(options).await,
            Command::Mover(options) => rows::worker::run(options).await,
            Command::Restart(options) => restart::run(options).await,
            Command::Worker(options) => worker::run(options).await,
        }
    })
}
