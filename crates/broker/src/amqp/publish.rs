//! Publishing: many at a time, each confirmed by the server before it counts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use celeriac_protocol::Address;
use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};

use super::delay;
use super::link::{Line, Link, code, failed, is_passing, not_taken, unavailable};
use super::options::AmqpOptions;
use super::size;
use super::topology::{self, declare_delay, declare_queue};
use super::wire::Written;
use crate::{BrokerError, SLICE_BYTES};

/// How many messages are under way at a time: each such slice has a deadline.
const SLICE: usize = 500;

/// From how many bytes on a message is large: the least that a server is likely to be set to refuse.
const LARGE: usize = 128 << 10;

/// How often a slice is published that was not taken because a queue had gone.
const TRIES: usize = 2;

/// How long the levels of delayed messages may take: 28 replicated queues, once.
const LEVELS_WITHIN: Duration = Duration::from_secs(60);

/// A message and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    exchange: ShortString,
    routing_key: ShortString,
    /// Whether it is an error when no queue takes it.
    mandatory: bool,
    properties: BasicProperties,
    body: Vec<u8>,
    /// The queue of Celery's that it is for, which is declared before.
    queue: Option<String>,
    is_delayed: bool,
}

impl Outgoing {
    /// Sends a message where its address says, to wait for some seconds before.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: a name is no name there, or not for messages that wait.
    pub(super) fn to(address: &str, seconds: u64, written: Written) -> Result<Self, BrokerError> {
        match Address::of(address).map_err(|error| not_taken(error.to_string()))? {
            Address::Queue(queue) => Self::to_queue(queue, seconds, written),
            Address::Exchange { name, routing_key } if seconds == 0 => Ok(Self {
                exchange: topology::name(name)?,
                routing_key: topology::name(routing_key)?,
                mandatory: true,
                properties: written.properties,
                body: written.body,
                queue: None,
                is_delayed: false,
            }),
            Address::Exchange { .. } => {
                Err(not_taken(format!("messages for {address} can't wait for a time, those for a queue can")))
            }
        }
    }

    /// Says what it means that the server did not take it.
    fn failed(&self, why: NotTaken) -> BrokerError {
        let Self { exchange, routing_key, .. } = self;
        match why {
            NotTaken::NoQueue if self.is_for_exchange() => not_taken(format!(
                "no queue hangs on exchange \"{exchange}\" by a key that \"{routing_key}\" fits"
            )),
            NotTaken::NoExchange(error) => not_taken(error),
            // Rights can be given; a message does not shrink.
            NotTaken::Refused(error) if code(&error) == Some(403) => failed(error),
            NotTaken::Refused(error) => not_taken(error),
            why => unavailable(why),
        }
    }

    /// Says whether it goes to an exchange that is a user's, and which may have no queue for it.
    fn is_for_exchange(&self) -> bool {
        self.mandatory && self.queue.is_none() && !self.exchange.as_str().is_empty()
    }

    /// Returns the exchange of a user's that it goes to: where that is not there, all that is under way with it is refused.
    fn group(&self) -> Option<&str> {
        self.is_for_exchange().then(|| self.exchange.as_str())
    }

    /// Refuses what the server would end the connection for: the properties of a message come in one frame.
    fn check_size(&self, frame_max: usize) -> Result<(), BrokerError> {
        let bytes = size::of_header_frame(&self.properties);
        if bytes <= frame_max {
            return Ok(());
        }
        Err(not_taken(format!(
            "headers and properties have {bytes} bytes, and the server takes {frame_max} in one frame (its frame_max)"
        )))
    }

