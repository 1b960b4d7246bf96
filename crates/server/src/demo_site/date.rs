//! Instants in the two spellings that the web uses.

use celeriac_protocol::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// Writes an instant for an HTTP header (RFC 9110): `Sun, 22 Nov 2026 05:44:17 GMT`.
pub(super) fn http(at: Timestamp) -> String {
    // A year past 9999 has no such spelling; a file from then is treated as from the beginning.
    let printer = DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&at.to_jiff()).unwrap_or_else(|_| http(Timestamp::EPOCH))
}

/// Reads an instant from an HTTP header; nothing if it is spelt otherwise.
pub(super) fn from_http(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::from_jiff)
}

/// Writes an instant for a sitemap or a feed (W3C datetime, RFC 3339), in whole seconds.
pub(super) fn w3c(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_instant() {
        let at = "2026-11-22T05:04:07Z".parse().expect("this is ISO 8601");
        assert_eq!(http(at), "Sun, 22 Nov 2026 05:04:07 GMT");
        assert_eq!(from_http("Sun, 22 Nov 2026 05:04:07 GMT"), Some(at));
        assert_eq!(w3c(at), "2026-11-22T05:04:07Z");
        assert_eq!(from_http("yesterday"), None);
    }
}
