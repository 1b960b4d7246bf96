//! From bytes as they arrive to text: gzip undone, encoding undone, everything in bounded memory.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};

use bytes::Bytes;
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::layers::{Failure, Layer, Source, is_too_deep};
use crate::feed::Feed;

/// How much is unpacked at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// How far into a file its XML declaration is looked for, in bytes.
const DECLARATION_BYTES_MAX: usize = 256;

/// What a pull came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pulled {
    /// Text was appended.
    Text,
    /// More has to be fed first.
    Hungry,
    /// That was all.
    End,
}

/// Why no more text can be had.
#[derive(Debug)]
pub(super) enum InputError {
    /// The zipped data ends in the middle.
    CutShort,
    /// The zipped data is damaged.
    Damaged(io::Error),
    /// A file in a file in a file.
    TooManyLayers,
}

/// Is responsible for turning what arrives into text.
pub(super) struct Input {
    feed: Feed,
    /// What has arrived and is not yet asked for, in order.
    waiting: VecDeque<Bytes>,
    has_ended: bool,
    source: Source,
    failure: Failure,
    buffer: Vec<u8>,
    decoding: Decoding,
    encoding: Option<&'static Encoding>,
    expanded: u64,
}

enum Decoding {
    /// The first bytes, until they tell the encoding.
    Unknown(Vec<u8>),
    Known(Box<Decoder>),
    Ended,
}

impl Input {
    pub(super) fn new() -> Self {
        let feed = Feed::default();
        let failure = Failure::default();
        let source: Source = Box::new(Layer::new(Box::new(feed.clone()), 0, failure.clone()));
        let buffer = vec![0; PIECE_BYTES];
        Self {
            feed,
            waiting: VecDeque::new(),
            has_ended: false,
            source,
            failure,
            buffer,
            decoding: Decoding::Unknown(Vec::new()),
            encoding: None,
            expanded: 0,
        }
    }

    /// Takes what arrived.
    pub(super) fn feed(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.waiting.push_back(bytes);
        }
    }

    /// Says that nothing more will arrive.
    pub(super) fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Returns how many bytes there were so far, after unzipping.
    pub(super) const fn expanded_bytes(&self) -> u64 {
        self.expanded
    }

    /// Returns the name of the encoding, once it is known and where it is not UTF-8.
    pub(super) fn foreign_encoding(&self) -> Option<&'static str> {
        self.encoding.filter(|encoding| *encoding != UTF_8).map(Encoding::name)
    }

    /// Appends the next piece of text, of at most some hundred kilobytes.
    pub(super) fn pull(&mut self, text: &mut String) -> Result<Pulled, InputError> {
        if matches!(self.decoding, Decoding::Ended) {
            return Ok(Pulled::End);
        }
        let length = loop {
            match self.source.read(&mut self.buffer) {
                Ok(length) => break length,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(self.explain(error)),
                Err(_) if !self.hand_over() => return Ok(Pulled::Hungry),
                Err(_) => {}
            }
        };
        self.expanded += length as u64;
        self.decode(length, text, length == 0);
        if length > 0 {
            return Ok(Pulled::Text);
        }
        self.decoding = Decoding::Ended;
        match self.failure.take() {
            Some(error) => Err(self.explain(error)),
            None => Ok(Pulled::Text),
        }
    }

    /// Hands the next piece to the decompressors, which have used up the last one.
    fn hand_over(&mut self) -> bool {
        match self.waiting.pop_front() {
            Some(bytes) => self.feed.push(bytes),
            None if self.has_ended => self.feed.finish(),
            None => return false,
        }
        true
    }

    fn explain(&self, error: io::Error) -> InputError {
        if is_too_deep(&error) {
            InputError::TooManyLayers
        } else if self.feed.is_spent() {
            // The decompressor calls it wrong data when data is missing; only we know that it ended.
            InputError::CutShort
        } else {
            InputError::Damaged(error)
        }
    }

    fn decode(&mut self, length: usize, text: &mut String, is_last: bool) {
        if let Decoding::Unknown(first) = &mut self.decoding {
            first.extend_from_slice(&self.buffer[..length]);
            if first.len() < DECLARATION_BYTES_MAX && !is_last {
                return;
            }
            let first = std::mem::take(first);
            let mut decoder = Box::new(encoding_of(&first).new_decoder());
            append(&mut decoder, &first, text, is_last);
            self.encoding = Some(decoder.encoding());
            self.decoding = Decoding::Known(decoder);
        } else if let Decoding::Known(decoder) = &mut self.decoding {
            append(decoder, &self.buffer[..length], text, is_last);
        }
    }
}

/// Decodes `bytes` to the end of `text`; what is not of the encoding becomes the replacement character.
fn append(decoder: &mut Decoder, bytes: &[u8], text: &mut String, is_last: bool) {
    let mut rest = bytes;
    loop {
        text.reserve(decoder.max_utf8_buffer_length(rest.len()).unwrap_or(PIECE_BYTES));
        let (result, read, _) = decoder.decode_to_string(rest, text, is_last);
        rest = &rest[read..];
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

/// Tells the encoding by what a file begins with. A byte-order mark wins later, in the decoder.
///
/// An XML declaration that can be read byte by byte and says UTF-16 is wrong.
fn encoding_of(first: &[u8]) -> &'static Encoding {
    match first {
        [b'<', 0, ..] => return UTF_16LE,
        [0, b'<', ..] => return UTF_16BE,
        _ => {}
    }
    let beginning = &first[..first.len().min(DECLARATION_BYTES_MAX)];
    let declared = declared_encoding(beginning).and_then(Encoding::for_label);
    declared.filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE).unwrap_or(UTF_8)
}

/// Finds the value of `encoding` in `<?xml … ?>`.
fn declared_encoding(beginning: &[u8]) -> Option<&[u8]> {
    let start = beginning.windows(5).position(|window| window == b"<?xml")?;
    let rest = &beginning[start..];
    let rest = &rest[..rest.windows(2).position(|window| window == b"?>")?];
    let name = b"encoding";
    let after = &rest[rest.windows(name.len()).position(|window| window == name)? + name.len()..];
    let quote_at = after.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
    let value = &after[quote_at + 1..];
    Some(&value[..value.iter().position(|byte| *byte == after[quote_at])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_told_by_the_first_bytes() {
        for (first, wanted) in [
            (&b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>"[..], "windows-1252"),
            (b"<?xml version='1.0' encoding = 'koi8-r' ?>", "KOI8-R"),
            (b"<?xml version='1.0' encoding='UTF-16'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='nonsense'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='", "UTF-8"),
            (b"<\0?\0x\0m\0l\0", "UTF-16LE"),
            (b"\0<\0?\0x\0m\0l", "UTF-16BE"),
            (b"", "UTF-8"),
        ] {
            assert_eq!(encoding_of(first).name(), wanted, "{}", first.escape_ascii());
        }
    }
}
