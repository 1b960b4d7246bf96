//! `schedule`: what is enqueued at its times, and what a time means.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

mod change;
pub(super) mod diff;
mod due;
mod explain;
mod export;
mod flags;
mod history;
mod import;
mod list;
mod moment;
mod next;
mod opened;
mod run_now;
mod show;
mod view;

/// Arguments of `schedule`.
#[derive(Args, Debug)]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    action: Action,
}

/// What is done with the schedule.
#[derive(Debug, Subcommand)]
enum Action {
    /// List schedules: when each is due, how it stands, how late it ran
    List(list::ListArgs),
    /// Show one: what it does, when it is due next, what came of it, who has changed what
    Show(show::ShowArgs),
    /// Tell the next due times, of one schedule or of all
    Next(next::NextArgs),
    /// Tell what came of a schedule's due times
    History(history::HistoryArgs),
    /// Add a schedule
    Add(Box<change::AddArgs>),
    /// Change a schedule; it is in force at once
    Edit(Box<change::EditArgs>),
    /// Switch schedules on; what was due meanwhile is left out
    Enable(change::SwitchArgs),
    /// Switch schedules off; jobs that were enqueued go on
    Disable(change::SwitchArgs),
    /// Remove schedules
    Remove(change::RemoveArgs),
    /// Enqueue a schedule's job now, out of turn
    RunNow(run_now::RunNowArgs),
    /// Enqueue the jobs of past due times that have none
    Backfill(run_now::BackfillArgs),
    /// Write schedules as a file: TOML as in the configuration, or JSON
    Export(export::ExportArgs),
    /// Read schedules from a file, or take over those of Celery's schedulers
    Import(Box<import::ImportArgs>),
    /// Compare what is declared with what is stored; exits with 1 where they differ
    Diff,
    /// Say in words when an expression is due, next and where the clocks are changed
    Explain(explain::ExplainArgs),
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: ScheduleArgs) -> Result<Exit> {
    match args.action {
        Action::List(args) => list::run(context, args).await,
        Action::Show(args) => show::run(context, &args).await,
        Action::Next(args) => next::run(context, &args).await,
        Action::History(args) => history::run(context, &args).await,
        Action::Add(args) => change::add(context, *args).await,
        Action::Edit(args) => change::edit(context, *args).await,
        Action::Enable(args) => change::enable(context, &args).await,
        Action::Disable(args) => change::disable(context, &args).await,
        Action::Remove(args) => change::remove(context, &args).await,
        Action::RunNow(args) => run_now::run_now(context, &args).await,
        Action::Backfill(args) => run_now::backfill(context, &args).await,
        Action::Export(args) => export::run(context, &args).await,
        Action::Import(args) => import::run(context, *args).await,
        Action::Diff => diff::run(context).await,
        Action::Explain(args) => explain::run(context, &args),
    }
}
