//! A server that goes and comes back, or holds its breath.

use std::time::Duration;

use celeriac_broker::{AmqpOptions, Broker as _, BrokerError, Gravity, Renewal, Settle, Settled};
use celeriac_peers::RabbitMq;
use celeriac_protocol::error_text;

use super::support::{Corner, LEASE, fetch, job, message, of_queue, open, settle, wait_for};

/// Idle, busy and in the middle of a publish: all go on when the server is back, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_of_the_server_costs_leases_and_no_messages() {
    let mut server = RabbitMq::start().unwrap();
    let corner = Corner::at(AmqpOptions::at(server.url("/"))).await;
    let (busy, idle) = (corner.another().await, corner.another().await);
    assert!(fetch(&idle, "idle", 1).await.deliveries.is_empty());
    corner.publish(message("held")).await;
    corner.publish(message("waiting")).await;
    let held = wait_for(&busy, "celery").await;
    server.kill();
    // Nobody is there: a call ends by its deadline.
    let unavailable = corner.broker.publish(vec![message("lost")]).await.unwrap_err();
    assert!(unavailable.is_retryable(), "{unavailable:?}");
    let server = tokio::task::spawn_blocking(move || {
        server.restart().unwrap();
        server
    });
    let _server = server.await.unwrap();
    assert_eq!(busy.renew(&[held.tag], LEASE).await.unwrap(), [Renewal::Lost]);
    assert_eq!(settle(&busy, held, Settle::Ack).await, Settled::LeaseLost);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let again = wait_for(&busy, "celery").await;
        seen.push((again.envelope.id.to_string(), again.lost));
        settle(&busy, again, Settle::Ack).await;
    }
    seen.sort();
    // What lay in the buffer of the one who vanished was his, too.
    assert_eq!(seen[0], ("held".to_owned(), 1));
    assert_eq!(seen[1].0, "waiting");
    let publishing = corner.publish(of_queue("idle", "for idle"));
    let (for_idle, ()) = tokio::join!(wait_for(&idle, "idle"), publishing);
    assert_eq!(for_idle.envelope.id, job("for idle"));
    assert!(fetch(&busy, "celery", 5).await.deliveries.is_empty());
}

/// A server that crashes says of everything it has that it comes again. That much comes from no holder who vanished: it is
/// handed out, and not moved behind the others first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_queue_of_a_server_that_crashed_is_handed_out_at_once() {
    let mut server = RabbitMq::start().unwrap();
    let corner = Corner::at(AmqpOptions::at(server.url("/"))).await;
    let ids: Vec<String> = (0..1_500).map(|number| format!("m{number}")).collect();
    corner.broker.publish(ids.iter().map(|id| message(id)).collect()).await.unwrap();
    server.kill();
    let server = tokio::task::spawn_blocking(move || {
        server.restart().unwrap();
        server
    });
    let _server = server.await.unwrap();
    let another = corner.another().await;
    let mut seen = Vec::new();
    while seen.len() < ids.len() {
        let delivery = wait_for(&another, "celery").await;
        seen.push((delivery.envelope.id.to_string(), delivery.lost));
        settle(&another, delivery, Settle::Ack).await;
    }
    // The first thousand may have been some holder's.
    assert_eq!(seen[0], ("m1000".to_owned(), 1));
    seen.sort();
    seen.dedup_by_key(|(id, _)| id.clone());
    assert_eq!(seen.len(), ids.len());
    assert!(fetch(&another, "celery", 5).await.deliveries.is_empty());
}

/// A server that answers nothing makes no call wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_server_is_unavailable_and_thawed_goes_on() {
    let server = RabbitMq::start().unwrap();
    let url = server.url("/");
    let broker = open(AmqpOptions { deadline: Duration::from_secs(3), ..AmqpOptions::at(url) }).await;
    broker.publish(vec![message("a")]).await.unwrap();
    server.freeze();
    assert!(broker.publish(vec![message("b")]).await.unwrap_err().is_retryable());
    let queues = ["celery".to_owned()];
    let request = celeriac_broker::FetchRequest { queues: &queues, max: 1, lease: LEASE, holder: "w" };
    assert!(broker.fetch(&request).await.unwrap_err().is_retryable());
    server.thaw();
    let mut seen = vec![wait_for(&broker, "celery").await.envelope.id.to_string()];
    // Nobody knows whether the second was taken; that is what `Unavailable` says.
    seen.push(match broker.publish(vec![message("b")]).await {
        Ok(_) => wait_for(&broker, "celery").await.envelope.id.to_string(),
        Err(error) => format!("{error:?}"),
    });
    assert_eq!(seen, ["a", "b"]);
}

