//! The Retry-After header in both of its forms.

use std::time::{Duration, SystemTime};

use celeriac_protocol::Timestamp;

/// The longest wait that a server may ask for; a longer one is cut to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads Retry-After (RFC 9110, 10.2.3): seconds, or a date in any of HTTP's three forms.
///
/// A date in the past means no wait. What is neither means that nothing was asked for.
pub(super) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = parse_seconds(value).or_else(|| parse_http_date(value).map(|date| date.since(now)))?;
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Reads a date in any of the three forms that HTTP knows (RFC 9110, 5.6.7).
pub(super) fn parse_http_date(value: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::EPOCH + since_epoch)
}

/// Some servers write a fraction, and some more digits than any number has.
fn parse_seconds(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds: f64 = value.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_kept_in_bounds() {
        let now = parse_http_date("Sun, 22 Nov 2026 06:00:00 GMT").unwrap();
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("86400", Some(86_400)),
            ("315360000", Some(86_400)),
            ("99999999999999999999999999999", Some(86_400)),
            ("Sun, 22 Nov 2026 06:01:30 GMT", Some(90)),
            ("Sunday, 22-Nov-26 06:01:30 GMT", Some(90)),
            ("Sun Nov 22 06:01:30 2026", Some(90)),
            ("Sun, 22 Nov 2026 05:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sat, 22 Nov 2036 06:00:00 GMT", Some(86_400)),
            ("", None),
            ("-5", None),
            ("soon", None),
            ("1.2.3", None),
            ("2026-11-22T06:01:30Z", None),
        ] {
            assert_eq!(parse_retry_after(value, now), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(parse_retry_after("1.5", now), Some(Duration::from_millis(1_500)));
    }
}
