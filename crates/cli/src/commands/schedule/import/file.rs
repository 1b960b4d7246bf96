//! `schedule import FILE`: entries as `export` writes them.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use celeriac_control::{EntriesImported, EntryImport, Existing, FieldChange, ImportStep, ImportedEntry};
use clap::Args;
use serde::Serialize;

use super::How;
use super::draft::{Draft, Wrong, read};
use crate::commands::names;
use crate::commands::schedule::opened::Opened;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, counted};
use crate::platform::Use;

/// The longest file, in bytes: the most entries with arguments of some length.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Flags that are about files.
#[derive(Args, Debug)]
#[command(next_help_heading = "From a file")]
pub(super) struct FileArgs {
    /// Leave what is here under the same name as it is, and import the others
    #[arg(long, requires = "file", conflicts_with = "replace")]
    keep: bool,
    /// Leave out what is wrong, and import the others
    #[arg(long, requires = "file")]
    skip_invalid: bool,
}

/// What has become of one entry, or would. The field names are stable.
#[derive(Serialize)]
struct EntryView {
    name: String,
    line: usize,
    /// added, changed, unchanged, kept, conflict or invalid.
    outcome: &'static str,
    /// What is wrong with it, or stands in the way.
    faults: Vec<FaultView>,
    changes: Vec<ChangeView>,
    dry_run: bool,
    /// Whether it was written, or would be.
    written: bool,
}

/// What is wrong with a field. The field names are stable.
#[derive(Clone, Serialize)]
struct FaultView {
    line: usize,
    field: Option<String>,
    reason: String,
}

/// A field that is not as it was. The field names are stable.
#[derive(Serialize)]
struct ChangeView {
    field: String,
    before: String,
    after: String,
}

/// Runs the command.
pub(super) async fn run(context: &Context, file: &Path, how: How, args: &FileArgs) -> Result<Exit> {
    let zone = context.loaded.config.beat.zone();
    let drafts = read(file, &text_of(file)?, &zone)?;
    let existing = match (how.replace, args.keep) {
        (true, _) => Existing::Replace,
        (_, true) => Existing::Keep,
        _ => Existing::Refuse,
    };
    let import = EntryImport { existing, leaves_out_invalid: args.skip_invalid };
    let imported = bring(context, how, &drafts, import).await?;
    let unread = drafts.iter().any(|draft| draft.entry.is_err()) && !args.skip_invalid;
    let is_refused = imported.is_refused || unread;
    let views = views(drafts, imported.entries, how, is_refused);
    if is_refused && !context.output.is_json() {
        return Err(refusal(file, &views));
    }
    context.output.list(&views, table)?;
    if is_refused {
        return Err(refusal(file, &views));
    }
    tell(context, how, &views);
    Ok(Exit::Done)
}

fn text_of(file: &Path) -> Result<String> {
    let read = || {
        let mut text = String::new();
        let from: Box<dyn Read> = match file == Path::new("-") {
            true => Box::new(std::io::stdin()),
            false => Box::new(std::fs::File::open(file)?),
        };
        from.take(MAX_FILE + 1).read_to_string(&mut text)?;
        match text.len() as u64 > MAX_FILE {
            true => Err(std::io::Error::other(format!("it is longer than {MAX_FILE} bytes"))),
            false => Ok(text),
        }
    };
    read().map_err(|error| {
        Failure::failed_to(Code::FileUnreadable, format_args!("read \"{}\"", file.display()))
            .caused_by(&error)
    })
}

/// Imports what could be read; where some could not and none is to be left out, it is only looked at what would come of
/// the others, so that all that is wrong is told at once.
async fn bring(
    context: &Context,
    how: How,
    drafts: &[Draft],
    import: EntryImport,
) -> Result<EntriesImported> {
    let entries: Vec<_> = drafts.iter().filter_map(|draft| draft.entry.as_ref().ok()).cloned().collect();
    let tasks: BTreeSet<&str> = entries.iter().map(|entry| entry.task.as_str()).collect();
    tasks.into_iter().for_each(|task| names::note_task(context, task));
    let only_looks = how.dry_run || (entries.len() < drafts.len() && !import.leaves_out_invalid);
    let opened = Opened::new(context, if how.dry_run { Use::Reading } else { Use::Creating }).await?;
    Ok(match only_looks {
        true => opened.schedules.rehearse_import(entries, import).await?,
        false => opened.schedules.import(entries, import).await?,
    })
}

fn views(drafts: Vec<Draft>, imported: Vec<ImportedEntry>, how: How, is_refused: bool) -> Vec<EntryView> {
    let mut imported = imported.into_iter();
    let view = |draft: Draft| {
        let blank = EntryView {
            name: draft.name.clone(),
            line: draft.line,
            outcome: "invalid",
            faults: Vec::new(),
            changes: Vec::new(),
            dry_run: how.dry_run,
            written: false,
        };
        match &draft.entry {
            Err(wrong) => EntryView { faults: vec![fault(wrong.clone())], ..blank },
            Ok(_) => match imported.next() {
                Some(judged) => judged_view(&draft, judged, blank, is_refused),
                None => blank,
            },
        }
    };
    drafts.into_iter().map(view).collect()
}

