//! What a scalar of YAML 1.1 means, by the rules of `PyYAML`'s resolver.

use crate::body::text::{JsonText, float, quoted};

/// A scalar, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    /// Truth or number as JSON.
    Json(String),
    Text(String),
    /// What Celery's JSON writes with a type beside it.
    Typed(&'static str, String),
}

impl Scalar {
    /// Reads what stands without quotes.
    pub(super) fn plain(text: &str) -> Result<Self, String> {
        if text == "<<" {
            return Err("merge keys are not read".to_owned());
        }
        let known = null(text).or_else(|| truth(text)).or_else(|| whole(text)).or_else(|| real(text));
        Ok(known.or_else(|| instant(text)).unwrap_or_else(|| Self::Text(text.to_owned())))
    }

    /// Reads what has one of the safe loader's tags.
    pub(super) fn tagged(name: &str, text: &str) -> Result<Self, String> {
        let read = match name {
            "str" => Some(Self::Text(text.to_owned())),
            "null" => Some(Self::Null),
            "bool" => truth(text),
            "int" => whole(text),
            "float" => real(text).or_else(|| whole(text)),
            "timestamp" => instant(text),
            "binary" => {
                let base64: String = text.split_ascii_whitespace().collect();
                Some(Self::Typed("base64", base64))
            }
            _ => return Err(format!("the tag !!{name} is not read")),
        };
        read.ok_or_else(|| format!("a value is no !!{name}"))
    }

    /// Writes it as a value.
    pub(super) fn write(&self, out: &mut JsonText) -> Result<(), String> {
        match self {
            Self::Null => out.raw(b"null"),
            Self::Json(json) => out.raw(json.as_bytes()),
            Self::Text(text) => out.string(text),
            Self::Typed(name, value) => out.typed(name, value),
        }
    }

    /// Says whether it is this text under this name of Celery's types.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        matches!(self, Self::Typed(known, text) if *known == name && text == value)
    }

    /// Returns it as the key of a JSON object.
    pub(super) fn key(&self) -> Result<String, String> {
        match self {
            Self::Null => Ok(quoted("null")),
            Self::Json(text) | Self::Text(text) => Ok(quoted(text)),
            Self::Typed("date" | "datetime", text) => Ok(quoted(text)),
            Self::Typed(..) => Err("a key is bytes".to_owned()),
        }
    }
}

fn null(text: &str) -> Option<Scalar> {
    matches!(text, "" | "~" | "null" | "Null" | "NULL").then_some(Scalar::Null)
}

fn truth(text: &str) -> Option<Scalar> {
    let is_written = |word: &str| {
        let mut capital = word.to_owned();
        capital[..1].make_ascii_uppercase();
        text == word || text == capital || text == word.to_ascii_uppercase()
    };
    let json = |word: &str| Some(Scalar::Json(word.to_owned()));
    if ["yes", "true", "on"].into_iter().any(is_written) {
        json("true")
    } else if ["no", "false", "off"].into_iter().any(is_written) {
        json("false")
    } else {
        None
    }
}

/// Splits off the sign.
fn signed(text: &str) -> (&str, &str) {
    match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    }
}

/// Reads a whole number: in any of four bases, or in sixties (`1:30`). Decimal ones may have any length.
fn whole(text: &str) -> Option<Scalar> {
    let (sign, digits) = signed(text);
    let based = |digits: &str, base: u32| {
        let bare: String = digits.chars().filter(|c| *c != '_').collect();
        let is_some = !bare.is_empty() && bare.chars().all(|c| c.is_digit(base));
        is_some.then(|| u128::from_str_radix(&bare, base).ok()).flatten().map(|n| n.to_string())
    };
    let number = match digits {
        "0" => "0".to_owned(),
        _ if digits.starts_with("0b") => based(&digits[2..], 2)?,
        _ if digits.starts_with("0x") => based(&digits[2..], 16)?,
        _ if digits.starts_with('0') => based(&digits[1..], 8)?,
        _ if digits.contains(':') => sixties(digits)?.to_string(),
        _ => {
            let is_one = digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.chars().all(|c| c.is_ascii_digit() || c == '_');
            is_one.then(|| digits.replace('_', ""))?
        }
    };
    Some(Scalar::Json(format!("{sign}{number}")))
}

