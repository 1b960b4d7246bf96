//! `schedule add`, `edit`, `enable`, `disable` and `remove`.

use celeriac_control::Schedules;
use celeriac_protocol::schedule::{Schedule, Zone};
use celeriac_store::query::schedules::{Origin, ScheduleEntry, ScheduleSummary};
use clap::Args;
use serde::Serialize;

use super::due;
use super::flags::EntryFlags;
use super::list::view;
use super::opened::{Opened, in_words, zone_of};
use crate::commands::confirm::confirm;
use crate::commands::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Paint, until};
use crate::platform::Use;

/// Arguments of `schedule add`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    schedule add nightly '30 2 * * mon-fri' --zone Europe/Berlin --task reports.run --kwargs '{\"days\": 7}'\n  \
    schedule add heartbeat every 30s --task ping --overlap skip\n  \
    schedule add launch at 2027-01-01 10:00 --zone Asia/Tokyo --task open --one-off")]
pub(super) struct AddArgs {
    /// Its name, which no other has
    name: String,
    /// When it is due: a crontab, `every 5m`, `at 2027-01-01T10:00` or `solar sunset 52.5,13.4`
    #[arg(value_name = "WHEN", required = true)]
    when: Vec<String>,
    /// The task whose jobs are enqueued
    #[arg(long, short)]
    task: String,
    /// Add it switched off
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    flags: EntryFlags,
}

/// Arguments of `schedule edit`.
#[derive(Args, Debug)]
#[command(
    after_help = "What is not said stays as it is; an empty value (--queue '') takes away what was said before."
)]
pub(super) struct EditArgs {
    /// The schedule
    name: String,
    /// Give it this name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// When it is due from now on
    #[arg(long, short, value_name = "WHEN")]
    when: Option<String>,
    /// The task whose jobs are enqueued
    #[arg(long, short)]
    task: Option<String>,
    #[command(flatten)]
    flags: EntryFlags,
}

/// Arguments of `schedule enable` and `schedule disable`.
#[derive(Args, Debug)]
pub(super) struct SwitchArgs {
    /// The schedules
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// Arguments of `schedule remove`.
#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    /// The schedules
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

/// A schedule that is gone. The field names are stable.
#[derive(Serialize)]
struct RemovedView<'a> {
    name: &'a str,
    removed: bool,
}

/// Runs `schedule add`.
pub(super) async fn add(context: &Context, args: AddArgs) -> Result<Exit> {
    let zone = context.loaded.config.beat.zone();
    let AddArgs { name, when, task, disabled, flags } = args;
    let spec = when.join(" ");
    let changes = flags.changes(&zone, context.clock.now())?;
    let entry = ScheduleEntry { zone: zone.to_string(), ..ScheduleEntry::new(name, task, spec) };
    let entry = changes.apply(entry, &zone);
    let entry = ScheduleEntry { enabled: !disabled, ..entry };
    // What it says of its times is told before anything is opened.
    Schedule::parse_in(&entry.spec, &entry.zone.parse()?)?;
    names::note_task(context, &entry.task);
    let opened = Opened::new(context, Use::Creating).await?;
    let added = opened.schedules.add(entry, Origin::Operator).await?;
    told(context, &opened.schedules, &added, "added").await
}

/// Runs `schedule edit`.
pub(super) async fn edit(context: &Context, args: EditArgs) -> Result<Exit> {
    let EditArgs { name, rename, when, task, flags } = args;
    task.iter().for_each(|task| names::note_task(context, task));
    let opened = Opened::new(context, Use::Changing).await?;
    let details = opened.find(&name).await?;
    let zone = details.schedule.record.as_ref().map_or(Zone::UTC, |record| zone_of(&record.entry));
    let (of_all, changes) = (context.loaded.config.beat.zone(), flags.changes(&zone, context.clock.now())?);
    let change = move |entry: ScheduleEntry| {
        let entry = changes.apply(entry, &of_all);
        ScheduleEntry {
            name: rename.unwrap_or(entry.name),
            task: task.unwrap_or(entry.task),
            spec: when.unwrap_or(entry.spec),
            ..entry
        }
    };
    let edited = opened.named(opened.schedules.edit(&name, change).await).await?;
    told(context, &opened.schedules, &edited, "changed").await
}

/// Runs `schedule enable`.
pub(super) async fn enable(context: &Context, args: &SwitchArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Changing).await?;
    for name in &args.names {
        let enabled = opened.named(opened.schedules.enable(name).await).await?;
        told(context, &opened.schedules, &enabled, "switched on").await?;
    }
    Ok(Exit::Done)
}

/// Runs `schedule disable`.
pub(super) async fn disable(context: &Context, args: &SwitchArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Changing).await?;
    for name in &args.names {
        let disabled = opened.named(opened.schedules.disable(name).await).await?;
        told(context, &opened.schedules, &disabled, "switched off").await?;
    }
    Ok(Exit::Done)
}

/// Runs `schedule remove`.
pub(super) async fn remove(context: &Context, args: &RemoveArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Changing).await?;
    let mut declared = Vec::new();
    for name in &args.names {
        let record = opened.find(name).await?.schedule.record;
        let is_declared = record.is_ok_and(|record| record.origin == Origin::Declared);
        declared.extend(is_declared.then_some(name.as_str()));
    }
    let what = args.names.join(", ");
    if !args.yes
        && !confirm(&context.output, &format!("remove schedule {what} and what is known of its firings"))?
    {
        return Ok(Exit::Negative);
    }
    for name in &args.names {
        opened.named(opened.schedules.remove(name).await).await?;
        match context.output.is_json() {
            true => context.output.json(&RemovedView { name, removed: true })?,
            false => context.output.line(format_args!("removed {name}"))?,
        }
    }
    if !declared.is_empty() {
        context.output.note(format_args!(
            "{} is declared: the next start of a process that declares it adds it again; `schedule disable` keeps it off",
            declared.join(", ")
        ));
    }
    Ok(Exit::Done)
}

/// Says how an entry stands after it was changed.
async fn told(
    context: &Context,
    schedules: &Schedules,
    summary: &ScheduleSummary,
    done: &str,
) -> Result<Exit> {
    let (output, now) = (&context.output, context.clock.now());
    if output.is_json() {
        output.json(&view(schedules, summary, now).await?)?;
        return Ok(Exit::Done);
    }
    let name = output.paint(Paint::Strong, summary.name());
    let Ok(record) = &summary.record else {
        output.line(format_args!("{done} {name}"))?;
        return Ok(Exit::Done);
    };
    output.line(format_args!("{done} {name}: {}", in_words(&record.entry)))?;
    if let Some(next) = summary.state.next_due_at.filter(|_| record.entry.enabled) {
        let zone = zone_of(&record.entry);
        output.line(format_args!("next due {}, {}", due::local(next, &zone), until(next, now)))?;
    }
    Ok(Exit::Done)
}
