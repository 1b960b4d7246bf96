//! Crontab entries: times on the wall of a zone, picked by fields.

use std::fmt;

use super::{ScheduleError, Zone};
use crate::suggest::closest;

mod field;
mod fire;
mod rules;
mod switches;
mod wall;
mod words;

use field::{Field, Sunday, Unit};

/// How the two fields that name days are put together, and how Sunday may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// Celery's: day of month *and* day of week must both match, whatever they are. Sunday is 0.
    #[default]
    Celery,
    /// Vixie cron's, which is that of crontab(5): where both fields name days, either is enough; where one of them
    /// begins with a star, both must match. Sunday is 0 or 7.
    Vixie,
}

/// The five fields by name, for callers that have them apart, as the tables of django-celery-beat do.
///
/// Celery's own `crontab(...)` takes them in this order, with the day of week third; a crontab's line has it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrontabFields<'a> {
    /// 0-59.
    pub minute: &'a str,
    /// 0-23.
    pub hour: &'a str,
    /// 0-6 from Sunday, or `sun`-`sat`.
    pub day_of_week: &'a str,
    /// 1-31.
    pub day_of_month: &'a str,
    /// 1-12, or `jan`-`dec`.
    pub month_of_year: &'a str,
}

impl Default for CrontabFields<'_> {
    /// Matches every minute, as Celery's `crontab()` does.
    fn default() -> Self {
        Self { minute: "*", hour: "*", day_of_week: "*", day_of_month: "*", month_of_year: "*" }
    }
}

/// Fires whenever the clock on the wall of a zone matches all fields.
///
/// Each field is a list of `*`, `*/n`, `a`, `a-b` and `a-b/n`, as Celery takes them: a step counts from the start of
/// its range (`*/7` of the days of a month is 1, 8, 15, 22, 29), and a range may wrap around (`fri-mon`).
///
/// # When the clocks are changed
///
/// Vixie cron tells jobs at fixed times from those that repeat, and so does this:
///
/// - An entry **repeats** if its minutes have a star (`*` or `*/n`) or its hours are all 24. It fires whenever the wall
///   shows a time that matches, so in an hour that comes twice it fires in both passes.
/// - Every other entry has **fixed times**. Each fires exactly once on each day: of a time that comes twice the first,
///   and never the second.
/// - A time that **does not exist** fires at the first moment after the jump, once for all that are missing. There are
///   two exceptions. An entry of all 24 hours loses nothing in a jump of an hour or more, since its next time
///   follows as soon as ever; and a whole day that a zone leaves out (Apia had no 2011-12-30) fires nothing.
///
/// cron also counts `*/2` hours among those that repeat, and then fires it twice, or not at all, on these days.
///
/// # Cost
///
/// Finding the next time looks at whole months by their bits: below a microsecond for one that is near, two for a 29
/// February on a Monday (optimised, on the machine it was written on). It looks 41 years ahead, which is as far apart
/// as any two days can be, and nothing walks over minutes or days.
#[derive(Clone, PartialEq, Eq)]
pub struct Crontab {
    second: Field,
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month: Field,
    day_of_week: Field,
    dialect: Dialect,
    zone: Zone,
}

/// The names that stand for five fields.
const ALIASES: [(&str, &str); 8] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@minutely", "* * * * *"),
];

impl Crontab {
    /// Reads five fields as a line of a crontab has them (minute, hour, day of month, month, day of week), six with a
    /// second before them, or one of `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`.
    ///
    /// # Errors
    ///
    /// The error names the field, what was typed, and what is allowed. Days that no year has (31 February) are an
    /// error too.
    pub fn parse(text: &str, dialect: Dialect, zone: Zone) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if text.starts_with('@') {
            return Self::parse(alias(text)?, dialect, zone);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (second, rest) = match fields.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (Some(*second), rest),
            rest => (None, rest),
        };
        let [minute, hour, day_of_month, month_of_year, day_of_week] = *rest else {
            return Err(ScheduleError::FieldCount { text: text.to_owned(), found: fields.len() });
        };
        let named = CrontabFields { minute, hour, day_of_week, day_of_month, month_of_year };
        Self::build(second, named, dialect, zone)
    }

    /// Reads the fields one by one, as Celery's `crontab(...)` takes them.
    ///
    /// # Errors
    ///
    /// As [`Crontab::parse`].
    pub fn from_fields(
        fields: CrontabFields<'_>,
        dialect: Dialect,
        zone: Zone,
    ) -> Result<Self, ScheduleError> {
        Self::build(None, fields, dialect, zone)
    }

    fn build(
        second: Option<&str>,
        fields: CrontabFields<'_>,
        dialect: Dialect,
        zone: Zone,
    ) -> Result<Self, ScheduleError> {
        let sunday = if dialect == Dialect::Vixie { Sunday::ZeroAndSeven } else { Sunday::Zero };
        let read = |unit: Unit, text: &str| Field::parse(unit, text, sunday);
        let crontab = Self {
            second: second.map_or(Ok(Field::only(Unit::Second, 0)), |text| read(Unit::Second, text))?,
            minute: read(Unit::Minute, fields.minute)?,
            hour: read(Unit::Hour, fields.hour)?,
            day_of_month: read(Unit::DayOfMonth, fields.day_of_month)?,
            month: read(Unit::Month, fields.month_of_year)?,
            day_of_week: read(Unit::DayOfWeek, fields.day_of_week)?,
            dialect,
            zone,
        };
        if crontab.has_a_day() {
            Ok(crontab)
        } else {
            Err(ScheduleError::NeverFires { text: crontab.fields() })
        }
    }

    /// Returns the zone on whose wall the times are read.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns how the fields of days are put together.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the fields as a line of a crontab has them, in their one canonical form.
    pub fn fields(&self) -> String {
        let Self { second, minute, hour, day_of_month, month, day_of_week, .. } = self;
        let five = format!("{minute} {hour} {day_of_month} {month} {day_of_week}");
        if *second == Field::only(Unit::Second, 0) { five } else { format!("{second} {five}") }
    }
}

