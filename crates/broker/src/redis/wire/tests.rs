//! Both directions, against what Celery 5.7 was seen to write.

use super::*;

/// A whole list item of `add.delay(2, 3)`, as Celery 5.7 was seen to push it.
const CAPTURED: &str = concat!(
    r#"{"body": "W1syLCAzXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbCwgImVycmJhY2tzIjogbnVsbCwgImNoYWluIjogbnVsbCwgImNob3JkIjogbnVsbH1d", "#,
    r#""content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", "task": "wapp.add", "#,
    r#""id": "2207d7c4-32f8-47a5-ae12-576b3f8826f8", "shadow": null, "eta": null, "expires": null, "group": null, "#,
    r#""group_index": null, "retries": 0, "timelimit": [null, null], "root_id": "2207d7c4-32f8-47a5-ae12-576b3f8826f8", "#,
    r#""parent_id": null, "argsrepr": "(2, 3)", "kwargsrepr": "{}", "origin": "gen19748@vm", "ignore_result": false, "#,
    r#""replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}}, "properties": {"#,
    r#""correlation_id": "2207d7c4-32f8-47a5-ae12-576b3f8826f8", "reply_to": "6231df7a-fcba-398b-be4c-1eac2401fd7a", "#,
    r#""delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 0, "#,
    r#""body_encoding": "base64", "delivery_tag": "37b9a8ee-5d22-410b-818b-d122a2d43158"}}"#,
);

const MIDDLE: Priorities = Priorities { unset: 5 };

fn plain(id: &str, headers: &str) -> Envelope {
    let content = Content { headers: headers.into(), properties: "{}".into(), ..Content::default() };
    Envelope {
        id: JobId::parse(id).unwrap(),
        queue: "celery".into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content,
    }
}

#[track_caller]
fn comes_back(envelope: &Envelope) -> String {
    let raw = write(envelope, "tag", MIDDLE);
    assert_eq!(read(raw.as_bytes(), &envelope.queue, MIDDLE).unwrap(), *envelope, "{raw}");
    raw
}

#[test]
fn what_celery_wrote_is_read_and_written_again_byte_for_byte() {
    let envelope = read(CAPTURED.as_bytes(), "celery", MIDDLE).unwrap();
    assert_eq!(envelope.id.as_str(), "2207d7c4-32f8-47a5-ae12-576b3f8826f8");
    assert_eq!((envelope.priority, envelope.due_at, &envelope.unique_key), (Some(9), None, &None));
    assert!(envelope.content.body.starts_with(b"[[2, 3], {}, {\"callbacks\": null"));
    assert_eq!(write(&envelope, "37b9a8ee-5d22-410b-818b-d122a2d43158", MIDDLE), CAPTURED);
}

#[test]
fn nothing_is_marked_that_celerys_fields_can_say() {
    let due_at = Some("2026-11-22T03:44:17.619136+00:00".parse().unwrap());
    let headers = r#"{"id":"a","eta":"2026-11-22T03:44:17.619136+00:00"}"#;
    let raw = comes_back(&Envelope { due_at, priority: Some(0), ..plain("a", headers) });
    assert!(!raw.contains("celeriac") && raw.contains("\"priority\": 9,"), "{raw}");
}

#[test]
fn what_they_cannot_say_is_marked_and_comes_back() {
    let eta = r#"{"id":"a","eta":"2026-11-22T03:44:17+00:00"}"#;
    for envelope in [
        plain("späte/1?&'\"", r#"{"id": "another", "n": 1e400}"#),
        plain("a", ""),
        plain("a", "no json"),
        plain("a", eta),
        Envelope { due_at: Some(Timestamp::from_micros(1)), ..plain("a", eta) },
        Envelope { unique_key: Some("ünï \"k\"".into()), ..plain("a", "{}") },
        Envelope { content: Content { properties: String::new(), ..Content::default() }, ..plain("a", "{}") },
    ] {
        assert!(comes_back(&envelope).contains("celeriac"));
    }
}

#[test]
fn every_priority_but_the_place_of_the_silent_comes_back() {
    for unset in [5, 9] {
        let priorities = Priorities { unset };
        for said in (0..=9).filter(|said| *said != unset).map(Some).chain([None]) {
            assert_eq!(priorities.said(Some(priorities.on_wire(said).into())), said);
        }
        assert_eq!(priorities.said(Some(priorities.on_wire(Some(unset)).into())), None);
        assert_eq!((priorities.said(None), priorities.said(Some(-4)).unwrap_or(9)), (None, 9));
    }
}

#[test]
fn smallest_message_that_a_python_worker_runs_is_read() {
    let raw = r#"{"body": "[[], {}, {}]", "headers": {"task": "t", "id": "a"}, "properties": {"delivery_tag": "1"}}"#;
    let envelope = read(raw.as_bytes(), "q", MIDDLE).unwrap();
    assert_eq!((envelope.id.as_str(), envelope.content.body.as_slice()), ("a", &b"[[], {}, {}]"[..]));
    assert_eq!((envelope.priority, envelope.content.properties.as_str()), (None, "{}"));
}

#[test]
fn what_is_no_message_says_why() {
    for (raw, why) in [
        ("nonsense", "read message"),
        (r#"{"body": "", "headers": {"task": "t"}, "properties": {}}"#, "find the job's id"),
        (r#"{"body": "", "headers": {"id": "a\nb"}, "properties": {}}"#, "find the job's id"),
        (r#"{"body": "%", "headers": {"id": "a"}, "properties": {"body_encoding": "base64"}}"#, "read body"),
    ] {
        let told = read(raw.as_bytes(), "q", MIDDLE).unwrap_err().to_string();
        assert!(told.starts_with(why), "{told}");
    }
}
