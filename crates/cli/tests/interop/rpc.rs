//! Results that Celery's `rpc://` sends to whoever waits, both ways.
//!
//! Python's clients listen here and never poll: what polls `state` puts back what is not the end, on Redis at times behind
//! what came after it, and so an earlier state may hide a later one whoever has sent them.

use serde_json::{Value, json};

use crate::house::{House, until};

/// Defines what hears every state of a result, in `states`; `seen` is done with each.
fn heard(seen: &str) -> String {
    format!(
        "states = []\n\
         def hear(meta):\n\
         \x20   states.append(meta['status'])\n\
         \x20   {seen}\n"
    )
}

pub(crate) fn client_of_python_hears_every_state_in_its_order(house: &House) {
    let worker = house.worker(&[]);
    let go = house.path("go");
    let heard =
        heard(&format!("meta['status'] == 'PROGRESS' and (said.append(meta), open({go:?}, 'w').close())"));
    let told = house.python(&format!(
        "said = []\n{heard}\
         result = send('house.progress', {go:?}).get(on_message=hear, timeout=20)\n\
         tell([states, said[0]['result'], result])"
    ));
    let told_of_it = json!({"current": 40, "total": 100, "message": "on it"});
    assert_eq!(told, json!([["STARTED", "PROGRESS", "SUCCESS"], told_of_it, "done"]));
    worker.stop();
}

pub(crate) fn client_of_python_hears_of_a_retry(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(&format!(
        "{}result = send('house.flaky').get(on_message=hear, timeout=20)\ntell([states, result])",
        heard("pass")
    ));
    assert_eq!(told, json!([["STARTED", "RETRY", "STARTED", "SUCCESS"], 2]));
    worker.stop();
}

/// To the letter, but for what is each message's own.
pub(crate) fn answers_are_what_a_worker_of_python_sends(house: &House) {
    let (theirs, ours) = (house.python_worker(&["-Q", "py"], &[]), house.worker(&["-Q", "rs"]));
    // Before 5.7 Celery said less in the body.
    let keys = if house.is_celery("5.7") { "list(message.payload)" } else { "None" };
    let told = house.python(&format!(
        "connection = app.connection()\n\
         queue = app.backend.binding(connection.channel())\n\
         queue.declare()\n\
         own = ('correlation_id', 'delivery_tag')\n\
         def shape(message, id):\n\
         \x20   assert message.payload['task_id'] == id == message.properties['correlation_id']\n\
         \x20   properties = {{key: value for key, value in message.properties.items() if key not in own}}\n\
         \x20   return [message.payload['status'], {keys}, properties, message.content_type, message.content_encoding, message.headers]\n\
         def answers(name, queue_name, *args):\n\
         \x20   id, found = send(name, *args, queue=queue_name).id, []\n\
         \x20   def take():\n\
         \x20       message = queue.get(no_ack=True)\n\
         \x20       message and found.append(shape(message, id))\n\
         \x20       return found and found[-1][0] in ('SUCCESS', 'FAILURE')\n\
         \x20   until(take)\n\
         \x20   return found\n\
         tell([answers('py.add', 'py', 2, 3), answers('house.add', 'rs', 2, 3), answers('py.fail', 'py', 'no'), answers('house.fail', 'rs', 'no')])"
    ));
    assert_eq!(told[0].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!((&told[0], &told[2]), (&told[1], &told[3]));
    theirs.stop();
    ours.stop();
}

pub(crate) fn result_that_is_ignored_is_not_sent(house: &House) {
    let worker = house.worker(&["-c", "1"]);
    let told = house.python(
        "ignored = send('house.add', 2, 3, ignore_result=True)\n\
         send('house.add', 2, 3).get(timeout=20)\n\
         tell([AsyncResult(ignored.id, app=app).state, AsyncResult(ignored.id, app=app).info])",
    );
    assert_eq!(told, json!(["PENDING", null]));
    worker.stop();
}

pub(crate) fn late_job_is_revoked_for_whoever_waits(house: &House) {
    let worker = house.worker(&["-c", "1"]);
    let go = house.path("go");
    // RabbitMQ would drop it if Celery's property said when; the header says so, too.
    let told = house.python(&format!(
        "import datetime\n\
         first = send('house.progress', {go:?})\n\
         late = send('house.add', 1, headers={{'expires': (datetime.datetime.now(datetime.timezone.utc)).isoformat()}})\n\
         open({go:?}, 'w').close()\n\
         tell([first.get(timeout=20), failure(late)[:3]])"
    ));
    assert_eq!(told, json!(["done", ["TaskRevokedError", "expired", "REVOKED"]]));
    worker.stop();
}

pub(crate) fn chain_of_python_answers_from_each_step(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "s = lambda *args, **options: app.signature('house.add', args, **options)\n\
         result = chain(s(1, 2), s(10), s(100)).apply_async()\n\
         good = [result.get(timeout=20), result.parent.get(timeout=20), result.parent.parent.get(timeout=20)]\n\
         broken = chain(s(1, 2), app.signature('house.fail', ('no way',), immutable=True), s(1)).apply_async()\n\
         tell([good, failure(broken)[1:3], broken.parent.parent.get(timeout=20)])",
    );
    assert_eq!(told, json!([[113, 13, 3], ["no way", "FAILURE"], 3]));
    worker.stop();
}

