//! A server that goes and comes back, or holds its breath.

use std::time::Duration;

use celeriac_broker::{AmqpOptions, Broker as _, Gravity, Renewal, Settle, Settled};
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

/// A server that answers nothing makes no call wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_server_is_unavailable_and_thawed_goes_on() {
    let server = RabbitMq::start().unwrap();
    let url = server.url("/");
    let broker = open(AmqpOptions { deadline: Duration::from_millis(500), ..AmqpOptions::at(url) }).await;
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
