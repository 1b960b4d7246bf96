//! The other processes' sockets, as far as they are known.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::SystemTime;

use super::socket::Door;

/// After so many sends the folder is read again even though its time stamp is the same: the stamp
/// is coarse, and two changes within a few milliseconds may share one.
const SENDS_PER_LISTING: u32 = 64;

/// Is responsible for the list of sockets, read again whenever the folder has changed.
#[derive(Debug, Default)]
pub(super) struct Peers {
    sender: Option<UnixDatagram>,
    door: Option<Door>,
    names: Vec<OsString>,
    listed_at: Option<SystemTime>,
    sends_left: u32,
}

impl Peers {
    /// Sends a datagram to every socket but `own`; what can't be sent at once is lost.
    pub(super) fn send(&mut self, folder: &Path, own: Option<&OsStr>, datagram: &[u8]) {
        if self.refresh(folder).is_err() {
            // No folder, no listener.
            *self = Self { sender: self.sender.take(), ..Self::default() };
            return;
        }
        let (Some(sender), Some(door)) = (&self.sender, &self.door) else { return };
        let others = self.names.iter().filter(|name| Some(name.as_os_str()) != own);
        for name in others {
            let sent = sender.send_to(datagram, door.address(folder, name));
            if sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                // Its process died without taking its socket along.
                fs::remove_file(folder.join(name)).ok();
            }
        }
    }

    fn refresh(&mut self, folder: &Path) -> io::Result<()> {
        let changed_at = fs::metadata(folder)?.modified()?;
        if self.listed_at == Some(changed_at) && self.sends_left > 0 {
            self.sends_left -= 1;
            return Ok(());
        }
        if self.sender.is_none() {
            let sender = UnixDatagram::unbound()?;
            sender.set_nonblocking(true)?;
            self.sender = Some(sender);
        }
        self.door = Some(Door::open(folder)?);
        self.names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        self.listed_at = Some(changed_at);
        self.sends_left = SENDS_PER_LISTING;
        Ok(())
    }
}
