//! The signals that stop a running process.

use std::fmt;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Code, Failure, Result};

/// Is responsible for hearing Ctrl-C and SIGTERM, one after the other.
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, as service managers send it.
    Terminate,
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        })
    }
}

impl Shutdown {
    /// Begins to listen; from now on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self> {
        let hear = |kind| {
            signal(kind).map_err(|error| {
                Failure::failed_to(Code::Unavailable, "listen for signals").caused_by(&error)
            })
        };
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: hear(SignalKind::terminate())? })
    }

    /// Resolves at the next signal.
    pub(crate) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}
