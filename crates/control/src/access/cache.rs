//! Remembers for a moment whom a secret belongs to, so that a busy client is not looked up on each call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celeriac_protocol::Timestamp;

use super::Verified;

/// For how long: whatever is revoked elsewhere is refused here after this at the latest.
pub(super) const REMEMBERED: Duration = Duration::from_secs(2);

/// How many are remembered.
const MOST: usize = 1_024;

/// Is responsible for what was verified a moment ago. Instants are spans on a clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: Mutex<HashMap<[u8; 32], (Verified, Duration)>>,
}

impl Cache {
    /// Returns who was found behind a secret, by its hash, unless that is too long ago or it has ended since.
    pub(super) fn find(&self, hash: &[u8; 32], steady: Duration, now: Timestamp) -> Option<Verified> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (verified, at) = known.get(hash)?;
        let is_fresh = steady.saturating_sub(*at) < REMEMBERED;
        let goes_on = verified.expires_at.is_none_or(|end| now < end);
        (is_fresh && goes_on).then(|| verified.clone())
    }

    /// Remembers who was found.
    pub(super) fn keep(&self, hash: [u8; 32], verified: Verified, steady: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, at)| steady.saturating_sub(*at) < REMEMBERED);
        }
        if known.len() < MOST {
            known.insert(hash, (verified, steady));
        }
    }

    /// Forgets all: something has changed.
    pub(super) fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
