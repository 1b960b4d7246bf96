//! A body that is handed out piece by piece.

use std::fmt;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use celeriac_protocol::{Clock, Timestamp};
use reqwest::Response;
use tokio::time::Sleep;

use super::answer::{Fetched, FetchedHead};
use super::unpack::Unpacker;
use super::{failure, timed_out};
use crate::feed::Pull;
use crate::fetch::error::{FetchError, TimeoutPhase};

/// How much is unpacked at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Below this size no body counts as a bomb, whatever its ratio: pages of one repeated line exist.
const BOMB_BYTES_MIN: u64 = 1024 * 1024;

/// The most that is set aside before the first byte is there, in bytes; servers may lie about lengths.
const RESERVE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) body_bytes_max: u64,
    pub(super) unpack_ratio_max: u64,
    pub(super) total: Duration,
}

/// An answer of 2xx whose body is still to be read. Memory stays bounded whatever the body unpacks to.
///
/// The limit of time for the whole fetch goes on running while the reader works on a piece.
pub struct FetchStream {
    head: FetchedHead,
    response: Response,
    unpacker: Unpacker,
    limits: Limits,
    deadline: Pin<Box<Sleep>>,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    wire_bytes: u64,
    body_bytes: u64,
}

impl FetchStream {
    pub(super) fn new(
        head: FetchedHead,
        response: Response,
        limits: Limits,
        deadline: Pin<Box<Sleep>>,
        clock: Arc<dyn Clock>,
        started_at: Timestamp,
    ) -> Result<Self, FetchError> {
        let unpacker = Unpacker::for_headers(response.headers())
            .map_err(|encoding| FetchError::UnsupportedEncoding { url: head.url.to_string(), encoding })?;
        let stream = Self {
            head,
            response,
            unpacker,
            limits,
            deadline,
            clock,
            started_at,
            wire_bytes: 0,
            body_bytes: 0,
        };
        // The length on the wire is a lower bound that nobody has to download to know.
        let announced = stream.response.content_length().unwrap_or(0);
        if stream.unpacker.is_identity() && announced > limits.body_bytes_max {
            return Err(stream.too_large());
        }
        Ok(stream)
    }

    /// Returns everything but the body.
    pub fn head(&self) -> &FetchedHead {
        &self.head
    }

    /// Returns how many bytes of body came over the wire so far.
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Returns the next unpacked piece, of some ten kilobytes, or nothing at the end.
    ///
    /// Dropping the stream instead of reading on ends the transfer.
    ///
    /// # Errors
    /// [`FetchError`]: too large, a bomb, damaged, broken off, or out of time. What was handed out before
    /// is sound.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            // A small body on the wire can be work for long; others may want the thread in between.
            tokio::task::coop::consume_budget().await;
            match self.unpacker.pull(PIECE_BYTES).map_err(|error| self.damaged(error))? {
                Pull::Piece(piece) => return self.count(piece).map(Some),
                Pull::End => return Ok(None),
                Pull::Hungry => self.feed().await?,
            }
        }
    }

    /// Reads the rest of the body into memory.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk).
    pub async fn collect(mut self) -> Result<Fetched, FetchError> {
        let announced = self.response.content_length().unwrap_or(0).min(RESERVE_BYTES_MAX);
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(piece) = self.next_chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Fetched {
            body: body.freeze(),
            wire_bytes: self.wire_bytes,
            elapsed: self.clock.now().since(self.started_at),
            head: self.head,
        })
    }

    async fn feed(&mut self) -> Result<(), FetchError> {
        let arrived = tokio::select! {
            biased;
            () = &mut self.deadline => {
                return Err(timed_out(&self.head.url, TimeoutPhase::Total, self.limits.total));
            }
            arrived = self.response.chunk() => arrived,
        };
        match arrived.map_err(|error| failure::of_body(&self.head.url, error))? {
            Some(bytes) => {
                self.wire_bytes += bytes.len() as u64;
                self.unpacker.push(bytes);
            }
            None => self.unpacker.finish(),
        }
        Ok(())
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, FetchError> {
        self.body_bytes += piece.len() as u64;
        let ratio = self.limits.unpack_ratio_max;
        if self.body_bytes > BOMB_BYTES_MIN && self.body_bytes / ratio > self.wire_bytes {
            return Err(FetchError::Bomb { url: self.head.url.to_string(), ratio });
        }
        if self.body_bytes > self.limits.body_bytes_max {
            return Err(self.too_large());
        }
        Ok(piece)
    }

    fn too_large(&self) -> FetchError {
        FetchError::TooLarge { url: self.head.url.to_string(), limit: self.limits.body_bytes_max }
    }

    fn damaged(&self, source: std::io::Error) -> FetchError {
        let url = self.head.url.to_string();
        match source.kind() {
            ErrorKind::UnexpectedEof => FetchError::Interrupted { url, source: source.into() },
            _ => FetchError::Damaged { url, source },
        }
    }
}

impl fmt::Debug for FetchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchStream").field("head", &self.head).finish_non_exhaustive()
    }
}
