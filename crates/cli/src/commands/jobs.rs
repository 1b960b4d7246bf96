//! `jobs`: lists jobs, looks into one, cancels, retries or waits for it.

use celeriac_engine::Client;
use celeriac_protocol::JobId;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;

mod cancel;
mod list;
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
    /// Run a job again that has ended: a dead letter as it is, any other as a copy
    Retry(retry::RetryArgs),
    /// Wait until a job has ended, and print its result
    Wait(wait::WaitArgs),
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: JobsArgs) -> Result<Exit> {
    match args.action {
        Action::List(args) => list::run(context, args).await,
        Action::Show(args) => show::run(context, &args).await,
        Action::Cancel(args) => cancel::run(context, &args).await,
        Action::Retry(args) => retry::run(context, &args).await,
        Action::Wait(args) => wait::run(context, &args).await,
    }
}

/// Says that nobody knows a job, or only its queue does.
async fn unknown(client: &Client, id: &JobId) -> CliError {
    match client.find(id).await {
        Ok(Some(found)) => {
            let queue = found.envelope.queue;
            CliError::plain(Code::UnknownJob, format!("there is no record of job {id}")).hint(format!(
                "its message is in queue {queue}; its task leaves no record until it fails, or none at all"
            ))
        }
        Ok(None) => CliError::plain(Code::UnknownJob, format!("there is no job {id}")),
        Err(error) => error.into(),
    }
}
