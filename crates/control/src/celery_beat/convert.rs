//! Turns what a scheduler of Celery's has into an entry of ours, and says what is not the same.

use std::collections::BTreeMap;

use celeriac_protocol::schedule::{Clocked, Crontab, Dialect, Schedule, Solar, SolarEvent, Zone};
use celeriac_protocol::{Address, MAX_PRIORITY, RawValue, Timestamp};
use celeriac_store::query::schedules::ScheduleEntry;
use jiff::civil::Time;

use super::definition::{Definition, Fields, LeftOut, Timing};
use crate::beat::own_faults;

/// What the definitions don't say themselves.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The time.
    pub now: Timestamp,
    /// The app's zone, Celery's `timezone`: where crontabs without one are read, and `relative` intervals begin.
    pub zone: Zone,
    /// What Celery's messages went through.
    pub carrier: Carrier,
}

/// What messages go through, and so what a priority and an exchange mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Priority 0 is the first, and there are no exchanges.
    Redis,
    /// The highest priority is the first, and exchanges hand messages on.
    RabbitMq,
    /// The highest priority is the first, and there are no exchanges.
    Other,
}

/// One thing that is not as it was, or that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about: one of our words, such as `priority`.
    pub about: &'static str,
    /// What there is to say, for people.
    pub text: String,
}

/// An entry as it would be here.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The entry.
    pub entry: ScheduleEntry,
    /// When it was sent last.
    pub last_run_at: Option<Timestamp>,
    /// How often it was sent.
    pub total_run_count: u64,
    /// When it is due next, where it is enabled and that is ahead.
    pub next_due_at: Option<Timestamp>,
    /// What is not as it was.
    pub changes: Vec<Change>,
}

/// The task with which Celery removes old results.
const CLEANUP: &str = "celery.backend_cleanup";

/// Headers that whoever sends sets by itself, there and here.
const OF_THE_SCHEDULER: [&str; 2] = ["periodic_task_name", "celery_beat_task"];

/// The shortest interval that is taken over. Below it Celery's beat does nothing but send.
const SHORTEST_MICROS: i64 = 100_000;

/// An entry that is due again within so long is not reported as overdue.
const RARE_MICROS: i64 = 3_600_000_000;

const DAY_MICROS: i64 = 86_400_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;
const MINUTE_MICROS: i64 = 60_000_000;

impl Definition {
    /// Turns it into an entry of ours.
    ///
    /// # Errors
    /// It has no place here.
    pub fn proposal(&self, rules: &Rules) -> Result<Proposal, LeftOut> {
        let left_out = |reason| LeftOut { name: self.name.clone(), task: Some(self.task.clone()), reason };
        Converter { definition: self, rules, changes: Vec::new() }.proposal().map_err(left_out)
    }
}

/// Turns one definition into an entry.
struct Converter<'a> {
    definition: &'a Definition,
    rules: &'a Rules,
    changes: Vec<Change>,
}

/// When an entry is due, in our words.
struct Due {
    schedule: Schedule,
    spec: String,
    zone: String,
    anchor_at: Option<Timestamp>,
}

