//! The queue in Redis, from the settings to a server that dies under its workers.

use std::collections::BTreeSet;

use celeriac_peers::Redis;
use celeriac_peers::shared::redis_corner;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Bed, Outcome, Running, lines_of};

/// Makes a bed whose queue is in Redis.
fn bed_at(url: &str) -> Bed {
    let bed = Bed::new();
    bed.write("celeriac.toml", format!("broker = \"{url}\"\n"));
    bed
}

fn bed() -> Bed {
    bed_at(&redis_corner().unwrap())
}

#[test]
fn job_goes_its_whole_way_and_is_recorded_in_the_database() {
    let bed = bed();
    let id = bed.enqueue(&["greet", "Ada"]);
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["message"]["state"]), (&json!("pending"), &json!("ready")));
    assert_eq!(bed.json(&["queues"])[0]["ready"], 1);
    let worker = bed.worker(&[]);
    assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"Hello, Ada!\"\n");
    worker.stop();
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["attempt"]), (&json!("completed"), &json!(1)));
    assert_eq!(bed.json(&["queues"]), Vec::<Value>::new());
}

#[test]
fn job_of_a_transaction_in_the_database_reaches_redis_and_runs() {
    let bed = bed();
    let order = bed.enqueue(&["order", "Ada"]);
    let worker = bed.worker(&[]);
    let id = bed.ok(&["jobs", "wait", &order, "--timeout", "20s"]);
    let id = id.trim().trim_matches('"');
    assert_eq!(bed.ok(&["jobs", "wait", id, "--timeout", "20s"]), "\"Hello, Ada!\"\n");
    worker.stop();
    assert_eq!(bed.json(&["queues"]), Vec::<Value>::new());
    let findings = lines_of(&bed.run(&["doctor", "--json"]).stdout);
    let outbox = findings.iter().find(|finding| finding["check"] == "outbox").unwrap();
    assert_eq!((&outbox["verdict"], &outbox["detail"]), (&json!("ok"), &json!("0 jobs to be handed on")));
}

#[test]
fn a_unique_key_for_workers_that_know_none_is_warned_of() {
    let bed = bed();
    let said = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["enqueue", "--unique", "k"].iter().chain(arguments).copied().collect();
        bed.run(&arguments).stderr
    };
    let warning = "its unique key ends when the queue has run empty, not with the job";
    let unknown = said(&["app.add", "1", "--unchecked", "-Q", "pythons"]);
    assert!(
        unknown.contains("no task of this app is called app.add") && unknown.contains(warning),
        "{unknown}"
    );
    let elsewhere = said(&["greet", "Ada", "-Q", "pythons"]);
    assert!(elsewhere.contains("take from queue pythons") && elsewhere.contains(warning), "{elsewhere}");
    assert!(!said(&["greet", "Ada"]).contains(warning));
}

#[test]
fn waiting_jobs_are_cancelled_and_delayed_ones_wait() {
    let bed = bed();
    let id = bed.enqueue(&["greet", "Ada", "--countdown", "1h"]);
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["message"]["state"]), (&json!("scheduled"), &json!("delayed")));
    bed.ok(&["jobs", "cancel", &id]);
    let record = bed.job(&id);
    assert_eq!((&record["status"], &record["message"]), (&json!("cancelled"), &Value::Null));
}

#[test]
fn dead_letters_are_listed_retried_and_dropped() {
    let bed = bed();
    let id = bed.enqueue(&["fail", "no"]);
    bed.work_until_ended(&id);
    assert_eq!(bed.json(&["dead", "list"])[0]["id"], json!(id));
    bed.ok(&["dead", "retry", &id]);
    bed.work_until_ended(&id);
    assert_eq!(bed.job(&id)["generation"], 1);
    bed.ok(&["dead", "drop", &id]);
    assert_eq!(bed.json(&["dead", "list"]), Vec::<Value>::new());
}

