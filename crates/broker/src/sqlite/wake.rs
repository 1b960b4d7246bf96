//! Waking other processes on the same file: datagrams to sockets in a folder beside it.
//!
//! Every process that listens binds one socket there; whoever has news sends one datagram to each.
//! A full socket loses it, a dead process's socket is removed, and polling remains the truth.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

use self::peers::Peers;
use self::socket::Socket;
use crate::{Notice, Notices, Notifier};

mod peers;
mod socket;

/// How many notices a listener may fall behind before it is told that it lagged.
const NOTICES: usize = 256;

/// The longest notice that is sent to other processes; what is longer reaches them by polling.
const LONGEST_DATAGRAM: usize = 512;

/// Carries notices between all processes that have one SQLite file open.
#[derive(Debug)]
pub(super) struct SocketNotifier {
    local: broadcast::Sender<Notice>,
    folder: PathBuf,
    peers: Mutex<Peers>,
    /// Bound when somebody first listens.
    own: Mutex<Option<Socket>>,
}

impl SocketNotifier {
    /// Makes the notifier of the database at `path`; nothing is bound yet.
    pub(super) fn beside(path: &Path) -> Self {
        let mut folder = path.as_os_str().to_owned();
        folder.push(".sock.d");
        Self {
            local: broadcast::channel(NOTICES).0,
            folder: folder.into(),
            peers: Mutex::default(),
            own: Mutex::default(),
        }
    }

    /// Binds this process's socket, unless it is bound or there is no runtime to listen on it.
    fn bind(&self) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.as_ref().is_some_and(Socket::is_alive) {
            return;
        }
        *own = Socket::bind(&self.folder, self.local.clone())
            .inspect_err(|error| {
                tracing::debug!(%error, folder = %self.folder.display(), "no wake-ups from other processes, polling only");
            })
            .ok();
    }

    fn send_to_others(&self, notice: &Notice) {
        let datagram = encode(notice);
        if datagram.len() > LONGEST_DATAGRAM {
            return;
        }
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let own_name = own.as_ref().map(Socket::name).map(ToOwned::to_owned);
        drop(own);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.send(&self.folder, own_name.as_deref(), &datagram);
    }
}

impl Notifier for SocketNotifier {
    fn notify(&self, notice: Notice) {
        self.send_to_others(&notice);
        // Nobody listening in this process is no fault.
        self.local.send(notice).ok();
    }

    fn listen(&self) -> Notices {
        let notices = self.local.subscribe();
        self.bind();
        notices
    }
}

/// Writes a notice as one letter for its kind and then its text.
fn encode(notice: &Notice) -> Vec<u8> {
    let (kind, text) = match notice {
        Notice::Queue(queue) => (b'q', queue.as_str()),
        Notice::Cancel(id) => (b'c', id.as_str()),
        Notice::Loop(name) => (b'l', name.as_str()),
    };
    let mut datagram = Vec::with_capacity(1 + text.len());
    datagram.push(kind);
    datagram.extend_from_slice(text.as_bytes());
    datagram
}

/// Reads a notice; what a newer version may send is nothing to this one.
fn decode(datagram: &[u8]) -> Option<Notice> {
    let (kind, text) = datagram.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    match kind {
        b'q' => Some(Notice::Queue(text.to_owned())),
        b'c' => celeriac_protocol::JobId::parse(text).ok().map(Notice::Cancel),
        b'l' => Some(Notice::Loop(text.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use celeriac_protocol::JobId;

    use super::*;

    #[test]
    fn notices_read_back_and_junk_is_nothing() {
        for notice in [
            Notice::Queue("celery".into()),
            Notice::Cancel(JobId::parse("a-b").unwrap()),
            Notice::Loop("beat".into()),
        ] {
            assert_eq!(decode(&encode(&notice)), Some(notice));
        }
        for junk in [&b""[..], b"z", b"q\xff", b"c"] {
            assert_eq!(decode(junk), None, "{junk:?}");
        }
    }
}