/// Reads days of the week by themselves, as bits from Sunday on.
pub(super) fn weekdays(text: &str) -> Result<u64, ScheduleError> {
    Field::parse(Unit::DayOfWeek, text, Sunday::Zero).map(|field| field.bits)
}

/// Writes days of the week as they are read.
pub(super) fn weekday_names(bits: u64) -> String {
    Field::of(Unit::DayOfWeek, bits).to_string()
}

fn alias(name: &str) -> Result<&'static str, ScheduleError> {
    let lower = name.to_lowercase();
    let found = ALIASES.iter().find(|(known, _)| *known == lower);
    found.map(|(_, fields)| *fields).ok_or_else(|| ScheduleError::UnknownAlias {
        name: name.to_owned(),
        hint: closest(&lower, ALIASES.iter().map(|(known, _)| *known)).map(str::to_owned),
    })
}

/// Writes the fields in quotation marks, the zone, and `vixie` where that is the dialect.
///
/// The zone stands there also where it is UTC, so that the text means the same wherever it is read.
impl fmt::Display for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crontab \"{}\" {}", self.fields(), self.zone)?;
        if self.dialect == Dialect::Vixie { f.write_str(" vixie") } else { Ok(()) }
    }
}

impl fmt::Debug for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Crontab, ScheduleError> {
        Crontab::parse(text, Dialect::Celery, Zone::UTC)
    }

    #[test]
    fn fields_are_written_in_one_way() {
        let check =
            |text: &str, expected: &str| assert_eq!(parse(text).unwrap().fields(), expected, "{text}");
        check("30 2 * * mon-fri", "30 2 * * mon-fri");
        check("  0   0 1  jan,2 * ", "0 0 1 jan,feb *");
        check("*/10 30 2 * * 1-5", "*/10 30 2 * * mon-fri");
        check("0 30 2 * * *", "30 2 * * *");
        check("@daily", "0 0 * * *");
        check("@Weekly", "0 0 * * sun");
    }

    #[test]
    fn celerys_arguments_are_taken_by_name_and_not_by_their_order() {
        let fields = CrontabFields { minute: "0", hour: "7", day_of_week: "mon", ..CrontabFields::default() };
        let crontab = Crontab::from_fields(fields, Dialect::Celery, Zone::UTC).unwrap();
        assert_eq!(crontab.fields(), "0 7 * * mon");
    }

    #[test]
    fn what_can_never_fire_is_an_error_when_it_is_read() {
        let never = |text: &str| matches!(parse(text), Err(ScheduleError::NeverFires { .. }));
        for text in ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 apr,jun,sep,nov *", "0 0 30,31 2 mon"] {
            assert!(never(text), "{text}");
        }
        for text in ["0 0 29 2 *", "0 0 29 2 mon", "0 0 31 12 *", "0 0 28-31 2 *"] {
            assert!(!never(text), "{text}");
        }
        // Either field is enough for cron.
        assert!(Crontab::parse("0 0 31 2 mon", Dialect::Vixie, Zone::UTC).is_ok());
        assert!(Crontab::parse("0 0 31 2 *", Dialect::Vixie, Zone::UTC).is_err());
    }

    #[test]
    fn errors_say_what_to_type() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err().to_string(), expected);
        check(
            "0 0 * *",
            "crontab `0 0 * *` has 4 fields; type five (minute, hour, day of month, month, day of week), or six with \
             the second before them",
        );
        check(
            "@dayly",
            "`@dayly` is no name for a crontab; did you mean `@daily`?; there are @hourly, @daily, @weekly, @monthly \
             and @yearly",
        );
        check("0 0 31 2 *", "crontab `0 0 31 feb *` never fires: no month it names has such a day");
    }
}
