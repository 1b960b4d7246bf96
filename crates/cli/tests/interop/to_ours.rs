//! Python's client, our worker.

use celeriac_peers::Postgres;
use serde_json::json;

use crate::house::House;

pub(crate) fn client_of_python_gets_the_result(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "tell([send('house.add', 2, 3).get(timeout=20), send('house.add', 5).get(timeout=20), \
         app.send_task('house.add', kwargs={'x': 1, 'y': 1}).get(timeout=20)])",
    );
    assert_eq!(told, json!([5, 15, 2]));
    worker.stop();
}

pub(crate) fn client_of_python_gets_every_result_of_a_group(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "result = group(app.signature('house.add', (n, n)) for n in range(30)).apply_async()\n\
         tell([result.get(timeout=20), result.successful()])",
    );
    let expected: Vec<i64> = (0..30).map(|n| n + n).collect();
    assert_eq!(told, json!([expected, true]));
    worker.stop();
}

pub(crate) fn chain_of_python_runs_to_its_end(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "s = lambda *args, **options: app.signature('house.add', args, **options)\n\
         result = chain(s(1, 2), s(10), s(7, 100, immutable=True), s(1000)).apply_async()\n\
         end = result.get(timeout=20)\n\
         ids = [result.id, result.parent.id, result.parent.parent.id, result.parent.parent.parent.id]\n\
         metas = [app.backend.get_task_meta(id) for id in ids]\n\
         tell([end, [meta['result'] for meta in metas], [meta.get('parent_id') for meta in metas] == ids[1:] + [None], \
         [[child[0][0] for child in meta['children']] for meta in metas] == [[]] + [[id] for id in ids[:3]]])",
    );
    assert_eq!(told, json!([1107, [1107, 107, 13, 3], true, true]));
    // In a form that its first step came in, and compressed.
    let told = house.python(
        "s = lambda *args: app.signature('house.add', args)\n\
         tell((s(1, 2) | s(10)).apply_async(serializer='msgpack', compression='gzip').get(timeout=20))",
    );
    assert_eq!(told, 13);
    worker.stop();
}

pub(crate) fn chain_of_python_that_fails_is_told_to_whoever_waits_for_its_end(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "s = app.signature\n\
         result = chain(s('house.add', (1, 2)), s('house.fail', ('no way',), immutable=True), s('house.add', (1,))).apply_async()\n\
         tell([failure(result)[1:3], app.backend.get_task_meta(result.id)['status'], result.parent.parent.get(timeout=20)])",
    );
    assert_eq!(told, json!([["no way", "FAILURE"], "FAILURE", 3]));
    worker.stop();
}

pub(crate) fn links_of_python_are_followed(house: &House) {
    let worker = house.worker(&[]);
    let log = house.path("log");
    let told = house.python(&format!(
        "s = app.signature\n\
         linked = [s('house.log', ('a', {log:?}), immutable=True), s('house.add', (10,), task_id='linked'), \
         s('house.log', ('b', {log:?}), immutable=True) | s('house.log', ('c', {log:?}), immutable=True)]\n\
         result = app.send_task('house.add', (1, 2), link=linked)\n\
         until(lambda: os.path.exists({log:?}) and len(open({log:?}).readlines()) == 3)\n\
         tell([result.get(timeout=20), AsyncResult('linked', app=app).get(timeout=20), len(result.children)])"
    ));
    assert_eq!(told, json!([3, 13, 3]));
    let mut lines = house.lines_of("log");
    lines.sort_unstable();
    assert_eq!(lines, ["a", "b", "c"]);
    worker.stop();
}

