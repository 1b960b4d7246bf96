//! A crontab in plain English.

use super::Crontab;
use super::field::{Field, Unit};

/// Times of a day that are written one by one; more are written by their fields.
const MAX_TIMES: usize = 6;

impl Crontab {
    /// Says at what times of which days it fires, without the zone.
    pub(in crate::schedule) fn in_words(&self) -> String {
        let days = self.days_in_words();
        match self.times_in_words() {
            (times, _) if !days.is_empty() => format!("{times} {days}"),
            (times, Repeats::Daily) => format!("{times} every day"),
            (times, Repeats::Oftener) => times,
        }
    }

    fn times_in_words(&self) -> (String, Repeats) {
        if self.second != Field::only(Unit::Second, 0) {
            return (self.seconds_in_words(), Repeats::Oftener);
        }
        if let Some(times) = self.few_times() {
            return (format!("at {}", and(&times)), Repeats::Daily);
        }
        let minutes = self.minutes_in_words();
        let hours = &self.hour;
        let words = match (self.minute.step(), hours.step()) {
            (Some(_), Some(1)) => minutes,
            (Some(_), _) => format!("{minutes} {}", self.hours_in_words()),
            (None, Some(1)) if self.minute == Field::only(Unit::Minute, 0) => "every hour".to_owned(),
            (None, Some(1)) => format!("at {minutes} of every hour"),
            (None, Some(step)) if 24 % step == 0 && self.minute == Field::only(Unit::Minute, 0) => {
                format!("every {step} hours")
            }
            (None, Some(step)) if 24 % step == 0 => format!("at {minutes} of every {} hour", ordinal(step)),
            _ => format!("at {minutes} {}", self.hours_in_words()),
        };
        (words, Repeats::Oftener)
    }

    /// Returns the times of a day where they are few and each is named.
    fn few_times(&self) -> Option<Vec<String>> {
        let count = self.minute.numbers().count() * self.hour.numbers().count();
        let named = self.minute.step().is_none() && (self.hour.step().is_none() || count <= 1);
        let times = self.hour.numbers().flat_map(|hour| {
            let minutes = self.minute.numbers();
            minutes.map(move |minute| format!("{hour:02}:{minute:02}"))
        });
        (named && count <= MAX_TIMES).then(|| times.collect())
    }

    fn seconds_in_words(&self) -> String {
        let seconds = match self.second.step() {
            Some(1) => "every second".to_owned(),
            Some(step) if 60 % step == 0 => format!("every {step} seconds"),
            _ => format!("at {}", counted("second", self.second)),
        };
        if let Some(times) = self.few_times() {
            return format!("{seconds} during {}", and(&times));
        }
        let minutes = match self.minute.step() {
            Some(1) => String::new(),
            Some(step) => format!(" of every {} minute", ordinal(step)),
            None => format!(" of {}", counted("minute", self.minute)),
        };
        let hours = match (self.hour.is_every(), minutes.is_empty()) {
            (true, true) => String::new(),
            (true, false) => " of every hour".to_owned(),
            (false, _) => format!(" {}", self.hours_in_words()),
        };
        format!("{seconds}{minutes}{hours}")
    }

    fn minutes_in_words(&self) -> String {
        match self.minute.step() {
            Some(1) => "every minute".to_owned(),
            Some(step) if 60 % step == 0 => format!("every {step} minutes"),
            Some(step) => format!("every {step} minutes from each full hour"),
            None => counted("minute", self.minute),
        }
    }

    fn hours_in_words(&self) -> String {
        match self.hour.runs().as_slice() {
            [(first, last)] if first == last => format!("from {first:02}:00 to {first:02}:59"),
            [(first, last)] => format!("of every hour from {first:02}:00 to {last:02}:59"),
            _ => format!("of {}", counted("hour", self.hour)),
        }
    }

    fn days_in_words(&self) -> String {
        let (days, weekdays, months) = (&self.day_of_month, &self.day_of_week, &self.month);
        let one_day = days.step().is_none() && days.first() == days.last();
        if weekdays.is_every() && one_day && months.step().is_none() {
            let dates: Vec<String> = months
                .numbers()
                .map(|month| format!("{} {}", days.first(), word(Unit::Month, month)))
                .collect();
            return format!("on {}", and(&dates));
        }
        let named = match (days.is_every(), weekdays.is_every()) {
            (true, true) => String::new(),
            (true, false) => on_weekdays(*weekdays),
            (false, true) => format!("on {} of the month", days_of_month(*days)),
            (false, false) if self.either_day_is_enough() => {
                format!("on {} of the month and {}", days_of_month(*days), on_weekdays(*weekdays))
            }
            (false, false) => {
                let weekdays: Vec<&str> = weekdays.numbers().map(|day| word(Unit::DayOfWeek, day)).collect();
                format!("on {} of the month where that is a {}", days_of_month(*days), or(&weekdays))
            }
        };
        let months = in_months(*months);
        if named.is_empty() || months.is_empty() { named + &months } else { format!("{named} {months}") }
    }
}

/// Whether "every day" is worth saying.
enum Repeats {
    Daily,
    Oftener,
}

fn word(unit: Unit, number: u32) -> &'static str {
    let names: &[&str; 12] = &[
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let found = if unit == Unit::Month {
        names.get(number.wrapping_sub(1) as usize)
    } else {
        days.get(number as usize)
    };
    found.copied().unwrap_or_default()
}

fn on_weekdays(field: Field) -> String {
    match field.bits {
        0b011_1110 => "on weekdays".to_owned(),
        0b100_0001 => "on weekends".to_owned(),
        _ => {
            // The week begins on Monday where it is read out.
            let from_monday = (1..=7).map(|day| day % 7).filter(|day| field.has(*day));
            let days: Vec<String> =
                from_monday.map(|day| format!("{}s", word(Unit::DayOfWeek, day))).collect();
            format!("on {}", and(&days))
        }
    }
}

fn days_of_month(field: Field) -> String {
    match field.step() {
        Some(step) => format!("every {} day", ordinal(step)),
        None => counted("day", field),
    }
}

fn in_months(field: Field) -> String {
    if field.is_every() {
        return String::new();
    }
    if let [(first, last)] = *field.runs()
        && last > first + 1
    {
        return format!("from {} to {}", word(Unit::Month, first), word(Unit::Month, last));
    }
    let months: Vec<&str> = field.numbers().map(|month| word(Unit::Month, month)).collect();
    format!("in {}", and(&months))
}

/// Writes `minute 5`, `minutes 5 and 10`, `minutes 5-10 and 30`.
fn counted(noun: &str, field: Field) -> String {
    let runs = field.runs();
    let written: Vec<String> = runs.iter().flat_map(|run| written_run(*run)).collect();
    let plural = if field.first() == field.last() { "" } else { "s" };
    format!("{noun}{plural} {}", and(&written))
}

fn written_run((first, last): (u32, u32)) -> Vec<String> {
    if last > first + 1 {
        vec![format!("{first}-{last}")]
    } else {
        (first..=last).map(|number| number.to_string()).collect()
    }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn and<W: AsRef<str>>(words: &[W]) -> String {
    joined(words, "and")
}

fn or<W: AsRef<str>>(words: &[W]) -> String {
    joined(words, "or")
}

fn joined<W: AsRef<str>>(words: &[W], conjunction: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} {conjunction} {last}", rest.join(", ")),
    }
}
