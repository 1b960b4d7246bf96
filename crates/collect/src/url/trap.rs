//! Addresses that lead into endless places.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::CanonicalUrl;

/// Words that name a calendar when they stand in a path or as the name of a parameter.
const CALENDAR_WORDS: &[&str] =
    &["cal", "calendar", "calendario", "calendrier", "eventdate", "kalender", "tribe-bar-date"];

/// Words that name a calendar where a month stands beside the year: alone, the number may be an event's.
const EVENT_WORDS: &[&str] = &["agenda", "events", "schedule", "veranstaltungen"];

/// The years that a number is taken for; an endless calendar is stopped long before it leaves them.
const PLAUSIBLE_YEARS: RangeInclusive<i16> = 1970..=2200;

/// Parameter names that carry a session when their value looks like one.
const SESSION_WORDS: &[&str] = &["s", "sess", "session", "session_id", "sessionid", "sid", "token"];

/// The longest run of segments that is looked for again; it keeps the time in proportion to the path.
const PART_SEGMENTS_MAX: usize = 8;

/// The shortest value that looks like a session and not like a page number or a word.
const SESSION_VALUE_MIN: usize = 16;

/// Says which endless place an address seems to lead into, as a sentence for the row's error column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlTrap {
    /// More path segments than any site needs.
    #[error("looks endless: the path is {depth} levels deep, more than {limit}")]
    TooDeep {
        /// How deep it is.
        depth: usize,
        /// How deep it may be.
        limit: usize,
    },
    /// A part of the path repeats itself, as relative links to a missing base make it do.
    #[error("looks endless: `{part}` repeats {times} times in the path")]
    Repetition {
        /// What repeats, without slashes around it.
        part: String,
        /// How often it stands there.
        times: usize,
    },
    /// A calendar that would go on for ever.
    #[error("looks endless: a calendar in the year {year}")]
    Calendar {
        /// The year that the address names.
        year: i16,
    },
    /// The address differs for each visitor.
    #[error("looks endless: `{name}` carries a session")]
    Session {
        /// The parameter or path segment.
        name: String,
    },
    /// Filters that can be combined without end.
    #[error("looks endless: {count} query parameters, more than {limit}")]
    TooManyParameters {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A query that grows.
    #[error("looks endless: the query has {bytes} bytes, more than {limit}")]
    LongQuery {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
}

/// Holds the limits past which an address is taken for a trap.
///
/// The rule sees one address and nothing else: what only shows over many pages (a site that never ends
/// under harmless names) is the business of a page budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrapRules {
    /// How many segments a path may have.
    pub depth_max: usize,
    /// How often a part of the path may stand there in a row; numbers are free to repeat (`/11/11/11`).
    pub repeats_max: usize,
    /// How many parameters a query may have.
    pub parameters_max: usize,
    /// How long a query may be, in bytes.
    pub query_bytes_max: usize,
    /// The years within which a calendar is of use; nothing switches the rule off.
    pub calendar_years: Option<RangeInclusive<i16>>,
}

impl TrapRules {
    /// Returns the usual limits, with calendars from last year to next.
    pub const fn for_year(this_year: i16) -> Self {
        Self {
            depth_max: 16,
            repeats_max: 2,
            parameters_max: 12,
            query_bytes_max: 1_024,
            calendar_years: Some(this_year - 1..=this_year + 1),
        }
    }

    /// Returns the trap that `url` seems to lead into, if any.
    pub fn check(&self, url: &CanonicalUrl) -> Option<UrlTrap> {
        let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let parameters: Vec<(&str, &str)> = parameters(url.query().unwrap_or_default()).collect();
        self.depth(&segments)
            .or_else(|| self.repetition(&segments))
            .or_else(|| self.query(url.query().unwrap_or_default(), parameters.len()))
            .or_else(|| session(&segments, &parameters))
            .or_else(|| self.calendar(&segments, &parameters))
    }

    fn depth(&self, segments: &[&str]) -> Option<UrlTrap> {
        let (depth, limit) = (segments.len(), self.depth_max);
        (depth > limit).then_some(UrlTrap::TooDeep { depth, limit })
    }

