//! `workflow`: tables whose rows move through statuses; how they stand, and putting rows back.

use std::sync::Arc;

use celeriac_control::workflow::{RegisteredWorkflow, WorkflowError, Workflows};
use celeriac_engine::States;
use celeriac_protocol::suggest::did_you_mean;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::platform::{Platform, Use};

mod check;
mod list;
mod reset;
mod run;
mod settings;

/// Arguments of `workflow`.
#[derive(Args, Debug)]
pub(crate) struct WorkflowArgs {
    /// The workflow
    name: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

/// What is done with one workflow, or all.
#[derive(Debug, Subcommand)]
enum Action {
    /// List all, with their states and last runs
    List,
    /// Count its rows by status, and show the last errors and how fast it goes
    Check,
    /// Put rows back to waiting, their attempts and errors forgotten
    Reset(reset::ResetArgs),
    /// Make one run in this process, now, and say what it did
    Run,
    /// Show every setting, its value and where that comes from
    Settings,
    /// Change settings while everything runs; when it is due at once, the rest for the next run
    Set(settings::SetArgs),
    /// Have settings be as code, file and environment say again
    Unset(settings::UnsetArgs),
}

impl Action {
    /// Returns the word by which it is asked for.
    fn word(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Check => "check",
            Self::Reset(_) => "reset",
            Self::Run => "run",
            Self::Settings => "settings",
            Self::Set(_) => "set",
            Self::Unset(_) => "unset",
        }
    }
}

/// Runs the command.
pub(super) async fn run(mut context: Context, args: WorkflowArgs) -> Result<Exit> {
    match (args.name, args.action) {
        (None, None | Some(Action::List)) => list::run(&mut context).await,
        (None, Some(action)) => Err(Failure::failed_to(Code::Usage, "find a workflow")
            .because("none was named")
            .hint(format!("write `workflow NAME {}`; `workflow list` tells which there are", action.word()))),
        (Some(_), Some(Action::List)) => Err(Failure::failed_to(Code::Usage, "list one workflow")
            .hint("`workflow list` lists all, `workflow NAME check` looks into one")),
        (Some(name), None | Some(Action::Check)) => check::run(&mut context, &name).await,
        (Some(name), Some(Action::Reset(reset))) => reset::run(&mut context, &name, reset).await,
        (Some(name), Some(Action::Run)) => run::run(&mut context, &name).await,
        (Some(name), Some(Action::Settings)) => settings::settings(&context, &name).await,
        (Some(name), Some(Action::Set(args))) => settings::set(&context, &name, &args).await,
        (Some(name), Some(Action::Unset(args))) => settings::unset(&context, &name, &args).await,
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
        let states = platform.make_states(context).await?;
        Ok(Self { platform, states })
    }

    fn workflows(&self) -> Result<&Workflows> {
        let some = self.states.get::<Workflows>().filter(|workflows| workflows.iter().next().is_some());
        some.ok_or_else(|| {
            Failure::failed_to(Code::UnknownWorkflow, "find a workflow")
                .because("this app has none")
                .hint("register yours with `App::workflow` in a binary of your own")
        })
    }

    fn find(&self, name: &str) -> Result<Arc<dyn RegisteredWorkflow>> {
        let workflows = self.workflows()?;
        workflows.find(name).map_err(|error| match error {
            WorkflowError::Unknown { known, .. } => unknown_workflow(name, &known),
            WorkflowError::Database { .. } => error.into(),
        })
    }
}

/// Says that there is no such workflow, and which was probably meant.
fn unknown_workflow(name: &str, known: &[&str]) -> Failure {
    let unknown = Failure::plain(Code::UnknownWorkflow, format!("there is no workflow \"{name}\""));
    match did_you_mean(name, known.iter().copied()) {
        Some(hint) => unknown.hint(hint),
        None if known.is_empty() => {
            unknown.hint("register yours with `App::workflow` in a binary of your own")
        }
        None => unknown.hint(format!("there are: {}", known.join(", "))),
    }
}
