//! The socket on which this process is woken.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::LONGEST_DATAGRAM;
use crate::Notice;

/// The longest path that fits a socket's address on every Unix.
const LONGEST_ADDRESS: usize = 100;

/// Is responsible for one bound socket and for hearing on it; the file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    folder: PathBuf,
    name: OsString,
    hearing: JoinSet<()>,
}

impl Socket {
    /// Binds a socket of a fresh name in `folder` and passes on what it hears to `local`.
    pub(super) fn bind(folder: &Path, local: broadcast::Sender<Notice>) -> io::Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        fs::create_dir_all(folder)?;
        let name = OsString::from(format!("{}-{:08x}", std::process::id(), rand::random::<u32>()));
        let door = Door::open(folder)?;
        let socket = std::os::unix::net::UnixDatagram::bind(door.address(folder, &name))?;
        socket.set_nonblocking(true)?;
        let _context = runtime.enter();
        let socket = UnixDatagram::from_std(socket)?;
        let mut hearing = JoinSet::new();
        hearing.spawn_on(hear(socket, local), &runtime);
        Ok(Self { folder: folder.to_owned(), name, hearing })
    }

    /// Returns whether anybody hears on it: a runtime that was shut down has taken its task along.
    pub(super) fn is_alive(&self) -> bool {
        !self.hearing.is_empty() && self.folder.join(&self.name).exists()
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever comes later removes what is left behind here; the folder goes with its last socket.
        fs::remove_file(self.folder.join(&self.name)).ok();
        fs::remove_dir(&self.folder).ok();
    }
}

async fn hear(socket: UnixDatagram, local: broadcast::Sender<Notice>) {
    let mut datagram = [0; LONGEST_DATAGRAM];
    loop {
        match socket.recv(&mut datagram).await {
            Ok(length) => {
                if let Some(notice) = Notice::from_text(&datagram[..length]) {
                    local.send(notice).ok();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "wake-ups from other processes have ended, polling only");
                return;
            }
        }
    }
}

/// An open folder, by which a socket in it has a short address however deep the folder lies.
#[derive(Debug)]
pub(super) struct Door(fs::File);

impl Door {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::File::open(folder).map(Self)
    }

    /// Returns an address for the socket `name` that fits, where the system has one.
    pub(super) fn address(&self, folder: &Path, name: &OsStr) -> PathBuf {
        let plain = folder.join(name);
        if plain.as_os_str().len() <= LONGEST_ADDRESS {
            return plain;
        }
        Path::new("/proc/self/fd").join(self.0.as_raw_fd().to_string()).join(name)
    }
}
