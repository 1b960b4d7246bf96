//! `workflow NAME reset`: puts rows back to waiting.

use std::sync::Arc;

use celeriac_broker::Notice;
use celeriac_control::workflow::{ItemStatus, RegisteredWorkflow, ResetFilter};
use celeriac_protocol::Timestamp;
use clap::Args;
use serde::Serialize;

use super::Opened;
use crate::commands::confirm::confirm;
use crate::config::Period;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Output, counted};
use crate::platform::Use;

/// Arguments of `workflow NAME reset`.
#[derive(Args, Debug)]
pub(super) struct ResetArgs {
    /// Only rows of this status, in the table's words or as waiting, done or error [default: error]
    #[arg(long, short, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,
    /// Only rows that have not changed for this long, such as 2h or 7d
    #[arg(long, value_name = "SPAN")]
    older_than: Option<Period>,
    /// Only these rows
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<i64>,
    /// Say how many there are and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask before rows that are done, or all in error, are put back
    #[arg(long, short)]
    yes: bool,
}

/// What a reset came to. The field names are stable.
#[derive(Serialize)]
struct ResetView<'a> {
    name: &'a str,
    rows: u64,
    dry_run: bool,
}

/// Runs the command.
pub(super) async fn run(context: &mut Context, name: &str, args: ResetArgs) -> Result<Exit> {
    let used_for = if args.dry_run { Use::Reading } else { Use::Changing };
    let opened = Opened::new(context, used_for).await?;
    let (workflow, now) = (opened.find(name)?, context.clock.now());
    let statuses = args.status.iter().map(|word| status(workflow.as_ref(), word)).collect::<Result<_>>()?;
    let before = args.older_than.map(|span| now - span.0);
    let reset = Reset { opened: &opened, workflow: &workflow, now };
    let filter = ResetFilter { statuses, before, ids: args.id };
    let unasked = args.dry_run || args.yes;
    if !(unasked || reset.allowed(&context.output, &filter).await?) {
        return Ok(Exit::Negative);
    }
    let is_default = filter.statuses.is_empty();
    let rows = reset.run(filter, args.dry_run).await?;
    let output = &context.output;
    if output.is_json() {
        output.json(&ResetView { name: workflow.name(), rows, dry_run: args.dry_run })?;
        return Ok(Exit::Done);
    }
    let done = if args.dry_run { "would be put back" } else { "put back" };
    output.line(format_args!("{} {done} to {}", counted(rows, "row"), meaning(ItemStatus::Waiting)))?;
    if is_default && rows == 0 {
        output.note("only rows in error were looked for; --status asks for others");
    }
    Ok(Exit::Done)
}

/// Is responsible for putting rows of one workflow back.
struct Reset<'a> {
    opened: &'a Opened,
    workflow: &'a Arc<dyn RegisteredWorkflow>,
    now: Timestamp,
}

impl Reset<'_> {
    async fn run(&self, filter: ResetFilter, dry_run: bool) -> Result<u64> {
        let Opened { platform, .. } = self.opened;
        let rows = self.workflow.reset(&platform.database, filter, self.now, dry_run).await?;
        if rows > 0 && !dry_run {
            platform.broker().notifier().notify(Notice::Loop(self.workflow.job().to_owned()));
        }
        Ok(rows)
    }

    /// Asks before work that was done is thrown away, and before everything is put back that can be: its results,
    /// attempts and errors can't be brought back.
    async fn allowed(&self, output: &Output, filter: &ResetFilter) -> Result<bool> {
        let (name, waiting) = (self.workflow.name(), meaning(ItemStatus::Waiting));
        if filter.statuses.contains(&ItemStatus::Done) {
            let done = ResetFilter { statuses: vec![ItemStatus::Done], ..filter.clone() };
            let rows = self.run(done, true).await?;
            let rows_done = counted(rows, "row");
            return Ok(rows == 0
                || confirm(
                    output,
                    &format!("put {rows_done} of workflow {name} back to {waiting}, though done"),
                )?);
        }
        if *filter != ResetFilter::default() {
            return Ok(true);
        }
        let rows = self.run(filter.clone(), true).await?;
        Ok(rows <= 1
            || confirm(
                output,
                &format!("put {} of workflow {name} back to {waiting}", counted(rows, "row")),
            )?)
    }
}

/// Reads a status, by the table's word or by what it means.
fn status(workflow: &dyn RegisteredWorkflow, word: &str) -> Result<ItemStatus> {
    let words = workflow.statuses();
    let found = ItemStatus::ALL
        .into_iter()
        .find(|status| words.word(*status).eq_ignore_ascii_case(word))
        .or_else(|| ItemStatus::ALL.into_iter().find(|status| meaning(*status) == word));
    match found {
        Some(ItemStatus::Processing) => Err(Failure::failed_to(Code::Usage, "reset rows that are processed")
            .hint("they come back by themselves when their claim runs out")),
        Some(status) => Ok(status),
        None => {
            let known = ItemStatus::ALL.into_iter().filter(|status| *status != ItemStatus::Processing);
            let known: Vec<&str> = known.map(|status| words.word(status)).collect();
            Err(Failure::failed_to(Code::Usage, format_args!("read status \"{word}\"")).hint(format!(
                "workflow {} knows {}",
                workflow.name(),
                known.join(", ")
            )))
        }
    }
}

/// Returns what a status means, in the glossary's word.
pub(super) fn meaning(status: ItemStatus) -> &'static str {
    match status {
        ItemStatus::Waiting => "waiting",
        ItemStatus::Processing => "processing",
        ItemStatus::Done => "done",
        ItemStatus::Error => "error",
    }
}
