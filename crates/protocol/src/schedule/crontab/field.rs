//! One field of a crontab: a set of numbers, as bits, and whether it was written with a star.

use std::fmt;

use super::super::ScheduleError;
use crate::suggest::closest;

/// A field's place in a crontab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

impl Unit {
    /// Returns the field's name as errors say it.
    fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        }
    }

    fn first(self) -> u32 {
        u32::from(matches!(self, Self::DayOfMonth | Self::Month))
    }

    fn last(self) -> u32 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 6,
        }
    }

    /// Returns the words for its numbers, beginning with the first.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }

    fn error(self, token: &str, wrong: String) -> ScheduleError {
        ScheduleError::Field { field: self.name(), token: token.to_owned(), wrong, hint: None }
    }

    fn allowed(self) -> String {
        let words = self.words();
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return format!("{}-{}", self.first(), self.last());
        };
        format!("{}-{} or {}-{}", self.first(), self.last(), &first[..3], &last[..3])
    }
}

/// How the days of a week are counted when they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sunday {
    /// Celery: 0.
    Zero,
    /// cron: 0, and 7 too.
    ZeroAndSeven,
}

/// The numbers that one field allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit `n` stands for the number `n`.
    pub(super) bits: u64,
    /// The step where the whole range was meant: 1 for `*`, n for `*/n`.
    star: Option<u32>,
    unit: Unit,
}

impl Field {
    /// Reads a list of `*`, `*/n`, `a`, `a-b` and `a-b/n`; a range may wrap around (`fri-mon`).
    pub(super) fn parse(unit: Unit, text: &str, sunday: Sunday) -> Result<Self, ScheduleError> {
        let mut bits = 0;
        let mut star = None;
        for token in text.split(',') {
            let part = Part::parse(unit, token.trim(), sunday)?;
            bits |= part.bits();
            star = part.star();
        }
        let whole = bits == whole(unit);
        let star = if whole { Some(1) } else { star.filter(|_| !text.contains(',')) };
        // A step that reaches past the end leaves one number, which is as good as typed by itself.
        Ok(Self { bits, star: star.filter(|_| bits.count_ones() > 1), unit })
    }

    /// Allows the numbers of these bits, as if each had been typed.
    pub(super) fn of(unit: Unit, bits: u64) -> Self {
        Self { bits, star: None, unit }
    }

    /// Allows one number.
    pub(super) fn only(unit: Unit, number: u32) -> Self {
        Self::of(unit, 1 << number)
    }

    /// Says whether it allows every number.
    pub(super) fn is_every(self) -> bool {
        self.star == Some(1)
    }

    /// Returns the step of `*` (1) or `*/n`, and nothing for a list of numbers.
    pub(super) fn step(self) -> Option<u32> {
        self.star
    }

    /// Says whether it allows a number.
    pub(super) fn has(self, number: u32) -> bool {
        self.bits & (1 << number) != 0
    }

    /// Returns the least number.
    pub(super) fn first(self) -> u32 {
        self.bits.trailing_zeros()
    }

    /// Returns the greatest number.
    pub(super) fn last(self) -> u32 {
        63 - self.bits.leading_zeros()
    }

    /// Returns the least number that is not less than a given one.
    pub(super) fn at_least(self, number: u32) -> Option<u32> {
        least_from(self.bits, number)
    }

    /// Returns the greatest number that is not above a given one.
    pub(super) fn at_most(self, number: u32) -> Option<u32> {
        greatest_to(self.bits, number)
    }

    /// Returns the numbers in order.
    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |number| self.has(*number))
    }

    /// Returns the numbers as runs of neighbours.
    pub(super) fn runs(self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for number in self.numbers() {
            match runs.last_mut() {
                Some(run) if run.1 + 1 == number => run.1 = number,
                _ => runs.push((number, number)),
            }
        }
        runs
    }
}

/// Writes `*`, `*/n`, or the numbers in order, neighbours as ranges, months and weekdays by name.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.star {
            Some(1) => return f.write_str("*"),
            Some(step) => return write!(f, "*/{step}"),
            None => {}
        }
        for (index, (first, last)) in self.runs().into_iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let (a, b) = (Named(self.unit, first), Named(self.unit, last));
            match last - first {
                0 => write!(f, "{a}")?,
                1 => write!(f, "{a},{b}")?,
                _ => write!(f, "{a}-{b}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Named(Unit, u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.1.wrapping_sub(self.0.first());
        match self.0.words().get(index as usize) {
            Some(word) => f.write_str(&word[..3]),
            None => write!(f, "{}", self.1),
        }
    }
}

/// Returns the least set bit from a number on.
pub(super) fn least_from(bits: u64, number: u32) -> Option<u32> {
    let rest = bits.checked_shr(number)?;
    (rest != 0).then(|| number + rest.trailing_zeros())
}