impl Converter<'_> {
    fn proposal(mut self) -> Result<Proposal, String> {
        let definition = self.definition;
        self.refuse()?;
        let due = self.due()?;
        let mut entry = ScheduleEntry::new(&definition.name, &definition.task, &due.spec);
        definition.args.get().clone_into(&mut entry.args);
        definition.kwargs.get().clone_into(&mut entry.kwargs);
        entry.headers = self.headers()?;
        definition.description.clone_into(&mut entry.description);
        entry.zone.clone_from(&due.zone);
        entry.anchor_at = due.anchor_at;
        (entry.expires_at, entry.expire_after) = (definition.expires_at, definition.expire_after);
        (entry.start_at, entry.end_at) = (definition.start_at, definition.end_at);
        entry.one_off = definition.one_off || matches!(definition.timing, Timing::Clocked { .. });
        entry.enabled = definition.enabled;
        entry.priority = self.priority();
        self.send_to(&mut entry);
        self.switch_off_what_is_over(&mut entry);
        self.tell_what_else(&due, entry.enabled);
        self.refuse_faults(&entry)?;
        let next_due_at = self.next_due(&due).filter(|_| entry.enabled);
        let Self { changes, .. } = self;
        let (last_run_at, total_run_count) = (definition.last_run_at, definition.total_run_count);
        Ok(Proposal { entry, last_run_at, total_run_count, next_due_at, changes })
    }

    fn change(&mut self, about: &'static str, text: impl Into<String>) {
        self.changes.push(Change { about, text: text.into() });
    }

    fn refuse(&self) -> Result<(), String> {
        if self.definition.task == CLEANUP {
            return Err("it removes old results of Celery's, which is no entry here: results go by `results.expires`, \
                        records by their retention; where only Python's workers keep results in a database, add it by hand"
                .to_owned());
        }
        Ok(())
    }

    /// Refuses what nobody may add here, by the same rules.
    fn refuse_faults(&self, entry: &ScheduleEntry) -> Result<(), String> {
        let faults = own_faults(entry, self.rules.now);
        let listed = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if faults.is_empty() { Ok(()) } else { Err(listed) }
    }

    /// Returns the headers without those that the scheduler sets itself.
    fn headers(&self) -> Result<String, String> {
        let headers = self.definition.headers.get();
        if !OF_THE_SCHEDULER.iter().any(|name| headers.contains(name)) {
            return Ok(headers.to_owned());
        }
        let mut headers: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(headers).map_err(|error| format!("headers: {error}"))?;
        headers.retain(|name, _| !OF_THE_SCHEDULER.contains(&name.as_str()));
        serde_json::to_string(&headers).map_err(|error| format!("headers: {error}"))
    }

    fn due(&mut self) -> Result<Due, String> {
        match &self.definition.timing {
            Timing::Crontab { fields, zone } => self.crontab(fields, zone.as_deref()),
            Timing::Interval { micros, relative, anchor } => self.interval(*micros, *relative, *anchor),
            Timing::Solar { event, latitude, longitude } => {
                let event: SolarEvent = event.parse().map_err(text)?;
                Ok(plain(Schedule::Solar(Solar::new(event, *latitude, *longitude).map_err(text)?)))
            }
            Timing::Clocked { at } => Ok(plain(Schedule::Clocked(Clocked::at(*at)))),
        }
    }

    fn crontab(&mut self, fields: &Fields, zone: Option<&str>) -> Result<Due, String> {
        let zone = match zone {
            Some(name) => name.parse().map_err(text)?,
            None => {
                let zone = &self.rules.zone;
                self.change(
                    "zone",
                    format!("its crontab names no zone; it is read in {zone}, the app's (--zone)"),
                );
                self.rules.zone.clone()
            }
        };
        let Fields { second, minute, hour, day_of_month, month_of_year, day_of_week } = fields;
        let line = format!("{second} {minute} {hour} {day_of_month} {month_of_year} {day_of_week}");
        let crontab = Crontab::parse(&line, Dialect::Celery, zone.clone()).map_err(text)?;
        let spec = format!("crontab \"{}\"", crontab.fields());
        Ok(Due { schedule: Schedule::Crontab(crontab), spec, zone: zone.name().to_owned(), anchor_at: None })
    }

    fn interval(&mut self, micros: i64, relative: bool, anchor: Option<Timestamp>) -> Result<Due, String> {
        if micros < SHORTEST_MICROS {
            let shortest = SHORTEST_MICROS / 1_000;
            return Err(format!(
                "it is due every {micros} microseconds; nothing below {shortest} ms is taken over"
            ));
        }
        if relative && micros == DAY_MICROS {
            let midnight = ["0", "0", "0", "*", "*", "*"].map(str::to_owned);
            let [second, minute, hour, day_of_month, month_of_year, day_of_week] = midnight;
            let fields = Fields { second, minute, hour, day_of_month, month_of_year, day_of_week };
            self.change("spec", "every day, `relative`, is each midnight");
            let zone = self.rules.zone.name().to_owned();
            return self.crontab(&fields, Some(&zone));
        }
        let definition = self.definition;
        let ran = definition.last_run_at;
        let anchor_at = match anchor {
            Some(anchor) => Some(anchor),
            None if relative => {
                let anchor = self.whole(ran.map_or(0, |ran| ran.as_micros().saturating_add(micros)), micros);
                self.change("spec", format!("it is counted from {anchor}, as `relative` does"));
                Some(anchor)
            }
            // One that has not run yet begins with its start, at once.
            None => ran.or(definition.start_at).or(definition.counts_from),
        };
        let spec = format!("every {}", length(micros));
        let schedule: Schedule = spec.parse().map_err(text)?;
        let zone = Zone::UTC.name().to_owned();
        Ok(Due { schedule: schedule.anchored(anchor_at.unwrap_or(self.rules.now)), spec, zone, anchor_at })
    }

    /// Returns the whole day, hour or minute of the app's wall in which a moment lies, by what fits into a length.
    fn whole(&self, at: i64, length: i64) -> Timestamp {
        let wall = self.rules.zone.wall(Timestamp::from_micros(at));
        let (hour, minute, second) = (wall.hour(), wall.minute(), wall.second());
        let time = match length {
            DAY_MICROS.. => Time::midnight(),
            HOUR_MICROS.. => Time::constant(hour, 0, 0, 0),
            MINUTE_MICROS.. => Time::constant(hour, minute, 0, 0),
            _ => Time::constant(hour, minute, second, 0),
        };
        let whole =
            self.rules.zone.as_jiff().to_ambiguous_timestamp(wall.date().to_datetime(time)).compatible();
        whole.map_or(Timestamp::from_micros(at), Timestamp::from_jiff)
    }

    /// Returns the priority by our count, in which the highest is the first, whatever carries the messages.
    fn priority(&mut self) -> Option<u8> {
        let given = self.definition.priority?;
        let most = i64::from(MAX_PRIORITY);
        let kept = u8::try_from(given.clamp(0, most)).unwrap_or(MAX_PRIORITY);
        let is_redis = self.rules.carrier == Carrier::Redis;
        let ours = if is_redis { MAX_PRIORITY - kept } else { kept };
        if is_redis {
            self.change(
                "priority",
                format!("{given} of Redis, where 0 is the first, is {ours} here, where {most} is"),
            );
        } else if i64::from(ours) != given {
            self.change("priority", format!("{given} is {ours} here, the highest there is"));
        }
        Some(ours)
    }

    /// Names the queue, or the exchange that messages went to.
    fn send_to(&mut self, entry: &mut ScheduleEntry) {
        let Definition { queue, exchange, routing_key, .. } = self.definition;
        entry.queue.clone_from(queue);
        let (exchange, key) = match (exchange, routing_key) {
            (Some(exchange), Some(key)) => (exchange, key),
            (None, None) => return,
            (Some(exchange), None) => {
                return self.change(
                    "queue",
                    format!("exchange `{exchange}` counts for nothing without a routing key, in Celery too"),
                );
            }
            (None, Some(key)) => {
                return self.change(
                    "queue",
                    format!("routing key `{key}` counts for nothing without an exchange, in Celery too"),
                );
            }
        };
        // Celery gives each queue a direct exchange and a key of its own name.
        if exchange == key && queue.as_ref().is_none_or(|queue| queue == key) {
            entry.queue = Some(key.clone());
            return self.change(
                "queue",
                format!("exchange and routing key `{key}` are taken for the queue of that name"),
            );
        }
        let address = Address::Exchange { name: exchange, routing_key: key }.to_string();
        if self.rules.carrier == Carrier::RabbitMq {
            self.change("queue", format!("its messages go to {address}"));
            entry.queue = Some(address);
        } else {
            let off = if entry.enabled { "; it is switched off until its queue is named" } else { "" };
            self.change("queue", format!("its messages went to exchange `{exchange}` with key `{key}`, which is RabbitMQ's alone{off}"));
            entry.enabled = false;
        }
    }

    /// Switches off what would fire no more, or only too late.
    fn switch_off_what_is_over(&mut self, entry: &mut ScheduleEntry) {
        let definition = self.definition;
        let now = self.rules.now;
        let ran = definition.total_run_count > 0;
        let over = match (&definition.timing, definition.expires_at, definition.end_at) {
            (_, Some(expires_at), _) if expires_at <= now => format!("it expired at {expires_at}"),
            (_, _, Some(end_at)) if end_at <= now => format!("its rule ended at {end_at}"),
            (Timing::Clocked { at }, ..) if *at <= now && !ran => {
                format!("it was due at {at} and has not run; that is not made up for")
            }
            _ if entry.one_off && ran => "it was to run once, and has run".to_owned(),
            _ => return,
        };
        if entry.enabled {
            entry.enabled = false;
            self.change("enabled", format!("{over}, so it is switched off"));
        }
    }

    fn tell_what_else(&mut self, due: &Due, enabled: bool) {
        let definition = self.definition;
        for option in &definition.other_options {
            self.change("options", format!("option `{option}` of sending is left off"));
        }
        let walls = matches!(definition.timing, Timing::Crontab { .. } | Timing::Solar { .. });
        let starts =
            definition.start_at.filter(|start| *start > self.rules.now && definition.last_run_at.is_none());
        if let (true, Some(start)) = (walls, starts) {
            self.change(
                "start_at",
                format!(
                    "Celery would send it at {start} itself; here it is due at its first time after that"
                ),
            );
        }
        let (Some(ran), Some(next)) = (definition.last_run_at, self.next_due(due)) else { return };
        let missed = due.schedule.next_after(ran).map(|due| due.at).filter(|at| *at <= self.rules.now);
        let is_rare = next.as_micros().saturating_sub(self.rules.now.as_micros()) > RARE_MICROS;
        if let (true, true, Some(missed)) = (enabled, is_rare, missed) {
            self.change(
                "catch_up",
                format!("it was due at {missed}, which is not made up for; it is due next at {next}"),
            );
        }
    }

    fn next_due(&self, due: &Due) -> Option<Timestamp> {
        let Definition { start_at, end_at, .. } = self.definition;
        let before_start = start_at.map(|start| Timestamp::from_micros(start.as_micros().saturating_sub(1)));
        let after = before_start.map_or(self.rules.now, |start| start.max(self.rules.now));
        let next = due.schedule.next_after(after).map(|due| due.at);
        next.filter(|at| end_at.is_none_or(|end| *at <= end))
    }
}

/// A schedule that has its zone in itself, or none.
fn plain(schedule: Schedule) -> Due {
    let (spec, zone) = (schedule.to_string(), schedule.zone().name().to_owned());
    Due { schedule, spec, zone, anchor_at: None }
}

fn text(error: impl std::error::Error + 'static) -> String {
    celeriac_protocol::error_text(&error)
}

/// Writes a length in the largest unit that divides it.
fn length(micros: i64) -> String {
    let units =
        [(DAY_MICROS, "d"), (HOUR_MICROS, "h"), (MINUTE_MICROS, "m"), (1_000_000, "s"), (1_000, "ms")];
    let unit = units.into_iter().find(|(unit, _)| micros % unit == 0);
    unit.map_or_else(|| format!("{micros}us"), |(unit, name)| format!("{}{name}", micros / unit))
}
