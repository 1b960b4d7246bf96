//! A named activity in the background: what it is called, how often it passes, what a pass did.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

/// A named activity in the background, run by the [`Driver`](crate::Driver) one pass at a time.
///
/// A pass does a bounded amount of work and returns; it asks to be run again soon where work
/// remains. What it has to remember between passes it keeps itself.
///
/// ```
/// use std::time::Duration;
/// use celeriac_control::{Loop, LoopCtx, LoopError, PassReport};
///
/// struct Tidy;
///
/// #[async_trait::async_trait]
/// impl Loop for Tidy {
///     fn name(&self) -> &'static str {
///         "tidy"
///     }
///     fn describe(&self) -> &'static str {
///         "removes what nobody asks for any more"
///     }
///     fn period(&self) -> Duration {
///         Duration::from_secs(3_600)
///     }
///     async fn pass(&self, _ctx: &LoopCtx) -> Result<PassReport, LoopError> {
///         Ok(PassReport::default().with("removed", 3))
///     }
/// }
/// ```
#[async_trait]
pub trait Loop: Send + Sync + 'static {
    /// The name that wakes it, and under which its status is shown.
    fn name(&self) -> &'static str;

    /// What it does, in one line for people.
    fn describe(&self) -> &'static str;

    /// How long it rests between two passes, unless it is woken.
    fn period(&self) -> Duration;

    /// Does a bounded amount of work.
    ///
    /// # Errors
    /// Any; it ends only this pass, and is shown until one succeeds.
    async fn pass(&self, ctx: &LoopCtx) -> Result<PassReport, LoopError>;
}

/// Why a pass failed: an error of any type.
pub type LoopError = Box<dyn Error + Send + Sync>;

/// What a pass is handed.
#[derive(Clone, Debug)]
pub struct LoopCtx {
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl LoopCtx {
    /// Puts a context together, as the driver does; a test of a single pass does so too.
    pub fn new(clock: Arc<dyn Clock>, stop: CancellationToken) -> Self {
        Self { clock, stop }
    }

    /// Returns the present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Says whether the pass should end early: the process is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Resolves when the process is about to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }
}

/// What a pass did, in numbers with names, and when the next is worth making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassReport {
    /// What was done, such as `("removed", 12)`, named in snake case.
    pub numbers: Vec<(&'static str, u64)>,
    /// Whether work remains, so that the next pass follows after the driver's shortest rest.
    pub more: bool,
    /// When the next pass is worth making, where that is before the period is over.
    pub next_at: Option<Timestamp>,
}

impl PassReport {
    /// Adds a number.
    #[must_use]
    pub fn with(mut self, name: &'static str, number: u64) -> Self {
        self.numbers.push((name, number));
        self
    }

    /// Says whether work remains.
    #[must_use]
    pub fn more(mut self, more: bool) -> Self {
        self.more = more;
        self
    }
}

impl fmt::Display for PassReport {
    /// Writes `looked_into 3, given_up 1`, or `nothing to do`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.numbers.iter().filter(|(_, number)| *number > 0);
        let Some((name, number)) = told.next() else { return f.write_str("nothing to do") };
        write!(f, "{name} {number}")?;
        told.try_for_each(|(name, number)| write!(f, ", {name} {number}"))
    }
}

/// A setting has a value that it can't have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("set {setting} of the {of} to {value}: {reason}")]
pub struct LoopSettingsError {
    /// Whose setting.
    pub of: &'static str,
    /// The setting.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}
