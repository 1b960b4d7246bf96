//! Our client, Python's worker.

use celeriac_peers::Postgres;
use serde_json::{Value, json};

use crate::house::{House, until};

/// Enqueues a task of Python's, which our app does not know, and returns the job's id.
fn enqueue(house: &House, arguments: &[&str]) -> String {
    house.ok(&[&["enqueue", "--unchecked"], arguments].concat())
}

pub(crate) fn client_of_ours_gets_the_result(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let wait = ["enqueue", "--unchecked", "--wait", "--timeout", "20s"];
    assert_eq!(house.ok(&[&wait[..], &["py.add", "2", "3"]].concat()), "5");
    assert_eq!(house.ok(&[&wait[..], &["py.add", "2", "-k", "y=4"]].concat()), "6");
    worker.stop();
}

pub(crate) fn client_of_ours_gets_the_failure(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let id = enqueue(house, &["py.fail", "boom"]);
    let (code, said) = house.run(&["jobs", "wait", &id, "--timeout", "20s"]);
    assert!(code == 1 && said.contains("boom, 42"), "{said}");
    let told = house.python(&format!("tell(AsyncResult({id:?}, app=app).state)"));
    assert_eq!(told, "FAILURE");
    worker.stop();
}

pub(crate) fn every_serializer_and_compression_of_ours_is_read(house: &House) {
    let worker = house.python_worker(&[], &[("ACCEPT", "json,msgpack,yaml")]);
    for serializer in ["json", "msgpack", "yaml"] {
        let mut form = vec!["--serializer", serializer];
        for compression in [None, Some("gzip"), Some("bzip2"), Some("lzma"), Some("zstd")] {
            form.truncate(2);
            form.extend(compression.into_iter().flat_map(|name| ["--compression", name]));
            let id = enqueue(
                house,
                &[&["py.types", "2", "ä😀\n", "[null,1e300,{\"\":true}]"], &form[..]].concat(),
            );
            let told = house.ok(&["jobs", "wait", &id, "--timeout", "20s"]);
            let expected = json!([["int", "2"], ["str", "ä😀\n"], ["list", "[None, 1e+300, {'': True}]"]]);
            assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), expected, "{form:?}");
        }
    }
    worker.stop();
}

