//! Records go when their time is over, and only then.

use celeriac_db::testing::TestDatabase;
use celeriac_protocol::{JobId, JobStatus, Timestamp};
use celeriac_store::query::jobs::{self, Cutoffs, Removal};

use crate::kit::{self, Story, at};

async fn prune(db: &TestDatabase, cutoffs: Cutoffs, window: u64) -> u64 {
    let (mut removed, mut after) = (0, Some(0));
    while let Some(from) = after {
        let expired = jobs::expired(db.reader(), &cutoffs, from, window).await.unwrap();
        removed += kit::write(db, async move |tx| jobs::remove(tx, &expired.seqs, &cutoffs).await).await;
        after = jobs::expired(db.reader(), &cutoffs, from, window).await.unwrap().next;
    }
    removed
}

fn all(before: Timestamp) -> Cutoffs {
    Cutoffs { completed: Some(before), failed: Some(before), cancelled: Some(before) }
}

#[tokio::test]
async fn old_finished_jobs_go_with_their_attempts_and_counts() {
    let db = kit::database().await;
    let mut events = Vec::new();
    for (id, seconds) in [("old", 0), ("new", 1_000)] {
        let mut done = Story { seconds, ..Story::new(&format!("{id}-done")) };
        done.enqueued().started("w").retried("boom").started("w").succeeded("1");
        let mut bad = Story { seconds, ..Story::new(&format!("{id}-bad")) };
        bad.enqueued().started("w").failed("boom", true);
        let mut open = Story { seconds, ..Story::new(&format!("{id}-open")) };
        open.enqueued().started("w");
        events.extend([done.events, bad.events, open.events].concat());
    }
    kit::record(&db, &events).await;
    let only_completed = Cutoffs { completed: Some(at(900)), ..Cutoffs::default() };
    assert_eq!(prune(&db, only_completed, 2).await, 1);
    assert_eq!(prune(&db, all(at(900)), 2).await, 1);
    assert_eq!(prune(&db, all(at(900)), 2).await, 0);
    let counts = jobs::counts(db.reader(), None).await.unwrap();
    assert_eq!((counts.total(), counts.dead, counts.of(JobStatus::Running)), (4, 1, 2));
    assert!(jobs::find(db.reader(), &JobId::parse("old-done").unwrap()).await.unwrap().is_none());
    assert_eq!(kit::find(&db, "new-done").await.attempts.len(), 2);
}

#[tokio::test]
async fn the_walk_stops_at_rows_that_cannot_be_due() {
    let db = kit::database().await;
    let mut events = Vec::new();
    for number in 0..10 {
        let mut story = Story { seconds: number * 100, ..Story::new(&format!("job-{number}")) };
        events.extend(story.enqueued().started("w").succeeded("1").events.clone());
    }
    kit::record(&db, &events).await;
    let expired = jobs::expired(db.reader(), &all(at(150)), 0, 2).await.unwrap();
    assert_eq!((expired.seqs.len(), expired.next), (2, Some(2)));
    let behind = jobs::expired(db.reader(), &all(at(150)), 2, 2).await.unwrap();
    assert_eq!((behind.seqs.len(), behind.next), (0, None));
}

#[tokio::test]
async fn a_job_revived_meanwhile_is_not_removed() {
    let db = kit::database().await;
    let mut story = Story::new("a");
    kit::record(&db, &story.enqueued().started("w").failed("boom", true).events).await;
    let expired = jobs::expired(db.reader(), &all(at(100)), 0, 10).await.unwrap();
    assert_eq!(expired.seqs.len(), 1);
    kit::record(&db, &story.revived().events).await;
    let removed = kit::write(&db, async move |tx| jobs::remove(tx, &expired.seqs, &all(at(100))).await).await;
    assert_eq!((removed, kit::find(&db, "a").await.summary.status), (0, JobStatus::Pending));
}

#[tokio::test]
async fn one_job_is_removed_only_when_it_has_come_to_its_end() {
    let db = kit::database().await;
    let id = JobId::parse("a").unwrap();
    let remove = async || {
        let id = id.clone();
        kit::write(&db, async move |tx| jobs::remove_finished(tx, &id).await).await
    };
    assert_eq!(remove().await, Removal::NotFound);
    let mut story = Story::new("a");
    kit::record(&db, &story.enqueued().started("w").events).await;
    assert_eq!(remove().await, Removal::NotFinished(JobStatus::Running));
    kit::record(&db, &story.cancelled("operator").events).await;
    assert_eq!(remove().await, Removal::Removed);
    assert_eq!(jobs::counts(db.reader(), None).await.unwrap().total(), 0);
    kit::write(&db, async |tx| jobs::drop_empty_counts(tx).await).await;
    assert!(jobs::counts_by_task(db.reader()).await.unwrap().is_empty());
}

#[tokio::test]
async fn jobs_whose_letters_were_dropped_stay_failed_and_are_dead_no_more() {
    let db = kit::database().await;
    let mut events = Vec::new();
    for id in ["one", "two"] {
        let mut bad = Story::new(id);
        events.extend(bad.enqueued().started("w").failed("boom", true).events.clone());
    }
    kit::record(&db, &events).await;
    let ids = ["one", "unknown"].map(|id| JobId::parse(id).unwrap());
    let forget = async move |tx: &celeriac_db::DbTx| jobs::letters_dropped(tx, &ids).await;
    assert_eq!(kit::write(&db, forget.clone()).await, 1);
    assert_eq!(kit::write(&db, forget).await, 0);
    let one = kit::find(&db, "one").await.summary;
    assert_eq!((one.status, one.dead_lettered_at, one.dead_reason), (JobStatus::Failed, None, None));
    assert!(one.error.is_some());
    let counts = jobs::counts(db.reader(), None).await.unwrap();
    assert_eq!((counts.dead, counts.of(JobStatus::Failed), counts.total()), (1, 2, 2));
}
