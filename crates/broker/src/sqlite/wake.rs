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
        let Some(datagram) = encode(notice) else { return };
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

/// Writes a notice; one that is too long is not sent, but for a reason, of which the beginning will do.
fn encode(notice: &Notice) -> Option<Vec<u8>> {
    let mut datagram = notice.to_text();
    if matches!(notice, Notice::Stop { .. }) {
        datagram.truncate(datagram.floor_char_boundary(LONGEST_DATAGRAM));
    }
    (datagram.len() <= LONGEST_DATAGRAM).then(|| datagram.into_bytes())
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
            Notice::Stop { id: JobId::parse("a-b").unwrap(), reason: "two\nlines".into() },
            Notice::Loop("beat".into()),
        ] {
            assert_eq!(Notice::from_text(&encode(&notice).unwrap()), Some(notice));
        }
        for junk in [&b""[..], b"z", b"q\xff", b"c", b"sa-b"] {
            assert_eq!(Notice::from_text(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn long_reason_is_cut_and_a_long_name_is_not_sent() {
        let id = JobId::parse("a-b").unwrap();
        let told = encode(&Notice::Stop { id: id.clone(), reason: "é".repeat(LONGEST_DATAGRAM) }).unwrap();
        let Some(Notice::Stop { id: read, reason }) = Notice::from_text(&told) else {
            unreachable!("it is one")
        };
        assert_eq!((read, reason.replace('é', "")), (id, String::new()));
        assert!(told.len() > LONGEST_DATAGRAM - 2);
        assert_eq!(encode(&Notice::Queue("q".repeat(LONGEST_DATAGRAM))), None);
    }
}
