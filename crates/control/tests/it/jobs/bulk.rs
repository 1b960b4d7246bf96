//! What is done to all jobs that match.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_control::JobsError;
use celeriac_control::jobs::{BULK_JOBS, BulkAction, BulkReport, BulkRequest};
use celeriac_engine::{Call, JobSnapshot, States, Worker, WorkerOptions};
use celeriac_protocol::{Arguments, JobId, JobStatus, RawValue, What};
use celeriac_store::query::jobs::{self, JobFilter};
use tokio_util::sync::CancellationToken;

use super::House;

const SECOND: Duration = Duration::from_secs(1);

impl House {
    fn asked(&self, action: BulkAction, status: Option<&str>) -> BulkRequest {
        let status = status.map(|word| word.parse().unwrap());
        BulkRequest { action, filter: JobFilter { status, ..JobFilter::default() }, by: "ada".to_owned() }
    }

    /// Asks for a change of all that match, a moment after whatever has been.
    async fn ask(&self, action: BulkAction, status: Option<&str>) -> JobId {
        self.clock.advance(SECOND);
        let id = self.desk.change_all(self.asked(action, status)).await.unwrap();
        self.clock.advance(SECOND);
        id
    }

    /// Runs a worker of the platform's own tasks until a job has ended.
    async fn run(&self, id: &JobId) -> JobSnapshot {
        let options = WorkerOptions { queues: vec!["celeriac.house".to_owned()], ..WorkerOptions::default() };
        let states = States::default().with(self.environment.clone());
        let registry = self.client().registry().clone();
        let worker = Worker::new(self.client().clone(), registry, states, options).unwrap();
        let stop = CancellationToken::new();
        let ended = async {
            loop {
                let snapshot = self.client().snapshot(id).await.unwrap().expect("it is recorded");
                if snapshot.status.is_final() {
                    stop.cancel();
                    return snapshot;
                }
                tokio::task::yield_now().await;
            }
        };
        let (snapshot, ()) = tokio::join!(ended, worker.run(stop.clone()));
        snapshot
    }

    async fn done(&self, id: &JobId) -> BulkReport {
        let snapshot = self.run(id).await;
        assert_eq!(snapshot.status, JobStatus::Completed, "{:?}", snapshot.error);
        serde_json::from_str(snapshot.result.unwrap().get()).unwrap()
    }

    async fn counts(&self) -> jobs::JobCounts {
        jobs::counts(self.db.reader(), Some("add")).await.unwrap()
    }
}

fn report(matched: u64, done: u64, skipped: u64) -> BulkReport {
    BulkReport { matched, done, skipped, refused: BTreeMap::new() }
}

#[tokio::test]
async fn all_that_wait_are_cancelled_over_many_pages_and_what_comes_later_is_left_alone() {
    let house = House::build().await;
    for number in 0..250 {
        house.enqueue(number).await;
    }
    let id = house.ask(BulkAction::Cancel, None).await;
    let later = house.enqueue(1_000).await;
    assert_eq!(house.done(&id).await, report(250, 250, 0));
    assert_eq!(house.counts().await.of(JobStatus::Cancelled), 250);
    assert_eq!(house.status(&later).await, JobStatus::Pending);
    let told = house.client().snapshot(&id).await.unwrap().unwrap();
    assert_eq!(told.message.as_deref(), Some("200 of 250"));
}

#[tokio::test]
async fn the_dead_are_retried_and_deleted_without_what_died_since() {
    let house = House::build().await;
    let (first, second) = (house.dead(1).await, house.dead(2).await);
    let id = house.ask(BulkAction::Retry, Some("dead")).await;
    let later = house.dead(3).await;
    assert_eq!(house.done(&id).await, report(2, 2, 0));
    assert_eq!([house.status(&first).await, house.status(&second).await], [JobStatus::Pending; 2]);
    assert_eq!(house.status(&later).await, JobStatus::Failed);
    let id = house.ask(BulkAction::Delete, Some("dead")).await;
    assert_eq!(house.done(&id).await, report(1, 1, 0));
    assert!(house.client().dead_letters(None, 10).await.unwrap().letters.is_empty());
    assert_eq!(house.counts().await.total(), 2);
}

#[tokio::test]
async fn a_run_that_is_taken_up_again_makes_no_second_copies() {
    let house = House::build().await;
    house.completed(1).await;
    house.completed(2).await;
    let id = house.ask(BulkAction::Retry, Some("completed")).await;
    assert_eq!(house.done(&id).await, report(2, 2, 0));
    // The copies end, and the same run is gone through from its beginning.
    for _ in 0..2 {
        house.end(What::Succeeded { result: None, runtime_micros: None }).await;
    }
    let asked = house.record(&id).await;
    let args = Arguments { positional: asked.args, named: asked.kwargs };
    house.client().send(Call::new(BULK_JOBS, args).id(id.clone())).await.unwrap();
    assert_eq!(house.status(&id).await, JobStatus::Pending);
    assert_eq!(house.done(&id).await, report(2, 2, 0));
    assert!(house.broker.waiting().is_empty());
    assert_eq!(house.counts().await.total(), 4);
}

#[tokio::test]
async fn a_change_that_can_not_be_is_refused_when_it_is_asked_for() {
    let house = House::build().await;
    let refused = house.desk.change_all(house.asked(BulkAction::Retry, Some("running"))).await.unwrap_err();
    assert!(matches!(refused, JobsError::Unfit { .. }) && refused.is_refusal(), "{refused}");
    assert!(house.broker.waiting().is_empty());
}

#[tokio::test]
async fn a_run_goes_on_where_it_was_told_to_be() {
    let house = House::build().await;
    for number in 0..30 {
        house.completed(number).await;
    }
    let page = jobs::list(house.db.reader(), &JobFilter::default(), None, 20).await.unwrap();
    let id = house.ask(BulkAction::Delete, None).await;
    // As a worker that was lost has left it: 20 jobs looked at, 20 deleted.
    let told = serde_json::json!({
        "cursor": page.next, "total": 30, "more": false, "matched": 20, "done": 20, "skipped": 0, "refused": {}
    });
    let partial = RawValue::from_string(told.to_string()).unwrap();
    let progressed =
        What::Progressed { percent: 66, message: Some("20 of 30".to_owned()), partial: Some(partial) };
    house.tell(&id, What::Started { worker: "lost".into() }).await;
    house.tell(&id, progressed).await;
    assert_eq!(house.done(&id).await, report(30, 30, 0));
    assert_eq!(house.counts().await.total(), 20, "those before are not looked at again");
}
