//! `schedule`: what is enqueued at its times, and what a time means.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

mod import;

/// Arguments of `schedule`.
#[derive(Args, Debug)]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    action: Action,
}

/// What is done with the schedule.
#[derive(Debug, Subcommand)]
enum Action {
    /// Take over the entries of django-celery-beat, sqlalchemy-celery-beat or redbeat
    Import(import::ImportArgs),
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: ScheduleArgs) -> Result<Exit> {
    match args.action {
        Action::Import(args) => import::run(context, args).await,
    }
}
