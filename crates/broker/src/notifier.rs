//! Wake-ups between processes: allowed to lose, since polling is the truth.

use celeriac_protocol::JobId;
use tokio::sync::broadcast;

/// Carries short notices to every process on the same transport, this one included.
///
/// A notice may be lost or doubled; whoever listens also polls, and a notice only makes the next
/// poll come sooner.
pub trait Notifier: Send + Sync + 'static {
    /// Sends a notice; never blocks and never fails.
    fn notify(&self, notice: Notice);

    /// Begins to listen. Notices sent after this call are received.
    fn listen(&self) -> Notices;
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
