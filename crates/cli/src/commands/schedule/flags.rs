//! What an entry may be told, in Celery's words.

use std::str::FromStr;
use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::Zone;
use celeriac_store::query::schedules::{CatchUp, MAX_CATCH_UP, Overlap, ScheduleEntry};
use clap::Args;

use super::explain::zone;
use super::moment::Moment;
use crate::config::Period;
use crate::error::Result;

/// What may be said of an entry; what is not said stays as it is. An empty value takes away what was said before.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What it does")]
pub(super) struct EntryFlags {
    /// Positional arguments, a JSON array
    #[arg(long, value_name = "JSON")]
    args: Option<OrNone<String>>,
    /// Named arguments, a JSON object
    #[arg(long, value_name = "JSON")]
    kwargs: Option<OrNone<String>>,
    /// Headers that its messages carry besides, a JSON object
    #[arg(long, value_name = "JSON")]
    headers: Option<OrNone<String>>,
    /// Send its jobs to this queue
    #[arg(long, short = 'Q')]
    queue: Option<OrNone<String>>,
    /// 0 to 9, higher first
    #[arg(long, short, value_name = "PRIORITY")]
    priority: Option<OrNone<u8>>,
    /// Drop a job that has not begun this long after it was enqueued, or everything at a time
    #[arg(long, value_name = "WHEN")]
    expires: Option<OrNone<Moment>>,
    /// The zone on whose wall its times are read, where they name none
    #[arg(long, short, value_parser = zone_or_none, help_heading = "When it is due")]
    zone: Option<OrNone<Zone>>,
    /// Days and hours that are left out, such as `sat,sun,12-25,22:00-06:00`
    #[arg(long, value_name = "LIST", help_heading = "When it is due")]
    except: Option<OrNone<String>>,
    /// Not due before then
    #[arg(long, value_name = "WHEN", help_heading = "When it is due")]
    start: Option<OrNone<Moment>>,
    /// Not due after then
    #[arg(long, value_name = "WHEN", help_heading = "When it is due")]
    end: Option<OrNone<Moment>>,
    /// Switch it off once it has run
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "When it is due")]
    one_off: Option<bool>,
    /// While earlier jobs of it have not ended: allow, skip, queue_one or cancel_older
    #[arg(long, value_name = "WORD", help_heading = "Policies")]
    overlap: Option<OrNone<Overlap>>,
    /// How many of its jobs may be under way before that matters
    #[arg(long, value_name = "COUNT", help_heading = "Policies")]
    max_instances: Option<OrNone<u32>>,
    /// Of due times that were missed: none, last, all, or a number of the latest
    #[arg(long, value_name = "WORD", help_heading = "Policies")]
    catch_up: Option<OrNone<CatchUpFlag>>,
    /// How far back missed ones are made up for at most
    #[arg(long, value_name = "SPAN", help_heading = "Policies")]
    catch_up_window: Option<OrNone<Period>>,
    /// Make one job of several due times that are met together
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Policies")]
    coalesce: Option<bool>,
    /// Put each firing off by up to this, so that not all come at once
    #[arg(long, value_name = "SPAN", help_heading = "Policies")]
    jitter: Option<OrNone<Period>>,
    /// How late a due time may be met and still count as met
    #[arg(long, value_name = "SPAN", help_heading = "Policies")]
    misfire_grace: Option<OrNone<Period>>,
    /// What it is for
    #[arg(long, value_name = "TEXT", help_heading = "For people")]
    description: Option<String>,
    /// Whose it is
    #[arg(long, help_heading = "For people")]
    owner: Option<String>,
}

/// A value, or nothing for an empty text.
#[derive(Clone, Debug)]
pub(super) struct OrNone<T>(Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

fn zone_or_none(text: &str) -> Result<OrNone<Zone>, String> {
    if text.is_empty() { Ok(OrNone(None)) } else { zone(text).map(|zone| OrNone(Some(zone))) }
}

/// What becomes of missed due times.
#[derive(Clone, Copy, Debug)]
struct CatchUpFlag(CatchUp, Option<u32>);

impl FromStr for CatchUpFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(count) = text.parse::<u32>() {
            return match count {
                0 => Ok(Self(CatchUp::None, None)),
                count if count <= MAX_CATCH_UP => Ok(Self(CatchUp::All, Some(count))),
                _ => Err(format!("at most {MAX_CATCH_UP} are made up for")),
            };
        }
        text.parse().map(|word| Self(word, None)).map_err(|_| "write none, last, all or a number".to_owned())
    }
}

