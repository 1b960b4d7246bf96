//! What is written of jobs, and what is read of those of Python workers.

use std::sync::Arc;

use super::*;
use crate::{RecordLevel, Serializer, TaskMessage};

fn event(what: What) -> JobEvent {
    let id = JobId::parse("a").unwrap();
    let message = TaskMessage::new(id, "house.add", crate::Arguments::from_positional(&(1, 2)).unwrap());
    let job = Arc::new(message.facts("house.add", None, RecordLevel::None));
    JobEvent { at: Timestamp::EPOCH, job, delivery: 1, attempt: 2, what }
}

fn text_of(what: What, style: ResultStyle) -> Option<String> {
    TaskResult::after(&event(what), style).map(|result| result.encode())
}

#[track_caller]
fn check(what: What, expected: &str) {
    assert_eq!(text_of(what, ResultStyle::default()).as_deref(), Some(expected));
}

fn boom() -> JobError {
    JobError::new(ErrorKind::Error, "boom").with_type("std::io::Error").with_traceback("at a line")
}

#[test]
fn what_happened_is_written_in_celerys_words() {
    let result = Some(RawValue::from_string("5".into()).unwrap());
    check(
        What::Succeeded { result, runtime_micros: Some(1) },
        r#"{"status":"SUCCESS","result":5,"traceback":null,"children":[],"date_done":"1970-01-01T00:00:00+00:00","task_id":"a"}"#,
    );
    check(
        What::Failed { error: boom(), dead_lettered: true },
        r#"{"status":"FAILURE","result":{"exc_type":"Error","exc_message":["boom"],"exc_module":null},"traceback":"at a line","children":[],"date_done":"1970-01-01T00:00:00+00:00","task_id":"a"}"#,
    );
    check(
        What::Retried { error: boom(), retry_at: Timestamp::EPOCH },
        r#"{"status":"RETRY","result":{"exc_type":"Error","exc_message":["boom"],"exc_module":null},"traceback":"at a line","children":[[["a",null],null]],"date_done":null,"task_id":"a"}"#,
    );
    check(
        What::Cancelled { reason: "expired".into() },
        r#"{"status":"REVOKED","result":{"exc_type":"TaskRevokedError","exc_message":["expired"],"exc_module":"celery.exceptions"},"traceback":null,"children":[],"date_done":"1970-01-01T00:00:00+00:00","task_id":"a"}"#,
    );
    check(
        What::Progressed { percent: 40, message: Some("on it".into()), partial: None },
        r#"{"status":"PROGRESS","result":{"current":40,"total":100,"message":"on it"},"traceback":null,"children":[],"date_done":null,"task_id":"a"}"#,
    );
}

