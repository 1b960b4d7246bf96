//! `jobs`: lists jobs, looks into one, cancels, retries, deletes or waits for it.

use celeriac_control::JobsError;
use celeriac_engine::Client;
use celeriac_protocol::JobId;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;

mod cancel;
mod delete;
mod list;
mod report;
mod retry;
mod show;
pub(super) mod wait;

/// Arguments of `jobs`.
#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List jobs, newest first
    List(list::ListArgs),
    /// Show all that is known of a job
    Show(show::ShowArgs),
    /// Cancel jobs: waiting ones leave their queue, running ones are told to stop
    Cancel(cancel::CancelArgs),
    /// Run jobs again that have ended: a dead letter as it is, any other as a copy
    Retry(retry::RetryArgs),
    /// Delete the records of jobs that have ended, and their dead letters
    Delete(delete::DeleteArgs),
    /// Wait until a job has ended, and print its result
    Wait(wait::WaitArgs),
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: JobsArgs) -> Result<Exit> {
    match args.action {
        Action::List(args) => list::run(context, args).await,
        Action::Show(args) => show::run(context, &args).await,
        Action::Cancel(args) => cancel::run(context, &args).await,
        Action::Retry(args) => retry::run(context, args).await,
        Action::Delete(args) => delete::run(context, &args).await,
        Action::Wait(args) => wait::run(context, &args).await,
    }
}

/// Says that nobody knows a job, or only its queue does.
async fn unknown(client: &Client, id: &JobId) -> Failure {
    JobsError::unknown(client, id).await.into()
}
