//! What is declared: queues as Celery declares them, the levels of delayed messages, and places of our own.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Channel, ExchangeKind};

use super::Binding;
use super::delay::{self, LEVELS};
use super::link::{Line, code, failed, refused};
use super::options::AmqpOptions;
use super::wire::short;
use crate::BrokerError;

/// Where dead letters lie.
pub(super) const DEAD: &str = "celeriac.dead";

/// Where it is written which queues are paused.
pub(super) const PAUSED: &str = "celeriac.paused";

/// Where notices go from process to process.
pub(super) const NOTICES: &str = "celeriac.notices";

const DURABLE: QueueDeclareOptions = QueueDeclareOptions {
    passive: false,
    durable: true,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};

const DURABLE_EXCHANGE: ExchangeDeclareOptions = ExchangeDeclareOptions {
    passive: false,
    durable: true,
    auto_delete: false,
    internal: false,
    nowait: false,
};

/// Makes a queue's name of AMQP's.
///
/// # Errors
/// It is too long for one.
pub(super) fn name(queue: &str) -> Result<ShortString, BrokerError> {
    short("queue", queue).map_err(refused)
}

/// Makes sure that a queue is there, and hangs on the exchanges that it is to hang on. One that is there already is
/// used as it is, whatever its arguments.
pub(super) async fn declare_queue(
    line: &Line,
    queue: &str,
    options: &AmqpOptions,
) -> Result<(), BrokerError> {
    if line.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(queue) {
        return Ok(());
    }
    let name = name(queue)?;
    let bindings: Vec<&Binding> = options.bindings.iter().filter(|binding| binding.queue == queue).collect();
    if !exists(line, &name).await? {
        let channel = line.channel().await?;
        let arguments = queue_arguments(options);
        channel.queue_declare(name.clone(), DURABLE, arguments).await.map_err(failed)?;
        if bindings.is_empty() {
            bind_as_celery_does(&channel, &name).await?;
        }
    }
    for binding in bindings {
        bind(line, &name, binding).await?;
    }
    line.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned());
    Ok(())
}

/// Says whether a queue is there. Asking for one that is not closes the channel.
async fn exists(line: &Line, name: &ShortString) -> Result<bool, BrokerError> {
    Ok(count(line, name).await?.is_some())
}

/// Returns how many messages of a queue are ready, if it is there.
pub(super) async fn count(line: &Line, name: &ShortString) -> Result<Option<u32>, BrokerError> {
    let channel = line.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..DURABLE };
    match channel.queue_declare(name.clone(), passive, FieldTable::default()).await {
        Ok(queue) => Ok(Some(queue.message_count())),
        Err(error) if code(&error) == Some(404) => Ok(None),
        // Somebody has it to himself: it is there, and nothing for us.
        Err(error) => Err(failed(error)),
    }
}

fn queue_arguments(options: &AmqpOptions) -> FieldTable {
    let mut arguments = FieldTable::default();
    if let Some(highest) = options.max_priority {
        arguments.insert("x-max-priority".into(), AMQPValue::LongInt(highest.into()));
    }
    if options.quorum {
        arguments.insert("x-queue-type".into(), text("quorum"));
    }
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// Hangs a queue on an exchange, which is declared.
async fn bind(line: &Line, queue: &ShortString, binding: &Binding) -> Result<(), BrokerError> {
    let Binding { exchange, exchange_type, routing_key, .. } = binding;
    let channel = line.channel().await?;
    let exchange_name = short("exchange", exchange).map_err(refused)?;
    let (kind, nothing) = ((*exchange_type).into(), FieldTable::default());
    let declared =
        channel.exchange_declare(exchange_name.clone(), kind, DURABLE_EXCHANGE, nothing.clone()).await;
    declared.map_err(|error| match code(&error) {
        Some(406) => {
            refused(format!("exchange \"{exchange}\" is there and no durable {exchange_type} one: {error}"))
        }
        _ => failed(error),
    })?;
    let key = short("routing key", routing_key).map_err(refused)?;
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.clone(), exchange_name, key, options, nothing).await.map_err(failed)
}

