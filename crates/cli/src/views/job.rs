//! Jobs as they are printed.

use std::time::Duration;

use celeriac_protocol::{JobStatus, RawValue, Timestamp};
use celeriac_server::views::{AttemptView, JobDetailView, JobErrorView, JobView, MessageView, Moment};

use crate::output::{Cell, Column, Output, Paint, Table, ago, brief, until};

/// Lists jobs.
pub(crate) fn jobs_table(views: &[JobView], now: Timestamp) -> Table {
    let columns = [
        Column::new("ID"),
        Column::elastic("TASK"),
        Column::new("QUEUE").spare(),
        Column::new("STATUS"),
        Column::number("TRY"),
        Column::new("CREATED").spare(),
        Column::new("TOOK").spare(),
        Column::elastic("NOTE"),
    ];
    let mut table = Table::new(columns, "no jobs");
    for view in views {
        table.row([
            Cell::new(&view.id),
            Cell::new(&view.task),
            Cell::new(&view.queue),
            status_cell(view),
            Cell::new(view.attempt.to_string()),
            Cell::painted(Paint::Faint, ago(view.created_at.0, now)).exactly(view.created_at.to_string()),
            Cell::painted(Paint::Faint, took(view, now).map(brief).unwrap_or_default()),
            Cell::painted(Paint::Faint, note(view, now)),
        ]);
    }
    table
}

fn status_cell(job: &JobView) -> Cell {
    Cell::painted(Paint::of_status(job.status), job.status.as_str())
}

/// Returns how long the newest attempt ran, or has run so far, as far as both instants are known.
fn took(job: &JobView, now: Timestamp) -> Option<Duration> {
    let started = job.started_at?.0;
    let end = match job.status {
        JobStatus::Running => now,
        _ => job.completed_at?.0,
    };
    // An end that was told before the start was noticed measures nothing.
    Some(end.since(started)).filter(|took| !took.is_zero())
}

