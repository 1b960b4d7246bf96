//! Path patterns of robots.txt, and the one spelling in which they and URLs are compared.

use std::fmt;

use url::Url;

/// A path pattern with `*` for anything and a final `$` for the end (RFC 9309, 2.2.3).
///
/// Kept in normal form: escapes in capitals, escaped what must be and nothing else, so that octets can be
/// compared. Matching takes time linear in pattern and path, whatever the number of wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Box<[u8]>,
    ends_there: bool,
}

impl Pattern {
    /// Reads a rule's value. A value without leading slash gets one, as its author meant.
    pub(super) fn compile(value: &[u8]) -> Self {
        let (value, ends_there) = value.strip_suffix(b"$").map_or((value, false), |shorter| (shorter, true));
        let mut text = Vec::with_capacity(value.len() + 1);
        if !matches!(value.first(), Some(b'/' | b'*')) {
            text.push(b'/');
        }
        normalise(value, Stars::AreWildcards, &mut text);
        Self { text: text.into(), ends_there }
    }

    /// Returns how many octets the pattern has: of two that match, the longer one decides.
    pub(super) fn len(&self) -> usize {
        self.text.len() + usize::from(self.ends_there)
    }

    /// Returns whether a path in normal form matches.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let mut pieces = self.text.split(|byte| *byte == b'*');
        let Some(mut rest) = pieces.next().and_then(|prefix| path.strip_prefix(prefix)) else { return false };
        let Some(last) = pieces.next_back() else { return !self.ends_there || rest.is_empty() };
        for piece in pieces {
            let Some(at) = memchr::memmem::find(rest, piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        if self.ends_there { rest.ends_with(last) } else { memchr::memmem::find(rest, last).is_some() }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))?;
        f.write_str(if self.ends_there { "$" } else { "" })
    }
}

/// Returns the path and the query of a URL in normal form.
pub(super) fn path_of(url: &Url) -> Vec<u8> {
    let mut path = Vec::with_capacity(url.as_str().len());
    normalise(
        url[url::Position::BeforePath..url::Position::AfterQuery].as_bytes(),
        Stars::AreStars,
        &mut path,
    );
    path
}

#[derive(Clone, Copy, PartialEq)]
enum Stars {
    AreWildcards,
    AreStars,
}

/// Writes the one form of a path: an escape of a character that may stand there by itself becomes that
/// character, a character that may not is escaped. `*` and `$` as plain characters are `%2A` and `%24`,
/// as RFC 9309 asks, so that what is left of them in a pattern is special.
fn normalise(text: &[u8], stars: Stars, into: &mut Vec<u8>) {
    let mut in_query = false;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let Some(escaped) = escaped_byte(after)
        {
            rest = &after[2..];
            let plain = is_plain(escaped) || (in_query && matches!(escaped, b'/' | b'?'));
            if plain {
                into.push(escaped);
            } else {
                push_escaped(escaped, into);
            }
            continue;
        }
        in_query |= byte == b'?';
        if is_plain(byte) || matches!(byte, b'/' | b'?') || (byte == b'*' && stars == Stars::AreWildcards) {
            into.push(byte);
        } else {
            push_escaped(byte, into);
        }
    }
}

/// What RFC 3986 lets stand in a path segment, without the two that patterns use.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!&'()+,;=:@".contains(&byte)
}

fn escaped_byte(after_percent: &[u8]) -> Option<u8> {
    let digit = |at: usize| after_percent.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn push_escaped(byte: u8, into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    into.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        let url = Url::parse(&format!("https://example.com{path}")).unwrap();
        assert_eq!(
            Pattern::compile(pattern.as_bytes()).matches(&path_of(&url)),
            expected,
            "{pattern} on {path}"
        );
    }

    #[test]
    fn patterns_match_as_the_standard_says() {
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/", "/a?b", true),
            ("/fish", "/fish", true),
            ("/fish", "/fish.html", true),
            ("/fish", "/fishheads/yummy.html", true),
            ("/fish", "/Fish.asp", false),
            ("/fish", "/catfish", false),
            ("/fish/", "/fish", false),
            ("/fish/", "/fish/salmon", true),
            ("/*.php", "/index.php", true),
            ("/*.php", "/folder/any.php.file.html", true),
            ("/*.php", "/", false),
            ("/*.php", "/windows.PHP", false),
            ("/*.php$", "/filename.php", true),
            ("/*.php$", "/filename.php?parameters", false),
            ("/*.php$", "/filename.php5", false),
            ("/*.php$", "/a.php/b.php", true),
            ("/fish*.php", "/fishheads/catfish.php?parameters", true),
            ("/fish*.php", "/Fish.PHP", false),
            ("/a*b*c", "/a-b-c", true),
            ("/a*b*c", "/acb", false),
            ("/a**b", "/ab", true),
            ("/a*", "/a", true),
            ("*", "/anything", true),
            ("*/b", "/a/b", true),
            ("/a$", "/a", true),
            ("/a$", "/ab", false),
            ("/a*a$", "/a", false),
            ("/a*$", "/abc", true),
            ("$", "/", true),
            ("/$", "/a", false),
            ("admin/", "/admin/x", true),
            ("?page=", "/?page=2", true),
        ] {
            check(pattern, path, expected);
        }
    }

    #[test]
    fn spellings_of_the_same_path_are_the_same() {
        for (pattern, path) in [
            ("/a%3cd.html", "/a%3Cd.html"),
            ("/a%3Cd.html", "/a%3cd.html"),
            ("/bar/baz", "/bar/%62%61%7A"),
            ("/%62ar", "/bar"),
            ("/ツ", "/%E3%83%84"),
            ("/%E3%83%84", "/ツ"),
            ("/%e3%83%84", "/%E3%83%84"),
            ("/~joe", "/%7Ejoe"),
            ("/a b", "/a%20b"),
            ("/?q=https%3A%2F%2Fx.example", "/?q=https://x.example"),
            ("/?q=https://x.example", "/?q=https%3A%2F%2Fx.example"),
            ("/x?f[]=1", "/x?f%5B%5D=1"),
            ("/file-with-a-%2A.html", "/file-with-a-*.html"),
            ("/file-with-a-%2A.html", "/file-with-a-%2A.html"),
            ("/path/foo-%24", "/path/foo-$"),
            ("/a$b", "/a$b"),
            ("/100%", "/100%"),
            ("/100%", "/100%25"),
        ] {
            check(pattern, path, true);
        }
    }

    #[test]
    fn different_paths_stay_different() {
        for (pattern, path) in [
            ("/a%2Fb", "/a/b"),
            ("/a/b", "/a%2Fb"),
            ("/file-with-a-%2A.html", "/file-with-a-x.html"),
            ("/a%3Fb", "/a?b"),
            ("/a", "/A"),
            ("/a$b", "/a"),
        ] {
            check(pattern, path, false);
        }
    }

    #[test]
    fn wildcards_do_not_make_matching_slow() {
        let pattern = Pattern::compile(format!("/{}*b", "*a".repeat(8_000)).as_bytes());
        let path = [b"/".to_vec(), b"a".repeat(1_000_000)].concat();
        assert!(!pattern.matches(&path));
    }
}
