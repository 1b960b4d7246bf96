//! `schedule show`: all there is to say of one entry.

use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{CatchUp, Firing, Origin, Overlap, ScheduleEntry, ScheduleRecord};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::due::{self, DueView};
use super::explain::print_sentences;
use super::history::{FiringView, mark, view as firing_view};
use super::list::view;
use super::opened::{Opened, in_words, schedule_of, zone_of};
use super::view::ScheduleView;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, Paint, ago, brief};
use crate::platform::Use;
use crate::views::instant;

/// Arguments of `schedule show`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// The schedule
    name: String,
}

/// How many due times to come are shown.
const NEXT: usize = 5;

/// One entry. The field names are stable; `definition` is what `export` writes of it.
#[derive(Serialize)]
struct ShowView {
    #[serde(flatten)]
    schedule: ScheduleView,
    definition: Option<Value>,
    next: Vec<DueView>,
    clock_changes: Vec<String>,
    firings: Vec<FiringView>,
    declared_by: Option<String>,
    edited_fields: Vec<String>,
    created_at: Option<String>,
    changed_at: Option<String>,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let details = opened.find(&args.name).await?;
    let now = context.clock.now();
    let head = view(&opened.schedules, &details.schedule, now).await?;
    let record = details.schedule.record.map_err(celeriac_control::SchedulesError::from)?;
    let shown = Shown {
        next: opened.next(&record, NEXT).unwrap_or_default(),
        declared: Declared::of(&record),
        clock_changes: schedule_of(&record.entry).map(|read| read.dst_notes(now)).unwrap_or_default(),
        firings: details.firings,
        record,
        last_error: details.schedule.state.last_error,
        now,
    };
    if context.output.is_json() {
        context.output.json(&shown.view(head))?;
    } else {
        shown.print(&context.output, &head)?;
    }
    Ok(Exit::Done)
}

/// What is known of an entry.
struct Shown {
    record: ScheduleRecord,
    next: Vec<celeriac_protocol::schedule::Due>,
    clock_changes: Vec<String>,
    firings: Vec<Firing>,
    declared: Option<Declared>,
    last_error: Option<String>,
    now: Timestamp,
}

/// Who has declared an entry, and what an operator has changed since.
struct Declared {
    app: String,
    edited: Vec<String>,
}

impl Declared {
    fn of(record: &ScheduleRecord) -> Option<Self> {
        let declaration: Value = serde_json::from_str(record.declared.as_deref()?).ok()?;
        let app = declaration.get("app")?.as_str()?.to_owned();
        let (declared, stored) = (declaration.get("entry")?.as_object()?, definition(&record.entry)?);
        let differs = |(field, value): &(&String, &Value)| stored.get(field.as_str()) != Some(*value);
        let edited = declared.iter().filter(differs).map(|(field, _)| field.clone()).collect();
        Some(Self { app, edited })
    }
}

fn definition(entry: &ScheduleEntry) -> Option<Value> {
    serde_json::to_value(entry).ok()
}

impl Shown {
    fn view(self, schedule: ScheduleView) -> ShowView {
        let zone = zone_of(&self.record.entry);
        let (declared_by, edited_fields) = match self.declared {
            Some(Declared { app, edited }) => (Some(app), edited),
            None => (None, Vec::new()),
        };
        ShowView {
            schedule,
            definition: definition(&self.record.entry),
            next: due::views(&self.next, &zone),
            clock_changes: self.clock_changes,
            firings: self.firings.iter().map(firing_view).collect(),
            declared_by,
            edited_fields,
            created_at: Some(instant(self.record.created_at)),
            changed_at: Some(instant(self.record.changed_at)),
        }
    }

    fn print(&self, output: &Output, head: &ScheduleView) -> Result {
        let entry = &self.record.entry;
        let state = output.paint(head.paint(), head.state());
        output.line(format_args!("{}  {state}", output.paint(Paint::Strong, &entry.name)))?;
        if !entry.description.is_empty() {
            output.paragraph(&entry.description)?;
        }
        output.line("")?;
        for (label, value) in self.lines(output) {
            output.line(format_args!("{} {value}", output.paint(Paint::Faint, &format!("{label:<10}"))))?;
        }
        output.line("")?;
        output.table_for_people(&due::table(&self.next, &zone_of(entry), Some(self.now)))?;
        print_sentences(output, self.clock_changes.iter().cloned())?;
        self.print_firings(output)
    }

