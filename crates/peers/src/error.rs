//! What keeps a server from being there.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Says what keeps a server from being there, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// Its program is not installed.
    #[error("find `{program}` of {server}: not installed; `cargo xtask test --install` installs it")]
    NotInstalled {
        /// The server.
        server: &'static str,
        /// The program that was looked for.
        program: &'static str,
    },
    /// Something of the operating system failed.
    #[error("{action} for {server}")]
    System {
        /// The server.
        server: &'static str,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It ended, or said nothing, in place of being ready.
    #[error("wait for {server}: not ready after {waited:?}; the end of {}:\n{told}", log.display())]
    NotReady {
        /// The server.
        server: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// Where its output lies.
        log: PathBuf,
        /// The last lines of it.
        told: String,
    },
    /// It refused what a test needs of it.
    #[error("{action} at {server}: {told}")]
    Refused {
        /// The server.
        server: &'static str,
        /// What was asked for.
        action: &'static str,
        /// What it said.
        told: String,
    },
    /// Nobody has started it for the tests.
    #[error(
        "find {server}: {variable} is not set; run `cargo xtask test`, or `cargo xtask peers` and set what it prints"
    )]
    NotStarted {
        /// The server.
        server: &'static str,
        /// The variable that names it.
        variable: &'static str,
    },
}
