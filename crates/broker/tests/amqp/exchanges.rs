//! Queues that hang on exchanges, as Celery's `task_queues` lays them out, and what is sent to exchanges.

use celeriac_broker::{AmqpOptions, Broker as _, BrokerError};
use celeriac_peers::shared::rabbitmq_corner;
use celeriac_protocol::{Envelope, error_text};
use lapin::ExchangeKind;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

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
        assert!(matches!(error, BrokerError::NotTaken { .. }), "{error:?}");
        assert!(error_text(&error).contains(word), "{}", error_text(&error));
    }
    corner.publish(to("exchange://news/feed", "good")).await;
    assert_eq!(wait_for(&corner.broker, "feeds").await.envelope.id, job("good"));
}

/// What the server gives back is told apart from what it has taken, whoever else publishes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_reaches_nobody_takes_no_other_with_it() {
    let corner = corner(&["feeds = news topic feed.#"]).await;
    let many = |from: usize| (from..from + 200).map(|n| message(&format!("m{n}"))).collect::<Vec<_>>();
    let mixed: Vec<Envelope> = many(0).into_iter().chain([to("exchange://news/film", "lost")]).collect();
    let broker = &corner.broker;
    let (mixed, plain, lost) = tokio::join!(
        broker.publish(mixed),
        broker.publish(many(200)),
        broker.publish(vec![to("exchange://nowhere/key", "away"), to("exchange://news/film", "lost too")]),
    );
    assert!(matches!(mixed, Err(BrokerError::NotTaken { .. })), "{mixed:?}");
    assert!(matches!(lost, Err(BrokerError::NotTaken { .. })), "{lost:?}");
    plain.unwrap();
    // Of the mixed ones nothing was published, and of the others each once.
    let mut seen = Vec::new();
    while let Some(got) = corner.get("celery").await {
        let headers = got.delivery.properties.headers().clone().unwrap();
        seen.push(headers.inner()["id"].clone());
    }
    let ids = (200..400).map(|n| AMQPValue::LongString(job(&format!("m{n}")).as_str().into()));
    let expected: Vec<AMQPValue> = ids.collect();
    assert_eq!(seen, expected);
}

/// Like any other queue, one that hangs on an exchange is declared again when it has gone.
#[tokio::test]
async fn bound_queue_that_went_is_declared_again() {
    let corner = corner(&["feeds = news topic feed.#"]).await;
    corner.publish(to("exchange://news/feed.a", "a")).await;
    corner.peer.queue_delete("feeds".into(), Default::default()).await.unwrap();
    corner.publish(to("exchange://news/feed.b", "b")).await;
    assert_eq!(wait_for(&corner.broker, "feeds").await.envelope.id, job("b"));
    corner.peer.exchange_delete("news".into(), Default::default()).await.unwrap();
    corner.publish(to("exchange://news/feed.c", "c")).await;
    assert_eq!(wait_for(&corner.broker, "feeds").await.envelope.id, job("c"));
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
