//! `workflow`: tables whose rows move through statuses; how they stand, and putting rows back.

use std::sync::Arc;

use celeriac_control::workflow::{RegisteredWorkflow, WorkflowError, Workflows};
use celeriac_engine::States;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;
use crate::platform::{Platform, Use};
use crate::suggest::did_you_mean;

mod check;
mod list;
mod reset;
mod run;

/// Arguments of `workflow`.
#[derive(Args, Debug)]
#[command(override_usage = "workflow list\n       workflow NAME [check | reset | run] [OPTIONS]")]
pub(crate) struct WorkflowArgs {
    /// The workflow, or `list` to see which there are
    #[arg(default_value = LIST, hide_default_value = true)]
    name: String,
    #[command(subcommand)]
    action: Option<Action>,
}

/// What stands in place of a name to list all.
const LIST: &str = "list";

/// What is done with one workflow.
#[derive(Debug, Subcommand)]
enum Action {
    /// Count its rows by status, and show the last errors and how fast it goes
    #[command(override_usage = "workflow NAME [check]")]
    Check,
    /// Put rows back to waiting, their attempts and errors forgotten
    #[command(override_usage = "workflow NAME reset [OPTIONS]")]
    Reset(reset::ResetArgs),
    /// Make one run in this process, now, and say what it did
    #[command(override_usage = "workflow NAME run")]
    Run,
}

/// Runs the command.
pub(super) async fn run(mut context: Context, args: WorkflowArgs) -> Result<Exit> {
    if args.name == LIST && args.action.is_none() {
        return list::run(&mut context).await;
    }
    match args.action.unwrap_or(Action::Check) {
        Action::Check => check::run(&mut context, &args.name).await,
        Action::Reset(reset) => reset::run(&mut context, &args.name, reset).await,
        Action::Run => run::run(&mut context, &args.name).await,
    }
}

/// What a command on workflows works with.
struct Opened {
    platform: Platform,
    states: States,
}

impl Opened {
    async fn new(context: &mut Context, used_for: Use) -> Result<Self> {
        let platform = context.open(used_for).await?;
        let environment = platform.environment();
        let given = States::default().with(platform.database.clone()).with(platform.environment());
        let states = context.take_states().make(&environment, given).await?;
        Ok(Self { platform, states })
    }

    fn workflows(&self) -> Result<&Workflows> {
        self.states.get::<Workflows>().ok_or_else(|| {
            CliError::failed_to(Code::UnknownWorkflow, "find a workflow")
                .because("this app has none")
                .hint("register yours with `App::workflow` in a binary of your own")
        })
    }

    fn find(&self, name: &str) -> Result<&Arc<dyn RegisteredWorkflow>> {
        let workflows = self.workflows()?;
        workflows.find(name).map_err(|error| {
            let unknown = CliError::plain(Code::UnknownWorkflow, format!("there is no workflow \"{name}\""));
            match error {
                WorkflowError::Unknown { known, .. } => match did_you_mean(name, known.iter().copied()) {
                    Some(hint) => unknown.hint(hint),
                    None => unknown.hint(format!("there are: {}", known.join(", "))),
                },
                WorkflowError::Database { .. } => error.into(),
            }
        })
    }
}
