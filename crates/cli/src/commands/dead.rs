//! `dead`: jobs that failed for good, with their messages as they were.

use celeriac_broker::DeadLetter;
use celeriac_control::JobDesk;
use celeriac_control::jobs::{LetterFilter, death_reasons};
use celeriac_protocol::JobId;
use celeriac_server::views::{DeadDetailView, DeadView};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::Use;
use crate::values::job_id;
use crate::views::{letter_text, letters_table};

mod change;

/// Arguments of `dead`.
#[derive(Args, Debug)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, newest first
    List(ListArgs),
    /// Show a dead letter, its bytes included
    Show {
        /// The job, by its id or the beginning of it
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Put dead letters back into their queues
    Retry(change::ChangeArgs),
    /// Drop dead letters for good
    Drop(change::ChangeArgs),
}

/// Arguments of `dead list`.
#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// At most this many
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on behind the letter with this cursor
    #[arg(long, allow_negative_numbers = true)]
    cursor: Option<i64>,
}

/// Which dead letters are meant.
#[derive(Args, Clone, Debug)]
struct Filter {
    /// Only this task's
    #[arg(long, short)]
    task: Option<String>,
    /// Only those that died of this: error, panic, time_limit, unknown_task, ...
    #[arg(long, short, hide_possible_values = true, value_parser = PossibleValuesParser::new(death_reasons()))]
    reason: Option<String>,
}

impl From<Filter> for LetterFilter {
    fn from(filter: Filter) -> Self {
        Self { task: filter.task, reason: filter.reason }
    }
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: DeadArgs) -> Result<Exit> {
    match args.action {
        Action::List(args) => list(context, args).await,
        Action::Show { id } => show(context, &id).await,
        Action::Retry(args) => change::retry(context, args).await,
        Action::Drop(args) => change::drop(context, args).await,
    }
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let now = context.clock.now();
    let task = args.filter.task.clone();
    let desk = JobDesk::new(&platform.environment());
    let mut letters = desk.letters(args.filter.into(), args.cursor);
    let mut found = Vec::new();
    while found.len() < args.limit as usize
        && let Some(letter) = letters.next().await?
    {
        found.push(letter);
    }
    let known = platform.recorded(found.iter().map(|letter| &letter.envelope.id)).await?;
    let is_known = |letter: &DeadLetter| known.contains(&letter.envelope.id);
    let views: Vec<DeadView> = found.iter().map(|letter| DeadView::new(letter, is_known(letter))).collect();
    context.output.list(&views, |views| letters_table(views, now))?;
    if views.is_empty() {
        task.iter().for_each(|task| names::note_task(context, task));
    }
    note_foreign(context, views.len() - found.iter().filter(|letter| is_known(letter)).count());
    if let (Some(cursor), true) = (letters.cursor(), context.output.stdout_is_terminal()) {
        context.output.note(format_args!("there may be more: --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

/// Says how many letters are of jobs that are recorded elsewhere.
fn note_foreign(context: &Context, foreign: usize) {
    if foreign > 0 {
        context.output.note(format_args!(
            "{} of jobs that this database has no record of: of others who share the queue's server, or of tasks that leave none",
            counted(foreign as u64, "dead letter")
        ));
    }
}

async fn show(context: &Context, id: &JobId) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let id = &names::job(&platform, id).await?;
    let letter = JobDesk::new(&platform.environment()).letter(id).await?;
    let is_known = platform.recorded([id]).await?.contains(id);
    let view = DeadDetailView::new(&letter, is_known);
    if context.output.is_json() {
        context.output.json(&view)?;
    } else {
        context.output.text(&letter_text(&view, &context.output, context.clock.now()))?;
    }
    Ok(Exit::Done)
}
