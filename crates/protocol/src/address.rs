//! Where a message is sent to: a queue, or an exchange that hands it on by its key.

/// How the address of an exchange begins.
const EXCHANGE: &str = "exchange://";

/// Where a message is sent to, as [`Envelope::queue`](crate::Envelope::queue) names it.
///
/// ```
/// use celeriac_protocol::Address;
/// assert_eq!(Address::of("celery"), Ok(Address::Queue("celery")));
/// let sport = Address::Exchange { name: "news", routing_key: "feed.sport" };
/// assert_eq!(Address::of("exchange://news/feed.sport"), Ok(sport));
/// assert_eq!(sport.to_string(), "exchange://news/feed.sport");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A queue, by its name.
    Queue(&'a str),
    /// An exchange of AMQP, whose bindings say which queues get a copy.
    Exchange {
        /// Its name.
        name: &'a str,
        /// What its bindings compare; empty for one that asks for none.
        routing_key: &'a str,
    },
}

/// An address can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write \"exchange://NAME/KEY\"; the name is missing")]
pub struct AddressError;

impl<'a> Address<'a> {
    /// Reads `exchange://NAME/KEY`, or the name of a queue, which is all else. Names and keys are taken as they stand;
    /// the key begins behind the first slash.
    ///
    /// # Errors
    /// The exchange has no name.
    pub fn of(text: &'a str) -> Result<Self, AddressError> {
        let Some(rest) = text.strip_prefix(EXCHANGE) else { return Ok(Self::Queue(text)) };
        let (name, routing_key) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() { Err(AddressError) } else { Ok(Self::Exchange { name, routing_key }) }
    }

    /// Says whether a text is the name of a queue.
    pub fn is_queue(text: &'a str) -> bool {
        matches!(Self::of(text), Ok(Self::Queue(_)))
    }
}

impl std::fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Queue(name) => f.write_str(name),
            Self::Exchange { name, routing_key } => write!(f, "{EXCHANGE}{name}/{routing_key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_taken_as_they_stand() {
        let exchange = |name, routing_key| Ok(Address::Exchange { name, routing_key });
        for (text, expected) in [
            ("", Ok(Address::Queue(""))),
            ("exchange:news", Ok(Address::Queue("exchange:news"))),
            ("exchange://news", exchange("news", "")),
            ("exchange://news/", exchange("news", "")),
            ("exchange://news/a/b=c", exchange("news", "a/b=c")),
            ("exchange://", Err(AddressError)),
            ("exchange:///key", Err(AddressError)),
        ] {
            assert_eq!(Address::of(text), expected, "{text}");
        }
    }
}
