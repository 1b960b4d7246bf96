//! When a workflow's job is due: an entry of the schedule, made from the workflow's settings and read back into them.

use celeriac_protocol::schedule::{Schedule, Zone};
use celeriac_store::query::schedules::{CatchUp, Overlap, ScheduleEntry};

use super::settings::CRONTAB;
use super::{WORKFLOW_QUEUE, WorkflowSettings};

/// The settings that the entry holds; whoever edits them edits the entry.
pub(super) const CADENCE: [&str; 7] =
    ["enabled", "interval", "cron", "timezone", "jitter", "misfire_grace", "coalesce"];

/// Makes the entry of a workflow's job.
///
/// One that is due while earlier jobs of it wait or go on is left out: the slots alone would let them pile up where
/// no worker takes them.
pub(super) fn entry(job: &str, description: &str, settings: &WorkflowSettings) -> ScheduleEntry {
    let entry = ScheduleEntry {
        queue: Some(WORKFLOW_QUEUE.to_owned()),
        description: description.to_owned(),
        overlap: Overlap::Skip,
        ..ScheduleEntry::new(job, job, settings.spec())
    };
    with_settings(entry, settings)
}

/// Has an entry say what the settings do.
pub(super) fn with_settings(entry: ScheduleEntry, settings: &WorkflowSettings) -> ScheduleEntry {
    ScheduleEntry {
        spec: settings.spec(),
        zone: settings.timezone.clone().unwrap_or_else(|| Zone::UTC.to_string()),
        enabled: settings.enabled,
        max_instances: settings.max_instances,
        jitter: settings.jitter,
        misfire_grace: settings.misfire_grace,
        catch_up: if settings.misfire_grace.is_some() { CatchUp::None } else { CatchUp::Last },
        coalesce: settings.coalesce,
        ..entry
    }
}

/// Lays over the settings what an entry says, which operators may have edited. One that is due by something else than
/// an interval is taken for a crontab, as far as a workflow is concerned: it runs at its times only.
pub(super) fn from_entry(settings: WorkflowSettings, entry: &ScheduleEntry) -> WorkflowSettings {
    let (interval, cron) = match entry.spec.parse::<Schedule>() {
        Ok(Schedule::Interval(every)) => (every.length(), None),
        _ => {
            let spec = entry.spec.strip_prefix(CRONTAB).unwrap_or(&entry.spec);
            (settings.interval, Some(spec.to_owned()))
        }
    };
    let says_zone = settings.timezone.is_some() || entry.zone != Zone::UTC.name();
    let misfire_grace = entry.misfire_grace.filter(|_| entry.catch_up == CatchUp::None);
    WorkflowSettings {
        enabled: entry.enabled,
        interval,
        cron,
        timezone: says_zone.then(|| entry.zone.clone()),
        jitter: entry.jitter,
        misfire_grace,
        coalesce: entry.coalesce,
        ..settings
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn back(settings: &WorkflowSettings) -> WorkflowSettings {
        from_entry(settings.clone(), &entry("process_pending_pages", "reads pages", settings))
    }

    #[test]
    fn what_the_entry_says_is_what_the_settings_said() {
        let plain = WorkflowSettings { interval: Duration::from_secs(90), ..WorkflowSettings::default() };
        let nightly = WorkflowSettings {
            cron: Some("0 2 * * mon-fri".to_owned()),
            timezone: Some("Europe/Berlin".to_owned()),
            jitter: Duration::from_secs(30),
            misfire_grace: Some(Duration::from_secs(600)),
            coalesce: false,
            enabled: false,
            ..WorkflowSettings::default()
        };
        for settings in [plain, nightly] {
            assert_eq!(back(&settings), settings);
        }
    }

    #[test]
    fn an_entry_that_an_operator_has_edited_has_the_last_word() {
        let settings = WorkflowSettings::default();
        let entry = entry("process_pending_pages", "reads pages", &settings);
        let edited = |entry: ScheduleEntry| from_entry(settings.clone(), &entry);
        let slower = edited(ScheduleEntry { spec: "every 2h".to_owned(), ..entry.clone() });
        assert_eq!((slower.interval, slower.cron), (Duration::from_secs(7_200), None));
        let nightly =
            edited(ScheduleEntry { spec: "@daily".to_owned(), zone: "Asia/Tokyo".to_owned(), ..entry });
        assert_eq!(
            (nightly.cron.as_deref(), nightly.timezone.as_deref()),
            (Some("@daily"), Some("Asia/Tokyo"))
        );
    }
}
