//! All commands, one file each, named as they are typed; `access.rs`, `collecting.rs`, `confirm.rs`,
//! `names.rs` and `password.rs` are what some share.

use std::path::{Path, PathBuf};

use celeriac_control::AppParts;
use clap::Subcommand;

use crate::config::Flag;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;

mod access;
mod audit;
pub(crate) mod beat;
mod collect;
mod collecting;
mod completions;
mod config;
mod confirm;
mod dead;
mod demo;
pub(crate) mod doctor;
mod enqueue;
mod jobs;
mod migrate;
pub(crate) mod names;
mod password;
mod queues;
mod schedule;
mod server;
mod sessions;
mod tasks;
mod tokens;
mod up;
mod users;
mod version;
mod worker;
mod workflow;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Collect a small site that this program serves itself, and watch it
    Demo(demo::DemoArgs),
    /// Collect sites: their home pages, sitemaps and pages
    Collect(collect::CollectArgs),
    /// Run everything in one process until stopped: API and dashboard, a worker, a scheduler
    Up(up::UpArgs),
    /// Serve API and dashboard until stopped
    Server(server::ServerArgs),
    /// Run jobs until stopped
    Worker(worker::WorkerArgs),
    /// Enqueue what the schedule says is due, until stopped
    Beat,
    /// Ask for a job, or for many
    Enqueue(enqueue::EnqueueArgs),
    /// List jobs, look into one, cancel, retry or wait for it
    Jobs(jobs::JobsArgs),
    /// Look at jobs that failed for good; retry or drop them
    Dead(dead::DeadArgs),
    /// Count what waits in the queues; pause, resume or empty one
    Queues(queues::QueuesArgs),
    /// Look at what is enqueued at its times; add, change, switch and explain it
    Schedule(schedule::ScheduleArgs),
    /// List the tasks of this app, or describe one
    Tasks(tasks::TasksArgs),
    /// List the workflows of this app; check, reset, run or change one
    Workflow(workflow::WorkflowArgs),
    /// List what programs call the API with; make or revoke it
    Tokens(tokens::TokensArgs),
    /// List the people who log in; add, change or disable them
    Users(users::UsersArgs),
    /// List the logins that go on, or end them
    Sessions(sessions::SessionsArgs),
    /// Look up what was done, and by whom
    Audit(audit::AuditArgs),
    /// Bring the database's tables up to date, or take migrations back
    Migrate(migrate::MigrateArgs),
    /// Check that everything is as it should be; the exit code is 1 where it is not
    Doctor(doctor::DoctorArgs),
    /// Show the settings in force and where each comes from
    Config(config::ConfigArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the version
    Version,
}

impl Command {
    /// Returns the keys of the configuration that the command's own flags set.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        match self {
            Self::Up(args) => args.flags(),
            Self::Server(args) => args.flags(),
            Self::Worker(args) => args.flags(),
            _ => Vec::new(),
        }
    }

    /// Says whether it runs until it is stopped.
    pub(crate) fn is_long(&self) -> bool {
        self.is_chatty() || matches!(self, Self::Demo(_) | Self::Collect(_))
    }

    /// Says whether it needs the configuration, which must not be broken then.
    pub(crate) fn needs_settings(&self) -> bool {
        match self {
            Self::Completions(_) | Self::Version => false,
            Self::Config(args) => !args.is_default(),
            _ => true,
        }
    }

    /// Says whether it tells a story in its log unless asked not to.
    pub(crate) fn is_chatty(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Server(_) | Self::Worker(_) | Self::Beat)
    }

    /// Runs a command that works whatever the configuration says.
    pub(crate) fn run_without_settings(self, app: &AppParts, output: &Output) -> Result<Exit> {
        match self {
            Self::Completions(args) => completions::run(app, output, &args)?,
            Self::Version => version::run(app, output)?,
            _ => config::print_default(app, output)?,
        }
        Ok(Exit::Done)
    }

    /// Runs it.
    pub(crate) async fn run(self, context: Context) -> Result<Exit> {
        match self {
            Self::Demo(args) => demo::run(context, args).await,
            Self::Collect(args) => collect::run(context, args).await,
            Self::Up(_) => Box::pin(up::run(context)).await,
            Self::Server(_) => server::run(context).await,
            Self::Worker(_) => worker::run(context).await,
            Self::Beat => beat::run(context).await,
            Self::Enqueue(args) => Box::pin(enqueue::run(context, args)).await,
            Self::Jobs(args) => jobs::run(&context, args).await,
            Self::Dead(args) => dead::run(&context, args).await,
            Self::Queues(args) => queues::run(&context, args).await,
            Self::Schedule(args) => schedule::run(&context, args).await,
            Self::Tasks(args) => tasks::run(&context, &args),
            Self::Workflow(args) => workflow::run(context, args).await,
            Self::Tokens(args) => tokens::run(&context, args).await,
            Self::Users(args) => users::run(&context, args).await,
            Self::Sessions(args) => sessions::run(&context, args).await,
            Self::Audit(args) => audit::run(&context, args).await,
            Self::Migrate(args) => migrate::run(&context, args).await,
            Self::Doctor(args) => doctor::run(&context, &args).await,
            Self::Config(args) => config::run(&context, &args),
            alone @ (Self::Completions(_) | Self::Version) => {
                alone.run_without_settings(&context.app, &context.output)
            }
        }
    }
}

/// Returns how this program is called, so that what is said to be typed next works: as short as it can be.
fn program() -> String {
    let Some(called) = std::env::args_os().next() else { return "celeriac".to_owned() };
    let called = Path::new(&called);
    match shorter(called) {
        Some(shorter) => quoted(&shorter),
        None => quoted(called),
    }
}

/// Returns a shorter way to call a program by its absolute path from where the process runs.
#[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
fn shorter(called: &Path) -> Option<PathBuf> {
    let name = called.file_name().filter(|_| called.is_absolute())?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if first.is_some_and(|first| first == called) {
        return Some(name.into());
    }
    let below = called.strip_prefix(std::env::current_dir().ok()?).ok()?;
    Some(Path::new(".").join(below))
}

/// Returns what was typed, as a shell reads it, so that it can be typed again: without what should not be done
/// twice, and without what only a program asks for.
fn typed_again() -> String {
    let again = std::env::args_os().skip(1).filter(|word| word != "--fresh" && word != "--json");
    let words = again.map(|word| quoted(Path::new(&word)));
    std::iter::once(program()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Writes a path, or any other word, as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
