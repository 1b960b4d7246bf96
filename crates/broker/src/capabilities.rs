//! What a transport can do, asked rather than guessed.

/// Says what one transport can do. Nothing is faked to look equal: what is missing here is refused
/// with an error where it is asked for, and the conformance suite skips it with a visible line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The transport's name: `memory`, `sqlite`, `redis`.
    pub name: &'static str,
    /// It holds a message back until its due time by itself.
    pub native_delay: bool,
    /// It counts how often it handed a message out, also across crashes.
    pub delivery_count: bool,
    /// It keeps a second message with the same unique key out.
    pub unique_keys: bool,
    /// It can look a message up by id, and count exactly.
    pub lookup: bool,
    /// Workers that are none of ours may take from its queues, and say nothing of what they hold.
    pub shared: bool,
    /// It has exchanges that hand messages on to queues ([`Address`](celeriac_protocol::Address)).
    pub exchanges: bool,
    /// How many priorities it tells apart, [`MAX_PRIORITY`](celeriac_protocol::MAX_PRIORITY) + 1 at most.
    pub priorities: u8,
    /// It writes inside the caller's own database transaction ([`crate::SqlBroker`]).
    pub transactional: bool,
    /// Messages outlive the process that published them.
    pub durable: bool,
    /// What is given back at once is first in line again.
    pub keeps_place: bool,
    /// Leases and due times go by the clock that was handed in, or can. Where they do not, only the
    /// server's own clock moves them, and a lease ends with its connection.
    pub given_clock: bool,
    /// It pushes to whoever has asked before, and tells nobody else that a message has come.
    pub push: bool,
}
