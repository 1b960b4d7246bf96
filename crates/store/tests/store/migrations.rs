//! The tables can be made, taken back and made again, with data in them.

use celeriac_store::MIGRATIONS;
use celeriac_store::query::jobs;
use celeriac_store::query::schedules::{self, Disabled, DisabledReason, ScheduleRecord};

use crate::kit::{self, Story};
use crate::schedules::{add, record, waking};

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

#[tokio::test]
async fn why_an_entry_was_switched_off_is_a_word_also_where_it_was_before_there_were_words() {
    let db = kit::database().await;
    let told = [
        ("has_run", DisabledReason::HasRun, "it was to run once, and has"),
        ("ended", DisabledReason::Ended, "it is not due after its end, 2026-01-01T00:00:00+00:00"),
        ("expired", DisabledReason::Expired, "it has expired, at 2026-01-01T00:00:00+00:00"),
        ("never_due", DisabledReason::NeverDue, "its schedule has no further due time"),
        ("undeclared", DisabledReason::Undeclared, "nothing declares it any more"),
        ("task_gone", DisabledReason::TaskGone, "its task is not registered any more"),
        ("other", DisabledReason::Other, "it was tired"),
    ];
    for (name, reason, detail) in told {
        let disabled = Some(Disabled { reason, detail: detail.to_owned() });
        add(&db, ScheduleRecord { disabled, ..record(name) }, waking(1)).await;
    }
    MIGRATIONS.down_to(&db, Some("m20261123_job_schedules")).await.unwrap();
    MIGRATIONS.up(&db, 0).await.unwrap();
    for (name, reason, detail) in told {
        let found = schedules::find(db.reader(), name).await.unwrap().unwrap().record.unwrap();
        assert_eq!(found.disabled, Some(Disabled { reason, detail: detail.to_owned() }), "{name}");
    }
}
