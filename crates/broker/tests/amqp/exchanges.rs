//! Queues that hang on exchanges, as Celery's `task_queues` lays them out, and what is sent to exchanges.

use celeriac_broker::{AmqpOptions, Broker as _, BrokerError};
use celeriac_peers::shared::rabbitmq_corner;
use celeriac_protocol::{Envelope, error_text};
use lapin::ExchangeKind;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;

use super::support::{Corner, fetch, job, message, wait_for};

async fn corner(bindings: &[&str]) -> Corner {
    let bindings = bindings.iter().map(|binding| binding.parse().unwrap()).collect();
    Corner::at(AmqpOptions { bindings, ..AmqpOptions::at(rabbitmq_corner().unwrap()) }).await
}

fn to(address: &str, id: &str) -> Envelope {
    Envelope { queue: address.to_owned(), ..message(id) }
}

#[tokio::test]
async fn topic_reaches_each_queue_whose_key_fits() {
    let corner = corner(&["feeds = news topic feed.#", "sport = news topic *.sport"]).await;
    corner.publish(to("exchange://news/feed.sport", "both")).await;
    corner.publish(to("exchange://news/feed.a.b", "one")).await;
    for (queue, id) in [("feeds", "both"), ("feeds", "one"), ("sport", "both")] {
        let delivery = wait_for(&corner.broker, queue).await;
        assert_eq!((&delivery.envelope.id, delivery.envelope.queue.as_str()), (&job(id), queue));
    }
    assert!(fetch(&corner.broker, "sport", 1).await.deliveries.is_empty());
}

#[tokio::test]
async fn fanout_reaches_all_and_direct_the_very_key() {
    let corner = corner(&["a = all fanout", "b = all fanout", "c = some direct key"]).await;
    corner.publish(to("exchange://all", "everybody")).await;
    corner.publish(to("exchange://some/key", "one")).await;
    for (queue, id) in [("a", "everybody"), ("b", "everybody"), ("c", "one")] {
        assert_eq!(wait_for(&corner.broker, queue).await.envelope.id, job(id));
    }
}

/// A worker that comes first lays out what Python's senders publish to.
#[tokio::test]
async fn worker_hangs_its_queue_on_the_exchange() {
    let corner = corner(&["feeds = news topic feed.#"]).await;
    assert!(fetch(&corner.broker, "feeds", 1).await.deliveries.is_empty());
    let written = corner.peer.basic_publish(
        "news".into(),
        "feed.late".into(),
        BasicPublishOptions { mandatory: true, immediate: false },
        b"[]",
        Default::default(),
    );
    // Nothing came back: a queue has it.
    assert_eq!(written.await.unwrap().await.unwrap().take_message(), None);
}

#[tokio::test]
async fn what_reaches_nobody_is_refused_and_says_so() {
    let corner = corner(&["feeds = news topic feed.#"]).await;
    for (address, word) in [
        ("exchange://news/film", "no queue hangs on exchange \"news\""),
        ("exchange://nowhere/key", "no exchange 'nowhere'"),
        ("exchange://", "the name is missing"),
    ] {
        let error = corner.broker.publish(vec![to(address, "a")]).await.unwrap_err();
        assert!(matches!(error, BrokerError::Refused { .. }), "{error:?}");
        assert!(error_text(&error).contains(word), "{}", error_text(&error));
    }
    corner.publish(to("exchange://news/feed", "good")).await;
    assert_eq!(wait_for(&corner.broker, "feeds").await.envelope.id, job("good"));
}

#[tokio::test]
async fn exchange_of_another_type_is_named() {
    let corner = corner(&["feeds = news topic feed.#"]).await;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let nothing = FieldTable::default();
    corner.peer.exchange_declare("news".into(), ExchangeKind::Fanout, durable, nothing).await.unwrap();
    let error = corner.broker.publish(vec![to("feeds", "a")]).await.unwrap_err();
    assert!(!error.is_retryable(), "{error:?}");
    assert!(error_text(&error).contains("exchange \"news\" is there and no durable topic one"), "{error:?}");
}
