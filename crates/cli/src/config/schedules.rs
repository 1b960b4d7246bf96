//! Schedules that the configuration file declares: `[schedule.NAME]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celeriac_control::ScheduleEntry;
use celeriac_protocol::schedule::Zone;
use serde_json::{Map, Value};

use super::Origin;
use crate::error::{Code, Failure, Result};

mod read;
mod write;

pub(crate) use read::{SectionFault, key_of};
pub(crate) use write::written;

/// The section whose own sections are schedules.
pub(super) const SECTION: &str = "schedule";

/// A schedule as the file declares it.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredSchedule {
    name: String,
    fields: Map<String, Value>,
    path: PathBuf,
    lines: Lines,
}

/// In which lines of a file a section begins and its keys stand, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The section's own.
    pub(crate) section: usize,
    /// Those of its keys.
    pub(crate) keys: BTreeMap<String, usize>,
}

impl Lines {
    /// Returns the line of a key, or else the section's.
    pub(crate) fn of(&self, key: Option<&str>) -> usize {
        key.and_then(|key| self.keys.get(key)).copied().unwrap_or(self.section)
    }
}

impl DeclaredSchedule {
    /// Takes what stands in a section.
    pub(super) fn new(name: &str, fields: Map<String, Value>, path: &Path, lines: Lines) -> Self {
        Self { name: name.to_owned(), fields, path: path.to_owned(), lines }
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns where it stands in its file.
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Reads what it says; times that name no zone are read on the wall of its own, or else of a given one.
    ///
    /// # Errors
    /// A key that nobody knows, or a value that it can't have.
    pub(crate) fn entry(&self, zone: &Zone) -> Result<ScheduleEntry> {
        self.read(zone).and_then(read::with_times).map_err(|fault| self.refusal(fault))
    }

    /// Does what [`DeclaredSchedule::entry`] does, for whoever tells faults in words of its own.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn read(&self, zone: &Zone) -> Result<ScheduleEntry, SectionFault> {
        read::entry(&self.name, &self.fields, zone)
    }

    fn refusal(&self, fault: SectionFault) -> Failure {
        let place = Origin::File { path: self.path.clone(), line: self.lines.of(fault.key.as_deref()) };
        let named = fault.key.as_ref().map(|key| format!(".{key}")).unwrap_or_default();
        let key = format!("{SECTION}.{}{named}", self.name);
        let failed = |code| Failure::failed_to(code, "read configuration");
        let error = match fault.is_unknown {
            true => failed(Code::ConfigUnknownKey).because(format_args!("{place}: unknown key \"{key}\"")),
            false => {
                failed(Code::ConfigInvalidValue).because(format_args!("{place}: {key}: {}", fault.reason))
            }
        };
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn declared(text: &str) -> DeclaredSchedule {
        let fields: Map<String, Value> = toml::from_str(text).unwrap();
        let keys = fields.keys().enumerate().map(|(i, key)| (key.clone(), i + 4)).collect();
        DeclaredSchedule::new("nightly", fields, Path::new("celeriac.toml"), Lines { section: 3, keys })
    }

    #[test]
    fn a_section_says_what_the_command_line_says() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let entry = declared(
            "when = \"30 2 * * *\"\ntask = \"report\"\nargs = [1]\nkwargs = { days = 7 }\njitter = \"5m\"\n\
             expires = \"1h\"\nstart = \"2027-01-01\"\ncatch_up = 5\noverlap = \"skip\"",
        );
        let entry = entry.entry(&berlin).map_err(|error| error.to_string()).unwrap();
        assert_eq!((entry.args.as_str(), entry.kwargs.as_str()), ("[1]", "{\"days\":7}"));
        assert_eq!((entry.zone.as_str(), entry.jitter), ("Europe/Berlin", Duration::from_secs(300)));
        assert_eq!((entry.expire_after, entry.catch_up_limit), (Some(Duration::from_secs(3_600)), 5));
        assert_eq!(entry.start_at, Some("2026-12-31T23:00Z".parse().unwrap()));
    }

    #[test]
    fn what_toml_has_no_word_for_may_be_written_as_json() {
        let text = "when = \"@daily\"\ntask = \"x\"\nargs = '[null, 12345678901234567890]'\n\
                    expires = [\"90s\", \"2027-01-01\"]\ncatch_up = \"last\"\ncatch_up_limit = 7";
        let entry = declared(text).entry(&Zone::UTC).map_err(|error| error.to_string()).unwrap();
        assert_eq!(entry.args, "[null, 12345678901234567890]");
        assert_eq!(entry.expire_after, Some(Duration::from_secs(90)));
        assert_eq!(entry.expires_at, Some("2027-01-01T00:00Z".parse().unwrap()));
        assert_eq!(entry.catch_up_limit, 7);
    }

    #[test]
    fn what_nobody_knows_or_is_missing_is_refused_by_its_place() {
        let refused = |text: &str| match declared(text).entry(&Zone::UTC) {
            Ok(entry) => panic!("{entry:?}"),
            Err(error) => (error.to_string(), error.advice().unwrap_or_default().to_owned()),
        };
        let (text, hint) = refused("when = \"@daily\"\ntask = \"report\"\nover_lap = \"skip\"");
        assert!(text.contains("unknown key \"schedule.nightly.over_lap\""), "{text}");
        assert_eq!(hint, "did you mean `overlap`?");
        let (text, _) = refused("when = \"@daily\"");
        assert!(text.contains("celeriac.toml:3: schedule.nightly.task: it is missing"), "{text}");
        for (wrong, key) in [
            ("jitter = \"soon\"", "jitter"),
            ("expires = [true]", "expires"),
            ("overlap = \"skp\"", "overlap"),
            ("args = '{}'", "args"),
            ("args = '[1'", "args"),
            ("priority = 300", "priority"),
        ] {
            let (text, _) = refused(&format!("when = \"@daily\"\ntask = \"x\"\n{wrong}"));
            assert!(text.contains(&format!("schedule.nightly.{key}: ")), "{wrong}: {text}");
        }
        let (text, _) = refused("when = \"61 * * * *\"\ntask = \"x\"");
        assert!(text.contains("celeriac.toml:5: schedule.nightly.when: "), "{text}");
    }
}