/// Returns the greatest set bit up to a number.
pub(super) fn greatest_to(bits: u64, number: u32) -> Option<u32> {
    let rest = bits & (u64::MAX >> (63 - number.min(63)));
    (rest != 0).then(|| 63 - rest.leading_zeros())
}

fn whole(unit: Unit) -> u64 {
    (unit.first()..=unit.last()).fold(0, |bits, number| bits | 1 << number)
}

/// What stands between commas.
struct Part {
    unit: Unit,
    first: u32,
    last: u32,
    step: u32,
}

impl Part {
    fn parse(unit: Unit, token: &str, sunday: Sunday) -> Result<Self, ScheduleError> {
        let (range, step) = match token.split_once('/') {
            None => (token, None),
            Some((range, step)) => (range, Some(parse_step(unit, token, step)?)),
        };
        if range.trim() == "*" {
            let (first, last) = (unit.first(), unit.last());
            return Ok(Self { unit, first, last, step: step.unwrap_or(1) });
        }
        let number = |text: &str| parse_number(unit, token, text.trim(), sunday);
        let (first, last) = match range.split_once('-') {
            // Only cron's own dialect reads a 7 here; the week from one Sunday to the next is all of it.
            Some(("0", "7")) if number("7")? == 0 => (0, 6),
            Some((first, last)) => (number(first)?, number(last)?),
            None if step.is_some() => {
                let wrong = "has a step without a range; type `*/n` or `a-b/n`".to_owned();
                return Err(unit.error(token, wrong));
            }
            None => {
                let number = number(range)?;
                (number, number)
            }
        };
        Ok(Self { unit, first, last, step: step.unwrap_or(1) })
    }

    fn star(&self) -> Option<u32> {
        (self.first == self.unit.first() && self.last == self.unit.last()).then_some(self.step)
    }

    fn bits(&self) -> u64 {
        let count = self.unit.last() - self.unit.first() + 1;
        let long = (self.last + count - self.first) % count + 1;
        let numbers = (0..long).step_by(self.step as usize);
        numbers.fold(0, |bits, index| {
            let number = (self.first - self.unit.first() + index) % count + self.unit.first();
            bits | 1 << number
        })
    }
}

fn parse_step(unit: Unit, token: &str, step: &str) -> Result<u32, ScheduleError> {
    let step = step.trim().parse::<u32>().ok().filter(|step| *step > 0);
    step.ok_or_else(|| unit.error(token, "has no step behind `/`; type a number of at least 1".to_owned()))
}

fn parse_number(unit: Unit, token: &str, text: &str, sunday: Sunday) -> Result<u32, ScheduleError> {
    if text.is_empty() {
        let wrong = format!("is not whole; type `*` or a number within {}", unit.allowed());
        return Err(unit.error(token, wrong));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let within = |number: &u32| (unit.first()..=unit.last()).contains(number);
        return match text.parse::<u32>() {
            Ok(7) if unit == Unit::DayOfWeek && sunday == Sunday::ZeroAndSeven => Ok(0),
            Ok(number) if within(&number) => Ok(number),
            _ => Err(unit.error(token, outside(unit, text))),
        };
    }
    parse_word(unit, token, text)
}

fn outside(unit: Unit, text: &str) -> String {
    if unit == Unit::DayOfWeek && text == "7" {
        return "is not within 0-6: Sunday is 0, or `sun`".to_owned();
    }
    format!("is not within {}", unit.allowed())
}