/// One that takes nothing in is told apart from one that is away, and what it has can still be taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_that_is_short_of_memory_is_said_to_be() {
    let server = RabbitMq::start_with("vm_memory_high_watermark.absolute = 1MB").unwrap();
    let options = AmqpOptions { deadline: Duration::from_secs(2), ..AmqpOptions::at(server.url("/")) };
    let broker = open(options).await;
    let error = broker.publish(vec![message("a")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(error_text(&error).contains("short of memory or disk"), "{}", error_text(&error));
    assert!(fetch(&broker, "celery", 1).await.deliveries.is_empty());
    let dangers = broker.admin().dangers().await.unwrap();
    assert_eq!(dangers.iter().map(|danger| danger.gravity).collect::<Vec<_>>(), [Gravity::Serious]);
}

/// A call whose time is over leaves no consumer behind that is given messages and read by nobody, and costs no lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_that_is_cut_short_leaves_nobody_deaf() {
    let server = RabbitMq::start().unwrap();
    // Calls that are to be answered have to be within it on a busy machine, too.
    let options = AmqpOptions { deadline: Duration::from_secs(3), ..AmqpOptions::at(server.url("/")) };
    let broker = open(options).await;
    broker.publish(vec![message("held")]).await.unwrap();
    let held = wait_for(&broker, "celery").await;
    let queues = ["celery".to_owned()];
    for max in [5, 9] {
        server.freeze();
        let request = celeriac_broker::FetchRequest { queues: &queues, max, lease: LEASE, holder: "w" };
        assert!(broker.fetch(&request).await.unwrap_err().is_retryable());
        server.thaw();
    }
    let ids: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    broker.publish(ids.iter().map(|id| message(id)).collect()).await.unwrap();
    let mut seen = Vec::new();
    for _ in &ids {
        let delivery = wait_for(&broker, "celery").await;
        seen.push(delivery.envelope.id.to_string());
        settle(&broker, delivery, Settle::Ack).await;
    }
    seen.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(settle(&broker, held, Settle::Ack).await, Settled::Done);
}

/// What is in the second place of a list is used while the first is away, as by Celery.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_of_servers_is_gone_through_until_one_is_there() {
    let server = RabbitMq::start().unwrap();
    let url = format!("amqp://guest:guest@127.0.0.1:1//;{}", server.url("/"));
    let broker = open(AmqpOptions::at(url)).await;
    broker.publish(vec![message("a")]).await.unwrap();
    let delivery = wait_for(&broker, "celery").await;
    assert_eq!(settle(&broker, delivery, Settle::Ack).await, Settled::Done);
}

/// What is too large for the server is told apart from what is not, and nothing goes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_is_too_large_takes_no_other_with_it() {
    let server = RabbitMq::start_with("max_message_size = 200000").unwrap();
    let broker = open(AmqpOptions::at(server.url("/"))).await;
    let mut large = message("large");
    large.content.body = vec![b' '; 300_000];
    let mixed = vec![message("a"), message("b"), large, message("c")];
    let error = broker.publish(mixed).await.unwrap_err();
    assert!(matches!(error, BrokerError::NotTaken { .. }), "{error:?}");
    let taken: Vec<bool> = (0..4).map(|index| error.has_taken(index)).collect();
    assert_eq!(taken, [true, true, false, false]);
    assert!(error_text(&error).contains("message size"), "{}", error_text(&error));
    for id in ["a", "b"] {
        let delivery = wait_for(&broker, "celery").await;
        assert_eq!(delivery.envelope.id, job(id));
        settle(&broker, delivery, Settle::Ack).await;
    }
    assert!(fetch(&broker, "celery", 9).await.deliveries.is_empty());
}
