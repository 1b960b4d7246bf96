//! The text of a schedule, as it is typed on a command line and in a file.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;

use super::{Clocked, Crontab, Dialect, Interval, Schedule, ScheduleError, Solar, Zone};
use crate::Timestamp;
use crate::suggest::closest;

/// The first words of a schedule.
const KINDS: [&str; 4] = ["crontab", "every", "at", "solar"];

impl Schedule {
    /// Reads a schedule; where its text names no zone it is read on the wall of a given one.
    ///
    /// # Errors
    ///
    /// The error says what is wrong and what to type.
    pub fn parse_in(text: &str, zone: &Zone) -> Result<Self, ScheduleError> {
        let words = words(text)?;
        let Some((first, rest)) = words.split_first() else {
            return Err(ScheduleError::UnknownKind { text: text.to_owned(), hint: None });
        };
        match first.to_lowercase().as_str() {
            "crontab" | "cron" => crontab(text, rest, zone).map(Self::Crontab),
            "every" => interval(text, rest).map(Self::Interval),
            "at" => clocked(text, rest, zone).map(Self::Clocked),
            "solar" => solar(text, rest).map(Self::Solar),
            other if other.starts_with(['@', '*']) || other.starts_with(|c: char| c.is_ascii_digit()) => {
                crontab(text, &words, zone).map(Self::Crontab)
            }
            other => Err(ScheduleError::UnknownKind {
                text: text.to_owned(),
                hint: closest(other, KINDS).map(str::to_owned),
            }),
        }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads a schedule, in UTC where it names no zone.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse_in(text, &Zone::UTC)
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crontab(crontab) => crontab.fmt(f),
            Self::Interval(interval) => interval.fmt(f),
            Self::Clocked(clocked) => clocked.fmt(f),
            Self::Solar(solar) => solar.fmt(f),
        }
    }
}

