//! Tells a service manager how far a long-running command is (systemd's `sd_notify` protocol).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The command does its work from now on.
pub(crate) const READY: &str = "READY=1";

/// The command has begun to stop.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Sends a word to the service manager, where one asked for it; that it does not arrive harms nobody.
#[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
pub(crate) fn tell(word: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = address_of(&name)
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(%error, word, "service manager could not be told");
    }
}

fn address_of(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => abstract_address(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

/// Names that are no paths are Linux's own.
#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