#[test]
fn every_way_to_name_redis_names_the_same_queue() {
    let server = Redis::start().unwrap();
    let (url, bed) = (server.url(3), Bed::new());
    let (start, socket) = (url.trim_end_matches("/3").to_owned(), server.socket_url(3));
    let port = start.rsplit(':').next().unwrap().to_owned();
    let ways: [(&[(&str, &str)], &[&str]); 7] = [
        (&[("CELERY_BROKER_URL", &url)], &[]),
        (&[("CELERIAC_BROKER", &url)], &[]),
        (&[("CELERIAC_BROKER__URL", &url), ("CELERY_BROKER_URL", "redis://127.0.0.1:1")], &[]),
        (&[("REDIS_URL", &start), ("REDIS_CELERY_BROKER_DB", "3")], &[]),
        (&[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &port), ("REDIS_CELERY_BROKER_DB", "3")], &[]),
        (&[], &["-b", &url]),
        (&[], &["--broker", &socket]),
    ];
    let arguments = ["enqueue", "greet", "Ada"];
    for (environment, flags) in ways {
        let mut command = bed.command(&[&arguments[..], flags].concat());
        Outcome::of(command.envs(environment.iter().copied())).ok();
    }
    assert_eq!(bed.json(&["queues", "-b", &url])[0]["ready"], ways.len());
    // Where Redis is does not say that the queue is to be there.
    let mut command = bed.command(&arguments);
    Outcome::of(command.env("REDIS_URL", &url)).ok();
    assert_eq!(bed.json(&["queues"])[0]["ready"], 1);
}

#[test]
fn key_prefix_parts_apps_that_share_a_database() {
    let url = redis_corner().unwrap();
    let bed = bed_at(&url);
    bed.write("celeriac.toml", format!("[broker]\nurl = \"{url}\"\nkey_prefix = \"house:\"\n"));
    bed.enqueue(&["greet", "Ada"]);
    assert_eq!(bed.json(&["queues"])[0]["ready"], 1);
    assert_eq!(bed.json(&["queues", "--set", "broker.key_prefix=other:"]), Vec::<Value>::new());
}

#[test]
fn password_is_shown_nowhere() {
    let bed = bed_at("redis://:secret@127.0.0.1:1/0");
    for arguments in
        [&["config", "show", "broker"][..], &["config", "show", "--json"], &["worker"], &["doctor"]]
    {
        let Outcome { stdout, stderr, .. } = bed.run(arguments);
        let said = stdout + &stderr;
        assert!(!said.contains("secret"), "{said}");
        assert!(said.contains(":***@127.0.0.1:1/0"), "{said}");
    }
    let wrong = bed.run(&["queues", "-b", "sqs://me:secret@host//"]).refused(2);
    assert!(wrong.contains("\"sqs\"") && !wrong.contains("secret"), "{wrong}");
}

#[test]
fn server_that_is_away_or_refuses_is_said_at_once() {
    let bed = bed_at("redis://127.0.0.1:1/0");
    let error = bed.run(&["worker", "--json"]).refused_as(4, "broker_unreachable");
    assert!(error["message"].as_str().unwrap().contains("redis://127.0.0.1:1/0"), "{error}");
    let server = Redis::start().unwrap();
    server.configure("requirepass", "right").unwrap();
    let url = server.url(0);
    let with = |password: &str| url.replace("redis://", &format!("redis://:{password}@"));
    for wrong in [with("wrong"), url.clone(), with("right").replace("/0", "/99999")] {
        bed.run(&["worker", "--json", "-b", &wrong]).refused_as(2, "broker_refused");
    }
    bed.ok(&["enqueue", "greet", "Ada", "-b", &with("right")]);
}

/// Returns verdict and detail of what the doctor says of the broker.
fn doctor(bed: &Bed, url: &str) -> (String, String) {
    let outcome = bed.run(&["doctor", "--json", "-b", url]);
    let findings = lines_of(&outcome.stdout);
    let finding = findings.iter().find(|finding| finding["check"] == "broker").unwrap();
    let word = |name: &str| finding[name].as_str().unwrap().to_owned();
    (word("verdict"), word("detail"))
}

#[test]
fn doctor_says_what_would_lose_jobs() {
    let (mut server, bed) = (Redis::start().unwrap(), Bed::new());
    let url = server.url(0);
    let check = |verdict: &str, words: &str| {
        let (found, detail) = doctor(&bed, &url);
        assert!(found == verdict && detail.contains(words), "{found}: {detail}");
    };
    check("ok", "redis://127.0.0.1");
    server.configure("maxmemory", "100mb").unwrap();
    server.configure("maxmemory-policy", "allkeys-lru").unwrap();
    check("failed", "jobs are evicted when the memory is full");
    server.configure("maxmemory-policy", "noeviction").unwrap();
    server.configure("appendonly", "no").unwrap();
    check("failed", "a restart of the server loses every job");
    server.configure("save", "3600 1").unwrap();
    check("warning", "loses the jobs since the last");
    server.configure("requirepass", "secret").unwrap();
    check("failed", "NOAUTH");
    server.kill();
    check("failed", "refused");
}

