//! What Celery writes is read, what we write is what Celery writes, and nothing is lost between.

use celeriac_protocol::Timestamp;
use lapin::types::AMQPValue;

use super::*;

const PRIORITIES: Priorities = Priorities { unset: 0 };

fn envelope(headers: &str, properties: &str) -> Envelope {
    Envelope {
        id: JobId::parse("a").unwrap(),
        queue: "celery".into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content {
            headers: headers.into(),
            properties: properties.into(),
            content_type: "application/json".into(),
            content_encoding: "utf-8".into(),
            body: b"[[2, 3], {}, {}]".to_vec(),
        },
    }
}

fn there_and_back(envelope: &Envelope, counts: Counts) -> Read {
    let Written { properties, body } = write(envelope, counts, PRIORITIES).unwrap();
    read(&properties, body, &envelope.queue, PRIORITIES).map_err(|(error, _)| error).unwrap()
}

#[test]
fn message_that_asks_for_nothing_special_has_celerys_fields_and_no_others() {
    let properties = r#"{"correlation_id":"a","reply_to":"r","delivery_mode":2}"#;
    let sent = envelope(r#"{"eta":null,"id":"a","task":"t","timelimit":[null,null]}"#, properties);
    let Written { properties, .. } = write(&sent, Counts::default(), PRIORITIES).unwrap();
    let headers: Vec<&str> =
        properties.headers().as_ref().unwrap().inner().keys().map(ShortString::as_str).collect();
    assert_eq!(headers, ["eta", "id", "task", "timelimit"]);
    let expected = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(properties.headers().clone().unwrap())
        .with_delivery_mode(2)
        .with_priority(0)
        .with_correlation_id("a".into())
        .with_reply_to("r".into());
    assert_eq!(properties, expected);
}

#[test]
fn what_tables_cannot_hold_comes_back_as_it_was() {
    for (headers, properties) in [
        (r#"{"id": "other", "n": 12345678901234567890.5e300}"#, ""),
        (r#"{"id":"a","n":18446744073709551615}"#, r#"{"strange":1}"#),
        ("no object", "{}"),
        (r#"{"eta":null,"id":"a"}"#, r#"{"expiration":"60000"}"#),
    ] {
        let sent = envelope(headers, properties);
        assert_eq!(there_and_back(&sent, Counts::default()).envelope, sent);
    }
}

#[test]
fn counts_and_due_time_travel_where_celery_does_not_send_them_on() {
    let counts = Counts { handed: 4, attempts: 3, lost: 2 };
    let eta = "2026-11-22T03:44:17.619136+00:00";
    let headers = format!(r#"{{"eta":"{eta}","id":"a"}}"#);
    for due_at in [None, Some(Timestamp::from_micros(5)), Some(eta.parse().unwrap())] {
        let sent = Envelope { due_at, priority: Some(7), ..envelope(&headers, "{}") };
        let back = there_and_back(&sent, counts);
        assert_eq!((back.envelope, back.counts), (sent.clone(), counts));
        let Written { properties, .. } = write(&sent, counts, PRIORITIES).unwrap();
        assert!(!properties.headers().as_ref().unwrap().contains_key(MARK));
    }
}

#[test]
fn headers_of_the_way_are_not_shown() {
    let Written { properties, body } =
        write(&envelope(r#"{"id":"a"}"#, "{}"), Counts::default(), PRIORITIES).unwrap();
    let mut headers = properties.headers().clone().unwrap();
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(2));
    headers.insert("x-first-death-reason".into(), AMQPValue::LongString("expired".into()));
    headers.insert("x-death".into(), AMQPValue::FieldArray(Vec::new().into()));
    let read = read(&properties.with_headers(headers), body, "q", PRIORITIES).map_err(|(e, _)| e).unwrap();
    assert_eq!((read.returned, read.envelope.content.headers.as_str()), (2, r#"{"id":"a"}"#));
}

#[test]
fn message_without_an_id_is_refused_with_its_body() {
    let headers = BasicProperties::default().with_headers(FieldTable::default());
    let (error, body) = read(&headers, vec![1, 2], "q", PRIORITIES).err().unwrap();
    assert_eq!((error.to_string().as_str(), body), ("find the job's id: it is named nowhere", vec![1, 2]));
}

#[test]
fn texts_too_long_for_their_place_are_refused() {
    let mut long = envelope("{}", "{}");
    long.content.content_type = "x".repeat(256);
    assert!(write(&long, Counts::default(), PRIORITIES).is_err());
}
