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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