/// Python's senders may publish to an exchange of the queue's name. An exchange that is of another kind
/// is somebody's choice, and binds the queue as he likes.
async fn bind_as_celery_does(channel: &Channel, name: &ShortString) -> Result<(), BrokerError> {
    let (kind, nothing) = (ExchangeKind::Direct, FieldTable::default());
    match channel.exchange_declare(name.clone(), kind, DURABLE_EXCHANGE, nothing.clone()).await {
        Ok(()) => {}
        Err(error) if matches!(code(&error), Some(403 | 406)) => {
            tracing::info!(queue = %name, %error, "the exchange of the queue's name is left as it is");
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    }
    let options = QueueBindOptions::default();
    channel.queue_bind(name.clone(), name.clone(), name.clone(), options, nothing).await.map_err(failed)
}

/// Declares a place of ours.
pub(super) async fn declare_own(channel: &Channel, queue: &'static str) -> Result<(), BrokerError> {
    channel.queue_declare(queue.into(), DURABLE, FieldTable::default()).await.map(drop).map_err(failed)
}

/// Declares the exchange of notices, and a queue of this process's own that hears them; returns its name.
pub(super) async fn declare_ear(channel: &Channel) -> Result<ShortString, BrokerError> {
    let kind = ExchangeKind::Fanout;
    channel
        .exchange_declare(NOTICES.into(), kind, DURABLE_EXCHANGE, FieldTable::default())
        .await
        .map_err(failed)?;
    let mut arguments = FieldTable::default();
    // A process that hears nothing for a minute looks around by itself anyway.
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(60_000));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(10_000));
    let own = QueueDeclareOptions { durable: false, exclusive: true, auto_delete: true, ..DURABLE };
    let queue = channel.queue_declare("".into(), own, arguments).await.map_err(failed)?;
    let name = queue.name().clone();
    let options = QueueBindOptions::default();
    channel
        .queue_bind(name.clone(), NOTICES.into(), "".into(), options, FieldTable::default())
        .await
        .map_err(failed)?;
    Ok(name)
}

/// The longest time that a queue may be told to lie unused, in milliseconds.
const LONGEST_EXPIRY: u128 = u32::MAX as u128;

/// Declares a queue in which this process waits for answers, as Celery's clients declare theirs.
pub(super) async fn declare_replies(
    channel: &Channel,
    queue: &str,
    expires: Option<Duration>,
) -> Result<(), BrokerError> {
    let mut arguments = FieldTable::default();
    if let Some(expires) = expires {
        let expires = expires.as_millis().clamp(1, LONGEST_EXPIRY);
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(expires as i64));
    }
    let own = QueueDeclareOptions { auto_delete: true, ..DURABLE };
    channel.queue_declare(name(queue)?, own, arguments).await.map(drop).map_err(failed)
}

/// Makes sure that delayed messages find their way to a queue.
pub(super) async fn declare_delay(line: &Line, queue: &str) -> Result<(), BrokerError> {
    if line.bound.lock().unwrap_or_else(PoisonError::into_inner).contains(queue) {
        return Ok(());
    }
    if !line.has_levels.load(Ordering::Relaxed) {
        declare_levels(line).await?;
        line.has_levels.store(true, Ordering::Relaxed);
    }
    let channel = line.channel().await?;
    let key = short("queue", &delay::queue_key(queue)).map_err(refused)?;
    let options = QueueBindOptions::default();
    let binding =
        channel.queue_bind(name(queue)?, delay::DELIVERY.into(), key, options, FieldTable::default());
    binding.await.map_err(failed)?;
    line.bound.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned());
    Ok(())
}

/// Declares the levels from the last to the first, so that what is there leads somewhere.
async fn declare_levels(line: &Line) -> Result<(), BrokerError> {
    let mut channel = line.channel().await?;
    declare_topic(&channel, delay::DELIVERY.into()).await?;
    for number in 0..LEVELS {
        let (level, next) = (delay::level(number), next_of(number));
        declare_topic(&channel, level.as_str().into()).await?;
        let declared =
            channel.queue_declare(level.as_str().into(), DURABLE, level_arguments(number, &next)).await;
        match declared {
            Ok(_) => {}
            // Python's apps may have them of another type; theirs do as well.
            Err(error) if code(&error) == Some(406) => channel = line.channel().await?,
            Err(error) => return Err(failed(error)),
        }
        bind_level(&channel, number, &level, &next).await?;
    }
    Ok(())
}

fn next_of(number: u32) -> String {
    number.checked_sub(1).map_or_else(|| delay::DELIVERY.to_owned(), delay::level)
}

async fn declare_topic(channel: &Channel, name: ShortString) -> Result<(), BrokerError> {
    let (kind, nothing) = (ExchangeKind::Topic, FieldTable::default());
    channel.exchange_declare(name, kind, DURABLE_EXCHANGE, nothing).await.map_err(failed)
}

fn level_arguments(number: u32, next: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(delay::wait_ms(number)));
    arguments.insert("x-dead-letter-exchange".into(), text(next));
    arguments
}

async fn bind_level(channel: &Channel, number: u32, level: &str, next: &str) -> Result<(), BrokerError> {
    let stay = short("key", &delay::level_key(number, "1")).map_err(refused)?;
    let pass = short("key", &delay::level_key(number, "0")).map_err(refused)?;
    let nothing = FieldTable::default();
    let options = QueueBindOptions::default();
    channel.queue_bind(level.into(), level.into(), stay, options, nothing.clone()).await.map_err(failed)?;
    let options = ExchangeBindOptions::default();
    channel.exchange_bind(next.into(), level.into(), pass, options, nothing).await.map_err(failed)
}
