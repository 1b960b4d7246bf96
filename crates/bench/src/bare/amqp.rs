//! The very message that ours publishes, published with confirms and consumed by the client library with nothing around
//! it.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use celeriac_broker::{AmqpBroker, AmqpOptions, Broker as _};
use celeriac_engine::SystemClock;
use celeriac_protocol::Envelope;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};

use super::Rates;

const QUEUE: &str = "celery";

/// Measures one batch size, in an empty queue.
pub(super) async fn measure(
    url: &str,
    envelope: &Envelope,
    jobs: usize,
    batch: usize,
) -> anyhow::Result<Rates> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let message = as_ours_writes(url, envelope, &connection.create_channel().await?).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let start = Instant::now();
    for first in (0..jobs).step_by(batch) {
        publish(&channel, &message, batch.min(jobs - first)).await?;
    }
    let insert = Rates::a_second(jobs, start);
    let channel = connection.create_channel().await?;
    let start = Instant::now();
    drain(&channel, jobs, batch).await?;
    // Its answer comes behind the acknowledgements.
    channel.close(200, "done".into()).await?;
    let drain = Rates::a_second(jobs, start);
    connection.close(200, "done".into()).await?;
    Ok(Rates { batch, insert, drain })
}

/// Publishes a message by our own transport, and takes it out of the queue as the server has it.
async fn as_ours_writes(
    url: &str,
    envelope: &Envelope,
    channel: &Channel,
) -> anyhow::Result<BasicGetMessage> {
    let ours = AmqpBroker::open(AmqpOptions::at(url), Arc::new(SystemClock)).await?;
    ours.publish(vec![envelope.clone()]).await?;
    let message = channel.basic_get(QUEUE.into(), BasicGetOptions { no_ack: true }).await?;
    message.context("find the message that was published")
}

async fn publish(channel: &Channel, message: &BasicGetMessage, count: usize) -> anyhow::Result<()> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let sent = (0..count).map(|_| {
        let (data, properties) = (&message.delivery.data, message.delivery.properties.clone());
        channel.basic_publish("".into(), QUEUE.into(), options, data, properties)
    });
    let confirms = try_join_all(sent).await?;
    let all = try_join_all(confirms).await?;
    anyhow::ensure!(all.iter().all(lapin::Confirmation::is_ack), "the server did not take a message");
    Ok(())
}

/// Takes messages, never more than two batches ahead, and acknowledges each batch as one.
async fn drain(channel: &Channel, jobs: usize, batch: usize) -> anyhow::Result<()> {
    channel.basic_qos(u16::try_from(batch * 2)?, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    for number in 1..=jobs {
        let delivery = consumer.next().await.context("take a message")??;
        if number % batch == 0 || number == jobs {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}