#[test]
fn worker_warns_at_its_start_of_what_would_lose_jobs() {
    let server = Redis::start().unwrap();
    server.configure("appendonly", "no").unwrap();
    let mut worker = bed_at(&server.url(0)).worker(&[]);
    worker.hear("a restart of the server loses every job");
    worker.stop();
}

#[test]
fn worker_goes_on_when_the_server_comes_back() {
    let mut server = Redis::start().unwrap();
    let bed = bed_at(&server.url(0));
    let line = bed.line();
    let (running, before) = (bed.enqueue(&["hold", line.address()]), bed.enqueue(&["greet", "Ada"]));
    let mut worker = bed.worker(&["-c", "1"]);
    let call = line.called();
    bed.until_running(&running);
    server.kill();
    let place = server.url(0).trim_start_matches("redis://").trim_end_matches("/0").to_owned();
    let warning = worker.hear("Redis is not to be reached");
    assert!(warning.contains("WARN") && warning.contains(&place), "{warning}");
    call.answer("through it all");
    bed.run(&["queues", "--set", "broker.deadline=300ms"]).refused(4);
    server.restart().unwrap();
    let news = worker.hear("Redis is back");
    assert!(news.contains("INFO") && news.contains(&place), "{news}");
    let after = bed.enqueue(&["greet", "Bob"]);
    for (id, answer) in
        [(running, "\"through it all\"\n"), (before, "\"Hello, Ada!\"\n"), (after, "\"Hello, Bob!\"\n")]
    {
        assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "10s"]), answer);
        assert_eq!(bed.job(&id)["attempt"], 1);
    }
    // The same with nothing to do.
    server.kill();
    server.restart().unwrap();
    let idle = bed.enqueue(&["greet", "Eve"]);
    assert_eq!(bed.ok(&["jobs", "wait", &idle, "--timeout", "10s"]), "\"Hello, Eve!\"\n");
    worker.stop();
}

#[test]
fn running_job_is_told_at_once_that_it_was_cancelled() {
    let bed = bed();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    // Without a word from the one who cancels the worker would hear of it when it renews the lease: in five minutes.
    let worker = bed.worker(&["-c", "1", "--set", "worker.lease=15m"]);
    let job = line.called();
    bed.until_running(&id);
    bed.ok(&["jobs", "cancel", &id]);
    job.hung_up();
    bed.run(&["jobs", "wait", &id, "--timeout", "20s"]);
    assert_eq!(bed.job(&id)["status"], "cancelled");
    worker.stop();
}

#[test]
fn killed_workers_job_is_taken_up_when_its_lease_ends() {
    let bed = bed();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let killed = bed.worker(&["--set", "worker.lease=2s"]);
    let job = line.called();
    bed.until_running(&id);
    killed.signal(Signal::KILL);
    job.hung_up();
    let next = bed.worker(&[]);
    line.called().answer("after all");
    assert_eq!(bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]), "\"after all\"\n");
    next.stop();
}

/// Asks a server as a peer would.
fn redis_cli(url: &str, words: &[&str]) -> String {
    let mut command = std::process::Command::new("redis-cli");
    Outcome::of(command.args(["-u", url]).args(words)).ok().trim().to_owned()
}

/// Makes a bed whose queue and results are in Redis.
fn bed_with_results(url: &str) -> Bed {
    let bed = Bed::new();
    bed.write(
        "celeriac.toml",
        format!("broker = \"{url}\"\nresults = \"{url}\"\n[worker]\nqueues = [\"celery\", \"math\"]\n"),
    );
    bed
}

#[test]
fn results_lie_where_celerys_clients_look_for_them() {
    let url = redis_corner().unwrap();
    let bed = bed_with_results(&url);
    let worker = bed.worker(&[]);
    let result = |id: &str| -> Value {
        serde_json::from_str(&redis_cli(&url, &["GET", &format!("celery-task-meta-{id}")])).unwrap()
    };
    let good = bed.enqueue(&["math.add", "2", "3"]);
    bed.ok(&["jobs", "wait", &good, "--timeout", "20s"]);
    let kept = result(&good);
    assert_eq!(
        (&kept["status"], &kept["result"], &kept["task_id"]),
        (&json!("SUCCESS"), &json!(5), &json!(good))
    );
    let left: u64 = redis_cli(&url, &["TTL", &format!("celery-task-meta-{good}")]).parse().unwrap();
    assert!((86_000..=86_400).contains(&left), "{left}");
    let bad = bed.enqueue(&["fail", "no"]);
    bed.run(&["jobs", "wait", &bad, "--timeout", "20s"]);
    let kept = result(&bad);
    assert_eq!((&kept["status"], &kept["result"]["exc_message"]), (&json!("FAILURE"), &json!(["no"])));
    let ignored = bed.enqueue(&["silent"]);
    let last = bed.enqueue(&["silent"]);
    while bed.json(&["queues"]) != Vec::<Value>::new() {}
    worker.stop();
    for id in [ignored, last] {
        // A task that leaves no record leaves its result all the same.
        assert_eq!(result(&id)["status"], "SUCCESS");
    }
}

