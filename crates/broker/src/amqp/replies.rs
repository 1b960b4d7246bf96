//! Results in the queues in which their clients wait: Celery's `rpc://`.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::{Clock, error_text};
use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer};
use tokio::task::JoinSet;

use super::link::{Link, failed, refused};
use super::options::AmqpOptions;
use super::publish::{NotTaken, Outgoing, confirmed, slices};
use super::topology::declare_replies;
use super::wire::short;
use crate::error::NotLetIn;
use crate::replies::ear::{AnswerEar, Hearing, hear_on};
use crate::{Answers, BrokerError, KeptResult, ReplyOptions, ResultStore};

/// Gone when the server goes, and written to disk.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// How often an answer is sent that the server says no to, and how long it has until the second time; each further pause
/// is twice as long. The job waits for that, which is done and recorded.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Sends results to those who wait for them, and hears those that are sent here.
///
/// Each is confirmed by the server before it counts. One whose queue has gone is dropped by the server without a word:
/// the client has gone, and its queue is never declared for it.
pub struct AmqpReplies {
    link: Arc<Link>,
    options: ReplyOptions,
    answers: Arc<Answers>,
    /// Hears as long as this lives.
    hearing: JoinSet<()>,
    clock: Arc<dyn Clock>,
}

impl AmqpReplies {
    /// Connects to the virtual host that the options name, where the queues are; `clock` says when answers come.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the options make no sense, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(
        amqp: &AmqpOptions,
        options: ReplyOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        amqp.validate()?;
        let name = format!("celeriac {} answers", std::process::id());
        let link = Arc::new(Link::new(amqp.places().await?, name, amqp.deadline));
        link.in_time(link.line()).await?;
        let answers = Arc::new(Answers::new(Arc::clone(&clock)));
        Ok(Self { link, options, answers, hearing: JoinSet::new(), clock })
    }

    /// Hears, too, what is sent to `queue`, which nobody else has: what asks for answers names it. The queue is there
    /// once this returns, and goes with the connection.
    ///
    /// # Errors
    /// The server can't be reached, or does not let us.
    pub async fn listening_on(mut self, queue: &str) -> Result<Self, BrokerError> {
        let (link, answers) = (Arc::clone(&self.link), Arc::clone(&self.answers));
        let mut ear = QueueEar { queue: queue.to_owned(), options: self.options, link, answers, first: None };
        ear.first = Some(self.link.in_time(ear.open()).await?);
        self.hearing.spawn(hear_on(ear, Arc::clone(&self.clock)));
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
        let mut left = Left::of(slice);
        while let Some(pause) = left.after(&self.publish_once(&left.answers).await?) {
            tokio::time::sleep(pause).await;
        }
        if !left.answers.is_empty() {
            dropped(left.answers.len(), &refused(format!("the server said no {TRIES} times")));
        }
        Ok(())
    }

    /// Publishes answers, and returns which of them were taken.
    async fn publish_once(&self, slice: &[&Outgoing]) -> Result<Vec<bool>, BrokerError> {
        let confirmations = self.link.in_time(async {
            // Whoever opened this was let in: that it is not so any more passes once an operator has seen to it.
            let line = self.link.line().await.map_err(passing)?;
            confirmed(&line, slice).await.map_err(rights_pass)
        });
        let is_taken = |answer: &Option<NotTaken>| !matches!(answer, Some(NotTaken::Nack));
        Ok(confirmations.await?.iter().map(is_taken).collect())
    }
}

/// Answers that are still to be sent: to those that the server says no to it may say yes a moment later, when there is
/// room, or a majority.
struct Left<'a> {
    answers: Vec<&'a Outgoing>,
    tries: u32,
}

