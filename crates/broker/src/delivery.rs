//! One message held by one worker until settled.

use celeriac_protocol::{Content, Envelope, Timestamp};

/// Names one lease on one message. A tag is never used twice: a message that is handed out again
/// comes under a new one, so a late worker can't settle the next holder's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseTag {
    /// Finds the message within its transport.
    pub key: i64,
    /// Tells this lease from earlier ones.
    pub fence: i64,
}

/// One message held by one worker.
///
/// It can't be cloned, and a [`Settlement`] takes it by value: what is dropped unsettled is handed
/// out again when its lease ends.
#[derive(Debug)]
#[must_use = "a delivery must be settled, or it is handed out again when its lease ends"]
pub struct Delivery {
    /// The message.
    pub envelope: Envelope,
    /// The lease.
    pub tag: LeaseTag,
    /// How often the message has been handed out, this time included: from 1, never goes back.
    pub delivery: u32,
    /// Which attempt this is: from 1. Hand-outs that were given back uncharged do not count.
    pub attempt: u32,
    /// How many holders in a row vanished without settling. The worker dead-letters the message
    /// when it reaches `max_deliveries`; the transport only counts.
    pub lost: u32,
    /// When the lease ends unless renewed, by the transport's clock.
    pub leased_until: Timestamp,
    /// Why the job is to be cancelled, where somebody asked for that while it was held before.
    pub cancel_requested: Option<String>,
}

/// What is to become of a held message.
#[derive(Clone, Debug)]
pub enum Settle {
    /// It is done with: remove it.
    Ack,
    /// It is to be handed out again.
    Requeue {
        /// New content (a retry counts up in the headers); `None` leaves it as it is.
        content: Option<Content>,
        /// Not before, and from now on the envelope's due time; `None` is at once and at its old place in
        /// the queue.
        due_at: Option<Timestamp>,
        /// Whether this hand-out counts as an attempt.
        charged: bool,
    },
    /// It goes to the dead letters, bytes and all.
    Reject {
        /// The kind of failure in one word (`unknown_task`).
        reason: String,
        /// What a person reads.
        detail: String,
    },
}

/// A delivery and what is to become of it.
#[derive(Debug)]
pub struct Settlement {
    /// The delivery, given up by this.
    pub delivery: Delivery,
    /// What becomes of it.
    pub settle: Settle,
}

impl Settlement {
    /// Returns the same delivery with another fate, for one of which nothing was done because what
    /// goes with it was refused. Should both be tried after all, the lease lets only one count.
    #[must_use]
    pub fn otherwise(&self, settle: Settle) -> Self {
        let Delivery { envelope, tag, delivery, attempt, lost, leased_until, cancel_requested } =
            &self.delivery;
        let delivery = Delivery {
            envelope: envelope.clone(),
            tag: *tag,
            delivery: *delivery,
            attempt: *attempt,
            lost: *lost,
            leased_until: *leased_until,
            cancel_requested: cancel_requested.clone(),
        };
        Self { delivery, settle }
    }
}

/// What a settlement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was done.
    Done,
    /// The lease had ended: the message belongs to somebody else by now, and nothing was changed.
    LeaseLost,
}

/// What a renewal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease holds on.
    Held {
        /// Why the job is to be cancelled, where somebody asked for that.
        cancel_requested: Option<String>,
    },
    /// The lease had ended: stop working on it, whatever comes out will not be accepted.
    Lost,
}
