//! Results in the queues in which their clients wait: Celery's `rpc://`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use celeriac_protocol::{JobId, error_text};
use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer};
use tokio::task::JoinSet;

use super::link::{FIRST_PAUSE, LONGEST_PAUSE, Link, code, failed, refused};
use super::options::AmqpOptions;
use super::publish::{NotTaken, Outgoing, confirmed, slices};
use super::topology::declare_replies;
use super::wire::short;
use crate::replies::Inbox;
use crate::{BrokerError, KeptResult, ReplyOptions, ResultStore};

/// Gone when the server goes, and written to disk.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// Sends results to those who wait for them, and hears those that are sent here.
///
/// Each is confirmed by the server before it counts. One whose queue has gone is dropped by the server without a word:
/// the client has gone, and its queue is never declared for it.
pub struct AmqpReplies {
    link: Arc<Link>,
    options: ReplyOptions,
    inbox: Arc<Inbox>,
    /// Hears as long as this lives.
    hearing: JoinSet<()>,
}

impl AmqpReplies {
    /// Connects to the virtual host that the options name, where the queues are.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the options make no sense, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(amqp: &AmqpOptions, options: ReplyOptions) -> Result<Self, BrokerError> {
        amqp.validate()?;
        let name = format!("celeriac {} answers", std::process::id());
        let link = Arc::new(Link::new(amqp.place()?, name, amqp.deadline));
        link.in_time(link.line()).await?;
        Ok(Self { link, options, inbox: Arc::default(), hearing: JoinSet::new() })
    }

    /// Hears, too, what is sent to `queue`, which nobody else has: what asks for answers names it. The queue is there
    /// once this returns, and goes with the connection.
    ///
    /// # Errors
    /// The server can't be reached, or does not let us.
    pub async fn listening_on(mut self, queue: &str) -> Result<Self, BrokerError> {
        let (link, inbox) = (Arc::clone(&self.link), Arc::clone(&self.inbox));
        let ear = Ear { queue: queue.to_owned(), options: self.options, link, inbox };
        let first = self.link.in_time(ear.open()).await?;
        self.hearing.spawn(ear.hear(first));
        Ok(self)
    }

    /// Writes an answer as Celery does; `None` where nobody waits, or where the client has named what can't be.
    fn write(&self, result: &KeptResult) -> Option<Outgoing> {
        let reply_to = result.reply_to.as_ref()?;
        let correlation = reply_to.correlation.as_deref().unwrap_or(result.id.as_str());
        let serializer = self.options.serializer;
        let written = short("correlation id", correlation).map_err(refused).and_then(|correlation| {
            let properties = BasicProperties::default()
                .with_content_type(serializer.content_type().into())
                .with_content_encoding(serializer.content_encoding().into())
                .with_headers(FieldTable::default())
                .with_delivery_mode(if self.options.persistent { PERSISTENT } else { TRANSIENT })
                .with_priority(0)
                .with_correlation_id(correlation);
            Outgoing::answer(&reply_to.queue, properties, result.body.clone())
        });
        written.inspect_err(|error| dropped(1, error)).ok()
    }

    /// Sends answers together. Where the server takes one of them amiss, each goes alone, and that one is dropped: its
    /// job is done and recorded, and is not to suffer for a client that can't be told.
    async fn send(&self, slice: &[&Outgoing]) -> Result<(), BrokerError> {
        match self.publish(slice).await {
            Err(BrokerError::Refused { .. }) if slice.len() > 1 => {
                for one in slice.chunks(1) {
                    self.publish(one).await.or_else(unless_refused)?;
                }
                Ok(())
            }
            sent => sent.or_else(unless_refused),
        }
    }

    async fn publish(&self, slice: &[&Outgoing]) -> Result<(), BrokerError> {
        let confirmations = self.link.in_time(async {
            // Whoever opened this was let in: that it is not so any more passes once an operator has seen to it.
            let line = self.link.line().await.map_err(passing)?;
            confirmed(&line, slice).await.map_err(rights_pass)
        });
        let is_nack = |answer: &Option<NotTaken>| matches!(answer, Some(NotTaken::Nack));
        let full = confirmations.await?.iter().filter(|answer| is_nack(answer)).count();
        if full > 0 {
            dropped(full, &refused("their queue is full"));
        }
        Ok(())
    }
}

fn passing(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Refused { product, source } => BrokerError::Unavailable { product, source },
        other => other,
    }
}

/// That the server does not let us publish passes, too; what is wrong with a message does not.
fn rights_pass(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Refused { source, .. }
            if source.downcast_ref::<lapin::Error>().and_then(code) == Some(403) =>
        {
            BrokerError::Unavailable { product: super::PRODUCT, source }
        }
        other => other,
    }
}

fn unless_refused(error: BrokerError) -> Result<(), BrokerError> {
    if error.is_retryable() {
        return Err(error);
    }
    dropped(1, &error);
    Ok(())
}

fn dropped(answers: usize, error: &BrokerError) {
    tracing::warn!(
        answers,
        error = error_text(error),
        "answers were not taken by the server, and are dropped"
    );
}

#[async_trait]
impl ResultStore for AmqpReplies {
    fn is_sent(&self) -> bool {
        true
    }

    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        let outgoing: Vec<Outgoing> = results.iter().filter_map(|result| self.write(result)).collect();
        for slice in slices(&outgoing.iter().collect::<Vec<_>>()) {
            self.send(slice).await?;
        }
        Ok(())
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, BrokerError> {
        Ok(self.inbox.get(ids))
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), BrokerError> {
        self.inbox.forget(ids);
        Ok(())
    }
}

impl fmt::Debug for AmqpReplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpReplies").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Is responsible for hearing what is sent to one queue.
struct Ear {
    queue: String,
    options: ReplyOptions,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
}

/// A channel that hears; it is closed when it is dropped.
struct Hearing {
    consumer: Consumer,
    _channel: Channel,
}

impl Ear {
    /// Declares the queue and begins to hear.
    async fn open(&self) -> Result<Hearing, BrokerError> {
        let line = self.link.line().await?;
        let channel = line.channel().await?;
        declare_replies(&channel, &self.queue, self.options.expires).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let queue = short("queue", &self.queue).map_err(refused)?;
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        Ok(Hearing { consumer: consumer.await.map_err(failed)?, _channel: channel })
    }

    /// Hears until it is dropped, and connects again whenever it has to. What was sent meanwhile is lost, as it is to
    /// Celery's clients: the queue went with the connection.
    async fn hear(self, first: Hearing) {
        let mut hearing = Some(first);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(mut hearing) = hearing.take() {
                while let Some(Ok(delivery)) = hearing.consumer.next().await {
                    pause = FIRST_PAUSE;
                    self.take_in(&delivery.properties, delivery.data);
                }
                tracing::debug!(queue = self.queue, "the channel for answers has ended, opening another");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            hearing = self.link.in_time(self.open()).await.ok();
        }
    }

    fn take_in(&self, properties: &BasicProperties, body: Vec<u8>) {
        match properties.correlation_id() {
            Some(correlation) => self.inbox.take_in(correlation.as_str(), body),
            None => tracing::debug!("an answer that names no task was dropped"),
        }
    }
}