pub(crate) fn results_are_kept_in_tables_of_celery(house: &House) {
    let server = Postgres::start().unwrap();
    // Who makes the table is who comes first.
    for (place, comes_first) in house.databases(&server) {
        let backend = [("BACKEND", place.as_str())];
        let ask =
            "tell([send('house.add', 2, 3).get(timeout=20), failure(send('house.fail', 'no way'))[1:3]])";
        if comes_first == "python" {
            house.python_with(&backend, "tell(app.send_task('nobody', queue='nowhere').state)");
        }
        let worker = house.worker(&["--set", &format!("results.url={place}")]);
        assert_eq!(house.python_with(&backend, ask), json!([5, ["no way", "FAILURE"]]), "{place}");
        let told = house.python_with(
            &backend,
            "result = app.send_task('house.add', (2,), {'y': 3})\n\
             result.get(timeout=20)\n\
             result = AsyncResult(result.id, app=app)\n\
             chained = (app.signature('house.add', (1, 2)) | app.signature('house.add', (10,))).apply_async()\n\
             end = chained.get(timeout=20)\n\
             tell([result.name, result.args, result.kwargs, result.queue, result.retries, result.date_done is not None, end, \
             [child.id for child in chained.parent.children] == [chained.id]])",
        );
        assert_eq!(told, json!(["house.add", [2], {"y": 3}, "celery", 0, true, 13, true]), "{place}");
        worker.stop();
    }
}

pub(crate) fn group_at_the_end_of_a_chain_is_run(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "s = lambda *args: app.signature('house.add', args)\n\
         result = (s(1, 2) | group(s(10), s(20) | s(100), s(30))).apply_async()\n\
         tell(result.get(timeout=20))",
    );
    assert_eq!(told, json!([13, 123, 33]));
    worker.stop();
}

pub(crate) fn chord_and_error_callback_of_python_are_never_begun(house: &House) {
    let worker = house.worker(&[]);
    let log = house.path("log");
    let told = house.python(&format!(
        "s = lambda text: app.signature('house.log', (text, {log:?}), immutable=True)\n\
         chord([s('a'), s('b')], s('c')).apply_async()\n\
         chained = chain(s('d'), group(s('e'), s('f')), s('g')).apply_async()\n\
         caught = app.send_task('house.log', ('h', {log:?}), link_error=s('i'))\n\
         tell([failure(caught)[1:3], send('house.add', 2, 3).get(timeout=20)])"
    ));
    assert_eq!(told[0][1], "FAILURE", "{told}");
    assert!(told[0][0].as_str().unwrap().contains("an error callback"), "{told}");
    crate::house::until(|| house.ok(&["dead", "list", "--json"]).lines().count() == 4);
    let letters = house.ok(&["dead", "list", "--json"]);
    assert!(letters.contains("a chord") && letters.contains("an error callback"), "{letters}");
    assert_eq!(house.lines_of("log"), Vec::<String>::new());
    worker.stop();
}

pub(crate) fn values_of_python_come_back_as_they_went(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "import datetime, decimal, uuid\n\
         values = ['ä€😀\\n\"', [1, -2.5, None, True], {'a': {'b': []}}, 2**63 + 1, datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, \
         tzinfo=datetime.timezone.utc), datetime.date(2026, 1, 2), decimal.Decimal('1.50'), uuid.uuid4()]\n\
         if int(celery.__version__.split('.')[1]) >= 5: values += [b'abc', b'\\xff\\xfe']\n\
         tell([send('house.echo', value).get(timeout=20) == value for value in values])",
    );
    assert!(told.as_array().unwrap().iter().all(|same| same == true), "{told}");
    worker.stop();
}

pub(crate) fn every_serializer_and_compression_of_python_is_read(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "forms = [(s, c) for s in ('json', 'msgpack', 'yaml') for c in (None, 'gzip', 'bzip2', 'lzma', 'zstd')]\n\
         tell([send('house.add', 2, 3, serializer=s, compression=c).get(timeout=20) for s, c in forms])",
    );
    assert_eq!(told, json!(vec![5; 15]));
    worker.stop();
}

