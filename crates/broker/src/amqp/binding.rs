//! How a queue hangs on an exchange that is not its own: Celery's `task_queues`.

use std::fmt;
use std::str::FromStr;

use lapin::ExchangeKind;

/// Hangs a queue on an exchange, so that what is sent there comes into it: an entry of Celery's `task_queues`.
///
/// ```
/// use celeriac_broker::{Binding, ExchangeType};
/// let binding: Binding = "feeds = news topic feed.#".parse()?;
/// assert_eq!((binding.queue.as_str(), binding.exchange_type), ("feeds", ExchangeType::Topic));
/// # Ok::<(), celeriac_broker::BindingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The queue.
    pub queue: String,
    /// The exchange.
    pub exchange: String,
    /// How the exchange hands on.
    pub exchange_type: ExchangeType,
    /// By which key: for a topic one with `*` for a word and `#` for any number of them, empty for a fanout.
    pub routing_key: String,
}

/// How an exchange finds the queues of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeType {
    /// Those of the very key.
    Direct,
    /// Those whose pattern fits the key.
    Topic,
    /// All of them.
    Fanout,
}

/// A binding can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// It has another form.
    #[error("write a binding as \"QUEUE = EXCHANGE direct|topic|fanout KEY\"")]
    Form,
    /// There is no such type.
    #[error("exchanges of type \"{0}\" are not known; write direct, topic or fanout")]
    Type(String),
    /// Its type asks for another key.
    #[error("{0}")]
    Key(&'static str),
}

impl FromStr for Binding {
    type Err = BindingError;

    /// Reads `QUEUE = EXCHANGE TYPE KEY`; a fanout has no key.
    fn from_str(text: &str) -> Result<Self, BindingError> {
        let (queue, rest) = text.split_once('=').ok_or(BindingError::Form)?;
        let mut words = rest.split_whitespace();
        let (Some(exchange), Some(kind)) = (words.next(), words.next()) else {
            return Err(BindingError::Form);
        };
        let routing_key = words.next().unwrap_or_default();
        if queue.trim().is_empty() || words.next().is_some() {
            return Err(BindingError::Form);
        }
        let exchange_type = match kind {
            "direct" => ExchangeType::Direct,
            "topic" => ExchangeType::Topic,
            "fanout" => ExchangeType::Fanout,
            other => return Err(BindingError::Type(other.to_owned())),
        };
        match (exchange_type, routing_key.is_empty()) {
            (ExchangeType::Fanout, false) => {
                Err(BindingError::Key("a fanout hands on to all and has no key"))
            }
            (ExchangeType::Direct | ExchangeType::Topic, true) => {
                Err(BindingError::Key("say by which key the queue is bound"))
            }
            _ => Ok(Self {
                queue: queue.trim().to_owned(),
                exchange: exchange.to_owned(),
                exchange_type,
                routing_key: routing_key.to_owned(),
            }),
        }
    }
}

impl fmt::Display for ExchangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Topic => "topic",
            Self::Fanout => "fanout",
        })
    }
}

impl From<ExchangeType> for ExchangeKind {
    fn from(kind: ExchangeType) -> Self {
        match kind {
            ExchangeType::Direct => Self::Direct,
            ExchangeType::Topic => Self::Topic,
            ExchangeType::Fanout => Self::Fanout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_binding_is_refused() {
        for (text, reason) in [
            ("feeds", "write a binding"),
            ("= news topic a", "write a binding"),
            ("feeds = news", "write a binding"),
            ("feeds = news topic a b", "write a binding"),
            ("feeds = news headers a", "exchanges of type \"headers\""),
            ("feeds = news topic", "say by which key"),
            ("feeds = news fanout a", "a fanout"),
        ] {
            let error = text.parse::<Binding>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }

    #[test]
    fn fanout_needs_no_key() {
        let binding: Binding = " all.here=alerts fanout ".parse().unwrap();
        assert_eq!((binding.queue.as_str(), binding.exchange.as_str()), ("all.here", "alerts"));
        assert_eq!((binding.exchange_type, binding.routing_key.as_str()), (ExchangeType::Fanout, ""));
    }
}
