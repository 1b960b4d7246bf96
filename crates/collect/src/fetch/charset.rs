//! From bytes to text: which encoding a page is in, and the page decoded.
//!
//! The order is the one that browsers keep (HTML, 13.2.3.2): a byte-order mark, what the HTTP header says,
//! what the page says of itself, and a guess from the bytes.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

mod prescan;

use prescan::prescan;

/// How far into a page its own declaration is looked for, in bytes. Browsers look at the first kilobyte and
/// start over when the declaration comes later; this saves the second start.
const PRESCAN_BYTES: usize = 16 * 1024;

/// How much of a page is looked at to guess its encoding, in bytes.
const DETECT_BYTES_MAX: usize = 256 * 1024;

/// A page as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text, borrowed where the bytes were UTF-8 already; without byte-order mark.
    pub text: Cow<'a, str>,
    /// The encoding's name as the WHATWG Encoding Standard writes it: `UTF-8`, `windows-1252`.
    pub encoding: &'static str,
    /// How the encoding was found.
    pub source: CharsetSource,
    /// Whether some bytes meant nothing in the encoding; each became U+FFFD.
    pub had_errors: bool,
}

/// How the encoding of a page was found, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CharsetSource {
    /// A byte-order mark, which beats everything.
    ByteOrderMark,
    /// The charset of Content-Type.
    Header,
    /// A `meta` element or an XML declaration.
    Document,
    /// A guess, because nobody said.
    Guess,
}

/// Decodes a page by the best source there is. It can't fail: bytes without meaning become U+FFFD.
///
/// `content_type` is the HTTP header. The host helps to guess: a page under `.jp` is rather in a Japanese
/// encoding than in a Greek one.
pub fn decode<'a>(body: &'a [u8], content_type: Option<&str>, host: Option<&str>) -> Decoded<'a> {
    let (encoding, source, mark) = find_encoding(body, content_type, host);
    let (text, had_errors) = encoding.decode_without_bom_handling(&body[mark..]);
    Decoded { text, encoding: encoding.name(), source, had_errors }
}

/// Returns the charset parameter of a Content-Type, without quotes.
pub fn charset_of(content_type: &str) -> Option<&str> {
    let (_, parameters) = content_type.split_once(';')?;
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })?;
    let value = value.trim().trim_matches(['"', '\'']).trim();
    (!value.is_empty()).then_some(value)
}

/// Returns the encoding, how it was found, and how long the byte-order mark is.
fn find_encoding(
    body: &[u8],
    content_type: Option<&str>,
    host: Option<&str>,
) -> (&'static Encoding, CharsetSource, usize) {
    if let Some((encoding, mark)) = Encoding::for_bom(body) {
        return (encoding, CharsetSource::ByteOrderMark, mark);
    }
    let label = content_type.and_then(charset_of);
    if let Some(encoding) = label.and_then(|label| Encoding::for_label(label.as_bytes())) {
        return (encoding, CharsetSource::Header, 0);
    }
    if let Some(encoding) = prescan(&body[..body.len().min(PRESCAN_BYTES)]) {
        return (encoding, CharsetSource::Document, 0);
    }
    (guess(body, host), CharsetSource::Guess, 0)
}

fn guess(body: &[u8], host: Option<&str>) -> &'static Encoding {
    let sample = &body[..body.len().min(DETECT_BYTES_MAX)];
    if sample.is_ascii() {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() == body.len());
    detector.guess(host.and_then(top_level), Utf8Detection::Allow)
}

/// The detector wants the top-level domain alone, in lower case and ASCII.
fn top_level(host: &str) -> Option<&[u8]> {
    let label = host.trim_end_matches('.').rsplit('.').next()?.as_bytes();
    let is_name = label.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'0'..=b'9'));
    (is_name && label.first().is_some_and(u8::is_ascii_lowercase)).then_some(label)
}

#[cfg(test)]
mod tests;