pub(crate) fn results_of_ours_are_read_in_every_serializer_and_compression(house: &House) {
    // Celery reads compressed results since 5.7.
    let compressions: &[&str] =
        if house.is_celery("5.7") { &["none", "gzip", "bzip2", "lzma", "zstd"] } else { &["none"] };
    for serializer in ["json", "msgpack", "yaml"] {
        for compression in compressions {
            let settings =
                [format!("results.serializer={serializer}"), format!("results.compression={compression}")];
            let worker = house.worker(&["--set", &settings[0], "--set", &settings[1]]);
            let told = house.python_with(
                &[("ACCEPT", "json,msgpack,yaml"), ("RESULT_SERIALIZER", serializer)],
                "tell([send('house.echo', [2, 'ä', None, {'a': 1.5}]).get(timeout=20), failure(send('house.fail', 'no way'))[1:]])",
            );
            let expected = json!([[2, "ä", null, {"a": 1.5}], ["no way", "FAILURE", true]]);
            assert_eq!(told, expected, "{settings:?}");
            worker.stop();
        }
    }
}

pub(crate) fn client_of_python_gets_the_failure(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python("tell(failure(send('house.fail', 'no way')))");
    assert_eq!((&told[1], &told[2]), (&json!("no way"), &json!("FAILURE")), "{told}");
    let told = house.python("tell(failure(send('house.add', 'x', 'y', 'z')))");
    assert_eq!((&told[0], &told[2]), (&json!("TypeError"), &json!("FAILURE")), "{told}");
    worker.stop();
}

pub(crate) fn task_that_failed_once_is_retried_and_succeeds(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "result = send('house.flaky')\n\
         until(lambda: result.state == 'RETRY')\n\
         tell([str(result.info), result.get(timeout=20)])",
    );
    assert_eq!(told, json!(["first", 2]));
    worker.stop();
}

pub(crate) fn progress_is_seen_by_python(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(&format!(
        "result = send('house.progress', {0:?})\n\
         until(lambda: result.state == 'PROGRESS')\n\
         info = result.info\n\
         open({0:?}, 'w').close()\n\
         tell([info, result.get(timeout=20)])",
        house.path("go")
    ));
    assert_eq!(told, json!([{"current": 40, "total": 100, "message": "on it"}, "done"]));
    worker.stop();
}

pub(crate) fn particulars_of_a_result_are_seen_by_python(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "result = send('house.add', 2, y=3) if False else app.send_task('house.add', (2,), {'y': 3})\n\
         result.get(timeout=20)\n\
         result = AsyncResult(result.id, app=app)\n\
         tell([result.name, result.args, result.kwargs, result.queue, result.retries, result.children, result.date_done is not None, \
         result.worker.split('-')[0]])",
    );
    assert_eq!(told, json!(["house.add", [2], {"y": 3}, "celery", 0, [], true, "interop"]));
    worker.stop();
}

pub(crate) fn result_that_is_ignored_is_not_kept(house: &House) {
    let worker = house.worker(&["-c", "1"]);
    let told = house.python(
        "ignored = send('house.add', 2, 3, ignore_result=True)\n\
         send('house.add', 2, 3).get(timeout=20)\n\
         tell([AsyncResult(ignored.id, app=app).state, app.backend.client.exists('celery-task-meta-' + ignored.id)])",
    );
    assert_eq!(told, json!(["PENDING", 0]));
    worker.stop();
}

pub(crate) fn late_job_is_revoked(house: &House) {
    let told = house.python("result = send('house.add', 1, expires=1)\ntime.sleep(1.2)\ntell(result.id)");
    let worker = house.worker(&[]);
    let id = told.as_str().unwrap();
    let told = house.python(&format!("tell(failure(AsyncResult({id:?}, app=app)))"));
    assert_eq!(
        (&told[0], &told[1], &told[2]),
        (&json!("TaskRevokedError"), &json!("expired"), &json!("REVOKED"))
    );
    worker.stop();
}

