//! Content-Encoding, undone step by step in bounded memory.
//!
//! Own work because the limits have to hold *while* a body unpacks: a few kilobytes may become gigabytes.

use std::io::{self, Cursor, ErrorKind, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::feed::{Feed, GzipMembers, Pull};

/// How many encodings may lie on top of each other. Two happen: a compressed file behind a server that
/// compresses.
const LAYERS_MAX: usize = 2;

const BROTLI_BUFFER_BYTES: usize = 8 * 1024;

type Source = Box<dyn Read + Send>;

/// Turns arriving bytes into unpacked ones.
pub(super) struct Unpacker {
    feed: Feed,
    /// Nothing where the body is not encoded: then bytes pass as they arrive, without a copy.
    source: Option<Source>,
}

impl Unpacker {
    /// Reads Content-Encoding, or returns the encoding that is not understood.
    pub(super) fn for_headers(headers: &HeaderMap) -> Result<Self, String> {
        let encodings = read_encodings(headers)?;
        let feed = Feed::default();
        let source = encodings.into_iter().rev().fold(None, |inner: Option<Source>, encoding| {
            let inner = inner.unwrap_or_else(|| Box::new(feed.clone()));
            Some(Box::new(Layer::new(encoding, inner)) as Source)
        });
        Ok(Self { feed, source })
    }

    pub(super) fn is_identity(&self) -> bool {
        self.source.is_none()
    }

    /// Takes what arrived. To be called only when the last pull was hungry.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.feed.push(bytes);
    }

    /// Says that nothing more will arrive.
    pub(super) fn finish(&mut self) {
        self.feed.finish();
    }

    /// Unpacks up to `limit` bytes.
    pub(super) fn pull(&mut self, limit: usize) -> io::Result<Pull> {
        let Some(source) = &mut self.source else { return Ok(self.feed.next()) };
        let mut piece = vec![0; limit];
        match source.read(&mut piece) {
            Ok(0) => Ok(Pull::End),
            Ok(length) => {
                piece.truncate(length);
                Ok(Pull::Piece(piece.into()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Pull::Hungry),
            // The decompressors call it wrong data when data is missing; only we know that it ended.
            Err(error) if self.feed.is_spent() => Err(io::Error::new(ErrorKind::UnexpectedEof, error)),
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
}

fn read_encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, String> {
    let mut encodings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for name in value.split(',').map(str::trim) {
            match name {
                "" | "identity" | "none" => {}
                "gzip" | "x-gzip" => encodings.push(Encoding::Gzip),
                "deflate" => encodings.push(Encoding::Deflate),
                "br" => encodings.push(Encoding::Brotli),
                _ => return Err(super::answer::shortened(name)),
            }
        }
    }
    if encodings.len() > LAYERS_MAX {
        return Err(format!("{} encodings on top of each other", encodings.len()));
    }
    Ok(encodings)
}

/// One encoding. What it really is shows in its first two bytes: some servers say gzip and send text, and
/// "deflate" means two different things (RFC 9110, 8.4.1.2).
enum Layer {
    Unseen { encoding: Encoding, first: Vec<u8>, inner: Source },
    Seen(Source),
}

impl Layer {
    fn new(encoding: Encoding, inner: Source) -> Self {
        Self::Unseen { encoding, first: Vec::with_capacity(2), inner }
    }

    /// Reads the first two bytes, of which one may have come with an earlier try.
    fn look(&mut self) -> io::Result<()> {
        let Self::Unseen { encoding, first, inner } = self else { return Ok(()) };
        let mut byte = [0];
        while first.len() < 2 && inner.read(&mut byte)? != 0 {
            first.push(byte[0]);
        }
        let inner = std::mem::replace(inner, Box::new(io::empty()));
        *self = Self::Seen(open(*encoding, std::mem::take(first), inner));
        Ok(())
    }
}

impl Read for Layer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.look()?;
        match self {
            Self::Seen(source) => source.read(into),
            Self::Unseen { .. } => Ok(0),
        }
    }
}

fn open(encoding: Encoding, first: Vec<u8>, inner: Source) -> Source {
    let is_gzip = first == [0x1f, 0x8b];
    let is_zlib = matches!(first[..], [a, b] if a & 15 == 8 && (u16::from(a) << 8 | u16::from(b)) % 31 == 0);
    let is_empty = first.is_empty();
    let whole = Cursor::new(first).chain(inner);
    match encoding {
        _ if is_empty => Box::new(whole),
        Encoding::Gzip if is_gzip => Box::new(GzipMembers::new(whole)),
        Encoding::Gzip => Box::new(whole),
        Encoding::Deflate if is_zlib => Box::new(ZlibDecoder::new(whole)),
        Encoding::Deflate => Box::new(DeflateDecoder::new(whole)),
        Encoding::Brotli => Box::new(brotli(whole)),
    }
}

/// The decoder also knows windows of up to a gigabyte, which are no part of HTTP's `br` (RFC 7932) and which
/// a few bytes would make it set aside.
fn brotli<R: Read>(source: R) -> Decompressor<R> {
    let mut decoder = Decompressor::new(source, BROTLI_BUFFER_BYTES);
    let is_off = decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    debug_assert!(is_off, "parameters can be set until the first read");
    decoder
}
