//! What a page says of its own encoding, read before the encoding is known (HTML, 13.2.3.2).

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::memmem;

/// Looks for `<meta charset>`, `<meta http-equiv>` and an XML declaration at the beginning of a page.
pub(super) fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    if bytes.starts_with(b"<\0?\0x\0") {
        return Some(UTF_16LE);
    }
    if bytes.starts_with(b"\0<\0?\0x") {
        return Some(UTF_16BE);
    }
    Scanner { rest: bytes }.find_meta().or_else(|| xml_encoding(bytes))
}

struct Scanner<'a> {
    rest: &'a [u8],
}

/// Name and value of an attribute, in lower case.
type Attribute = (Vec<u8>, Vec<u8>);

impl Scanner<'_> {
    fn find_meta(&mut self) -> Option<&'static Encoding> {
        loop {
            self.skip_to(memchr::memchr(b'<', self.rest)?);
            match self.rest {
                [b'<', b'!', b'-', b'-', ..] => {
                    // The hyphens that open a comment may close it too.
                    self.skip_to(2 + memmem::find(&self.rest[2..], b"-->")? + 3);
                }
                [b'<', tag @ ..] if is_meta(tag) => {
                    self.skip_to(b"<meta".len());
                    if let Some(encoding) = self.read_meta()? {
                        return Some(encoding);
                    }
                }
                [b'<', b'/', letter, ..] | [b'<', letter, ..] if letter.is_ascii_alphabetic() => {
                    self.skip_to(self.rest.iter().position(|byte| is_space(*byte) || *byte == b'>')?);
                    while self.read_attribute()?.is_some() {}
                }
                [b'<', b'!' | b'/' | b'?', ..] => self.skip_to(memchr::memchr(b'>', self.rest)? + 1),
                _ => self.skip_to(1),
            }
        }
    }

    /// Returns nothing at the end of the bytes, and `Some(None)` for a `meta` that is about something else.
    fn read_meta(&mut self) -> Option<Option<&'static Encoding>> {
        let mut is_pragma = false;
        let mut by_pragma: Option<Vec<u8>> = None;
        let mut by_charset: Option<Vec<u8>> = None;
        let mut seen: Vec<Vec<u8>> = Vec::new();
        while let Some((name, value)) = self.read_attribute()? {
            if seen.contains(&name) {
                continue;
            }
            match name.as_slice() {
                b"http-equiv" => is_pragma = value == b"content-type",
                b"content" => by_pragma = charset_in_content(&value),
                b"charset" => by_charset = Some(value),
                _ => {}
            }
            seen.push(name);
        }
        let label = by_charset.or_else(|| by_pragma.filter(|_| is_pragma));
        Some(label.and_then(|label| declared(&label)))
    }

    /// Returns nothing at the end of the bytes, and `Some(None)` at the end of the tag.
    fn read_attribute(&mut self) -> Option<Option<Attribute>> {
        self.skip_to(self.rest.iter().position(|byte| !is_space(*byte) && *byte != b'/')?);
        if self.rest[0] == b'>' {
            return Some(None);
        }
        // An equals sign may begin a name.
        let ends_name = |byte: &u8| is_space(*byte) || matches!(byte, b'/' | b'>' | b'=');
        let length = 1 + self.rest[1..].iter().position(ends_name)?;
        let name = self.rest[..length].to_ascii_lowercase();
        self.skip_to(length);
        self.skip_spaces()?;
        if self.rest[0] != b'=' {
            return Some(Some((name, Vec::new())));
        }
        self.skip_to(1);
        self.skip_spaces()?;
        Some(Some((name, self.read_value()?)))
    }

    fn read_value(&mut self) -> Option<Vec<u8>> {
        let quote = self.rest[0];
        let is_quoted = matches!(quote, b'"' | b'\'');
        if is_quoted {
            self.skip_to(1);
        }
        let length = self
            .rest
            .iter()
            .position(|byte| if is_quoted { *byte == quote } else { is_space(*byte) || *byte == b'>' })?;
        let value = self.rest[..length].to_ascii_lowercase();
        self.skip_to(length + usize::from(is_quoted));
        Some(value)
    }

    fn skip_spaces(&mut self) -> Option<()> {
        self.skip_to(self.rest.iter().position(|byte| !is_space(*byte))?);
        Some(())
    }

    fn skip_to(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }
}

fn is_meta(tag: &[u8]) -> bool {
    matches!(tag, [m, e, t, a, next, ..]
        if [*m, *e, *t, *a].eq_ignore_ascii_case(b"meta") && (is_space(*next) || *next == b'/'))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0C' | b'\r' | b' ')
}

/// A page that could be read this far is not in UTF-16, whatever it says.
fn declared(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label)?;
    if encoding == UTF_16LE || encoding == UTF_16BE {
        return Some(UTF_8);
    }
    if encoding.name() == "x-user-defined" {
        return Some(WINDOWS_1252);
    }
    Some(encoding)
}

/// Finds the charset in `text/html; charset=...`, however it is written (HTML, "extracting a character
/// encoding from a meta element"). The value is in lower case already.
fn charset_in_content(content: &[u8]) -> Option<Vec<u8>> {
    let mut rest = content;
    loop {
        rest = &rest[memmem::find(rest, b"charset")? + b"charset".len()..];
        if let [b'=', value @ ..] = trim_start(rest) {
            return first_word(trim_start(value)).map(<[u8]>::to_vec);
        }
    }
}

fn first_word(value: &[u8]) -> Option<&[u8]> {
    match value {
        [quote @ (b'"' | b'\''), rest @ ..] => Some(&rest[..memchr::memchr(*quote, rest)?]),
        _ => {
            let end = value.iter().position(|byte| is_space(*byte) || *byte == b';');
            Some(&value[..end.unwrap_or(value.len())])
        }
    }
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    &text[start..]
}

/// Reads the encoding of an XML declaration (HTML, "get an XML encoding").
fn xml_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let declaration = bytes.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..memchr::memchr(b'>', declaration)?];
    let after = &declaration[memmem::find(declaration, b"encoding")? + b"encoding".len()..];
    let value = trim_start(trim_start(after).strip_prefix(b"=")?);
    let (quote @ (b'"' | b'\''), value) = value.split_first()? else { return None };
    let label = &value[..memchr::memchr(*quote, value)?];
    declared(label)
}
