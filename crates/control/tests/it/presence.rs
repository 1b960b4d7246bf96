//! Processes tell that they are there, and whoever looks knows who has fallen silent.

use std::sync::Arc;
use std::time::Duration;

use celeriac_control::presence::{self, SILENT_AFTER, WorkersSeen};
use celeriac_control::{Driver, Identity, Presence, Role, Usage};
use celeriac_protocol::ManualClock;
use celeriac_store::query::workers::WorkerState;
use tokio_util::sync::CancellationToken;

use crate::jobs::House;

fn usage() -> Usage {
    Usage { memory_bytes: Some(4_096), cpu: Some(Duration::from_millis(5)) }
}

fn presence(house: &House) -> Presence {
    let identity = Identity {
        name: "w1".to_owned(),
        app: "shop".to_owned(),
        host: "box".to_owned(),
        pid: 7,
        version: "1.2.3".to_owned(),
        roles: vec![Role::Worker, Role::Scheduler],
        queues: vec!["celery".to_owned()],
        concurrency: 8,
    };
    let board = Driver::new(Arc::new(house.clock.clone())).board();
    Presence::new(&house.environment.clone().by_own_clock(), identity, usage).with_loops(board)
}

async fn look(house: &House) -> WorkersSeen {
    presence::workers(&house.environment.clone().by_own_clock()).await.unwrap()
}

/// Lets time pass until the process has told that it stands so.
async fn until(house: &House, clock: &ManualClock, state: WorkerState) -> WorkersSeen {
    loop {
        let seen = look(house).await;
        if seen.workers.first().is_some_and(|worker| worker.state == state) {
            return seen;
        }
        clock.advance(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_process_tells_that_it_starts_runs_drains_and_has_stopped() {
    let house = House::build().await;
    let mut presence = presence(&house);
    presence.begin().await;
    let seen = look(&house).await;
    let worker = &seen.workers[0];
    assert_eq!(
        (worker.state, worker.roles.join("+")),
        (WorkerState::Starting, "worker+scheduler".to_owned())
    );
    assert_eq!((worker.memory_bytes, worker.pid, worker.concurrency), (Some(4_096), 7, 8));
    let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
    let told = async {
        until(&house, &house.clock, WorkerState::Running).await;
        stop.cancel();
        until(&house, &house.clock, WorkerState::Draining).await;
        ended.cancel();
    };
    tokio::join!(told, presence.run(stop.clone(), ended.clone()));
    let seen = look(&house).await;
    let worker = &seen.workers[0];
    assert_eq!((worker.state, worker.stopped_at), (WorkerState::Stopped, Some(worker.seen_at)));
    assert!(worker.started_at < worker.seen_at);
    house.clock.advance(SILENT_AFTER * 2);
    assert_eq!((look(&house).await.silent().count(), look(&house).await.present().count()), (0, 0));
}

#[tokio::test]
async fn a_process_that_tells_nothing_any_more_is_silent_after_a_while() {
    let house = House::build().await;
    presence(&house).begin().await;
    house.clock.advance(SILENT_AFTER);
    assert_eq!(look(&house).await.present().count(), 1);
    house.clock.advance(Duration::from_secs(1));
    let seen = look(&house).await;
    assert_eq!(seen.silent().map(|worker| worker.name.as_str()).collect::<Vec<_>>(), ["w1"]);
    assert_eq!(seen.present().count(), 0);
}

#[tokio::test]
async fn a_database_that_is_away_ends_nothing() {
    let house = House::build().await;
    house.db.database().close().await;
    let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
    stop.cancel();
    ended.cancel();
    let mut presence = presence(&house);
    presence.begin().await;
    presence.run(stop, ended).await;
}
