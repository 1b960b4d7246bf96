//! What makes bodies smaller, under kombu's names, and how far one may grow when it is read.

use std::io::{Read, Write as _};

use super::MAX_BODY_BYTES;
use crate::DecodeError;

/// The most memory that a reader may take for looking back, in bytes: what zstd's and xz's own highest
/// ordinary settings need (`xz -9` has 64 MiB).
const MAX_WINDOW_BYTES: usize = 64 << 20;

/// What lzma's reader takes beside its dictionary, in KiB, rounded up.
const LZMA_OVERHEAD_KIB: usize = 1024;

/// What makes a body smaller: the compressors of kombu that are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Kombu's `gzip` and `zlib`, which are both a zlib stream.
    Zlib,
    /// `bzip2`.
    Bzip2,
    /// `lzma`, `xz`: the .xz container.
    Xz,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Zlib, Self::Bzip2, Self::Xz, Self::Zstd];

    /// Returns what stands in the header `compression`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Zlib => "application/x-gzip",
            Self::Bzip2 => "application/x-bz2",
            Self::Xz => "application/x-lzma",
            Self::Zstd => "application/zstd",
        }
    }

    /// Returns kombu's names, the usual one first.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Zlib => &["gzip", "zlib"],
            Self::Bzip2 => &["bzip2", "bzip"],
            Self::Xz => &["lzma", "xz"],
            Self::Zstd => &["zstd", "zstandard"],
        }
    }

    /// Finds one by one of kombu's names or by what stands in the header.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| name == one.content_type() || one.names().contains(&name))
    }

    /// Makes a body smaller.
    pub(super) fn squeeze(self, bytes: &[u8]) -> Vec<u8> {
        let written = match self {
            Self::Zlib => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                writer.write_all(bytes).and_then(|()| writer.finish())
            }
            Self::Bzip2 => {
                let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
                writer.write_all(bytes).and_then(|()| writer.finish())
            }
            Self::Xz => squeeze_as_xz(bytes),
            Self::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                Ok(with_size(ruzstd::encoding::compress_to_vec(bytes, level), bytes.len() as u64))
            }
        };
        written.expect("writing to memory does not fail")
    }

    /// Expands a body to at most [`MAX_BODY_BYTES`].
    pub(crate) fn expand(self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        self.expand_to(bytes, MAX_BODY_BYTES)
    }

    pub(super) fn expand_to(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        let broken = |reason: String| DecodeError::Expand { compression: self.names()[0], reason };
        let reader = self.reader(bytes).map_err(broken)?;
        let mut expanded = Vec::new();
        // One byte more than is allowed tells a body at the limit from one beyond it.
        reader
            .take(limit as u64 + 1)
            .read_to_end(&mut expanded)
            .map_err(|error| broken(error.to_string()))?;
        if expanded.len() > limit {
            return Err(DecodeError::TooLarge { limit });
        }
        Ok(expanded)
    }

    fn reader(self, bytes: &[u8]) -> Result<Box<dyn Read + '_>, String> {
        Ok(match self {
            Self::Zlib => Box::new(flate2::read::ZlibDecoder::new(bytes)),
            Self::Bzip2 => Box::new(bzip2::read::BzDecoder::new(bytes)),
            Self::Xz => {
                let kib = u32::try_from(MAX_WINDOW_BYTES / 1024 + LZMA_OVERHEAD_KIB);
                Box::new(lzma_rust2::XzReader::new_mem_limit(bytes, false, kib.unwrap_or(u32::MAX)))
            }
            Self::Zstd => {
                let window = MAX_WINDOW_BYTES as u64;
                let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(bytes, window);
                Box::new(decoder.map_err(|error| error.to_string())?)
            }
        })
    }
}

/// Writes the size of the content into the header of a zstd frame, which lacks it: kombu before 5.6 reads no other.
///
/// A frame begins with its mark (4 bytes), the byte that says what its header holds, and the window's size (1 byte).
fn with_size(mut frame: Vec<u8>, size: u64) -> Vec<u8> {
    /// Of the byte: size of 8 bytes; one segment; dictionary.
    const HAS: (u8, u8, u8) = (0b1100_0000, 0b0010_0000, 0b0000_0011);
    if frame.len() > 6 && frame[4] & (HAS.0 | HAS.1 | HAS.2) == 0 {
        frame[4] |= HAS.0;
        frame.splice(6..6, size.to_le_bytes());
    }
    frame
}

/// The part of the default preset's dictionary that a small body can make use of, in bytes at most.
const XZ_DICTIONARY: usize = 8 << 20;

/// Writes the .xz container at the default preset of Python's `lzma`, but with a dictionary no larger than the body.
fn squeeze_as_xz(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut options = lzma_rust2::XzOptions::with_preset(6);
    let dictionary = bytes.len().next_power_of_two().clamp(4096, XZ_DICTIONARY);
    options.lzma_options.dict_size = u32::try_from(dictionary).unwrap_or(u32::MAX);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options)?;
    writer.write_all(bytes)?;
    writer.finish()
}
