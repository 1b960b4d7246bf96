//! Reads the rows of a database's scheduler as definitions.

use std::time::Duration;

use celeriac_protocol::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::definition::{Definition, Fields, LeftOut, Timing, json, shortened};
use super::tables::entity::{crontab, interval, task};
use super::tables::{Package, Tables};

impl Tables {
    /// Reads each row as what it defines. `naive` is the zone of times that were stored without one.
    pub fn definitions(&self, naive: &TimeZone) -> Vec<Result<Definition, LeftOut>> {
        self.tasks.iter().map(|row| Reader { tables: self, row, naive }.definition()).collect()
    }
}

/// Reads one row.
struct Reader<'a> {
    tables: &'a Tables,
    row: &'a task::Model,
    naive: &'a TimeZone,
}

impl Reader<'_> {
    fn definition(&self) -> Result<Definition, LeftOut> {
        let name = self.row.name.clone().unwrap_or_else(|| format!("(row {})", self.row.id));
        self.read(&name).map_err(|reason| LeftOut { name, task: self.row.task.clone(), reason })
    }

    fn read(&self, name: &str) -> Result<Definition, String> {
        let row = self.row;
        let is_django = self.tables.package == Package::Django;
        let last_run_at = self.moment("last_run_at", row.last_run_at.as_deref())?;
        Ok(Definition {
            name: name.to_owned(),
            task: filled(&row.task).ok_or("it names no task")?,
            args: json(row.args.as_deref(), '[').map_err(|wrong| format!("args: {wrong}"))?,
            kwargs: json(row.kwargs.as_deref(), '{').map_err(|wrong| format!("kwargs: {wrong}"))?,
            timing: self.timing()?,
            queue: filled(&row.queue),
            exchange: filled(&row.exchange),
            routing_key: filled(&row.routing_key),
            priority: row.priority.as_deref().map(|text| whole("priority", text)).transpose()?,
            headers: json(row.headers.as_deref(), '{').map_err(|wrong| format!("headers: {wrong}"))?,
            expires_at: self.moment("expires", row.expires.as_deref())?,
            expire_after: expiry(row.expire_seconds.as_deref())?,
            one_off: is_true(row.one_off.as_deref(), false),
            start_at: self.moment("start_time", row.start_time.as_deref())?,
            end_at: None,
            enabled: is_true(row.enabled.as_deref(), true),
            last_run_at,
            total_run_count: count(row.total_run_count.as_deref()),
            // Django's scheduler counts from the last change, the others from when they start.
            counts_from: match is_django {
                true => self.moment("date_changed", row.date_changed.as_deref())?,
                false => None,
            },
            description: row.description.clone().unwrap_or_default(),
            other_options: Vec::new(),
        })
    }

    fn timing(&self) -> Result<Timing, String> {
        let (kind, id) = self.link()?;
        let tables = self.tables;
        let gone = || format!("its {kind} (number {id}) is gone");
        match kind {
            "interval" => every(tables.intervals.get(&id).ok_or_else(gone)?),
            "crontab" => Ok(fields(tables.crontabs.get(&id).ok_or_else(gone)?)),
            "solar" => {
                let row = tables.solars.get(&id).ok_or_else(gone)?;
                Ok(Timing::Solar {
                    event: row.event.clone().unwrap_or_default(),
                    latitude: degrees("latitude", row.latitude.as_deref())?,
                    longitude: degrees("longitude", row.longitude.as_deref())?,
                })
            }
            _ => {
                let row = tables.clockeds.get(&id).ok_or_else(gone)?;
                let at = self.moment("clocked_time", row.clocked_time.as_deref())?;
                at.map(|at| Timing::Clocked { at }).ok_or_else(|| "its clocked_time is empty".to_owned())
            }
        }
    }

    /// Returns which schedule it has: a column for each kind, or one that names the kind.
    fn link(&self) -> Result<(&'static str, String), String> {
        let row = self.row;
        let columns = [
            ("crontab", &row.crontab_id),
            ("interval", &row.interval_id),
            ("solar", &row.solar_id),
            ("clocked", &row.clocked_id),
        ];
        let mut links = columns.into_iter().filter_map(|(kind, id)| Some((kind, id.clone()?)));
        match (links.next(), links.next()) {
            (Some(link), None) => return Ok(link),
            (Some((one, _)), Some((other, _))) => {
                return Err(format!("it has two schedules: {one} and {other}"));
            }
            (None, _) => {}
        }
        let (Some(kind), Some(id)) = (&row.discriminator, &row.schedule_id) else {
            return Err("it has no schedule".to_owned());
        };
        let named = columns.into_iter().find(|(known, _)| kind.strip_suffix("schedule") == Some(known));
        match named {
            Some((kind, _)) => Ok((kind, id.clone())),
            None => Err(format!("its schedule is of a kind that is not known: {}", shortened(kind))),
        }
    }

    fn moment(&self, column: &str, text: Option<&str>) -> Result<Option<Timestamp>, String> {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        text.map(|text| {
            moment(text, self.naive).ok_or_else(|| format!("{column}: {} is no time", shortened(text)))
        })
        .transpose()
    }
}

