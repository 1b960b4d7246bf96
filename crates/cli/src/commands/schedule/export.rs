//! `schedule export`: entries as a file that `import` reads, and that can be kept beside the code.

use celeriac_control::ScheduleEntry;
use celeriac_store::query::schedules::{ScheduleFilter, ScheduleRecord};
use clap::{Args, ValueEnum};

use super::opened::{Opened, anchored};
use crate::config::written;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::Use;

/// Arguments of `schedule export`.
#[derive(Args, Debug)]
#[command(
    after_help = "It has what people say of a schedule: `schedule import` makes the same of it, and its TOML may be \
    put into the configuration file. Runs, counts and who made it are not in it."
)]
pub(super) struct ExportArgs {
    /// The schedules; all, where none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// toml: sections as in the configuration file; json: an object for each, in a line [default: toml, json with --json]
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    format: Option<Format>,
    /// Write down from when intervals count that don't say so, so that they are due at the same times elsewhere
    #[arg(long)]
    anchored: bool,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Toml,
    Json,
}

/// How many entries are read at once.
const PAGE: u64 = 1_000;

/// Runs the command.
pub(super) async fn run(context: &Context, args: &ExportArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let own = if context.output.is_json() { Format::Json } else { Format::Toml };
    let writer = Writer { context, format: args.format.unwrap_or(own), anchored: args.anchored };
    let mut count = 0;
    if args.names.is_empty() {
        let mut after = None;
        loop {
            let page = opened.schedules.list(&ScheduleFilter::default(), after.as_deref(), PAGE).await?;
            for found in page.schedules {
                count +=
                    writer.write(found.record.map_err(celeriac_control::SchedulesError::from)?, count)?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    for name in &args.names {
        let record = opened.find(name).await?.schedule.record;
        count += writer.write(record.map_err(celeriac_control::SchedulesError::from)?, count)?;
    }
    context.output.note(format_args!("{} written", counted(count, "schedule")));
    Ok(Exit::Done)
}

/// Is responsible for the form in which entries are written.
struct Writer<'a> {
    context: &'a Context,
    format: Format,
    anchored: bool,
}

impl Writer<'_> {
    /// Writes an entry behind so many others; returns one.
    fn write(&self, record: ScheduleRecord, before: u64) -> Result<u64> {
        let entry = self.entry(&record).compacted();
        let output = &self.context.output;
        match self.format {
            Format::Toml => {
                let gap = if before == 0 { "" } else { "\n" };
                output.text(&format!("{gap}{}", written(&entry)))?;
            }
            Format::Json => output.line(json_of(&entry)?)?,
        }
        Ok(1)
    }

    fn entry(&self, record: &ScheduleRecord) -> ScheduleEntry {
        let counts = record.entry.spec.trim_start().to_lowercase().starts_with("every");
        if self.anchored && counts && record.entry.start_at.is_none() {
            return anchored(record);
        }
        record.entry.clone()
    }
}

fn json_of(entry: &ScheduleEntry) -> Result<String> {
    serde_json::to_string(entry).map_err(|error| {
        let action = format_args!("write schedule {} as JSON", entry.name).to_string();
        Failure::failed_to(Code::RecordCorrupt, action)
            .caused_by(&error)
            .hint("look at it with --format toml")
    })
}
