//! Processes tell of themselves, and are forgotten when they are gone.

use std::time::Duration;

use celeriac_store::query::workers::{self, LoopRecord, MAX_IN_FLIGHT, WorkerRecord, WorkerState};

use crate::kit::{self, at};

fn worker(name: &str, seconds: i64) -> WorkerRecord {
    WorkerRecord {
        name: name.to_owned(),
        app: "shop".to_owned(),
        host: "box".to_owned(),
        pid: 7,
        version: "1.2.3".to_owned(),
        roles: vec!["worker".to_owned()],
        queues: vec!["celery".to_owned(), "mail".to_owned()],
        concurrency: 8,
        running: 2,
        in_flight: vec!["a".to_owned(), "b".to_owned()],
        state: WorkerState::Running,
        started_at: at(0),
        seen_at: at(seconds),
        stopped_at: None,
        memory_bytes: Some(1 << 20),
        cpu: Some(Duration::from_millis(1_500)),
        loops: vec![LoopRecord { name: "beat".to_owned(), passes: 3, ..LoopRecord::default() }],
    }
}

#[tokio::test]
async fn what_a_worker_tells_replaces_what_it_told_before() {
    let db = kit::database().await;
    let first = worker("w1", 0);
    let drained = WorkerRecord { state: WorkerState::Draining, running: 1, seen_at: at(5), ..first.clone() };
    for told in [first, drained.clone(), worker("w2", 9)] {
        kit::write(&db, async move |tx| workers::beat(tx, &told).await).await;
    }
    assert_eq!(workers::find(db.reader(), "w1").await.unwrap(), Some(drained));
    assert_eq!(workers::find(db.reader(), "w3").await.unwrap(), None);
    let names: Vec<_> = workers::list(db.reader()).await.unwrap().into_iter().map(|w| w.name).collect();
    assert_eq!(names, ["w2", "w1"]);
}

#[tokio::test]
async fn a_worker_names_a_bounded_number_of_jobs() {
    let db = kit::database().await;
    let busy = WorkerRecord { in_flight: vec!["x".to_owned(); 5_000], running: 5_000, ..worker("w", 0) };
    kit::write(&db, async move |tx| workers::beat(tx, &busy).await).await;
    let found = workers::find(db.reader(), "w").await.unwrap().unwrap();
    assert_eq!((found.running, found.in_flight.len()), (5_000, MAX_IN_FLIGHT));
}

#[tokio::test]
async fn those_that_stopped_are_forgotten_before_those_that_are_silent() {
    let db = kit::database().await;
    let stopped = |name, seconds| WorkerRecord {
        state: WorkerState::Stopped,
        stopped_at: Some(at(seconds)),
        ..worker(name, seconds)
    };
    for told in [stopped("stopped", 10), stopped("fresh", 200), worker("silent", 10), worker("gone", -500)] {
        kit::write(&db, async move |tx| workers::beat(tx, &told).await).await;
    }
    let forgotten = kit::write(&db, async |tx| workers::forget(tx, at(100), at(0)).await).await;
    let names: Vec<_> = workers::list(db.reader()).await.unwrap().into_iter().map(|w| w.name).collect();
    assert_eq!((forgotten, names), (2, vec!["fresh".to_owned(), "silent".to_owned()]));
}