/// Reads a time as databases write it: with an offset from UTC, or without one in a zone.
pub(super) fn moment(text: &str, naive: &TimeZone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_jiff(at));
    }
    // PostgreSQL writes whole hours of an offset alone.
    if let Ok(at) = format!("{text}:00").parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_jiff(at));
    }
    let civil: DateTime = text.parse().ok()?;
    Some(Timestamp::from_jiff(naive.to_ambiguous_timestamp(civil).compatible().ok()?))
}

fn filled(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.trim().is_empty())
}

fn is_true(text: Option<&str>, unless_said: bool) -> bool {
    text.map_or(unless_said, |text| matches!(text, "1" | "t" | "true"))
}

fn whole(column: &str, text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| format!("{column}: {} is no number", shortened(text)))
}

fn degrees(column: &str, text: Option<&str>) -> Result<f64, String> {
    let text = text.unwrap_or_default();
    text.trim().parse().map_err(|_| format!("{column}: {} is no number", shortened(text)))
}

fn count(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// As Celery reads it, nothing and 0 both say that a job does not expire.
fn expiry(text: Option<&str>) -> Result<Option<Duration>, String> {
    let seconds = text.map(|text| whole("expire_seconds", text)).transpose()?;
    Ok(seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0).map(Duration::from_secs))
}

fn every(row: &interval::Model) -> Result<Timing, String> {
    let count = whole("every", row.every.as_deref().unwrap_or_default())?;
    let unit = match row.period.as_deref().unwrap_or_default() {
        "days" => 86_400_000_000,
        "hours" => 3_600_000_000,
        "minutes" => 60_000_000,
        "seconds" => 1_000_000,
        "microseconds" => 1,
        other => return Err(format!("period: {} is none", shortened(other))),
    };
    let micros = count.checked_mul(unit).ok_or_else(|| format!("every: {count} is too many"))?;
    Ok(Timing::Interval { micros, relative: false, anchor: None })
}

fn fields(row: &crontab::Model) -> Timing {
    // The packages take spaces out, and an empty field for a star.
    let field = |text: &Option<String>| match text.as_deref().map(|text| text.replace(' ', "")) {
        Some(text) if !text.is_empty() => text,
        _ => "*".to_owned(),
    };
    Timing::Crontab {
        fields: Fields {
            second: "0".to_owned(),
            minute: field(&row.minute),
            hour: field(&row.hour),
            day_of_month: field(&row.day_of_month),
            month_of_year: field(&row.month_of_year),
            day_of_week: field(&row.day_of_week),
        },
        zone: filled(&row.timezone),
    }
}
