//! Workers of both kinds on one queue, and what becomes of a dead one's jobs.

use serde_json::json;

use crate::house::{House, until};

pub(crate) fn two_fleets_share_one_queue(house: &House) {
    let (theirs, ours) = (house.python_worker(&[], &[]), house.worker(&["-c", "1"]));
    let told = house.python(
        "results = [send('both.add', n, n) for n in range(100)]\n\
         answers = [result.get(timeout=30) for result in results]\n\
         tell([[answer[0] for answer in answers], sorted({answer[1] for answer in answers})])",
    );
    let sums: Vec<i64> = (0..100).map(|n| n + n).collect();
    assert_eq!(told, json!([sums, ["python", "rust"]]));
    let ids: Vec<String> = (0..40).map(|n| house.ok(&["enqueue", "both.add", &n.to_string(), "1"])).collect();
    for (n, id) in ids.iter().enumerate() {
        let answer = house.ok(&["jobs", "wait", id, "--timeout", "20s"]);
        assert!(answer.starts_with(&format!("[{},", n + 1)), "{answer}");
    }
    ours.stop();
    theirs.stop();
}

pub(crate) fn retry_of_ours_is_run_by_python_that_reads_nothing_but_msgpack(house: &House) {
    let ours = house.worker(&["--set", "results.serializer=msgpack"]);
    let only = [("ACCEPT", "msgpack"), ("RESULT_SERIALIZER", "msgpack")];
    let told = house.python_with(
        &only,
        "result = send('both.flaky', serializer='msgpack', compression='gzip')\n\
         until(lambda: result.state == 'RETRY')\n\
         tell(result.id)",
    );
    ours.stop();
    let theirs = house.python_worker(&["--without-gossip", "--without-mingle"], &only);
    let id = told.as_str().unwrap();
    let told = house.python_with(&only, &format!("tell(AsyncResult({id:?}, app=app).get(timeout=20))"));
    let retries = told[1].as_u64().unwrap();
    assert!(told[0] == "python" && retries >= 1, "{told}");
    theirs.stop();
}

pub(crate) fn chain_runs_over_two_fleets(house: &House) {
    // Each step hands on to one that only the other side knows, and either does the last.
    let (theirs, ours) = (house.python_worker(&["-Q", "py,celery"], &[]), house.worker(&["-Q", "rs,celery"]));
    let told = house.python(
        "theirs = lambda *args: app.signature('py.add', args, queue='py')\n\
         ours = lambda *args: app.signature('house.add', args, queue='rs')\n\
         result = chain(ours(1, 2), theirs(10), ours(100), theirs(1000), app.signature('both.add', (1,))).apply_async()\n\
         linked = app.send_task('house.add', (1, 2), queue='rs', link=theirs(5).set(task_id='linked'))\n\
         back = app.send_task('py.add', (1, 2), queue='py', link=ours(7).set(task_id='back'))\n\
         tell([result.get(timeout=20)[0], AsyncResult('linked', app=app).get(timeout=20), AsyncResult('back', app=app).get(timeout=20)])",
    );
    assert_eq!(told, json!([1114, 8, 10]));
    ours.stop();
    theirs.stop();
}

pub(crate) fn chain_of_a_killed_worker_of_ours_goes_on_under_the_same_ids(house: &House) {
    let ours = house.worker(&["--set", "worker.lease=1s"]);
    let (go, log) = (house.path("go"), house.path("log"));
    let told = house.python(&format!(
        "s = app.signature\n\
         result = chain(s('house.progress', ({go:?},)), s('house.log', ('then', {log:?}), immutable=True)).apply_async()\n\
         until(lambda: result.parent.state == 'PROGRESS')\n\
         tell(result.id)"
    ));
    ours.kill();
    house.write("go");
    let next = house.worker(&["--set", "worker.lease=1s"]);
    let id = told.as_str().unwrap();
    house.python(&format!("tell(AsyncResult({id:?}, app=app).get(timeout=20))"));
    assert_eq!(house.lines_of("log"), ["then"]);
    assert_eq!(house.job(id)["status"], "completed");
    next.stop();
}

pub(crate) fn job_of_a_killed_worker_of_ours_is_put_back_by_python(house: &House) {
    // Its lease is longer than Python lets a worker be silent, which is two seconds here.
    let ours = house.worker(&["--set", "worker.lease=1h"]);
    let id = house.ok(&["enqueue", "house.progress", &house.path("go")]);
    until(|| house.job(&id)["status"] == "running");
    ours.kill();
    house.python("time.sleep(3)\ntell(None)");
    let theirs = house.python_worker(&["-Q", "elsewhere"], &[("VISIBILITY", "2")]);
    until(|| house.python("tell(app.backend.client.llen('celery'))") == 1);
    theirs.stop();
    house.write("go");
    let next = house.worker(&[]);
    assert_eq!(house.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"done\"");
    assert_eq!(house.job(&id)["attempt"], 2);
    next.stop();
}

pub(crate) fn job_of_a_killed_python_worker_is_put_back_by_ours(house: &House) {
    let theirs = house.python_worker(&["-P", "solo"], &[("ACKS_LATE", "1")]);
    let (go, log) = (house.path("go"), house.path("log"));
    let told = house.python(&format!("tell(app.send_task('py.hold', ({go:?}, {log:?})).id)"));
    until(|| house.lines_of("log").len() == 1);
    theirs.kill();
    let ours = house.worker(&["-Q", "nothing", "--set", "broker.visibility_timeout=2s"]);
    until(|| house.python("tell(app.backend.client.llen('celery'))") == 1);
    ours.stop();
    house.write("go");
    let next = house.python_worker(&["-P", "solo"], &[("ACKS_LATE", "1")]);
    let id = told.as_str().unwrap();
    assert_eq!(house.python(&format!("tell(AsyncResult({id:?}, app=app).get(timeout=20))")), "let go");
    assert_eq!(house.lines_of("log").len(), 2);
    next.stop();
}

pub(crate) fn job_of_a_killed_python_worker_is_run_by_the_next(house: &House) {
    let theirs = house.python_worker(&["-P", "solo"], &[("ACKS_LATE", "1")]);
    let (go, log) = (house.path("go"), house.path("log"));
    let told = house.python(&format!("tell(app.send_task('py.hold', ({go:?}, {log:?})).id)"));
    until(|| house.lines_of("log").len() == 1);
    theirs.kill();
    house.write("go");
    let next = house.python_worker(&["-P", "solo"], &[("ACKS_LATE", "1")]);
    let id = told.as_str().unwrap();
    assert_eq!(house.python(&format!("tell(AsyncResult({id:?}, app=app).get(timeout=20))")), "let go");
    next.stop();
}

pub(crate) fn delayed_jobs_outlive_the_last_worker_of_ours(house: &House) {
    let ours = house.worker(&[]);
    let log = house.path("log");
    house.ok(&["enqueue", "--unchecked", "py.log", "late", &log, "--countdown", "4s"]);
    ours.stop();
    let theirs = house.python_worker(&[], &[]);
    until(|| house.lines_of("log") == ["late"]);
    theirs.stop();
}