#[test]
fn task_that_is_unknown_is_named_to_the_rest_of_its_chain_too() {
    for (text, named) in
        [("task \"no.such\" is not registered with this worker", "no.such"), ("whatever", "house.add")]
    {
        let error = JobError::new(ErrorKind::UnknownTask, text);
        let text = text_of(What::Failed { error, dead_lettered: false }, ResultStyle::default()).unwrap();
        assert!(text.contains(&format!(r#""exc_type":"NotRegistered","exc_message":["{named}"]"#)), "{text}");
    }
}

#[test]
fn begin_and_particulars_are_told_where_they_are_wanted() {
    let started = || What::Started { worker: "w1@host".into() };
    assert_eq!(text_of(started(), ResultStyle::default()), None);
    let style = ResultStyle { extended: true, started: true, process: 7 };
    let text = text_of(started(), style).unwrap();
    assert!(text.contains(r#""result":{"pid":7,"hostname":"w1@host"}"#), "{text}");
    let particulars = r#""name":"house.add","args":[1,2],"kwargs":{},"worker":"w1@host","retries":1,"queue":"celery","task_id":"a"}"#;
    assert!(text.ends_with(particulars), "{text}");
}

#[test]
fn nothing_is_kept_of_what_is_ignored_or_guessed() {
    let lost = JobError::new(ErrorKind::WorkerLost, "gone");
    assert_eq!(text_of(What::Failed { error: lost, dead_lettered: false }, ResultStyle::default()), None);
    assert_eq!(
        text_of(What::Succeeded { result: None, runtime_micros: Some(1) }, ResultStyle::default()),
        None
    );
    let mut ignored = event(What::Failed { error: boom(), dead_lettered: true });
    Arc::make_mut(&mut ignored.job).ignore_result = true;
    assert!(TaskResult::after(&ignored, ResultStyle::default()).is_none());
}

/// Reads a result and returns what happened by it.
fn happened(text: &str) -> Option<What> {
    let result = TaskResult::decode(&JobId::parse("a").unwrap(), text.as_bytes()).unwrap();
    result.happened(Timestamp::EPOCH)
}

#[test]
fn what_python_has_written_is_understood() {
    let Some(What::Succeeded { result, .. }) = happened(
        r#"{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], "date_done": "2026-11-22T03:45:28.463338+00:00", "task_id": "a"}"#,
    ) else {
        panic!("it ended well");
    };
    assert_eq!(result.unwrap().get(), "5");
    let Some(What::Failed { error, dead_lettered: false }) = happened(
        r#"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["boom", 42], "exc_module": "builtins"}, "traceback": "Traceback\n", "children": []}"#,
    ) else {
        panic!("it failed");
    };
    assert_eq!((error.type_name.as_deref(), error.message.as_str()), (Some("ValueError"), "boom, 42"));
    assert_eq!(error.traceback, "Traceback\n");
    let revoked = r#"{"status": "REVOKED", "result": {"exc_type": "TaskRevokedError", "exc_message": ["expired"], "exc_module": "celery.exceptions"}, "children": null}"#;
    assert!(matches!(happened(revoked), Some(What::Cancelled { reason }) if reason == "expired"));
    let limit = r#"{"status": "FAILURE", "result": {"exc_type": "TimeLimitExceeded", "exc_message": [2], "exc_module": "billiard.exceptions"}}"#;
    assert!(
        matches!(happened(limit), Some(What::Failed { error, .. }) if error.kind == ErrorKind::TimeLimit && error.message == "2")
    );
}

#[test]
fn progress_is_read_as_tasks_commonly_write_it() {
    for (result, percent, message) in [
        (r#"{"current": 1, "total": 2}"#, 50, None),
        (r#"{"percent": 12.7, "status": "half"}"#, 12, Some("half")),
        (r#"{"progress": 900}"#, 100, None),
        (r#""words""#, 0, None),
        ("null", 0, None),
    ] {
        let told = happened(&format!(r#"{{"status": "PROGRESS", "result": {result}}}"#));
        let Some(What::Progressed { percent: found, message: said, .. }) = told else { panic!("{result}") };
        assert_eq!((found, said.as_deref()), (percent, message), "{result}");
    }
    let own = happened(r#"{"status": "PACKING", "result": null}"#);
    assert!(
        matches!(own, Some(What::Progressed { message: Some(word), partial: None, .. }) if word == "PACKING")
    );
}

#[test]
fn a_result_is_read_in_whichever_form_it_was_written() {
    let raw = RawValue::from_string(r#"{"a":[1.5,null]}"#.to_owned()).unwrap();
    let result = TaskResult::after(
        &event(What::Succeeded { result: Some(raw), runtime_micros: Some(1) }),
        ResultStyle { extended: true, ..ResultStyle::default() },
    )
    .unwrap();
    for serializer in Serializer::ALL {
        for compression in Compression::ALL.map(Some).into_iter().chain([None]) {
            let bytes = result.encode_as(BodyForm { serializer, compression });
            let read = TaskResult::decode(&result.id, &bytes).unwrap();
            assert_eq!(read.state, TaskState::Success);
            assert_eq!(read.result.get().replace(' ', ""), r#"{"a":[1.5,null]}"#);
            assert_eq!(read.extended.unwrap().name, "house.add");
        }
    }
    // As PyYAML writes it, and with a word that JSON lacks.
    for text in ["children: []\nresult: 5\nstatus: SUCCESS\n", r#"{"status": "SUCCESS", "result": NaN}"#] {
        assert!(matches!(happened(text), Some(What::Succeeded { .. })), "{text}");
    }
}

#[test]
fn a_result_that_its_serializer_has_no_word_for_is_a_failure() {
    let raw = RawValue::from_string(u128::MAX.to_string()).unwrap();
    let event = event(What::Succeeded { result: Some(raw), runtime_micros: Some(1) });
    let result = TaskResult::after(&event, ResultStyle::default()).unwrap();
    let form = BodyForm { serializer: Serializer::Msgpack, compression: None };
    let read = TaskResult::decode(&result.id, &result.encode_as(form)).unwrap();
    assert_eq!(read.state, TaskState::Failure);
    assert!(read.result.get().contains("EncodeError"), "{}", read.result);
}

#[test]
fn what_is_no_result_is_said_to_be_none() {
    let id = JobId::parse("a").unwrap();
    for bytes in [
        &b"\x80\x02}"[..],
        b"{}",
        b"[]",
        b"\0celery-compressed\0odd\0x",
        b"\0celery-compressed\0application/x-gzip\0x",
    ] {
        assert!(TaskResult::decode(&id, bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn types_of_ours_have_names_that_python_takes() {
    for (path, name) in [
        ("std::io::Error", "Error"),
        ("house::Broken<alloc::string::String>", "Broken"),
        ("", "TaskError"),
        ("&str", "TaskError"),
    ] {
        assert_eq!(python_name(path), name);
    }
}
