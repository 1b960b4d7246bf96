//! Eager mode: the same semantics with nothing to wait for.

use std::time::Duration;

use celeriac_engine::{States, WaitError, eager_client};
use celeriac_protocol::JobStatus;

use crate::tasks::{self, Gate, Runs, add, fail, parent, snooze};

#[tokio::test]
async fn a_job_has_ended_when_enqueue_returns_with_the_same_semantics() {
    let states = States::default().with(Gate::default()).with(Runs::default());
    let client = eager_client(tasks::registry(), states).unwrap();
    let sum = client.enqueue(add(2, 3, None)).await.unwrap();
    assert_eq!(sum.wait(Duration::ZERO).await.unwrap(), 5);
    let delayed = client.enqueue(add(1, 1, None).countdown(Duration::from_secs(3_600))).await.unwrap();
    assert_eq!(delayed.wait(Duration::ZERO).await.unwrap(), 2);
    let failed = client.enqueue(fail("plainly".into())).await.unwrap();
    let snapshot = failed.status().await.unwrap().unwrap();
    assert_eq!((snapshot.status, snapshot.attempt), (JobStatus::Failed, 3));
    assert!(matches!(failed.wait(Duration::ZERO).await, Err(WaitError::Failed { .. })));
    let snoozed = client.enqueue(snooze()).await.unwrap();
    assert_eq!(snoozed.wait(Duration::ZERO).await.unwrap(), 1);
    let parent = client.enqueue(parent()).await.unwrap();
    assert_eq!(parent.status().await.unwrap().unwrap().status, JobStatus::Completed);
}
