//! Percent-encoding of paths, as RFC 3986 has it.

use std::fmt::Write;

/// Writes a path so that it can stand in a URL; slashes stay.
pub(super) fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string never fails");
        }
    }
    out
}

/// Reads a URL's path; nothing if an escape is broken or the result is not UTF-8.
pub(super) fn decode(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut out = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_way_there_and_back() {
        for path in ["/", "/a b/ü?.html", "/100%/x#y", "/a+b&c"] {
            assert_eq!(decode(&encode(path)).as_deref(), Some(path));
        }
        assert_eq!(encode("/a b/ü.html"), "/a%20b/%C3%BC.html");
    }

    #[test]
    fn broken_escapes_are_no_path() {
        for path in ["/%", "/%4", "/%zz", "/%ff"] {
            assert_eq!(decode(path), None, "{path}");
        }
    }
}