pub(crate) fn delayed_job_waits_and_runs_once(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(&format!(
        "begun = time.monotonic()\n\
         send('house.log', 'once', {:?}, countdown=2).get(timeout=20)\n\
         tell(time.monotonic() - begun)",
        house.path("log")
    ));
    let took = told.as_f64().unwrap();
    assert!((1.9..10.0).contains(&took), "{took}");
    assert_eq!(house.lines_of("log"), ["once"]);
    worker.stop();
}

pub(crate) fn priority_of_python_is_kept(house: &House) {
    house.python(&format!(
        "for priority in (9, 0, 6, 3): send('house.log', str(priority), {:?}, priority=priority)\ntell(None)",
        house.path("log")
    ));
    let worker = house.worker(&["-c", "1"]);
    crate::house::until(|| house.lines_of("log").len() == 4);
    // For Python's clients of Redis 0 is the first.
    assert_eq!(house.lines_of("log"), ["0", "3", "6", "9"]);
    worker.stop();
}

pub(crate) fn priority_of_python_is_kept_by_rabbitmq(house: &House) {
    // Python's worker declares its queues when it starts, its client when it sends.
    house.python_with(
        &[("MAX_PRIORITY", "10")],
        &format!(
            "for priority in (0, 9, 3, 6): send('house.log', str(priority), {:?}, priority=priority)\ntell(None)",
            house.path("log")
        ),
    );
    let worker = house.worker(&["-c", "1"]);
    crate::house::until(|| house.lines_of("log").len() == 4);
    // There 9 is the first, for Python's clients too.
    assert_eq!(house.lines_of("log"), ["9", "6", "3", "0"]);
    worker.stop();
}

/// Our worker came first and has laid out what Python publishes to.
pub(crate) fn topic_of_python_reaches_ours(house: &House) {
    let binding = "broker.bindings=feeds = news topic feed.#";
    let worker = house.worker(&["-Q", "feeds", "--set", binding]);
    let code = "tell(send('house.add', 2, 3, exchange='news', exchange_type='topic', routing_key='feed.sport').get(timeout=20))";
    assert_eq!(house.python(code), 5);
    worker.stop();
}

/// Celery gives such a message a time to live, and RabbitMQ drops it without a word.
pub(crate) fn late_job_is_dropped_by_rabbitmq(house: &House) {
    let log = house.path("log");
    house.python(&format!("send('house.log', 'late', {log:?}, expires=1)\ntime.sleep(1.5)\ntell(None)"));
    let worker = house.worker(&["-c", "1"]);
    house.python(&format!("tell(send('house.log', 'next', {log:?}).get(timeout=20))"));
    assert_eq!(house.lines_of("log"), ["next"]);
    worker.stop();
}

pub(crate) fn task_that_nobody_knows_fails_as_in_celery(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python("tell(failure(send('no.such', 1)))");
    assert_eq!((&told[0], &told[2]), (&json!("NotRegistered"), &json!("FAILURE")), "{told}");
    worker.stop();
}

pub(crate) fn message_that_cannot_be_read_stops_no_worker(house: &House) {
    let worker = house.worker(&[]);
    let told = house.python(
        "client = app.backend.client\n\
         for junk in ('no json', '{}', '[1]', json.dumps({'body': 'x', 'headers': {'task': 'house.add'}, 'properties': {}})):\n\
         \x20   client.lpush('celery', junk)\n\
         pickled = send('house.add', 1, serializer='pickle')\n\
         odd = send('house.add', 1, headers={'compression': 'application/x-odd'})\n\
         tell([send('house.add', 2, 3).get(timeout=20), failure(pickled)[2], failure(odd)[2]])",
    );
    assert_eq!(told, json!([5, "FAILURE", "FAILURE"]));
    assert!(house.ok(&["dead", "list", "--json"]).lines().count() >= 2);
    worker.stop();
}