#[test]
fn what_a_python_worker_made_of_a_job_reaches_its_record() {
    let url = redis_corner().unwrap();
    let bed = bed_with_results(&url);
    let worker = bed.worker(&["-Q", "nothing"]);
    let write = |id: &str, text: &str| redis_cli(&url, &["SET", &format!("celery-task-meta-{id}"), text]);
    let id = bed.enqueue(&["greet", "Ada"]);
    write(&id, r#"{"status": "STARTED", "result": {"pid": 1, "hostname": "celery@there"}, "children": []}"#);
    bed.until_running(&id);
    assert_eq!(bed.job(&id)["worker"], "celery@there");
    write(&id, r#"{"status": "PROGRESS", "result": {"current": 1, "total": 4}, "children": []}"#);
    while bed.job(&id)["progress"] != 25 {}
    write(
        &id,
        r#"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"}, "traceback": "Traceback", "children": [], "date_done": "2026-11-22T03:45:28.463338+00:00"}"#,
    );
    while bed.job(&id)["status"] != "failed" {}
    let record = bed.job(&id);
    assert_eq!(
        (&record["error"]["type"], &record["error"]["message"]),
        (&json!("ValueError"), &json!("boom"))
    );
    // Of one that was only seen to end, nothing else is made up.
    let ended = bed.enqueue(&["math.add", "2", "3"]);
    write(&ended, r#"{"status": "SUCCESS", "result": 5, "traceback": null, "children": []}"#);
    while bed.job(&ended)["status"] != "completed" {}
    let attempt = &bed.job(&ended)["attempts"][0];
    assert_eq!((&attempt["started_at"], &attempt["runtime_ms"]), (&json!(null), &json!(null)));
    let shown = bed.ok(&["jobs", "show", &ended]);
    assert!(shown.contains("attempts    succeeded; told by its result alone"), "{shown}");
    worker.stop();
    // Whoever waits reads it himself.
    let other = bed.enqueue(&["math.add", "2", "3"]);
    write(&other, r#"{"status": "SUCCESS", "result": 5, "traceback": null, "children": []}"#);
    assert_eq!(bed.ok(&["jobs", "wait", &other, "--timeout", "10s"]), "5\n");
}

#[test]
fn no_job_is_lost_when_workers_are_killed_under_load() {
    /// How many workers are killed, one after the other.
    const KILLS: usize = 12;
    let bed = bed();
    let line = bed.line();
    let mut ids = Vec::new();
    for kill in 0..KILLS {
        let names: Vec<String> = (0..50).map(|n| format!("greet-{kill}-{n}")).collect();
        let calls = names.iter().map(|id| format!(r#"{{"args": ["Ada"], "id": "{id}"}}"#));
        bed.write("calls.jsonl", calls.collect::<Vec<_>>().join("\n"));
        bed.ok(&["enqueue", "greet", "--bulk", "calls.jsonl"]);
        ids.extend(names);
        ids.push(bed.enqueue(&["hold", line.address()]));
    }
    let start = || bed.worker(&["-c", "4", "--set", "worker.lease=1s", "--set", "worker.max_deliveries=100"]);
    let mut workers = [start(), start()];
    for kill in 0..KILLS {
        // A job that has just begun says that its worker is in the midst of it; it hangs up when that is dead.
        let call = line.called();
        let slot = kill % workers.len();
        std::mem::replace(&mut workers[slot], start()).signal(Signal::KILL);
        drop(call);
    }
    let answering = std::thread::spawn(move || {
        // Each job is begun again until it is answered once; calls of those who are dead wait here, too.
        for _ in 0..KILLS * KILLS {
            line.called().answer_if_it_lives("at last");
        }
    });
    while bed.json(&["queues"]) != Vec::<Value>::new() {}
    let records = bed.json(&["jobs", "list", "--status", "completed", "--limit", "1000"]);
    let finished: BTreeSet<&str> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    let lost: Vec<&String> = ids.iter().filter(|id| !finished.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?}");
    drop(answering);
    workers.into_iter().for_each(Running::stop);
    assert_eq!(bed.json(&["dead", "list"]), Vec::<Value>::new());
}