/// Splits text at blanks; what stands in quotation marks is one word.
fn words(text: &str) -> Result<Vec<&str>, ScheduleError> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = if let '"' | '\'' = first {
            let quoted = rest[1..].split_once(first);
            quoted.ok_or_else(|| ScheduleError::Quotes { text: text.to_owned() })?
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

/// Reads `"30 2 * * *" Europe/Berlin vixie`, with and without the quotation marks.
fn crontab(text: &str, words: &[&str], zone: &Zone) -> Result<Crontab, ScheduleError> {
    let (dialect, words) = match words.split_last() {
        Some((last, rest)) if last.eq_ignore_ascii_case("vixie") => (Dialect::Vixie, rest),
        Some((last, rest)) if last.eq_ignore_ascii_case("celery") => (Dialect::Celery, rest),
        _ => (Dialect::Celery, words),
    };
    let Some((first, behind)) = words.split_first() else {
        return Err(short(text, "five fields, such as `crontab \"30 2 * * mon-fri\"`"));
    };
    if first.contains(char::is_whitespace) || first.starts_with('@') {
        let zone = zone_or(behind, first, zone)?;
        return Crontab::parse(first, dialect, zone);
    }
    let (fields, zone) = match words.split_last() {
        Some((last, fields)) if fields.len() >= 5 && is_zone(last) => (fields, last.parse()?),
        _ => (words, zone.clone()),
    };
    Crontab::parse(&fields.join(" "), dialect, zone)
}

/// Tells a zone from the last field, in which days of the week may stand.
pub(super) fn is_zone(word: &str) -> bool {
    let letters: String =
        word.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let weekday = letters
        .get(..3)
        .is_some_and(|three| ["sun", "mon", "tue", "wed", "thu", "fri", "sat"].contains(&three));
    !letters.is_empty() && !weekday && (letters.len() > 3 || word.parse::<Zone>().is_ok())
}

/// Reads the zone behind what is whole without it.
fn zone_or(words: &[&str], whole: &str, zone: &Zone) -> Result<Zone, ScheduleError> {
    match words {
        [] => Ok(zone.clone()),
        [name] => name.parse(),
        [_, rest @ ..] => Err(ScheduleError::Rest { whole: whole.to_owned(), rest: rest.join(" ") }),
    }
}

/// Reads `5m` and `5m from 2027-01-01T00:00Z`.
fn interval(text: &str, words: &[&str]) -> Result<Interval, ScheduleError> {
    let from = words.iter().position(|word| word.eq_ignore_ascii_case("from"));
    let (length, anchor) = words.split_at(from.unwrap_or(words.len()));
    if length.is_empty() {
        return Err(short(text, "a length, such as `every 5m`"));
    }
    let every = Interval::parse_length(&length.join(" "))?;
    match anchor {
        [] => Ok(every),
        [_] => Err(short(text, "a moment behind `from`, such as `2027-01-01T00:00Z`")),
        [_, anchor @ ..] => {
            let anchor = anchor.join(" ");
            anchor.parse::<Timestamp>().map(|anchor| every.from_anchor(anchor)).map_err(|_| {
                ScheduleError::Moment { text: anchor, what: "moment", example: "2027-01-01T00:00Z" }
            })
        }
    }
}

/// Reads `2027-01-01T10:00 Europe/Berlin`, `2027-01-01 10:00` and `2027-01-01T10:00Z`.
fn clocked(text: &str, words: &[&str], zone: &Zone) -> Result<Clocked, ScheduleError> {
    let (moment, behind) = match words {
        [] => return Err(short(text, "a date and time, such as `at 2027-01-01T10:00 Europe/Berlin`")),
        [date, time, behind @ ..] if time.starts_with(|c: char| c.is_ascii_digit()) => {
            (format!("{date}T{time}"), behind)
        }
        [moment, behind @ ..] => ((*moment).to_owned(), behind),
    };
    if let Ok(instant) = moment.parse::<jiff::Timestamp>() {
        return match behind {
            [] => Ok(Clocked::at(Timestamp::from_jiff(instant))),
            rest => Err(ScheduleError::Rest { whole: moment, rest: rest.join(" ") }),
        };
    }
    let wall = moment.parse::<DateTime>().ok().filter(|_| moment.contains(['T', 't']));
    let wall = wall.ok_or_else(|| ScheduleError::Moment {
        text: moment.clone(),
        what: "date and time",
        example: "2027-01-01T10:00",
    })?;
    Ok(Clocked::new(wall, zone_or(behind, &moment, zone)?))
}

/// Reads `sunset 52.5,13.4`.
fn solar(text: &str, words: &[&str]) -> Result<Solar, ScheduleError> {
    match words {
        [] | [_] => Err(short(text, "an event and a place, such as `solar sunset 52.5,13.4`")),
        [event, place @ ..] => Solar::parse(event, &place.join(" ")),
    }
}

fn short(text: &str, wants: &'static str) -> ScheduleError {
    ScheduleError::Short { text: text.to_owned(), wants }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_its_canonical_form_reads_back() {
        let check = |text: &str, canonical: &str| {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.to_string(), canonical, "{text}");
            assert_eq!(canonical.parse::<Schedule>().unwrap(), schedule, "{text}");
            let json = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule, "{json}");
        };
        let berlin = "crontab \"30 2 * * mon-fri\" Europe/Berlin";
        check(berlin, berlin);
        check("crontab '30 2 * * 1-5' europe/berlin", berlin);
        check("30 2 * * mon-fri Europe/Berlin", berlin);
        check("cron 30 2 * * mon-fri Europe/Berlin celery", berlin);
        check("30 2 * * mon", "crontab \"30 2 * * mon\" UTC");
        check("30 2 * * mon UTC", "crontab \"30 2 * * mon\" UTC");
        check("0 30 2 * * sat-sun", "crontab \"30 2 * * sun,sat\" UTC");
        check("*/10 30 2 * * sat Asia/Tokyo", "crontab \"*/10 30 2 * * sat\" Asia/Tokyo");
        check("@daily", "crontab \"0 0 * * *\" UTC");
        check("crontab @weekly America/New_York vixie", "crontab \"0 0 * * sun\" America/New_York vixie");
        check("0 0 13 * 5 vixie", "crontab \"0 0 13 * fri\" UTC vixie");
        check("every 5m", "every 5m");
        check("every 90 minutes", "every 90m");
        check("every 1w from 2027-01-01", "every 7d from 2027-01-01T00:00:00Z");
        check("every 30s from 2027-01-01T01:00+01:00", "every 30s from 2027-01-01T00:00:00Z");
        check("at 2027-01-01T10:00 Europe/Berlin", "at 2027-01-01T10:00 Europe/Berlin");
        check("at 2027-01-01 10:00:30", "at 2027-01-01T10:00:30 UTC");
        check("at 2027-01-01T10:00:00.25+02:00", "at 2027-01-01T08:00:00.25 UTC");
        check("solar sunset 52.5,13.4", "solar sunset 52.5,13.4");
        check("solar Dawn_Civil -33.9, 151.2", "solar dawn_civil -33.9,151.2");
    }

    #[test]
    fn a_zone_is_taken_from_outside_where_the_text_has_none() {
        let tokyo: Zone = "Asia/Tokyo".parse().unwrap();
        for (text, zone) in
            [("30 2 * * *", "Asia/Tokyo"), ("30 2 * * * UTC", "UTC"), ("at 2027-01-01T10:00", "Asia/Tokyo")]
        {
            assert_eq!(Schedule::parse_in(text, &tokyo).unwrap().zone().name(), zone, "{text}");
        }
    }

    #[test]
    fn errors_say_what_to_type() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Schedule>().unwrap_err().to_string(), expected, "{text}");
        };
        let kinds = "type a crontab (`30 2 * * mon-fri Europe/Berlin`), `every 5m`, `at 2027-01-01T10:00 \
                     Europe/Berlin` or `solar sunset 52.5,13.4`";
        check("", &format!("`` is no schedule; {kinds}"));
        check("evry 5m", &format!("`evry 5m` is no schedule; did you mean `every`?; {kinds}"));
        check(
            "30 2 * * * Europe/Berln",
            "no time zone is called `Europe/Berln`; did you mean `Europe/Berlin`?",
        );
        check("30 2 * * mno", "day of week `mno` is not within 0-6 or sun-sat; did you mean `mon`?");
        check("30 25 * * *", "hour `25` is not within 0-23");
        check(
            "crontab",
            "`crontab` ends too early; type five fields, such as `crontab \"30 2 * * mon-fri\"`",
        );
        check("crontab \"30 2 * * *", "`crontab \"30 2 * * *` has a quotation mark without a partner");
        check("crontab \"30 2 * * *\" UTC now", "`now` follows `30 2 * * *`, which is whole without it");
        check("every", "`every` ends too early; type a length, such as `every 5m`");
        check(
            "every 5m from",
            "`every 5m from` ends too early; type a moment behind `from`, such as `2027-01-01T00:00Z`",
        );
        check("every 5m from noon", "`noon` is no moment; type it as `2027-01-01T00:00Z`");
        check("at", "`at` ends too early; type a date and time, such as `at 2027-01-01T10:00 Europe/Berlin`");
        check("at noon", "`noon` is no date and time; type it as `2027-01-01T10:00`");
        check("at 2027-01-01", "`2027-01-01` is no date and time; type it as `2027-01-01T10:00`");
        check("at 2027-01-01T10:00Z UTC", "`UTC` follows `2027-01-01T10:00Z`, which is whole without it");
        check(
            "solar sunset",
            "`solar sunset` ends too early; type an event and a place, such as `solar sunset 52.5,13.4`",
        );
        check(
            "solar sunst 1,2",
            "the sun has no event `sunst`; did you mean `sunset`?; there are dawn_astronomical, \
              dawn_nautical, dawn_civil, sunrise, solar_noon, sunset, dusk_civil, dusk_nautical, dusk_astronomical",
        );
        check(
            "solar sunset 95,2",
            "`95,2` is no place; type latitude and longitude in degrees, as `52.5,13.4`: the \
              latitude is not within -90 and 90",
        );
        check(
            "solar sunset Berlin",
            "`Berlin` is no place; type latitude and longitude in degrees, as `52.5,13.4`: it \
              is not two numbers with a comma between them",
        );
    }
}
