//! Beside Python: what it finds in the queues, and what it leaves there.

use celeriac_broker::{AmqpBroker, AmqpOptions, Broker as _, BrokerError, Settle};
use celeriac_peers::shared::rabbitmq_corner;
use celeriac_protocol::{Envelope, TaskMessage, error_text};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use super::support::{Corner, RealClock, fetch, job, message, settle, wait_for};

/// What Celery 5.7 published for `add.delay(2, 3)`.
fn captured() -> (BasicProperties, &'static [u8]) {
    let mut headers = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    let id = "2207d7c4-32f8-47a5-ae12-576b3f8826f8";
    for name in ["shadow", "eta", "expires", "group", "group_index", "parent_id", "stamped_headers"] {
        headers.insert(name.into(), AMQPValue::Void);
    }
    for (name, value) in [
        ("lang", "py"),
        ("task", "wapp.add"),
        ("id", id),
        ("root_id", id),
        ("argsrepr", "(2, 3)"),
        ("kwargsrepr", "{}"),
        ("origin", "gen19748@vm"),
    ] {
        headers.insert(name.into(), text(value));
    }
    let nobody = FieldArray::from(vec![AMQPValue::Void, AMQPValue::Void]);
    headers.insert("timelimit".into(), AMQPValue::FieldArray(nobody));
    headers.insert("retries".into(), AMQPValue::LongInt(0));
    headers.insert("replaced_task_nesting".into(), AMQPValue::LongInt(0));
    headers.insert("ignore_result".into(), AMQPValue::Boolean(false));
    headers.insert("stamps".into(), AMQPValue::FieldTable(FieldTable::default()));
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(0)
        .with_correlation_id(id.into())
        .with_reply_to("6231df7a-fcba-398b-be4c-1eac2401fd7a".into());
    let body = br#"[[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]"#;
    (properties, body)
}

#[tokio::test]
async fn message_of_pythons_is_read_and_sent_on_as_it_was() {
    let corner = Corner::open().await;
    fetch(&corner.broker, "celery", 1).await;
    let (properties, body) = captured();
    corner.push("celery", properties.clone(), body).await;
    let delivery = wait_for(&corner.broker, "celery").await;
    let read = TaskMessage::decode(&delivery.envelope).unwrap();
    assert_eq!(
        (read.task.as_str(), read.reply_to.as_deref()),
        ("wapp.add", Some("6231df7a-fcba-398b-be4c-1eac2401fd7a"))
    );
    let envelope = Envelope { queue: "elsewhere".into(), ..delivery.envelope };
    corner.publish(envelope).await;
    let sent = corner.get("elsewhere").await.expect("it was published");
    assert_eq!((&sent.delivery.properties, sent.delivery.data.as_slice()), (&properties, body));
}

/// Whatever a user has chosen for a queue stays.
#[tokio::test]
async fn queue_that_is_there_is_used_as_it_is() {
    let corner = Corner::open().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(5));
    corner.declare("celery", arguments).await;
    corner.publish(message("a")).await;
    assert_eq!(wait_for(&corner.broker, "celery").await.envelope.id, job("a"));
}

/// Bytes and reason are kept, nothing loops, and the queue goes on.
#[tokio::test]
async fn what_is_no_message_goes_to_the_dead_letters() {
    let corner = Corner::open().await;
    fetch(&corner.broker, "celery", 2).await;
    let (properties, body) = captured();
    let mut headers = properties.headers().clone().unwrap();
    headers.insert("id".into(), AMQPValue::Void);
    let bare = BasicProperties::default().with_headers(headers);
    corner.push("celery", bare, body).await;
    corner.push("celery", BasicProperties::default(), &[0, 159, 146]).await;
    corner.publish(message("good")).await;
    assert_eq!(wait_for(&corner.broker, "celery").await.envelope.id, job("good"));
    let mut letters = corner.admin().dead_letters(None, 9).await.unwrap().letters;
    letters.reverse();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].envelope.content.body, body);
    assert!(letters[0].envelope.content.headers.contains("wapp.add"));
    assert_eq!(letters[1].envelope.content.body, [0, 159, 146]);
    for letter in letters {
        assert_eq!(
            (letter.reason.as_str(), letter.detail.as_str()),
            ("undecodable", "find the job's id: it is named nowhere")
        );
        assert_eq!(letter.envelope.queue, "celery");
    }
}

