//! How counts, sizes and spans are told to people, in what checks find and commands print.

use std::time::Duration;

use celeriac_protocol::Timestamp;

const UNITS: [(u64, &str); 5] = [(86_400 * 7, "w"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

const SIZES: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Writes a span in its largest unit or two (`1m30s`, `250ms`), rounded down.
pub fn brief(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        return match span.as_micros() {
            micros @ 0..1_000 => format!("{micros}µs"),
            micros => format!("{}ms", micros / 1_000),
        };
    }
    if span < Duration::from_secs(10) {
        return format!("{:.1}s", (span.as_secs_f64() * 10.0).floor() / 10.0);
    }
    let seconds = span.as_secs();
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    let mut text = format!("{}{name}", seconds / unit);
    if let Some((smaller, name)) = UNITS.get(first + 1)
        && (seconds % unit) / smaller > 0
    {
        text.push_str(&format!("{}{name}", (seconds % unit) / smaller));
    }
    text
}

/// Says how long ago an instant was (`3m ago`), or how far it is ahead.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    if at > now + Duration::from_secs(1) {
        return until(at, now);
    }
    let gone = now.since(at);
    if gone < Duration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", coarse(gone)) }
}

/// Says how far an instant is ahead (`in 3m`), or that it is due.
pub fn until(at: Timestamp, now: Timestamp) -> String {
    let left = at.since(now);
    if left.is_zero() { "now".to_owned() } else { format!("in {}", coarse(left)) }
}

/// Writes a count with a space between thousands (`12 345`).
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Writes a count with what is counted (`1 job`, `2 jobs`); the noun is one that takes an s.
pub fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(count))
}

/// Writes a number of bytes (`1.5 MiB`).
pub fn size(bytes: u64) -> String {
    match SIZES.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// Writes a span in one unit, as far as it matters how long ago something was.
fn coarse(span: Duration) -> String {
    let seconds = span.as_secs().max(1);
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_in_at_most_two_units() {
        for (micros, text) in [
            (0, "0µs"),
            (1_500, "1ms"),
            (999_999, "999ms"),
            (1_290_000, "1.2s"),
            (9_999_000, "9.9s"),
            (59_900_000, "59s"),
            (90_000_000, "1m30s"),
            (3_600_000_000, "1h"),
            (3_661_000_000, "1h1m"),
            (90_000_000_000, "1d1h"),
            (1_209_600_000_000, "2w"),
        ] {
            assert_eq!(brief(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn instants_are_told_from_now() {
        let now = Timestamp::from_millis(1_000_000_000);
        let at = |seconds: i64| Timestamp::from_millis(1_000_000_000 + seconds * 1_000);
        for (seconds, text) in
            [(0, "just now"), (-1, "1s ago"), (-61, "1m ago"), (-90_000, "1d ago"), (120, "in 2m")]
        {
            assert_eq!(ago(at(seconds), now), text);
        }
        assert_eq!(until(at(-5), now), "now");
        assert_eq!(until(at(5), now), "in 5s");
    }

    #[test]
    fn sizes_and_counts_are_written_to_be_read() {
        assert_eq!((size(12).as_str(), size(1_572_864).as_str()), ("12 B", "1.5 MiB"));
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(grouped(count), text);
        }
        for (count, text) in [(0, "0 jobs"), (1, "1 job"), (2_000, "2 000 jobs")] {
            assert_eq!(counted(count, "job"), text);
        }
    }
}