    fn lines(&self, output: &Output) -> Vec<(&'static str, String)> {
        let entry = &self.record.entry;
        let zone = zone_of(entry);
        let at = |at: Timestamp| due::local(at, &zone);
        let mut lines = vec![("due", in_words(entry)), ("", entry.spec.clone()), ("task", call(entry))];
        let mut add = |label, value: Option<String>| lines.extend(value.map(|value| (label, value)));
        add("queue", entry.queue.clone());
        add("priority", entry.priority.map(|priority| priority.to_string()));
        add("headers", (entry.headers != "{}").then(|| entry.headers.clone()));
        add("expires", entry.expire_after.map(|after| format!("{} after it was enqueued", brief(after))));
        add("expires", entry.expires_at.map(at));
        add("start", entry.start_at.map(at));
        add("end", entry.end_at.map(at));
        add("policies", Some(policies(entry)));
        add("owner", (!entry.owner.is_empty()).then(|| entry.owner.clone()));
        add("from", Some(self.origin()));
        add(
            "off, since",
            self.record.disabled.as_ref().map(|disabled| output.paint(Paint::Warning, &disabled.detail)),
        );
        add("error", self.last_error.as_ref().map(|error| output.paint(Paint::Bad, error)));
        lines
    }

    fn origin(&self) -> String {
        let record = &self.record;
        let made = ago(record.created_at, self.now);
        let changed = if record.revision > 0 {
            format!(", changed {}", ago(record.changed_at, self.now))
        } else {
            String::new()
        };
        let from = match (record.origin, &self.declared) {
            (Origin::Declared, Some(declared)) if declared.edited.is_empty() => {
                format!("declared by {}", declared.app)
            }
            (Origin::Declared, Some(declared)) => {
                format!("declared by {}; an operator has set {}", declared.app, declared.edited.join(", "))
            }
            (Origin::Declared, None) => "a declaration".to_owned(),
            (Origin::Imported, _) => "another scheduler".to_owned(),
            (Origin::Operator, _) => "an operator".to_owned(),
        };
        format!("{from}, {made}{changed}")
    }

    fn print_firings(&self, output: &Output) -> Result {
        let Some(last) = self.firings.first() else { return Ok(()) };
        let marks: String = self
            .firings
            .iter()
            .rev()
            .map(|firing| {
                let (paint, mark) = mark(firing.outcome);
                output.paint(paint, &mark.to_string())
            })
            .collect();
        let latest = self.firings.iter().filter(|firing| firing.job_id.is_some()).map(Firing::lateness).max();
        let late = latest.map(|late| format!(", late by {} at most", brief(late))).unwrap_or_default();
        output.line("")?;
        output.line(format_args!(
            "{} {marks}  {}{late}",
            output.paint(Paint::Faint, "last firings"),
            ago(last.handled_at, self.now)
        ))
    }
}

/// Writes a call as a program would make it.
fn call(entry: &ScheduleEntry) -> String {
    let args = if entry.args == "[]" { String::new() } else { format!(" {}", entry.args) };
    let kwargs = if entry.kwargs == "{}" { String::new() } else { format!(" {}", entry.kwargs) };
    format!("{}{args}{kwargs}", entry.task)
}

/// Says what happens to due times that are late, missed, or come while others are under way.
fn policies(entry: &ScheduleEntry) -> String {
    let overlap = match entry.overlap {
        Overlap::Allow => "jobs may overlap".to_owned(),
        Overlap::Skip => format!("skipped while {} under way", jobs(entry.max_instances)),
        Overlap::QueueOne => format!("one waits while {} under way", jobs(entry.max_instances)),
        Overlap::CancelOlder => {
            format!("the oldest is cancelled where {} under way", jobs(entry.max_instances))
        }
    };
    let window = entry.catch_up_window.map(|window| format!(" of the last {}", brief(window)));
    let catch_up = match entry.catch_up {
        CatchUp::None => "missed due times are left out".to_owned(),
        CatchUp::Last => "the last missed due time is made up for".to_owned(),
        CatchUp::All => format!("up to {} missed due times are made up for", entry.catch_up_limit),
    };
    let mut parts = vec![overlap, format!("{catch_up}{}", window.unwrap_or_default())];
    parts.extend(entry.one_off.then(|| "runs once".to_owned()));
    parts.extend(entry.coalesce.then(|| "several become one".to_owned()));
    parts.extend((!entry.jitter.is_zero()).then(|| format!("put off by up to {}", brief(entry.jitter))));
    parts.extend(entry.misfire_grace.map(|grace| format!("on time up to {} late", brief(grace))));
    parts.join("; ")
}

fn jobs(count: u32) -> String {
    if count == 1 { "one is".to_owned() } else { format!("{count} are") }
}