/// A queue that was deleted under way is declared again, and nothing is lost without a word.
#[tokio::test]
async fn message_for_a_queue_that_went_is_not_lost() {
    let corner = Corner::open().await;
    corner.publish(message("a")).await;
    corner.peer.queue_delete("celery".into(), Default::default()).await.unwrap();
    corner.publish(message("b")).await;
    let delivery = wait_for(&corner.broker, "celery").await;
    assert_eq!(delivery.envelope.id, job("b"));
    corner.peer.queue_delete("celery".into(), Default::default()).await.unwrap();
    corner.publish(message("c")).await;
    assert_eq!(wait_for(&corner.broker, "celery").await.envelope.id, job("c"));
    settle(&corner.broker, delivery, Settle::Ack).await;
}

/// The server ends a connection for a frame that is larger than was agreed, and headers come in one.
#[tokio::test]
async fn headers_that_fill_a_frame_are_refused_by_their_size() {
    let corner = Corner::open().await;
    let with = |bytes: usize, id: &str| {
        let mut envelope = message(id);
        let filling = "x".repeat(bytes);
        envelope.content.headers = format!(r#"{{"id":"{id}","task":"t","filling":"{filling}"}}"#);
        envelope
    };
    let refused = corner.broker.publish(vec![message("a"), with(131_072, "b")]).await.unwrap_err();
    assert!(matches!(refused, BrokerError::NotTaken { .. }), "{refused:?}");
    let text = error_text(&refused);
    assert!(text.contains("131072") && text.contains("frame_max"), "{text}");
    // By bisection: the last that is not refused is taken.
    let (mut fits, mut too_large) = (130_000, 131_072);
    while too_large - fits > 1 {
        let middle = (fits + too_large) / 2;
        match corner.broker.publish(vec![with(middle, "c")]).await {
            Ok(_) => fits = middle,
            Err(BrokerError::NotTaken { .. }) => too_large = middle,
            Err(error) => panic!("{middle} bytes: {error:?}"),
        }
    }
    let read = wait_for(&corner.broker, "celery").await;
    assert_eq!(read.envelope.id, job("c"));
}

#[tokio::test]
async fn unique_key_is_refused() {
    let corner = Corner::open().await;
    let keyed = Envelope { unique_key: Some("k".into()), ..message("a") };
    let refused = corner.broker.publish(vec![keyed]).await.unwrap_err();
    assert!(error_text(&refused).contains("unique key"), "{refused:?}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let url = rabbitmq_corner().unwrap();
    let nowhere = url.rsplit_once('/').unwrap().0.to_owned() + "/nowhere";
    for (url, word) in [
        (url.replace("guest:guest", "guest:wrong"), "password is wrong"),
        (url.replace("guest:guest", "nobody:guest"), "user \"nobody\""),
        (nowhere, "virtual host \"nowhere\""),
    ] {
        let opened = AmqpBroker::open(AmqpOptions::at(url), std::sync::Arc::new(RealClock)).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, BrokerError::Refused { .. }), "{error:?}");
        assert!(error_text(&error).contains(word), "{}", error_text(&error));
    }
    let options = AmqpOptions {
        deadline: std::time::Duration::from_millis(300),
        ..AmqpOptions::at("amqp://127.0.0.1:9")
    };
    let nobody = AmqpBroker::open(options, std::sync::Arc::new(RealClock)).await.unwrap_err();
    assert!(nobody.is_retryable(), "{nobody:?}");
}
