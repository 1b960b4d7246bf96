//! Wake-ups between processes: allowed to lose, since polling is the truth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::JobId;
use tokio::sync::{broadcast, mpsc, watch};

/// Carries short notices to every process on the same transport, this one included.
///
/// A notice may be lost or doubled; whoever listens also polls, and a notice only makes the next
/// poll come sooner.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Sends a notice; never blocks and never fails.
    fn notify(&self, notice: Notice);

    /// Begins to listen. Notices sent after this call are received.
    fn listen(&self) -> Notices;

    /// Waits until what was sent has gone to the other processes, or could not; two seconds at most. Whoever ends right
    /// after it has sent something asks for this, else nobody may hear of it.
    async fn flush(&self) {}
}

/// Receives notices; one that falls behind by more than the channel holds is told that it
/// lagged, and should then look at everything once.
pub type Notices = broadcast::Receiver<Notice>;

/// What a notice can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notice {
    /// Messages were put into this queue, or it was resumed.
    Queue(String),
    /// Somebody asked for this job to be cancelled: its holder had better look at its leases.
    Cancel(JobId),
    /// This job is to stop, whose message is in no queue, because it is run at most once: nobody
    /// but the worker that runs it knows of it.
    Stop {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// A named loop has something to do.
    Loop(String),
}

/// How long whoever ends waits for its notices to go.
const LONGEST_FLUSH: Duration = Duration::from_secs(2);

/// A bounded line of notices that are to be sent to other processes. What finds no room in it is lost, as notices may be.
#[derive(Debug)]
pub(crate) struct Unsent<T> {
    line: mpsc::Sender<T>,
    /// How many were put into the line.
    put: AtomicU64,
    /// How many have left it and were sent, or could not be.
    gone: watch::Sender<u64>,
}

impl<T> Unsent<T> {
    /// Makes a line of so many places. Whoever takes from its other end tells [`Unsent::note_gone`].
    pub(crate) fn new(places: usize) -> (Self, mpsc::Receiver<T>) {
        let (line, end) = mpsc::channel(places);
        (Self { line, put: AtomicU64::new(0), gone: watch::Sender::new(0) }, end)
    }

    /// Puts one into the line, if there is room.
    pub(crate) fn put(&self, one: T) {
        // Counted before it can be gone, so that nobody waits for less than there is.
        self.put.fetch_add(1, Ordering::SeqCst);
        if self.line.try_send(one).is_err() {
            self.note_gone(1);
        }
    }

    /// Notes that so many that were taken out of the line were sent, or could not be.
    pub(crate) fn note_gone(&self, count: usize) {
        self.gone.send_modify(|gone| *gone += count as u64);
    }

    /// Waits until all that were put in by now are gone, but not for long.
    pub(crate) async fn flush(&self) {
        let (put, mut gone) = (self.put.load(Ordering::SeqCst), self.gone.subscribe());
        // The sender lives as long as this.
        tokio::time::timeout(LONGEST_FLUSH, gone.wait_for(|gone| *gone >= put)).await.ok();
    }
}

/// Parts the two texts of a notice that has two.
const SEPARATOR: char = '\n';

impl Notice {
    /// Writes the notice as one letter for its kind and then its text; a reason comes last.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Queue(queue) => format!("q{queue}"),
            Self::Cancel(id) => format!("c{}", id.as_str()),
            Self::Stop { id, reason } => format!("s{}{SEPARATOR}{reason}", id.as_str()),
            Self::Loop(name) => format!("l{name}"),
        }
    }

    /// Reads a notice; what a newer version may send is nothing to this one.
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        let (kind, text) = text.split_first()?;
        let text = std::str::from_utf8(text).ok()?;
        match kind {
            b'q' => Some(Self::Queue(text.to_owned())),
            b'c' => JobId::parse(text).ok().map(Self::Cancel),
            b's' => {
                let (id, reason) = text.split_once(SEPARATOR)?;
                Some(Self::Stop { id: JobId::parse(id).ok()?, reason: reason.to_owned() })
            }
            b'l' => Some(Self::Loop(text.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_flushes_waits_for_what_was_put_before() {
        let (unsent, mut line) = Unsent::new(2);
        ["a", "b", "no room"].into_iter().for_each(|one| unsent.put(one));
        let gone = AtomicU64::new(0);
        let sends = async {
            while gone.load(Ordering::SeqCst) < 2 {
                line.recv().await.unwrap();
                tokio::task::yield_now().await;
                gone.fetch_add(1, Ordering::SeqCst);
                unsent.note_gone(1);
            }
        };
        let flushes = async {
            unsent.flush().await;
            gone.load(Ordering::SeqCst)
        };
        assert_eq!(tokio::join!(flushes, sends).0, 2);
        // There is nothing more to wait for.
        unsent.flush().await;
    }
}