    /// Sends a message to a queue, to wait for some seconds before.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the queue's name is no name there, or not for messages that wait.
    fn to_queue(queue: &str, seconds: u64, written: Written) -> Result<Self, BrokerError> {
        let is_delayed = seconds > 0;
        if is_delayed && !delay::can_be_delayed(queue) {
            return Err(not_taken(format!(
                "messages of queue \"{queue}\" can't wait for a time: its name is longer than {} bytes or has * or # between dots",
                delay::LONGEST_QUEUE
            )));
        }
        let (exchange, key) = match is_delayed {
            true => (delay::level(delay::LEVELS - 1), delay::routing_key(seconds, queue)),
            false => (String::new(), queue.to_owned()),
        };
        Ok(Self {
            exchange: topology::name(&exchange)?,
            routing_key: topology::name(&key)?,
            mandatory: true,
            properties: written.properties,
            body: written.body,
            queue: Some(queue.to_owned()),
            is_delayed,
        })
    }

    /// Sends a message to a place of ours, which is declared.
    pub(super) fn to_own(place: &'static str, properties: BasicProperties, body: Vec<u8>) -> Self {
        let routing_key = ShortString::from(place);
        let exchange = ShortString::default();
        Self { exchange, routing_key, mandatory: true, properties, body, queue: None, is_delayed: false }
    }

    /// Sends a message to a queue of somebody else's. Where that has gone, nobody is told.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the queue's name is no name there.
    pub(super) fn answer(
        queue: &str,
        properties: BasicProperties,
        body: Vec<u8>,
    ) -> Result<Self, BrokerError> {
        let (exchange, routing_key) = (ShortString::default(), topology::name(queue)?);
        Ok(Self { exchange, routing_key, mandatory: false, properties, body, queue: None, is_delayed: false })
    }

    /// Returns of which job an answer tells, and to which queue.
    pub(super) fn whom(&self) -> (&str, Option<&str>) {
        let correlation = self.properties.correlation_id().as_ref();
        (self.routing_key.as_str(), correlation.map(ShortString::as_str))
    }

    /// Returns what it says.
    #[cfg(test)]
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Tells every process.
    pub(super) fn notice(body: Vec<u8>) -> Self {
        let (exchange, routing_key) = (topology::NOTICES.into(), ShortString::default());
        let properties = BasicProperties::default();
        Self { exchange, routing_key, mandatory: false, properties, body, queue: None, is_delayed: false }
    }
}

/// Is responsible for what goes to the server.
pub(super) struct Publisher {
    options: AmqpOptions,
    /// For messages. A server that is short of memory or disk stops reading here, and acknowledgements go by the other.
    outgoing: Arc<Link>,
    /// For declarations.
    incoming: Arc<Link>,
}

