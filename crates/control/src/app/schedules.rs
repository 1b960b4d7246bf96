//! From what tasks say of their own times to entries of the schedule.

use std::fmt::Display;

use celeriac_engine::{RegisteredTask, Registry, TaskSchedule};
use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::ScheduleEntry;

use super::AppError;
use crate::beat::{arguments_of, own_faults};

/// Returns the entries that tasks declare beside their code, by the tasks' names: the same tasks give the same entries.
///
/// # Errors
/// [`AppError::TaskSchedule`]: the first that can't be, with the task and the place where it is defined.
pub(super) fn of_tasks(registry: &Registry) -> Result<Vec<ScheduleEntry>, AppError> {
    let of_task = |task| {
        let task: &RegisteredTask = task;
        task.options.schedules.iter().map(move |schedule| entry(task, schedule))
    };
    registry.tasks().flat_map(|task| of_task(task)).collect()
}

fn entry(task: &RegisteredTask, schedule: &TaskSchedule) -> Result<ScheduleEntry, AppError> {
    let name = schedule.name.unwrap_or(task.name);
    let refuse = |reason: &dyn Display| AppError::TaskSchedule {
        name: name.to_owned(),
        task: task.name,
        at: task.options.defined_at,
        reason: reason.to_string(),
    };
    let plain = ScheduleEntry::new(name, task.name, schedule.when);
    let word = |text: Option<&str>| text.map(str::to_owned);
    let entry = ScheduleEntry {
        zone: word(schedule.zone).unwrap_or(plain.zone),
        calendar: word(schedule.except),
        args: schedule.args.to_owned(),
        kwargs: schedule.kwargs.to_owned(),
        overlap: schedule
            .overlap
            .map(str::parse)
            .transpose()
            .map_err(|error| refuse(&error))?
            .unwrap_or_default(),
        max_instances: schedule.max_instances,
        catch_up: schedule
            .catch_up
            .map(str::parse)
            .transpose()
            .map_err(|error| refuse(&error))?
            .unwrap_or_default(),
        catch_up_limit: schedule.catch_up_limit.unwrap_or(plain.catch_up_limit),
        catch_up_window: schedule.catch_up_window,
        coalesce: schedule.coalesce,
        jitter: schedule.jitter,
        misfire_grace: schedule.misfire_grace,
        expire_after: schedule.expires,
        enabled: schedule.enabled,
        description: task.options.description.to_owned(),
        ..ScheduleEntry::new(name, task.name, schedule.when)
    };
    // No clock is at hand, and none is needed: what has been due in the past is told when it is merged.
    let faults = own_faults(&entry, Timestamp::EPOCH);
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(refuse(&faults.join("; ")));
    }
    let arguments = arguments_of(&entry).map_err(|reason| refuse(&reason))?;
    task.check(&arguments).map_err(|error| refuse(&error.message))?;
    Ok(entry)
}
