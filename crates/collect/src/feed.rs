//! Bytes that arrive from outside and are read as if from a file, and gzip on top of them.
//!
//! The decompressors pull, the network pushes: with nothing there, reading "would block", and everything
//! goes on where it stopped once more has arrived.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::bufread::GzDecoder;

/// What an attempt to get unpacked bytes came to.
#[derive(Debug)]
pub(crate) enum Pull {
    /// Here is a piece.
    Piece(Bytes),
    /// More has to arrive first.
    Hungry,
    /// That was all.
    End,
}

/// Where arriving bytes wait for the decompressors, which read as if from a file: with nothing there,
/// reading would block.
#[derive(Clone, Default)]
pub(crate) struct Feed(Arc<Mutex<Arrived>>);

#[derive(Default)]
struct Arrived {
    bytes: Bytes,
    ended: bool,
}

impl Feed {
    /// Takes what arrived. To be called only when nothing is left of what came before.
    pub(crate) fn push(&self, bytes: Bytes) {
        self.lock().bytes = bytes;
    }

    /// Says that nothing more will arrive.
    pub(crate) fn finish(&self) {
        self.lock().ended = true;
    }

    /// Tells whether nothing is left and nothing more will arrive.
    pub(crate) fn is_spent(&self) -> bool {
        let arrived = self.lock();
        arrived.ended && arrived.bytes.is_empty()
    }

    /// Takes all that is there, without a copy.
    pub(crate) fn next(&self) -> Pull {
        let mut arrived = self.lock();
        match (arrived.bytes.is_empty(), arrived.ended) {
            (false, _) => Pull::Piece(std::mem::take(&mut arrived.bytes)),
            (true, true) => Pull::End,
            (true, false) => Pull::Hungry,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut arrived = self.lock();
        if arrived.bytes.is_empty() && !arrived.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = arrived.bytes.len().min(into.len());
        into[..length].copy_from_slice(&arrived.bytes.split_to(length));
        Ok(length)
    }
}

/// Gzip of one or several members (RFC 1952, 2.2); padding behind the last one is ignored, as browsers do.
pub(crate) enum GzipMembers<R: Read> {
    Member(GzDecoder<BufReader<R>>),
    Between(BufReader<R>),
    End,
}

impl<R: Read> GzipMembers<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self::Between(BufReader::new(inner))
    }
}

impl<R: Read> Read for GzipMembers<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::End) {
                Self::End => return Ok(0),
                Self::Member(mut decoder) => match decoder.read(into) {
                    Ok(0) => *self = Self::Between(decoder.into_inner()),
                    other => {
                        *self = Self::Member(decoder);
                        return other;
                    }
                },
                Self::Between(mut rest) => match rest.fill_buf() {
                    Ok([0x1f, ..]) => *self = Self::Member(GzDecoder::new(rest)),
                    Ok(_) => return Ok(0),
                    Err(error) => {
                        *self = Self::Between(rest);
                        return Err(error);
                    }
                },
            }
        }
    }
}
