//! The tables can be made, taken back and made again, with data in them.

use celeriac_store::MIGRATIONS;
use celeriac_store::query::jobs;

use crate::kit::{self, Story};

#[tokio::test]
async fn tables_go_up_and_down_and_up_again_with_data_in_them() {
    let db = kit::database().await;
    let mut story = Story::new("a");
    story.enqueued().started("w1").retried("boom").started("w2").succeeded("1");
    for _ in 0..2 {
        kit::record(&db, &story.events).await;
        assert_eq!(kit::find(&db, "a").await.attempts.len(), 2);
        assert_eq!(jobs::counts(db.reader(), None).await.unwrap().total(), 1);
        assert_eq!(MIGRATIONS.down_to(&db, None).await.unwrap().len(), MIGRATIONS.migrations.len());
        assert_eq!(MIGRATIONS.up(&db, 0).await.unwrap().len(), MIGRATIONS.migrations.len());
        assert_eq!(jobs::counts(db.reader(), None).await.unwrap().total(), 0);
    }
}

#[tokio::test]
async fn jobs_stay_when_they_learn_of_their_schedule_and_when_they_forget_it() {
    let db = kit::database().await;
    let facts = celeriac_protocol::JobFacts { schedule: Some("nightly".into()), ..kit::facts("a") };
    kit::record(&db, &Story::of(facts).enqueued().events).await;
    let before = "m20261122_schedules";
    for _ in 0..2 {
        assert_eq!(
            MIGRATIONS.down_to(&db, Some(before)).await.unwrap().last(),
            Some(&"m20261123_job_schedules")
        );
        MIGRATIONS.up(&db, 0).await.unwrap();
    }
    let job = kit::find(&db, "a").await;
    assert_eq!((job.summary.task.as_str(), job.summary.schedule), ("shop.scrape", None));
}
