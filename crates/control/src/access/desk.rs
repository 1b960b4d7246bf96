//! The desk at which everything about who may do what is asked and changed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use celeriac_db::{Database, DbTx};
use celeriac_protocol::{Clock, Timestamp, error_text};
use celeriac_store::StoreError;

use super::cache::Cache;
use super::password::Passwords;
use super::throttle::Throttle;
use super::{AccessError, AccessSettings};

/// How long a call waits for the note that it was made: the note is kept all the same.
const NOTE_WAIT: Duration = Duration::from_millis(100);

/// How often it is noted that a token or a session is used.
pub(super) const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Is responsible for who may do what: tokens, users, sessions, and the log of what they did. Cloning is cheap.
///
/// Several processes may each have one on the same database. What is revoked at one is refused at every other within
/// some seconds.
#[derive(Clone)]
pub struct AccessDesk {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    settings: AccessSettings,
    verified: Cache,
    passwords: Passwords,
    throttle: Throttle,
}

impl AccessDesk {
    /// Makes a desk on a database whose tables are up to date.
    ///
    /// # Errors
    /// A setting that can't be.
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        settings: AccessSettings,
    ) -> Result<Self, AccessError> {
        settings.validate()?;
        let inner = Inner {
            database,
            clock,
            settings,
            verified: Cache::default(),
            passwords: Passwords::new(),
            throttle: Throttle::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns how long logins last.
    pub fn settings(&self) -> &AccessSettings {
        &self.inner.settings
    }

    pub(super) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Returns the present on a clock that nobody sets, where there is one.
    pub(super) fn steady(&self) -> Duration {
        let by_wall = || Duration::from_micros(u64::try_from(self.now().as_micros()).unwrap_or(0));
        self.inner.clock.steady().unwrap_or_else(by_wall)
    }

    pub(super) fn verified(&self) -> &Cache {
        &self.inner.verified
    }

    pub(super) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    pub(super) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    /// Makes a change, and forgets what was verified before it.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        label: &'static str,
        work: impl AsyncFnOnce(&DbTx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AccessError> {
        let changed = self.database().write(label, work).await;
        self.verified().clear();
        Ok(changed?)
    }

    /// Writes a note that nobody's call depends on.
    pub(super) async fn note_use(
        &self,
        work: impl AsyncFnOnce(&DbTx) -> Result<(), StoreError> + Send + 'static,
    ) {
        if self.database().is_read_only() {
            return;
        }
        let noted = self.database().write("note use", work);
        tokio::select! {
            noted = noted => {
                if let Err(error) = noted {
                    tracing::debug!(error = error_text(&error), "that a token or a session was used is not noted");
                }
            }
            () = self.inner.clock.sleep(NOTE_WAIT) => {}
        }
    }
}

impl fmt::Debug for AccessDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessDesk").field("database", &self.database().name()).finish_non_exhaustive()
    }
}