fn sixties(digits: &str) -> Option<u128> {
    let mut parts = digits.split(':');
    let first = parts.next()?.replace('_', "");
    parts.try_fold(decimal(&first)?, |sum, part| {
        let fits = part.len() <= 2 && decimal(part)? < 60;
        fits.then(|| sum.checked_mul(60)?.checked_add(decimal(part)?)).flatten()
    })
}

fn decimal(digits: &str) -> Option<u128> {
    let is_one = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_one.then(|| digits.parse().ok()).flatten()
}

/// Reads a number with a point; without one it is a text, also `1e3`.
fn real(text: &str) -> Option<Scalar> {
    let (sign, rest) = signed(text);
    let json = |number: f64| Some(Scalar::Json(float(number)));
    match rest {
        ".inf" | ".Inf" | ".INF" => return json(if sign == "-" { f64::NEG_INFINITY } else { f64::INFINITY }),
        ".nan" | ".NaN" | ".NAN" if rest == text => return json(f64::NAN),
        _ => {}
    }
    let (before, after) = rest.split_once('.')?;
    let (fraction, power) = after.find(['e', 'E']).map_or((after, ""), |at| after.split_at(at));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let power_fits = power.is_empty()
        || power.len() > 2
            && matches!(power.as_bytes()[1], b'+' | b'-')
            && power[2..].bytes().all(|b| b.is_ascii_digit());
    if before.is_empty() && (fraction.is_empty() || fraction.starts_with('_') || rest != text) {
        return None;
    }
    if !before.is_empty() && !before.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !is_digits(before) || !is_digits(fraction) || !power_fits {
        return None;
    }
    let plain = format!("{sign}{before}.{fraction}{power}").replace('_', "");
    plain.parse().ok().and_then(json)
}

/// Reads a date, or a date with a time, as Python's `isoformat` writes it.
fn instant(text: &str) -> Option<Scalar> {
    let (date, rest) = text.split_at_checked(text.find(['T', 't', ' ', '\t']).unwrap_or(text.len()))?;
    let date = civil_date(date, rest.is_empty())?;
    if rest.is_empty() {
        return Some(Scalar::Typed("date", date));
    }
    let time = rest.trim_start_matches([' ', '\t']).trim_start_matches(['T', 't']);
    let zone_at = time.find(['Z', '+', '-', ' ', '\t']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let (time, zone) = (time_of_day(time)?, offset(zone.trim_start())?);
    Some(Scalar::Typed("datetime", format!("{date}T{time}{zone}")))
}

/// Reads a number of one or two digits, and writes it with two.
fn two(text: &str, below: u32) -> Option<String> {
    let number = decimal(text).filter(|_| text.len() <= 2)?;
    (number < u128::from(below)).then(|| format!("{number:02}"))
}

fn civil_date(text: &str, strict: bool) -> Option<String> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || strict && (month.len() != 2 || day.len() != 2) {
        return None;
    }
    let date = format!("{:04}-{}-{}", decimal(year)?, two(month, 13)?, two(day, 32)?);
    date.parse::<jiff::civil::Date>().is_ok().then_some(date)
}

fn time_of_day(text: &str) -> Option<String> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let clock = format!("{}:{}:{}", two(hour, 24)?, two(minute, 60)?, two(second, 60)?);
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(if micros == "000000" { clock } else { format!("{clock}.{micros}") })
}

fn offset(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    if text == "Z" {
        return Some("+00:00".to_owned());
    }
    let (sign, rest) = text.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-"))?;
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "00"));
    Some(format!("{sign}{}:{}", two(hours, 24)?, two(minutes, 60)?))
}
