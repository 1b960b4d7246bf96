//! How long it is tried to write what fails in ways that pass.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long to wait before trying again when nothing can be written, at first and at most.
pub(super) const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often in a row a part is tried before it is halved, or waits behind the others: it may be too much for one
/// deadline, which looks like a server that is away.
const TRIES: u32 = 3;

/// How many tries in a row a stopping worker still makes.
const LAST_TRIES: u32 = 5;

/// Counts what was written and what was not, over all parts of a batch.
pub(super) struct Patience<'s> {
    last_call: &'s CancellationToken,
    pause: Duration,
    written: u32,
    last_tries: u32,
}

impl<'s> Patience<'s> {
    /// Begins with the shortest pause; the last tries begin with `last_call`.
    pub(super) fn until(last_call: &'s CancellationToken) -> Self {
        Self { last_call, pause: RETRY_PAUSE.0, written: 0, last_tries: 0 }
    }

    /// Notes that a part was written.
    pub(super) fn note_written(&mut self) {
        (self.written, self.pause, self.last_tries) = (self.written.saturating_add(1), RETRY_PAUSE.0, 0);
    }

    /// Returns how many parts were written.
    pub(super) fn written(&self) -> u32 {
        self.written
    }

    /// Notes that a try failed in a way that passes; returns how long to wait until the next one.
    pub(super) fn note_failed(&mut self) -> Duration {
        self.last_tries += u32::from(self.last_call.is_cancelled());
        let pause = self.pause;
        self.pause = (pause * 2).min(RETRY_PAUSE.1);
        pause
    }

    /// Says whether so many tries are enough for a part as it is. A stopping worker has no time to find out.
    pub(super) fn is_enough(&self, tries: u32) -> bool {
        tries >= TRIES || self.last_call.is_cancelled()
    }

    /// Says whether a stopping worker has tried often enough; what is left is tried once more.
    pub(super) fn is_over(&self) -> bool {
        self.last_tries > LAST_TRIES
    }
}
