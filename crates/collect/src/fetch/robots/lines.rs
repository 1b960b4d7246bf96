//! One line of robots.txt: its field, its value, and the ways in which people miswrite them.

use std::time::Duration;

/// The longest line that is considered, in bytes. No URL that is ever fetched is so long, and cutting a
/// rule would widen it.
const LINE_BYTES_MAX: usize = 16 * 1024;

const USER_AGENT: &[&str] = &["user-agent", "useragent", "user agent"];
const ALLOW: &[&str] = &["allow"];
/// With the misspellings that are frequent enough for other crawlers to know them too.
const DISALLOW: &[&str] =
    &["disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw", "dissallaw", "disallows"];
const CRAWL_DELAY: &[&str] = &["crawl-delay", "crawldelay", "crawl delay"];
const SITEMAP: &[&str] = &["sitemap", "sitemaps", "site-map"];
const OTHER_OF_GROUP: &[&str] = &["request-rate", "visit-time", "noindex", "nofollow"];

/// A line that means something; values are trimmed and free of comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    UserAgent(&'a [u8]),
    Allow(&'a [u8]),
    Disallow(&'a [u8]),
    CrawlDelay(&'a [u8]),
    Sitemap(&'a [u8]),
    /// A line that belongs to a group and so ends the list of user agents, but is not obeyed.
    OtherOfGroup,
}

/// Reads the lines that mean something; ends of line are CR, LF or both.
pub(super) fn read(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(read_line)
}

/// Returns the part of a User-agent value that names the product: letters, hyphens and underscores.
pub(super) fn product_token(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| !(byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_')));
    &value[..end.unwrap_or(value.len())]
}

/// Reads a number of seconds, with a point or a comma, whatever stands behind it (`10`, `0.5`, `2,5 s`).
pub(super) fn seconds(value: &[u8]) -> Option<Duration> {
    let end = value.iter().position(|byte| !(byte.is_ascii_digit() || matches!(byte, b'.' | b',')));
    let number = std::str::from_utf8(&value[..end.unwrap_or(value.len())]).ok()?.replace(',', ".");
    let seconds: f64 = number.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn read_line(line: &[u8]) -> Option<Line<'_>> {
    let end = memchr::memchr(b'#', line).unwrap_or(line.len());
    let line = trim(&line[..end]);
    if line.is_empty() || line.len() > LINE_BYTES_MAX {
        return None;
    }
    with_colon(line).or_else(|| without_colon(line))
}

/// Drops white space from both ends, also the kinds that text editors and office programs leave behind
/// and nobody sees: no-break, typographic and zero-width spaces, direction marks, byte-order marks.
fn trim(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    loop {
        let before = text.len();
        if let [0xC2, 0xA0, rest @ ..]
        | [0xE2, 0x80, 0x80..=0x8F | 0xA8 | 0xA9 | 0xAF, rest @ ..]
        | [0xEF, 0xBB, 0xBF, rest @ ..]
        | [0xE3, 0x80, 0x80, rest @ ..] = text
        {
            text = rest.trim_ascii_start();
        }
        if let [rest @ .., 0xC2, 0xA0]
        | [rest @ .., 0xE2, 0x80, 0x80..=0x8F | 0xA8 | 0xA9 | 0xAF]
        | [rest @ .., 0xEF, 0xBB, 0xBF]
        | [rest @ .., 0xE3, 0x80, 0x80] = text
        {
            text = rest.trim_ascii_end();
        }
        if text.len() == before {
            return text;
        }
    }
}

fn with_colon(line: &[u8]) -> Option<Line<'_>> {
    let colon = memchr::memchr(b':', line)?;
    named(trim(&line[..colon]), trim(&line[colon + 1..]))
}

/// `Disallow /private` counts, prose that begins with a field's name does not.
fn without_colon(line: &[u8]) -> Option<Line<'_>> {
    let gap = line.iter().position(u8::is_ascii_whitespace)?;
    let value = line[gap..].trim_ascii_start();
    if value.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    named(&line[..gap], value)
}

fn named<'a>(field: &[u8], value: &'a [u8]) -> Option<Line<'a>> {
    let is = |names: &[&str]| names.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()));
    // Most frequent first.
    if is(DISALLOW) {
        Some(Line::Disallow(value))
    } else if is(USER_AGENT) {
        Some(Line::UserAgent(value))
    } else if is(ALLOW) {
        Some(Line::Allow(value))
    } else if is(SITEMAP) {
        Some(Line::Sitemap(value))
    } else if is(CRAWL_DELAY) {
        Some(Line::CrawlDelay(value))
    } else {
        is(OTHER_OF_GROUP).then_some(Line::OtherOfGroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &str) -> Option<Line<'_>> {
        let mut lines = read(line.as_bytes());
        let first = lines.next();
        assert_eq!(lines.next(), None, "{line:?}");
        first
    }

    #[test]
    fn fields_are_known_in_the_forms_that_people_write() {
        for line in [
            "Disallow: /a",
            "disallow:/a",
            "  DISALLOW : /a  ",
            "Disallow /a",
            "Disallow\t/a # why",
            "Dissalow: /a",
        ] {
            assert_eq!(only(line), Some(Line::Disallow(b"/a")), "{line:?}");
        }
        for line in ["User-agent: x", "useragent:x", "User agent: x", "USER-AGENT x"] {
            assert_eq!(only(line), Some(Line::UserAgent(b"x")), "{line:?}");
        }
        assert_eq!(only("Sitemap https://a.example/s.xml"), Some(Line::Sitemap(b"https://a.example/s.xml")));
        assert_eq!(only("Site-map: https://a.example/"), Some(Line::Sitemap(b"https://a.example/")));
        assert_eq!(only("Disallow:"), Some(Line::Disallow(b"")));
        assert_eq!(only("Request-rate: 1/5"), Some(Line::OtherOfGroup));
    }

    #[test]
    fn other_lines_mean_nothing() {
        for line in [
            "",
            "#",
            "# Disallow: /",
            "Disallow",
            "Disallow all of them",
            "<p>Disallow: /",
            "Host: a",
            ":",
            "x",
        ] {
            assert_eq!(only(line), None, "{line:?}");
        }
        let long = format!("Disallow: /{}", "a".repeat(LINE_BYTES_MAX));
        assert_eq!(only(&long), None);
    }

    #[test]
    fn white_space_that_nobody_sees_does_not_count() {
        for blank in ["\u{a0}", "\u{200b}", "\u{200e} ", " \u{2002}", "\u{feff}", "\u{3000}\u{a0}\t\u{200b}"]
        {
            let line = format!("{blank}Disallow{blank}:{blank}/a{blank}");
            assert_eq!(only(&line), Some(Line::Disallow(b"/a")), "{line:?}");
        }
        assert_eq!(only("Disallow: /caf\u{e9}"), Some(Line::Disallow("/caf\u{e9}".as_bytes())));
    }

    #[test]
    fn every_end_of_line_ends_a_line() {
        let lines: Vec<_> = read(b"Allow: /1\rAllow: /2\r\nAllow: /3\n\nAllow: /4").collect();
        assert_eq!(lines, [b"/1", b"/2", b"/3", b"/4"].map(|value| Line::Allow(value)));
    }

    #[test]
    fn seconds_are_read_from_what_people_write() {
        for (text, expected) in [
            ("10", Some(10.0)),
            ("0.5", Some(0.5)),
            ("0,5", Some(0.5)),
            ("2.5 seconds", Some(2.5)),
            ("3s", Some(3.0)),
            (".25", Some(0.25)),
            ("0", Some(0.0)),
            ("-1", None),
            ("", None),
            ("ten", None),
            ("NaN", None),
            ("1.2.3", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected.map(Duration::from_secs_f64), "{text:?}");
        }
        assert_eq!(seconds(&b"9".repeat(400)), Some(Duration::MAX));
    }
}
