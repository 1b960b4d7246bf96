//! `dead`: jobs that failed for good, with their messages as they were.

use std::collections::VecDeque;

use celeriac_broker::DeadLetter;
use celeriac_engine::Client;
use celeriac_protocol::{ErrorKind, JobId, TaskMessage};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::names;
use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::Use;
use crate::values::job_id;
use crate::views::{DeadDetailView, DeadView};

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
    #[arg(long, short, hide_possible_values = true, value_parser = PossibleValuesParser::new(reasons()))]
    reason: Option<String>,
}

impl Filter {
    fn fits(&self, letter: &DeadLetter) -> bool {
        let task = || TaskMessage::peek_task(&letter.envelope.content);
        self.task.as_ref().is_none_or(|wanted| task().as_ref() == Some(wanted))
            && self.reason.as_ref().is_none_or(|wanted| letter.reason == *wanted)
    }
}

/// Returns what jobs die of: what attempts fail of, an outcome that nobody could write down, and a message that its
/// queue's server never takes.
fn reasons() -> impl Iterator<Item = &'static str> {
    ErrorKind::ALL.into_iter().map(ErrorKind::as_str).chain(["unrecorded", "undeliverable"])
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
    let mut letters = Letters::new(&platform.client, args.filter, args.cursor);
    let mut found = Vec::new();
    while found.len() < args.limit as usize
        && let Some(letter) = letters.next().await?
    {
        found.push(letter);
    }
    let known = platform.recorded(found.iter().map(|letter| &letter.envelope.id)).await?;
    let is_known = |letter: &DeadLetter| known.contains(&letter.envelope.id);
    let views: Vec<DeadView> = found.iter().map(|letter| DeadView::new(letter, is_known(letter))).collect();
    context.output.list(&views, |views| DeadView::table(views, now))?;
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
    let letter = platform.client.dead_letter(id).await?.ok_or_else(|| unknown(id))?;
    let is_known = platform.recorded([id]).await?.contains(id);
    let view = DeadDetailView::new(&letter, is_known);
    if context.output.is_json() {
        context.output.json(&view)?;
    } else {
        context.output.text(&view.text(&context.output, context.clock.now()))?;
    }
    Ok(Exit::Done)
}

fn unknown(id: &JobId) -> CliError {
    CliError::plain(Code::UnknownDeadLetter, format!("there is no dead letter of job {id}"))
}

/// Goes through dead letters page by page, newest first.
struct Letters<'a> {
    client: &'a Client,
    filter: Filter,
    page: VecDeque<DeadLetter>,
    /// Where the next page begins; `None` where there is none.
    before: Option<Option<i64>>,
    last: Option<i64>,
}

impl<'a> Letters<'a> {
    /// How many letters are read together.
    const PAGE: usize = 100;

    fn new(client: &'a Client, filter: Filter, before: Option<i64>) -> Self {
        Self { client, filter, page: VecDeque::new(), before: Some(before), last: None }
    }

    /// Returns the next letter that fits.
    async fn next(&mut self) -> Result<Option<DeadLetter>> {
        loop {
            while let Some(letter) = self.page.pop_front() {
                self.last = Some(letter.key);
                if self.filter.fits(&letter) {
                    return Ok(Some(letter));
                }
            }
            let Some(before) = self.before else { return Ok(None) };
            let page = self.client.dead_letters(before, Self::PAGE).await?;
            self.before = page.next.map(Some);
            self.page = page.letters.into();
        }
    }

    /// Returns where to go on, unless the end was reached.
    fn cursor(&self) -> Option<i64> {
        self.last.filter(|_| !self.page.is_empty() || self.before.is_some())
    }
}
