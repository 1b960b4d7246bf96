//! How the schedule's due times are met.

use celeriac_control::health::HEALTH_CHECK;
use celeriac_control::{BeatSettings, ScheduleEntry, house_schedules};
use celeriac_protocol::schedule::Zone;
use serde::{Deserialize, Serialize};

use super::{Invalid, Period};

/// How the schedule's due times are met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BeatSection {
    pub(crate) enabled: bool,
    pub(crate) timezone: String,
    pub(crate) misfire_grace: Period,
    pub(crate) health_check: bool,
    pub(crate) cleanup_old_jobs: bool,
}

impl Default for BeatSection {
    fn default() -> Self {
        let grace = BeatSettings::default().misfire_grace;
        Self {
            enabled: true,
            timezone: Zone::UTC.name().to_owned(),
            misfire_grace: Period(grace),
            health_check: true,
            cleanup_old_jobs: true,
        }
    }
}

impl BeatSection {
    /// Returns what the beat goes by.
    pub(crate) fn settings(&self) -> BeatSettings {
        BeatSettings { misfire_grace: self.misfire_grace.0, ..BeatSettings::default() }
    }

    /// Returns the entries by which the platform looks after itself, as far as they are wanted.
    pub(crate) fn house_schedules(&self) -> impl Iterator<Item = ScheduleEntry> {
        let is_wanted = |entry: &ScheduleEntry| match entry.task.as_str() {
            HEALTH_CHECK => self.health_check,
            _ => self.cleanup_old_jobs,
        };
        house_schedules().into_iter().filter(is_wanted)
    }

    /// Returns the zone of what names none.
    pub(crate) fn zone(&self) -> Zone {
        // What is no zone was refused by `validate`.
        self.timezone.parse().unwrap_or(Zone::UTC)
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, reason: String| Err(Invalid { key: format!("beat.{key}"), reason });
        if let Err(error) = self.timezone.parse::<Zone>() {
            return refuse("timezone", error.to_string());
        }
        match self.settings().validate() {
            Err(error) => refuse(error.setting, error.reason.to_owned()),
            Ok(()) => Ok(()),
        }
    }
}