    /// Finds a run of segments that stands more than `repeats_max` times in a row.
    fn repetition(&self, segments: &[&str]) -> Option<UrlTrap> {
        let longest = (segments.len() / (self.repeats_max + 1)).min(PART_SEGMENTS_MAX);
        for length in 1..=longest {
            for start in 0..segments.len() {
                let part = &segments[start..(start + length).min(segments.len())];
                let times = segments[start..].chunks_exact(length).take_while(|chunk| *chunk == part).count();
                if times > self.repeats_max && !part.iter().all(|segment| is_number(segment)) {
                    return Some(UrlTrap::Repetition { part: part.join("/"), times });
                }
            }
        }
        None
    }

    fn query(&self, query: &str, count: usize) -> Option<UrlTrap> {
        if count > self.parameters_max {
            return Some(UrlTrap::TooManyParameters { count, limit: self.parameters_max });
        }
        let (bytes, limit) = (query.len(), self.query_bytes_max);
        (bytes > limit).then_some(UrlTrap::LongQuery { bytes, limit })
    }

    /// Finds a year outside of the useful ones, but only where a word says that this is a calendar:
    /// an archive of articles by date has an end.
    fn calendar(&self, segments: &[&str], parameters: &[(&str, &str)]) -> Option<UrlTrap> {
        let useful = self.calendar_years.as_ref()?;
        let is_useless = |date: &Date| !useful.contains(&date.year);
        let mut dates = dates_in(segments, parameters).filter(is_useless);
        let mut words = segments.iter().copied().chain(parameters.iter().map(|(name, _)| *name));
        let names_calendar =
            is_dated(parameters) || words.clone().any(|word| is_one_of(word, CALENDAR_WORDS));
        let names_events = words.any(|word| is_one_of(word, EVENT_WORDS));
        let date = dates.find(|date| names_calendar || (names_events && date.has_month))?;
        Some(UrlTrap::Calendar { year: date.year })
    }
}

/// Is a date, or the part of one, that an address names.
struct Date {
    year: i16,
    has_month: bool,
}

/// Finds what may be dates: in one segment, in two that follow each other, in the values of parameters.
fn dates_in<'a>(segments: &'a [&'a str], parameters: &'a [(&str, &str)]) -> impl Iterator<Item = Date> + 'a {
    let in_path = segments.iter().enumerate().filter_map(|(index, segment)| {
        let next = segments.get(index + 1).map(|next| without_extension(next));
        let next_is_month = next.is_some_and(|next| next.len() <= 2 && is_number(next));
        leading_date(segment).map(|date| Date { has_month: date.has_month || next_is_month, ..date })
    });
    in_path.chain(parameters.iter().filter_map(|(_, value)| leading_date(value)))
}

/// Finds a session in a parameter, or in a segment as one server framework writes it: `(S(abc123))`.
fn session(segments: &[&str], parameters: &[(&str, &str)]) -> Option<UrlTrap> {
    let in_query =
        parameters.iter().find(|(name, value)| is_one_of(name, SESSION_WORDS) && is_session_value(value));
    let in_path = segments.iter().find(|segment| segment.starts_with('(') && segment.ends_with("))"));
    let name = in_query.map(|(name, _)| *name).or(in_path.copied())?;
    Some(UrlTrap::Session { name: name.to_owned() })
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// Tells whether a query names a month beside a year, as calendars do under any name.
fn is_dated(parameters: &[(&str, &str)]) -> bool {
    let has = |wanted: &str| parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    has("year") && (has("month") || has("week") || has("day"))
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(word))
}

fn is_number(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// Tells whether a value is long, of one piece, and of letters and digits mixed.
fn is_session_value(value: &str) -> bool {
    value.len() >= SESSION_VALUE_MIN
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Reads the year of `2031`, `2031-05`, `2031-05-12`, `203105` and `20310512`; other numbers are none.
fn leading_date(text: &str) -> Option<Date> {
    let text = without_extension(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let has_month = match &text[digits..] {
        "" if digits == 4 => false,
        "" if matches!(digits, 6 | 8) => true,
        rest if digits == 4
            && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_')) =>
        {
            true
        }
        _ => return None,
    };
    let year = text[..4].parse().ok().filter(|year| PLAUSIBLE_YEARS.contains(year))?;
    Some(Date { year, has_month })
}

fn without_extension(segment: &str) -> &str {
    segment.split_once('.').map_or(segment, |(stem, _)| stem)
}