pub(crate) fn values_of_ours_have_their_types_in_python(house: &House) {
    let worker = house.python_worker(&[], &[("ACCEPT", "json,msgpack,yaml")]);
    let typed = |name: &str, value: &str| format!(r#"{{"__type__":"{name}","__value__":{value}}}"#);
    let (instant, date) =
        (typed("datetime", r#""2026-01-02T03:04:05.678901+00:00""#), typed("date", r#""2026-01-02""#));
    let seen = |serializer: &str, values: &[&str]| {
        let id = enqueue(house, &[&["--serializer", serializer, "py.types"], values].concat());
        serde_json::from_str::<Value>(&house.ok(&["jobs", "wait", &id, "--timeout", "20s"])).unwrap()
    };
    let told = seen(
        "yaml",
        &[&instant, &date, &typed("base64", r#""//4=""#), "123456789012345678901234567890", "1e999"],
    );
    let instant_in_python = json!(["datetime", "2026-01-02 03:04:05.678901+00:00"]);
    let expected = json!([
        instant_in_python,
        ["date", "2026-01-02"],
        ["bytes", "b'\\xff\\xfe'"],
        ["int", "123456789012345678901234567890"],
        ["float", "inf"]
    ]);
    assert_eq!(told, expected);
    let told = seen("msgpack", &[&typed("bytes", r#""ab""#), "18446744073709551615", "-1e999"]);
    assert_eq!(told, json!([["bytes", "b'ab'"], ["int", "18446744073709551615"], ["float", "-inf"]]));
    let decimal = typed("decimal", r#""1.50""#);
    let uuid = typed("uuid", r#"{"hex":"12345678123456781234567812345678"}"#);
    let told = seen("json", &[&instant, &decimal, &uuid, "1e999"]);
    let uuid = json!(["UUID", "12345678-1234-5678-1234-567812345678"]);
    assert_eq!(told, json!([instant_in_python, ["Decimal", "1.50"], uuid, ["float", "inf"]]));
    let (code, said) =
        house.run(&["enqueue", "--unchecked", "--serializer", "msgpack", "py.types", "18446744073709551616"]);
    assert!(code != 0 && said.contains("more than 64 bits"), "{said}");
    worker.stop();
}

pub(crate) fn results_of_python_are_read_in_every_serializer_and_compression(house: &House) {
    // Before 5.7 Celery compresses no result.
    for (serializer, compression) in [
        ("json", "gzip"),
        ("msgpack", "bzip2"),
        ("yaml", "lzma"),
        ("json", "zstd"),
        ("msgpack", ""),
        ("yaml", ""),
    ] {
        let form = [("RESULT_SERIALIZER", serializer), ("RESULT_COMPRESSION", compression)];
        let worker = house.python_worker(&[], &[&form[..], &[("ACCEPT", "json,msgpack,yaml")]].concat());
        let (good, bad) = (enqueue(house, &["py.types", "1.5"]), enqueue(house, &["py.fail", "boom"]));
        let told = house.ok(&["jobs", "wait", &good, "--timeout", "20s"]);
        assert_eq!(told.replace(' ', ""), r#"[["float","1.5"]]"#, "{form:?}");
        let (code, said) = house.run(&["jobs", "wait", &bad, "--timeout", "20s"]);
        assert!(code == 1 && said.contains("boom, 42"), "{form:?}: {said}");
        worker.stop();
    }
}

pub(crate) fn results_of_python_are_read_from_its_tables(house: &House) {
    let server = Postgres::start().unwrap();
    for (place, _) in house.databases(&server) {
        let worker = house.python_worker(&[], &[("BACKEND", &place)]);
        let url = format!("results.url={place}");
        let ours = ["--set", url.as_str()];
        let enqueued = |arguments: &[&str]| enqueue(house, &[&ours, arguments].concat());
        let waited = |id: &str| house.run(&[&ours[..], &["jobs", "wait", id, "--timeout", "20s"]].concat());
        assert_eq!(waited(&enqueued(&["py.add", "2", "3"])), (0, "5".to_owned()), "{place}");
        let (code, said) = waited(&enqueued(&["py.fail", "boom"]));
        assert!(code == 1 && said.contains("boom, 42"), "{place}: {said}");
        assert_eq!(waited(&enqueued(&["py.flaky"])), (0, "1".to_owned()), "{place}");
        worker.stop();
    }
}

pub(crate) fn retry_of_a_python_task_ends_in_its_success(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let id = enqueue(house, &["py.flaky"]);
    assert_eq!(house.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "1");
    worker.stop();
}

pub(crate) fn delayed_job_of_ours_waits_in_python(house: &House) {
    let worker = house.python_worker(&[], &[]);
    let before = house.python("tell(time.time())").as_f64().unwrap();
    let id = enqueue(house, &["py.when", "--countdown", "3s"]);
    let ran: f64 = house.ok(&["jobs", "wait", &id, "--timeout", "20s"]).parse().unwrap();
    assert!((3.0..15.0).contains(&(ran - before)), "{}", ran - before);
    worker.stop();
}

pub(crate) fn progress_of_python_reaches_the_record(house: &House) {
    let (theirs, ours) = (house.python_worker(&[], &[]), house.worker(&["-Q", "nothing"]));
    let id = enqueue(house, &["py.progress", &house.path("go")]);
    until(|| house.job(&id)["progress"] == 25);
    let record = house.job(&id);
    assert_eq!(
        (&record["status"], &record["progress_message"]),
        (&json!("running"), &json!("on it")),
        "{record}"
    );
    house.write("go");
    until(|| house.job(&id)["status"] == "completed");
    assert_eq!(house.job(&id)["result"], "done");
    ours.stop();
    theirs.stop();
}

pub(crate) fn result_reaches_the_record_of_whoever_did_not_wait(house: &House) {
    let (theirs, ours) = (house.python_worker(&[], &[]), house.worker(&["-Q", "nothing"]));
    let (good, bad) = (enqueue(house, &["py.add", "1"]), enqueue(house, &["py.fail", "boom"]));
    until(|| house.job(&good)["status"] == "completed" && house.job(&bad)["status"] == "failed");
    let record = house.job(&bad);
    assert_eq!(
        (&record["error"]["type"], &record["error"]["message"]),
        (&json!("ValueError"), &json!("boom, 42"))
    );
    assert!(record["error"]["traceback"].as_str().unwrap().contains("ValueError: ('boom', 42)"), "{record}");
    ours.stop();
    theirs.stop();
}

pub(crate) fn priority_of_ours_is_kept(house: &House) {
    let log = house.path("log");
    for priority in ["0", "9", "3", "6"] {
        enqueue(house, &["py.log", &format!("p{priority}"), &log, "--priority", priority]);
    }
    enqueue(house, &["py.log", "none", &log]);
    let worker = house.python_worker(&[], &[]);
    until(|| house.lines_of("log").len() == 5);
    assert_eq!(house.lines_of("log"), ["p9", "none", "p6", "p3", "p0"]);
    worker.stop();
}

/// Python's worker has laid out what we publish to.
pub(crate) fn topic_of_ours_reaches_python(house: &House) {
    let worker = house.python_worker(&["-Q", "feeds"], &[("TOPIC", "feed.#")]);
    let said = enqueue(house, &["py.add", "2", "3", "-Q", "exchange://news/feed.sport", "--wait"]);
    assert_eq!(said, "5");
    let (code, told) =
        house.run(&["enqueue", "--unchecked", "py.add", "2", "3", "-Q", "exchange://news/film"]);
    assert!(code != 0 && told.contains("no queue hangs on exchange"), "{told}");
    worker.stop();
}

pub(crate) fn priority_of_ours_is_kept_by_rabbitmq(house: &House) {
    let log = house.path("log");
    for priority in ["0", "9", "3", "6"] {
        let more = ["py.log", &format!("p{priority}"), &log, "--priority", priority];
        enqueue(house, &[&more[..], &["--set", "broker.max_priority=9"]].concat());
    }
    // What says nothing is the last, as Python's is.
    enqueue(house, &["py.log", "none", &log]);
    let worker = house.python_worker(&["--prefetch-multiplier", "1"], &[("MAX_PRIORITY", "9")]);
    until(|| house.lines_of("log").len() == 5);
    assert_eq!(house.lines_of("log"), ["p9", "p6", "p3", "p0", "none"]);
    worker.stop();
}