fn judged_view(draft: &Draft, judged: ImportedEntry, blank: EntryView, is_refused: bool) -> EntryView {
    let (outcome, faults) = match judged.step {
        ImportStep::Add => ("added", Vec::new()),
        ImportStep::Change => ("changed", Vec::new()),
        ImportStep::Keep => ("unchanged", Vec::new()),
        ImportStep::KeepOther => ("kept", Vec::new()),
        ImportStep::Conflict => {
            let fields: Vec<&str> = judged.fields.iter().map(|change| change.field.as_str()).collect();
            let reason = format!("there is one of this name that differs in {}", fields.join(", "));
            ("conflict", vec![fault(draft.wrong("name", reason))])
        }
        ImportStep::Refuse(faults) => {
            let faults = faults.into_iter().map(|found| fault(draft.wrong(found.field, found.reason)));
            ("invalid", faults.collect())
        }
    };
    let change = |FieldChange { field, before, after }| ChangeView { field, before, after };
    EntryView {
        outcome,
        faults,
        changes: judged.fields.into_iter().map(change).collect(),
        written: matches!(outcome, "added" | "changed") && !is_refused,
        ..blank
    }
}

fn fault(Wrong { line, field, reason }: Wrong) -> FaultView {
    FaultView { line, field, reason }
}

/// How many faults are told, so that the first can still be seen.
const TOLD_FAULTS: usize = 20;

/// Says why nothing was imported: each fault in a line of its own.
fn refusal(file: &Path, views: &[EntryView]) -> Failure {
    let lines = views.iter().flat_map(|view| {
        view.faults.iter().map(move |fault| {
            let field = fault.field.as_ref().map(|field| format!(" {field}:")).unwrap_or_default();
            format!("{}:{}: {}:{field} {}", file.display(), fault.line, view.name, fault.reason)
        })
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.len() > TOLD_FAULTS {
        let more = lines.len() - TOLD_FAULTS;
        lines.truncate(TOLD_FAULTS);
        lines.push(format!("and {more} more"));
    }
    let error = Failure::failed_to(Code::ScheduleFile, "import schedules, so none was");
    let error = error.because(format_args!("\n  {}", lines.join("\n  ")));
    let has = |outcome: &str| views.iter().any(|view| view.outcome == outcome);
    match (has("conflict"), has("invalid")) {
        (true, false) => error.hint("overwrite what is here with --replace, or leave it as it is with --keep"),
        (false, true) => error.hint("import the others with --skip-invalid"),
        _ => error.hint("--replace or --keep say what becomes of those that are here; --skip-invalid leaves out what is wrong"),
    }
}

fn table(views: &[EntryView]) -> Table {
    let columns = [
        Column::elastic("NAME"),
        Column::new("OUTCOME"),
        Column::new("FIELD"),
        Column::elastic("HERE"),
        Column::elastic("IN THE FILE"),
        Column::wrapping("WHY"),
    ];
    let mut table = Table::new(columns, "no schedules in the file");
    for view in views {
        let head = || [Cell::new(&view.name), Cell::painted(paint(view.outcome), view.outcome)];
        let blank = || Cell::new("");
        for change in &view.changes {
            let cells = [&change.field, &change.before, &change.after].map(Cell::new);
            table.row(head().into_iter().chain(cells).chain([blank()]));
        }
        for fault in &view.faults {
            let field = Cell::new(fault.field.clone().unwrap_or_default());
            let why = Cell::new(format!("line {}: {}", fault.line, fault.reason));
            table.row(head().into_iter().chain([field, blank(), blank(), why]));
        }
        if view.changes.is_empty() && view.faults.is_empty() {
            table.row(head().into_iter().chain([blank(), blank(), blank(), blank()]));
        }
    }
    table
}

fn paint(outcome: &str) -> Paint {
    match outcome {
        "added" | "changed" => Paint::Good,
        "unchanged" => Paint::Faint,
        "kept" => Paint::Warning,
        _ => Paint::Bad,
    }
}

fn tell(context: &Context, how: How, views: &[EntryView]) {
    let count = |outcome: &str| views.iter().filter(|view| view.outcome == outcome).count();
    let counts = ["added", "changed", "unchanged", "kept", "invalid"]
        .into_iter()
        .map(|outcome| (count(outcome), outcome))
        .filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, outcome)| format!("{count} {outcome}")).collect();
    let output = &context.output;
    output.note(format_args!("{}: {}", counted(views.len() as u64, "schedule"), counts.join(", ")));
    if how.dry_run {
        output.note("nothing was written; the same without --dry-run does it");
    }
}