/// Reads a word by its first three letters, as Celery does, where the rest continues it.
fn parse_word(unit: Unit, token: &str, text: &str) -> Result<u32, ScheduleError> {
    let lower = text.to_lowercase();
    let words = unit.words();
    if lower.len() >= 3
        && let Some(index) = words.iter().position(|word| word.starts_with(&lower))
    {
        return Ok(unit.first() + u32::try_from(index).unwrap_or(0));
    }
    let short = words.iter().map(|word| &word[..3]);
    let hint = closest(&lower, words.iter().copied()).or_else(|| closest(&lower, short)).map(str::to_owned);
    Err(ScheduleError::Field {
        field: unit.name(),
        token: token.to_owned(),
        wrong: format!("is not within {}", unit.allowed()),
        hint: hint.map(|word| word[..3].to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_celery_takes_is_read_and_written_in_one_way() {
        let check = |unit: Unit, text: &str, numbers: &[u32], canonical: &str| {
            let field = Field::parse(unit, text, Sunday::Zero).unwrap();
            assert_eq!(field.numbers().collect::<Vec<_>>(), numbers, "{text}");
            assert_eq!(field.to_string(), canonical, "{text}");
            assert_eq!(Field::parse(unit, canonical, Sunday::Zero).unwrap(), field, "{text}");
        };
        check(Unit::Minute, "*/15", &[0, 15, 30, 45], "*/15");
        check(Unit::Minute, "0-59/15", &[0, 15, 30, 45], "*/15");
        check(Unit::Minute, "0,15,30,45", &[0, 15, 30, 45], "0,15,30,45");
        check(
            Unit::Minute,
            "1,13,30-33,50-59/3",
            &[1, 13, 30, 31, 32, 33, 50, 53, 56, 59],
            "1,13,30-33,50,53,56,59",
        );
        check(Unit::Minute, "58-1", &[0, 1, 58, 59], "0,1,58,59");
        check(Unit::Minute, "55-5/5", &[0, 5, 55], "0,5,55");
        check(Unit::Minute, "1, 2", &[1, 2], "1,2");
        check(Unit::Minute, "*/60", &[0], "0");
        check(Unit::Minute, "7", &[7], "7");
        check(Unit::Hour, "0-23", &(0..24).collect::<Vec<_>>(), "*");
        check(Unit::Hour, "*/6", &[0, 6, 12, 18], "*/6");
        check(Unit::DayOfWeek, "mon-fri", &[1, 2, 3, 4, 5], "mon-fri");
        check(Unit::DayOfWeek, "fri-mon", &[0, 1, 5, 6], "sun,mon,fri,sat");
        check(Unit::DayOfWeek, "*/2", &[0, 2, 4, 6], "*/2");
        check(Unit::DayOfWeek, "Mon,WEDNES", &[1, 3], "mon,wed");
        check(Unit::DayOfMonth, "*/7", &[1, 8, 15, 22, 29], "*/7");
        check(Unit::DayOfMonth, "30-2", &[1, 2, 30, 31], "1,2,30,31");
        check(Unit::Month, "jan-mar,september", &[1, 2, 3, 9], "jan-mar,sep");
        check(Unit::Month, "dec-feb", &[1, 2, 12], "jan,feb,dec");
        check(Unit::Month, "*/3", &[1, 4, 7, 10], "*/3");
    }

    #[test]
    fn an_error_names_field_and_token_and_what_is_allowed() {
        let check = |unit: Unit, text: &str, expected: &str| {
            let error = Field::parse(unit, text, Sunday::Zero).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        };
        check(Unit::Minute, "60", "minute `60` is not within 0-59");
        check(Unit::Minute, "1,99,2", "minute `99` is not within 0-59");
        check(Unit::Minute, "99999999999", "minute `99999999999` is not within 0-59");
        check(Unit::Minute, "", "minute `` is not whole; type `*` or a number within 0-59");
        check(Unit::Minute, "-1", "minute `-1` is not whole; type `*` or a number within 0-59");
        check(Unit::Minute, "*/", "minute `*/` has no step behind `/`; type a number of at least 1");
        check(Unit::Minute, "*/0", "minute `*/0` has no step behind `/`; type a number of at least 1");
        check(Unit::Minute, "5/10", "minute `5/10` has a step without a range; type `*/n` or `a-b/n`");
        check(Unit::Hour, "24", "hour `24` is not within 0-23");
        check(Unit::DayOfMonth, "0", "day of month `0` is not within 1-31");
        check(Unit::DayOfMonth, "L", "day of month `L` is not within 1-31");
        check(Unit::Month, "13", "month `13` is not within 1-12 or jan-dec");
        check(Unit::Month, "agust", "month `agust` is not within 1-12 or jan-dec; did you mean `aug`?");
        check(Unit::DayOfWeek, "7", "day of week `7` is not within 0-6: Sunday is 0, or `sun`");
        check(Unit::DayOfWeek, "mno", "day of week `mno` is not within 0-6 or sun-sat; did you mean `mon`?");
        for (text, expected) in [("5-7", "sun,fri,sat"), ("0-7", "*"), ("7", "sun")] {
            let field = Field::parse(Unit::DayOfWeek, text, Sunday::ZeroAndSeven).unwrap();
            assert_eq!(field.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn bits_are_found_from_either_side() {
        let bits = 1 << 3 | 1 << 40;
        for (number, expected) in [(0, Some(3)), (3, Some(3)), (4, Some(40)), (41, None), (64, None)] {
            assert_eq!(least_from(bits, number), expected, "{number}");
        }
        for (number, expected) in [(2, None), (3, Some(3)), (39, Some(3)), (40, Some(40)), (63, Some(40))] {
            assert_eq!(greatest_to(bits, number), expected, "{number}");
        }
    }

    #[test]
    fn fields_are_read_as_celery_reads_them() {
        for line in include_str!("celery.tsv").lines().skip(2) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [unit, text, expected] = *cells else { panic!("{line}") };
            let unit = match unit {
                "minute" => Unit::Minute,
                "hour" => Unit::Hour,
                "day_of_month" => Unit::DayOfMonth,
                "month_of_year" => Unit::Month,
                _ => Unit::DayOfWeek,
            };
            let numbers = Field::parse(unit, text, Sunday::Zero).map(|field| {
                let numbers: Vec<String> = field.numbers().map(|number| number.to_string()).collect();
                numbers.join(",")
            });
            assert_eq!(numbers.unwrap_or_else(|_| "-".to_owned()), expected, "{unit:?} {text}");
        }
    }
}
