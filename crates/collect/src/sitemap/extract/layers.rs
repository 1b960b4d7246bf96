//! Gzip around a file, as often as it was put there.

use std::error::Error;
use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::feed::GzipMembers;

/// How often a file may be zipped. Twice happens, where a server zips what was already a `.gz`.
const LAYERS_MAX: usize = 2;

/// Where a layer reads from.
pub(super) type Source = Box<dyn Read + Send>;

/// Is the reason for refusing a file in a file in a file.
#[derive(Debug, thiserror::Error)]
#[error("zipped more than {LAYERS_MAX} times")]
struct TooManyLayers;

/// Tells whether a failure is a file in a file in a file.
pub(super) fn is_too_deep(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<TooManyLayers>)
}

/// One layer of a file: zipped or not, which only its first two bytes tell, whatever name or header say.
pub(super) enum Layer {
    Unseen { first: Vec<u8>, inner: Source, depth: usize, failure: Failure },
    Seen(Source),
}

impl Layer {
    pub(super) fn new(inner: Source, depth: usize, failure: Failure) -> Self {
        Self::Unseen { first: Vec::with_capacity(2), inner, depth, failure }
    }

    /// Reads the first two bytes, of which one may have come with an earlier try.
    fn look(&mut self) -> io::Result<()> {
        let Self::Unseen { first, inner, depth, failure } = self else { return Ok(()) };
        let mut byte = [0];
        while first.len() < 2 && inner.read(&mut byte)? != 0 {
            first.push(byte[0]);
        }
        let is_zipped = first[..] == [0x1f, 0x8b];
        if is_zipped && *depth == LAYERS_MAX {
            return Err(io::Error::other(TooManyLayers));
        }
        let inner = std::mem::replace(inner, Box::new(io::empty()));
        let whole = Cursor::new(std::mem::take(first)).chain(inner);
        let unzipped: Source = if is_zipped {
            let inner = EndOnFailure { inner: GzipMembers::new(whole), failure: failure.clone() };
            Box::new(Self::new(Box::new(inner), *depth + 1, failure.clone()))
        } else {
            Box::new(whole)
        };
        *self = Self::Seen(unzipped);
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

/// Remembers the first failure of any layer.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: io::Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Turns a failure into an early end, so that the layer above hands out what it still holds: a decompressor
/// that meets an error below it forgets what it has unpacked already.
struct EndOnFailure<R> {
    inner: R,
    failure: Failure,
}

impl<R: Read> Read for EndOnFailure<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(into) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                self.failure.note(error);
                Ok(0)
            }
            other => other,
        }
    }
}
