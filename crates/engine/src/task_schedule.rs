//! When a task's jobs are enqueued by themselves, as it says beside its code.

use std::time::Duration;

/// An entry of the schedule that a task declares.
///
/// The schedule lies above the engine, which reads nothing of this: whoever builds an app makes entries of it, and
/// refuses what they can't say.
///
/// ```
/// use celeriac_engine::TaskSchedule;
/// let nightly = TaskSchedule {
///     zone: Some("Europe/Berlin"),
///     overlap: Some("skip"),
///     ..TaskSchedule::new("30 2 * * mon-fri")
/// };
/// assert_eq!(nightly.args, "[]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSchedule {
    /// The entry's name; the task's, where it has none.
    pub name: Option<&'static str>,
    /// When it is due: a crontab, `every 5m`, `at 2027-01-01T10:00` or `solar sunset 52.5,13.4`.
    pub when: &'static str,
    /// The zone in which that is meant where it names none itself; UTC, where none is given.
    pub zone: Option<&'static str>,
    /// Days and hours that are left out.
    pub except: Option<&'static str>,
    /// Positional arguments, a JSON array.
    pub args: &'static str,
    /// Named arguments, a JSON object.
    pub kwargs: &'static str,
    /// What happens while earlier jobs of it have not ended: `allow`, `skip`, `queue_one` or `cancel_older`.
    pub overlap: Option<&'static str>,
    /// How many of its jobs may be under way before that matters.
    pub max_instances: u32,
    /// What happens to due times that were missed: `none`, `last` or `all`.
    pub catch_up: Option<&'static str>,
    /// How many of them at most, where all are made up for.
    pub catch_up_limit: Option<u32>,
    /// How far back at most.
    pub catch_up_window: Option<Duration>,
    /// Whether several due times that are met together make one job.
    pub coalesce: bool,
    /// By how much at most a firing is put off.
    pub jitter: Duration,
    /// How late a due time may be met and still count as met.
    pub misfire_grace: Option<Duration>,
    /// A job that has not begun this long after it was enqueued does not run.
    pub expires: Option<Duration>,
    /// Whether it fires from the beginning; else somebody has to switch it on.
    pub enabled: bool,
}

impl TaskSchedule {
    /// Makes an entry with no arguments, in UTC, and nothing asked for but when it is due.
    pub const fn new(when: &'static str) -> Self {
        Self {
            name: None,
            when,
            zone: None,
            except: None,
            args: "[]",
            kwargs: "{}",
            overlap: None,
            max_instances: 1,
            catch_up: None,
            catch_up_limit: None,
            catch_up_window: None,
            coalesce: false,
            jitter: Duration::ZERO,
            misfire_grace: None,
            expires: None,
            enabled: true,
        }
    }
}