impl<'a> Left<'a> {
    fn of(answers: &[&'a Outgoing]) -> Self {
        Self { answers: answers.to_vec(), tries: 0 }
    }

    /// Takes in which were taken; returns after which pause the others are to be sent, where that is worth it.
    fn after(&mut self, taken: &[bool]) -> Option<Duration> {
        self.answers = untaken(&self.answers, taken);
        let pause = BETWEEN_TRIES * 2_u32.pow(self.tries);
        self.tries += 1;
        (!self.answers.is_empty() && self.tries < TRIES).then_some(pause)
    }
}

/// Returns those that were not taken, but for what is outdated: who waits has heard later word of that job.
fn untaken<'a>(answers: &[&'a Outgoing], taken: &[bool]) -> Vec<&'a Outgoing> {
    let (mut left, mut told) = (Vec::new(), HashSet::new());
    for (answer, is_taken) in answers.iter().zip(taken).rev() {
        if *is_taken {
            told.insert(answer.whom());
        } else if !told.contains(&answer.whom()) {
            left.push(*answer);
        }
    }
    left.reverse();
    left
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
        BrokerError::Refused { source, .. } if source.is::<NotLetIn>() => {
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
    fn answers(&self) -> Option<&Answers> {
        Some(&self.answers)
    }

    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        let outgoing: Vec<Outgoing> = results.iter().filter_map(|result| self.write(result)).collect();
        for slice in slices(&outgoing.iter().collect::<Vec<_>>()) {
            self.send(slice).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for AmqpReplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpReplies").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Is responsible for hearing what is sent to one queue.
struct QueueEar {
    queue: String,
    options: ReplyOptions,
    link: Arc<Link>,
    answers: Arc<Answers>,
    /// The channel that hears from the beginning.
    first: Option<Open>,
}

/// A channel that hears; it is closed when it is dropped.
struct Open {
    consumer: Consumer,
    _channel: Channel,
}

#[async_trait]
impl AnswerEar for QueueEar {
    /// What is sent while there is no connection is lost, as it is to Celery's clients: the queue went with it.
    async fn hear(&mut self, hearing: &mut Hearing) -> Result<(), BrokerError> {
        let mut open = match self.first.take() {
            Some(first) => first,
            None => self.link.in_time(self.open()).await?,
        };
        hearing.note_open();
        while let Some(Ok(delivery)) = open.consumer.next().await {
            hearing.note_heard();
            self.take_in(&delivery.properties, delivery.data);
        }
        Ok(())
    }
}

impl QueueEar {
    /// Declares the queue and begins to hear.
    async fn open(&self) -> Result<Open, BrokerError> {
        let line = self.link.line().await?;
        let channel = line.channel().await?;
        declare_replies(&channel, &self.queue, self.options.expires).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let queue = short("queue", &self.queue).map_err(refused)?;
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        Ok(Open { consumer: consumer.await.map_err(failed)?, _channel: channel })
    }

    fn take_in(&self, properties: &BasicProperties, body: Vec<u8>) {
        match properties.correlation_id() {
            Some(correlation) => self.answers.take_in(correlation.as_str(), body),
            None => tracing::debug!("an answer that names no task was dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(correlation: &str, body: &str) -> Outgoing {
        let properties = BasicProperties::default().with_correlation_id(correlation.into());
        Outgoing::answer("client", properties, body.as_bytes().to_vec()).unwrap()
    }

    /// Says what is still to be sent, and after which pause.
    fn left_after(left: &mut Left<'_>, taken: &[bool]) -> (Vec<String>, Option<u64>) {
        let pause = left.after(taken).map(|pause| pause.as_millis() as u64);
        let bodies = left.answers.iter().map(|answer| String::from_utf8_lossy(answer.body()).into_owned());
        (bodies.collect(), pause)
    }

    #[test]
    fn what_the_server_says_no_to_is_sent_again() {
        let (a, b, c) = (answer("a", "1"), answer("b", "2"), answer("c", "3"));
        let mut left = Left::of(&[&a, &b, &c]);
        let again = left_after(&mut left, &[true, false, false]);
        assert_eq!(again, (vec!["2".to_owned(), "3".to_owned()], Some(100)));
        assert_eq!(left_after(&mut left, &[true, true]), (Vec::new(), None));
    }

    #[test]
    fn what_the_server_always_says_no_to_is_given_up() {
        let a = answer("a", "1");
        let mut left = Left::of(&[&a]);
        let pauses: Vec<Option<u64>> = (0..4).map(|_| left_after(&mut left, &[false]).1).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(400), None]);
        assert_eq!(left.answers.len(), 1);
    }

    #[test]
    fn nothing_is_sent_after_later_word_of_its_job() {
        let (begun, done) = (answer("a", "STARTED"), answer("a", "SUCCESS"));
        let mut left = Left::of(&[&begun, &done]);
        assert_eq!(left_after(&mut left, &[false, true]), (Vec::new(), None));
    }
}