/// What an entry is to say, with every moment read.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    flags: EntryFlags,
    start: Option<Option<Timestamp>>,
    end: Option<Option<Timestamp>>,
    expires: Option<(Option<Timestamp>, Option<Duration>)>,
}

impl EntryFlags {
    /// Reads moments, on the wall of the zone that is given or else of a given one.
    ///
    /// # Errors
    /// What is no date and time.
    pub(super) fn changes(self, zone: &Zone, now: Timestamp) -> Result<Changes> {
        let zone = self.zone.clone().and_then(|zone| zone.0).unwrap_or_else(|| zone.clone());
        let read = |moment: &Option<OrNone<Moment>>| {
            let read = |moment: &OrNone<Moment>| moment.0.as_ref().map(|at| at.ahead(&zone, now)).transpose();
            moment.as_ref().map(read).transpose()
        };
        let expires = self.expires.as_ref().map(|expires| match &expires.0 {
            None => Ok((None, None)),
            Some(moment) => match moment.span() {
                Some(span) => Ok((None, Some(span))),
                None => moment.ahead(&zone, now).map(|at| (Some(at), None)),
            },
        });
        Ok(Changes {
            start: read(&self.start)?,
            end: read(&self.end)?,
            expires: expires.transpose()?,
            flags: self,
        })
    }
}

impl Changes {
    /// Returns what an entry says once it is changed. What is taken away is as it is in a new one, whose zone is the
    /// one of all that name none.
    pub(super) fn apply(self, mut entry: ScheduleEntry, of_all: &Zone) -> ScheduleEntry {
        let Self { flags, start, end, expires } = self;
        let new = ScheduleEntry::new("", "", "");
        set_or(&mut entry.args, flags.args, new.args);
        set_or(&mut entry.kwargs, flags.kwargs, new.kwargs);
        set_or(&mut entry.headers, flags.headers, new.headers);
        set(&mut entry.queue, flags.queue.map(|queue| queue.0));
        set(&mut entry.priority, flags.priority.map(|priority| priority.0));
        if let Some((at, after)) = expires {
            (entry.expires_at, entry.expire_after) = (at, after);
        }
        set(&mut entry.zone, flags.zone.map(|zone| zone.0.as_ref().unwrap_or(of_all).to_string()));
        set(&mut entry.calendar, flags.except.map(|except| except.0));
        set(&mut entry.start_at, start);
        set(&mut entry.end_at, end);
        set(&mut entry.one_off, flags.one_off);
        set_or(&mut entry.overlap, flags.overlap, new.overlap);
        set_or(&mut entry.max_instances, flags.max_instances, new.max_instances);
        if let Some(catch_up) = flags.catch_up {
            let none_said = CatchUpFlag(new.catch_up, Some(new.catch_up_limit));
            let CatchUpFlag(word, count) = catch_up.0.unwrap_or(none_said);
            entry.catch_up = word;
            set(&mut entry.catch_up_limit, count);
        }
        set(&mut entry.catch_up_window, flags.catch_up_window.map(|span| span.0.map(|span| span.0)));
        set(&mut entry.coalesce, flags.coalesce);
        let jitter = flags.jitter.map(|span| OrNone(span.0.map(|span| span.0)));
        set_or(&mut entry.jitter, jitter, new.jitter);
        set(&mut entry.misfire_grace, flags.misfire_grace.map(|span| span.0.map(|span| span.0)));
        set(&mut entry.description, flags.description);
        set(&mut entry.owner, flags.owner);
        entry
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Sets what is said, and what is taken away to how it is in a new entry.
fn set_or<T>(field: &mut T, value: Option<OrNone<T>>, new: T) {
    set(field, value.map(|value| value.0.unwrap_or(new)));
}
