//! `beat`: enqueues what the schedule says is due, until it is stopped; and what a worker does of that beside its jobs.

use celeriac_control::{DeclaredDifference, MergeStep, Schedules};
use celeriac_protocol::suggest::did_you_mean;
use celeriac_store::query::schedules::ScheduleEntry;
use serde::Serialize;

use super::schedule::diff::step;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Paint;
use crate::platform::Platform;
use crate::readiness;
use crate::service::{self, Prepared, Roles, Service};
use crate::shutdown::Shutdown;

/// What the beat says of itself to programs. The field names are stable.
#[derive(Serialize)]
struct BeatView<'a> {
    event: &'static str,
    database: &'a str,
    broker: String,
}

/// Runs the beat until a signal comes.
pub(super) async fn run(mut context: Context) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let Prepared { platform, crew, driver, .. } = Prepared::new(&mut context, Roles::BEAT).await?;
    announce(&context, &platform, "started")?;
    readiness::tell(readiness::READY);
    let service = service::start(crew, driver, None);
    let exit = until_stopped(&context, &service, &mut shutdown).await;
    announce(&context, &platform, "stopped")?;
    match service.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(exit),
    }
}

/// Waits for a signal, which ends what is in hand well, and for one that does not.
pub(super) async fn until_stopped(context: &Context, service: &Service, shutdown: &mut Shutdown) -> Exit {
    tokio::select! {
        _ = service.failed() => {}
        signal = shutdown.next() => {
            context.output.note(format_args!("{signal}: finishing what is in hand; once more stops at once"));
            readiness::tell(readiness::STOPPING);
            service.stop();
        }
    }
    tokio::select! {
        () = service.ended() => Exit::Done,
        // What was in hand was in one transaction, of which nothing is kept.
        _ = shutdown.next() => Exit::Interrupted,
    }
}

/// By whose name the platform's own entries are declared, so that several apps on one database share them.
const HOUSE: &str = "celeriac.house";

/// Brings what the app and its configuration declare into the database, and what the platform asks of itself, and tells
/// what it did.
pub(crate) async fn merge_declared(context: &Context, platform: &Platform) -> Result {
    let declared = context.declared_schedules()?;
    let named: Vec<String> = declared.iter().map(|entry| entry.name.clone()).collect();
    let house = context.loaded.config.beat.house_schedules().filter(|entry| !named.contains(&entry.name));
    let schedules = Schedules::new(&platform.environment());
    warn_of_unknown_tasks(context, &declared);
    tell(schedules.merge_declared(&context.app.name, declared).await?);
    tell(schedules.merge_declared(HOUSE, house.collect()).await?);
    Ok(())
}

/// Warns of tasks that nobody here knows. Where the queue is a server's, others may: those of Python's workers.
fn warn_of_unknown_tasks(context: &Context, declared: &[ScheduleEntry]) {
    let registry = &context.app.registry;
    let known: Vec<&str> = registry.tasks().map(|task| task.name).collect();
    for entry in declared.iter().filter(|entry| registry.find(&entry.task).is_none()) {
        let (schedule, task) = (&entry.name, &entry.task);
        let hint = did_you_mean(task, known.iter().copied()).unwrap_or_default();
        match context.has_outbox() {
            true => tracing::info!(
                schedule,
                task,
                hint,
                "declared schedule is for workers that know its task; this app does not"
            ),
            false => tracing::warn!(
                schedule,
                task,
                hint,
                "declared schedule has a task that nobody knows; its jobs will fail"
            ),
        }
    }
}

fn tell(differences: Vec<DeclaredDifference>) {
    for difference in differences {
        let (word, reason) = step(&difference.step);
        let (name, reason) = (difference.name, reason.unwrap_or_default());
        match difference.step {
            MergeStep::Keep => {
                tracing::debug!(schedule = name, "declared schedule keeps what an operator has edited");
            }
            MergeStep::Refuse(_) | MergeStep::NameTaken => {
                tracing::warn!(schedule = name, step = word, reason, "declared schedule is not in force");
            }
            _ => tracing::info!(schedule = name, step = word, reason, "declared schedule was merged"),
        }
    }
}

fn announce(context: &Context, platform: &Platform, event: &'static str) -> Result {
    let (output, broker) = (&context.output, context.loaded.config.broker.url.shown());
    let database = platform.database.name();
    if output.is_json() {
        return output.json(&BeatView { event, database, broker });
    }
    if event == "started" && output.stderr_is_terminal() {
        let faint = |label: &str| output.paint_stderr(Paint::Faint, &format!("{label:<11}"));
        let name = output.paint_stderr(Paint::Strong, &context.app.name);
        output.note(format_args!(
            "{name} beat\n  {} {broker}\n  {} {database}\nCtrl-C stops it.",
            faint("broker"),
            faint("database")
        ));
    }
    Ok(())
}

impl Context {
    /// Returns the entries that the app and its configuration declare; the configuration's have the last word.
    ///
    /// # Errors
    /// What the configuration declares and can't be read.
    pub(super) fn declared_schedules(&self) -> Result<Vec<ScheduleEntry>> {
        let zone = self.loaded.config.beat.zone();
        let own = self.loaded.layers.schedules().iter().map(|declared| declared.entry(&zone));
        let own: Vec<ScheduleEntry> = own.collect::<Result<_>>()?;
        let is_said_otherwise = |entry: &ScheduleEntry| own.iter().any(|said| said.name == entry.name);
        let mut declared = self.app.declared_schedules();
        declared.retain(|entry| !is_said_otherwise(entry));
        declared.extend(own);
        Ok(declared)
    }
}