/// Why the server did not take a message.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// It has no room, or no majority.
    #[error("the server did not take it")]
    Nack,
    /// No queue is there for it.
    #[error("its queue has gone")]
    NoQueue,
    /// Its exchange is not there, at whose name the server closed the channel.
    #[error("its exchange is not there")]
    NoExchange(#[source] lapin::Error),
    /// The server closed the channel because of it, and will again.
    #[error("the server refuses it")]
    Refused(#[source] lapin::Error),
}

impl Publisher {
    pub(super) fn new(options: AmqpOptions, outgoing: Arc<Link>, incoming: Arc<Link>) -> Self {
        Self { options, outgoing, incoming }
    }

    /// Publishes messages and returns once the server has all of them: those for exchanges first, since no queue may be
    /// there for them, and then nothing else is; others in the given order.
    ///
    /// # Errors
    /// The server did not take all of them. Some may be there all the same; which, [`BrokerError::NotTaken`] tells.
    pub(super) async fn publish(&self, messages: &[Outgoing]) -> Result<(), BrokerError> {
        let mut left: Vec<&Outgoing> = messages.iter().collect();
        self.declare(&left).await?;
        left.sort_by_key(|message| (message.group().is_none(), message.group()));
        let error = match self.publish_groups(&mut left).await {
            Err(BrokerError::NotTaken { product, source, .. }) => {
                let is_left = |message: &Outgoing| left.iter().any(|other| std::ptr::eq(*other, message));
                let taken = messages.iter().map(|message| !is_left(message)).collect();
                BrokerError::NotTaken { product, taken, source }
            }
            published => return published,
        };
        Err(error)
    }

    /// Publishes one group after the other, and leaves those that the server has not taken.
    async fn publish_groups(&self, left: &mut Vec<&Outgoing>) -> Result<(), BrokerError> {
        self.check_sizes(left).await?;
        while let Some(first) = left.first() {
            let group = left.iter().take_while(|message| message.group() == first.group()).count();
            let slice = slice(&left[..group]).to_vec();
            let rest = left.split_off(slice.len());
            *left = slice;
            let published = self.publish_slice(left).await;
            left.extend(rest);
            published?;
        }
        Ok(())
    }

    /// Refuses all of them before any is sent, where one can't be.
    async fn check_sizes(&self, messages: &[&Outgoing]) -> Result<(), BrokerError> {
        let line = self.outgoing.in_time(self.outgoing.line()).await?;
        let Some(frame_max) = line.frame_max() else { return Ok(()) };
        messages.iter().try_for_each(|message| message.check_size(frame_max))
    }

    /// Publishes until the server has all of them; what it has not taken is tried once more, declared anew. Leaves what it
    /// has not taken.
    async fn publish_slice(&self, left: &mut Vec<&Outgoing>) -> Result<(), BrokerError> {
        for tries_left in (0..TRIES).rev() {
            let published = async {
                let line = self.outgoing.line().await?;
                answers(&line, left).await
            };
            let answers = self.outgoing.in_time(published).await?;
            let first =
                left.iter().zip(&answers).find_map(|(message, answer)| Some((*message, answer.clone()?)));
            let mut answers = answers.iter();
            left.retain(|_| answers.next().is_some_and(Option::is_some));
            match first {
                None => return Ok(()),
                Some((message, why)) if tries_left == 0 => return Err(message.failed(why)),
                Some(_) => {}
            }
            self.forget(left).await?;
            self.declare(left).await?;
        }
        Ok(())
    }

    /// Says whether the server has told that it takes nothing in.
    pub(super) fn is_blocked(&self) -> bool {
        self.outgoing.is_blocked()
    }

    /// Makes sure that the queues of these messages are there, and the way of those that wait.
    async fn declare(&self, messages: &[&Outgoing]) -> Result<(), BrokerError> {
        let mut seen: Option<(&str, bool)> = None;
        for message in messages {
            let Some(queue) = &message.queue else {
                self.declare_bound(message).await?;
                continue;
            };
            // Mostly all are for the same one.
            if seen == Some((queue, message.is_delayed)) {
                continue;
            }
            let line = self.incoming.in_time(async {
                let line = self.incoming.line().await?;
                declare_queue(&line, queue, &self.options).await?;
                Ok(line)
            });
            let line = line.await?;
            if message.is_delayed {
                let declared = tokio::time::timeout(LEVELS_WITHIN, declare_delay(&line, queue)).await;
                declared.unwrap_or_else(|late| Err(unavailable(late)))?;
            }
            seen = Some((queue, message.is_delayed));
        }
        Ok(())
    }

    /// Makes sure that the queues are there that are known to hang on the exchange of a message.
    async fn declare_bound(&self, message: &Outgoing) -> Result<(), BrokerError> {
        let exchange = message.exchange.as_str();
        for binding in self.options.bindings.iter().filter(|binding| binding.exchange == exchange) {
            let declared = async {
                let line = self.incoming.line().await?;
                declare_queue(&line, &binding.queue, &self.options).await
            };
            self.incoming.in_time(declared).await?;
        }
        Ok(())
    }

    /// Takes back that the queues of these messages are there.
    async fn forget(&self, messages: &[&Outgoing]) -> Result<(), BrokerError> {
        let line = self.incoming.in_time(self.incoming.line()).await?;
        let mut declared = line.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bound = line.bound.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in messages.iter().filter_map(|message| message.queue.as_ref()) {
            declared.remove(queue);
            bound.remove(queue);
        }
        for binding in &self.options.bindings {
            if messages.iter().any(|message| message.exchange.as_str() == binding.exchange) {
                declared.remove(&binding.queue);
            }
        }
        // The levels may have gone, too.
        line.has_levels.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Publishes messages, and returns why the server did not take each of them, where it did not; what it refuses for good
/// is an error.
pub(super) async fn confirmed(
    line: &Line,
    messages: &[&Outgoing],
) -> Result<Vec<Option<NotTaken>>, BrokerError> {
    let answers = answers(line, messages).await?.into_iter();
    let refused = |answer| match answer {
        Some(NotTaken::Refused(error)) => Err(failed(error)),
        answer => Ok(answer),
    };
    answers.map(refused).collect()
}

/// Publishes messages, and returns why the server did not take each of them, where it did not.
async fn answers(line: &Line, messages: &[&Outgoing]) -> Result<Vec<Option<NotTaken>>, BrokerError> {
    let confirming = line.confirming().await?;
    let sent = join_all(messages.iter().map(|message| send(&confirming.channel, message))).await;
    let mut confirms = Vec::with_capacity(sent.len());
    for confirm in sent {
        confirms.push(confirm.map_err(failed)?);
    }
    let said = join_all(confirms).await;
    line.put_back(confirming);
    // A message that is given back comes with the answer to any of them; where it was to go says which one it was.
    let returned = |said: &lapin::Result<Confirmation>| match said {
        Ok(Confirmation::Ack(Some(back)) | Confirmation::Nack(Some(back))) => {
            Some((back.delivery.exchange.clone(), back.delivery.routing_key.clone()))
        }
        _ => None,
    };
    let returned: Vec<(ShortString, ShortString)> = said.iter().filter_map(returned).collect();
    let is_returned = |message: &Outgoing| {
        let mut back = returned.iter();
        message.mandatory
            && back.any(|(exchange, key)| *exchange == message.exchange && *key == message.routing_key)
    };
    let answers = messages.iter().zip(said).map(|(message, said)| match said {
        Ok(Confirmation::Nack(_)) => Ok(Some(NotTaken::Nack)),
        Ok(_) => Ok(is_returned(message).then_some(NotTaken::NoQueue)),
        Err(error) if code(&error) == Some(404) && message.is_for_exchange() => {
            Ok(Some(NotTaken::NoExchange(error)))
        }
        Err(error) if !is_passing(&error) => Ok(Some(NotTaken::Refused(error))),
        Err(error) => Err(failed(error)),
    });
    answers.collect()
}

async fn send(channel: &Channel, message: &Outgoing) -> lapin::Result<lapin::PublisherConfirm> {
    let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
    let (exchange, key) = (message.exchange.clone(), message.routing_key.clone());
    channel.basic_publish(exchange, key, options, &message.body, message.properties.clone()).await
}

/// Parts messages into slices that one deadline is enough for.
pub(super) fn slices<'s, 'm>(messages: &'s [&'m Outgoing]) -> impl Iterator<Item = &'s [&'m Outgoing]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let slice = slice(rest);
        rest = &rest[slice.len()..];
        (!slice.is_empty()).then_some(slice)
    })
}

/// Returns the first of these messages that go together: one that is large goes alone, as the server may refuse it and
/// all that is under way with it.
fn slice<'s, 'm>(messages: &'s [&'m Outgoing]) -> &'s [&'m Outgoing] {
    let mut bytes = 0;
    let fits = |message: &&&Outgoing| {
        bytes += message.body.len();
        bytes <= SLICE_BYTES && message.body.len() < LARGE
    };
    let length = messages.iter().take(SLICE).take_while(fits).count().max(1).min(messages.len());
    &messages[..length]
}