/// Says in a few words what is worth knowing at this status.
fn note(job: &JobView, now: Timestamp) -> String {
    let due = |at: Option<Moment>| at.map(|at| format!("due {}", until(at.0, now)));
    let error = || job.error.as_ref().map(|error| error.message.clone());
    let note = match job.status {
        JobStatus::Scheduled => due(job.scheduled_for),
        JobStatus::Running => Some(progress_text(job)),
        JobStatus::Retrying => {
            let parts = [due(job.scheduled_for), error()];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        JobStatus::Failed if job.dead => {
            Some(["dead letter".to_owned()].into_iter().chain(error()).collect::<Vec<_>>().join(": "))
        }
        JobStatus::Failed => error(),
        JobStatus::Cancelled => job.cancel_reason.clone(),
        JobStatus::Completed => job.progress_message.clone(),
        JobStatus::Pending => None,
    };
    note.unwrap_or_default()
}

fn progress_text(job: &JobView) -> String {
    match (&job.progress_message, job.progress) {
        (Some(message), percent) => format!("{percent} % {message}"),
        (None, 0) => String::new(),
        (None, percent) => format!("{percent} %"),
    }
}

/// Writes it for a person.
pub(crate) fn job_text(detail: &JobDetailView, output: &Output, now: Timestamp) -> String {
    let mut text = format!("{}\n", output.paint(Paint::Strong, &detail.job.id));
    for (label, value) in facts(detail, output, now) {
        let indented = value.replace('\n', &format!("\n{}", " ".repeat(14)));
        text.push_str(&format!("  {} {indented}\n", output.paint(Paint::Faint, &format!("{label:<11}"))));
    }
    text
}

fn facts(detail: &JobDetailView, output: &Output, now: Timestamp) -> Vec<(&'static str, String)> {
    let job = &detail.job;
    let mut facts = vec![("task", job.task.clone())];
    if job.job_type != job.task {
        facts.push(("type", job.job_type.clone()));
    }
    facts.push(("status", status(job, output)));
    if let Some(message) = &detail.message {
        facts.push(("message", message_text(message, now)));
    }
    facts.push(("queue", job.queue.clone()));
    let optional = |label, value: Option<String>| value.map(|value| (label, value));
    facts.extend(optional("priority", job.priority.map(|priority| priority.to_string())));
    facts.extend(arguments(detail));
    facts.extend(optional("account", job.account_key.clone()));
    facts.extend(optional("schedule", schedule(job)));
    facts.extend(times(job, output, now));
    facts.extend(optional("expires", job.expires_at.map(|at| at.to_string())));
    facts.extend(optional("caused by", detail.parent_id.clone()));
    facts.extend(optional("progress", Some(progress_text(job)).filter(|text| !text.is_empty())));
    facts.extend(optional("partial", detail.partial.as_deref().map(pretty)));
    facts.extend(optional("result", detail.result.as_deref().map(pretty)));
    facts.extend(optional("error", job.error.as_ref().map(whole_error)));
    for (i, attempt) in detail.attempts.iter().enumerate() {
        facts.push((if i == 0 { "attempts" } else { "" }, attempt_line(attempt)));
    }
    facts
}

fn status(job: &JobView, output: &Output) -> String {
    let word = output.paint(Paint::of_status(job.status), job.status.as_str());
    let reason = match (&job.cancel_reason, &job.dead_reason) {
        (Some(reason), _) => format!(" ({reason})"),
        (None, Some(reason)) => format!(", a dead letter ({reason})"),
        (None, None) => String::new(),
    };
    format!("{word}{reason}")
}

fn schedule(job: &JobView) -> Option<String> {
    let name = job.schedule.as_ref()?;
    Some(match &job.schedule_due_at {
        Some(due_at) => format!("{name}, due {due_at}"),
        None => name.clone(),
    })
}

fn arguments(detail: &JobDetailView) -> Vec<(&'static str, String)> {
    let shown = |label, json: &RawValue, empty: &str| (json.get() != empty).then(|| (label, pretty(json)));
    [shown("args", &detail.args, "[]"), shown("kwargs", &detail.kwargs, "{}")].into_iter().flatten().collect()
}

fn times(job: &JobView, output: &Output, now: Timestamp) -> Vec<(&'static str, String)> {
    let told = |at: Moment| output.told(at.0, now);
    let mut times = vec![("created", told(job.created_at))];
    times.extend(job.scheduled_for.map(|at| ("due", told(at))));
    times.extend(job.started_at.map(|at| ("started", told(at))));
    times.extend(job.completed_at.map(|at| ("ended", told(at))));
    times
}

fn message_text(message: &MessageView, now: Timestamp) -> String {
    let due = message.until.map(|at| until(at.0, now)).unwrap_or_default();
    let mut text = match (message.state, &message.holder) {
        ("held", Some(holder)) => format!("held by {holder}, whose lease ends {due}"),
        ("delayed", _) => format!("held back, due {due}"),
        _ => "waits for a worker".to_owned(),
    };
    if let Some(at) = message.queue_paused_at {
        text.push_str(&format!("; its queue was paused {}", ago(at.0, now)));
    }
    text
}

fn attempt_line(attempt: &AttemptView) -> String {
    if attempt.worker.is_none() && attempt.started_at.is_none() && attempt.error.is_none() {
        // Others ran it, and which of their attempts it was they don't say.
        return format!(
            "{}; told by its result alone: when it began, and where, is not known",
            attempt.outcome
        );
    }
    let mut line = format!("{}. {}", attempt.attempt, attempt.outcome);
    if let Some(runtime) = attempt.runtime_ms {
        line.push_str(&format!(" after {}", brief(Duration::from_secs_f64(runtime / 1_000.0))));
    }
    if let Some(worker) = &attempt.worker {
        line.push_str(&format!(" on {worker}"));
    }
    if let Some(error) = &attempt.error {
        line.push_str(&format!(": {}", error.message));
    }
    line
}

/// Writes JSON over several lines where one is not enough.
pub(crate) fn pretty(json: &RawValue) -> String {
    /// What still reads well in one line.
    const SHORT: usize = 80;
    let text = json.get();
    if text.len() <= SHORT && !text.contains('\n') {
        return text.to_owned();
    }
    // Numbers too large for the parser stay as they were sent.
    let parsed = serde_json::from_str::<serde_json::Value>(text);
    parsed.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| text.to_owned())
}

fn whole_error(error: &JobErrorView) -> String {
    let mut text = match &error.type_name {
        Some(name) => format!("{} ({name}): {}", error.kind, error.message),
        None => format!("{}: {}", error.kind, error.message),
    };
    if !error.traceback.is_empty() && error.traceback != error.message {
        text.push('\n');
        text.push_str(&error.traceback);
    }
    text
}