pub(crate) fn answers_of_ours_are_read_in_every_serializer(house: &House) {
    for serializer in ["json", "msgpack", "yaml"] {
        // Nobody compresses what is sent.
        let settings = [format!("results.serializer={serializer}"), "results.compression=gzip".to_owned()];
        let worker = house.worker(&["--set", &settings[0], "--set", &settings[1]]);
        let told = house.python_with(
            &[("ACCEPT", "json,msgpack,yaml"), ("RESULT_SERIALIZER", serializer)],
            "tell([send('house.echo', [2, 'ä', None, {'a': 1.5}]).get(timeout=20), failure(send('house.fail', 'no way'))[1:]])",
        );
        assert_eq!(told, json!([[2, "ä", null, {"a": 1.5}], ["no way", "FAILURE", true]]), "{serializer}");
        worker.stop();
    }
}

pub(crate) fn client_that_has_gone_keeps_no_job_from_its_end(house: &House) {
    let worker = house.worker(&["-c", "1"]);
    let (go, log) = (house.path("go"), house.path("log"));
    let told = house.python(&format!(
        "first = send('house.progress', {go:?})\n\
         jobs = [first] + [send('house.log', 'on', {log:?}) for _ in range(3)]\n\
         with app.connection() as connection: app.backend.binding(connection.channel()).delete()\n\
         tell([job.id for job in jobs])"
    ));
    house.write("go");
    for id in told.as_array().unwrap() {
        until(|| house.job(id.as_str().unwrap())["status"] == "completed");
    }
    assert_eq!(house.lines_of("log").len(), 3);
    assert_eq!(house.python("tell(send('house.add', 2, 3).get(timeout=20))"), 5);
    worker.stop();
}

pub(crate) fn message_that_cannot_be_read_is_answered(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "pickled = send('house.add', 1, serializer='pickle')\n\
         odd = send('house.add', 1, headers={'compression': 'application/x-odd'})\n\
         tell([failure(pickled)[2], failure(odd)[2], failure(send('no.such', 1))[2], send('house.add', 2, 3).get(timeout=20)])",
    );
    assert_eq!(told, json!(["FAILURE", "FAILURE", "FAILURE", 5]));
    worker.stop();
}

/// Enqueues a task of Python's, waits, and returns the exit code and what was printed.
fn waited(house: &House, arguments: &[&str]) -> (i32, String) {
    house.run(&[&["enqueue", "--unchecked", "--wait", "--timeout", "20s"], arguments].concat())
}

pub(crate) fn client_of_ours_is_told_how_it_ended(house: &House) {
    let worker = house.python_worker(&[], &[]);
    assert_eq!(waited(house, &["py.add", "2", "3"]), (0, "5".to_owned()));
    assert_eq!(waited(house, &["py.flaky"]), (0, "1".to_owned()));
    let (code, said) = waited(house, &["--id", "boom", "py.fail", "boom"]);
    assert!(code == 1 && said.contains("boom, 42"), "{said}");
    // Its record has learnt it.
    let record = house.job("boom");
    assert_eq!((&record["status"], &record["error"]["type"]), (&json!("failed"), &json!("ValueError")));
    let (code, said) = waited(house, &["py.none"]);
    assert!(code == 1 && said.contains("failed: py.none"), "{said}");
    worker.stop();
}

pub(crate) fn answers_of_python_are_read_in_every_serializer(house: &House) {
    for serializer in ["msgpack", "yaml"] {
        let form = [("RESULT_SERIALIZER", serializer), ("ACCEPT", "json,msgpack,yaml")];
        let worker = house.python_worker(&[], &form);
        let (code, told) = waited(house, &["py.types", "1.5"]);
        assert_eq!((code, told.replace(' ', "")), (0, r#"[["float","1.5"]]"#.to_owned()), "{serializer}");
        let (code, said) = waited(house, &["py.fail", "boom"]);
        assert!(code == 1 && said.contains("boom, 42"), "{serializer}: {said}");
        worker.stop();
    }
}

pub(crate) fn progress_of_python_reaches_the_record_of_the_worker_that_asked(house: &House) {
    let (theirs, ours) = (house.python_worker(&["-Q", "py"], &[]), house.worker(&["-Q", "rs"]));
    let go = house.path("go");
    let asked = ["enqueue", "-Q", "rs", "--wait", "--timeout", "20s", "house.ask", "py.progress", "py", &go];
    let id: String = serde_json::from_str(&house.ok(&asked)).unwrap();
    until(|| house.job(&id)["progress"] == 25);
    let record = house.job(&id);
    assert_eq!((&record["status"], &record["progress_message"]), (&json!("running"), &json!("on it")));
    house.write("go");
    until(|| house.job(&id)["status"] == "completed");
    assert_eq!(house.job(&id)["result"], "done");
    theirs.stop();
    ours.stop();
}

pub(crate) fn client_of_ours_hears_worker_of_ours_with_other_records(house: &House) {
    let (ours, theirs) = (house.worker(&["-Q", "rs"]), house.python_worker(&["-Q", "py"], &[]));
    let other = house.path("other.db");
    let at = |queue| ["--set", "worker.queues=none", "--database", &other, "-Q", queue].map(str::to_owned);
    let waited_there = |queue, arguments: &[&str]| -> (i32, Value) {
        let at = at(queue);
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        let (code, said) = waited(house, &[&at[..], arguments].concat());
        (code, serde_json::from_str(&said).unwrap_or(Value::String(said)))
    };
    assert_eq!(waited_there("rs", &["house.add", "2", "3"]), (0, json!(5)));
    assert_eq!(waited_there("rs", &["house.flaky"]), (0, json!(2)));
    let (code, said) = waited_there("rs", &["house.fail", "no way"]);
    assert!(code == 1 && said.as_str().unwrap().contains("no way"), "{said}");
    assert_eq!(waited_there("py", &["py.add", "2", "3"]), (0, json!(5)));
    ours.stop();
    theirs.stop();
}
