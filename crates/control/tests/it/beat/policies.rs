//! What happens to due times that were missed, and to those that come while earlier jobs have not ended.

use celeriac_store::query::schedules::{CatchUp, FiringOutcome, Overlap, ScheduleEntry};

use super::house::{HOUR, House, MINUTE, SECOND, at, entry, number, seconds};
use FiringOutcome::{Fired, Missed, SkippedOverlap};

/// An entry that is due every ten minutes; nobody looks for an hour and one minute and thirty seconds.
async fn after_an_hour(change: impl FnOnce(ScheduleEntry) -> ScheduleEntry) -> (House, i64) {
    let house = House::build().await;
    let id = house.add(change(entry("a", "every 10m"))).await;
    house.advance(HOUR + 90 * SECOND).await;
    (house, id)
}

#[tokio::test]
async fn missed_due_times_are_told_of_in_one_row_and_the_last_is_made_up_for() {
    let (house, id) = after_an_hour(|entry| entry).await;
    assert_eq!(house.story(id).await, [(3_000, Missed), (3_600, Fired)]);
    let missed = &house.firings(id).await[0];
    assert_eq!((missed.count, missed.first_due_at), (5, Some(at(600))));
    assert_eq!(missed.reason.as_deref(), Some("missed, and a later one stands for them"));
    assert_eq!(house.state("a").await.next_due_at, Some(at(4_200)));
}

#[tokio::test]
async fn nothing_is_made_up_for_where_that_is_said() {
    let (house, id) = after_an_hour(|entry| ScheduleEntry { catch_up: CatchUp::None, ..entry }).await;
    assert_eq!(house.story(id).await, [(3_600, Missed)]);
    assert_eq!(house.firings(id).await[0].count, 6);
    assert_eq!(house.waiting().await, 0);
    house.advance(540 * SECOND).await;
    assert_eq!(house.story(id).await, [(3_600, Missed), (4_200, Fired)]);
}

#[tokio::test]
async fn all_are_made_up_for_up_to_a_limit_and_within_a_window() {
    let all = |entry| ScheduleEntry { catch_up: CatchUp::All, ..entry };
    let (house, id) = after_an_hour(all).await;
    let expected: Vec<_> = (1..=6).map(|ten| (ten * 600, Fired)).collect();
    assert_eq!(house.story(id).await, expected);
    let (house, id) = after_an_hour(|entry| ScheduleEntry { catch_up_limit: 2, ..all(entry) }).await;
    assert_eq!(house.story(id).await, [(2_400, Missed), (3_000, Fired), (3_600, Fired)]);
    let window = Some(30 * MINUTE);
    let (house, id) = after_an_hour(|entry| ScheduleEntry { catch_up_window: window, ..all(entry) }).await;
    assert_eq!(house.story(id).await, [(1_800, Missed), (2_400, Fired), (3_000, Fired), (3_600, Fired)]);
}

#[tokio::test]
async fn a_due_time_within_its_grace_is_met_whatever_is_made_up_for() {
    let none = |entry| ScheduleEntry { catch_up: CatchUp::None, ..entry };
    let (house, id) =
        after_an_hour(|entry| ScheduleEntry { misfire_grace: Some(90 * SECOND), ..none(entry) }).await;
    assert_eq!(house.story(id).await, [(3_000, Missed), (3_600, Fired)]);
    let (house, id) =
        after_an_hour(|entry| ScheduleEntry { misfire_grace: Some(89 * SECOND), ..none(entry) }).await;
    assert_eq!(house.story(id).await, [(3_600, Missed)]);
}

#[tokio::test]
async fn due_times_that_are_met_together_make_one_job_where_that_is_said() {
    let change = |entry| ScheduleEntry { catch_up: CatchUp::All, coalesce: true, ..entry };
    let (house, id) = after_an_hour(change).await;
    assert_eq!(house.story(id).await, [(3_000, Missed), (3_600, Fired)]);
    let firings = house.firings(id).await;
    assert_eq!(firings[0].reason.as_deref(), Some("came at once with a later one"));
    assert_eq!((firings[0].count, house.waiting().await), (5, 1));
}

#[tokio::test]
async fn an_entry_that_runs_once_makes_up_for_one_due_time() {
    let change = |entry| ScheduleEntry { catch_up: CatchUp::All, one_off: true, ..entry };
    let (house, id) = after_an_hour(change).await;
    assert_eq!(house.waiting().await, 1);
    assert_eq!(house.story(id).await.last(), Some(&(3_600, Fired)));
    assert!(!house.record("a").await.entry.enabled);
}

#[tokio::test]
async fn years_of_missed_seconds_are_one_row() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 1s")).await;
    house.advance(400 * 24 * HOUR).await;
    let firings = house.firings(id).await;
    assert_eq!((firings[0].outcome, firings.len()), (Missed, 62));
    assert_eq!(firings[0].count, 400 * 24 * 3_600 - 61);
}

/// An entry that is due each minute, and its first job, begun.
async fn busy(change: impl FnOnce(ScheduleEntry) -> ScheduleEntry) -> (House, i64, String) {
    let house = House::build().await;
    let id = house.add(change(entry("a", "every 1m"))).await;
    house.advance(MINUTE).await;
    let job_id = house.firings(id).await[0].job_id.clone().unwrap();
    house.begin(&job_id).await;
    (house, id, job_id)
}

fn with(overlap: Overlap) -> impl FnOnce(ScheduleEntry) -> ScheduleEntry {
    move |entry| ScheduleEntry { overlap, ..entry }
}

#[tokio::test]
async fn jobs_may_overlap_unless_it_is_said_otherwise() {
    let (house, id, _) = busy(|entry| entry).await;
    house.advance(MINUTE).await;
    assert_eq!(house.story(id).await, [(60, Fired), (120, Fired)]);
}

#[tokio::test]
async fn a_due_time_is_skipped_while_a_job_is_under_way() {
    let (house, id, job_id) = busy(with(Overlap::Skip)).await;
    assert_eq!(number(&house.advance(MINUTE).await, "skipped"), 1);
    house.end(&job_id).await;
    house.advance(MINUTE).await;
    assert_eq!(house.story(id).await, [(60, Fired), (120, SkippedOverlap), (180, Fired)]);
    let reason = house.firings(id).await[1].reason.clone().unwrap();
    assert_eq!(reason, "1 of its jobs had not ended, 1 may be under way");
}

#[tokio::test]
async fn as_many_jobs_may_be_under_way_as_it_is_said() {
    let (house, id, _) =
        busy(|entry| ScheduleEntry { overlap: Overlap::Skip, max_instances: 2, ..entry }).await;
    house.advance(MINUTE).await;
    house.advance(MINUTE).await;
    assert_eq!(house.story(id).await, [(60, Fired), (120, Fired), (180, SkippedOverlap)]);
}

#[tokio::test]
async fn one_due_time_waits_until_the_job_before_it_has_ended() {
    let (house, id, job_id) = busy(with(Overlap::QueueOne)).await;
    house.advance(MINUTE).await;
    assert_eq!((house.story(id).await, house.waiting().await), (vec![(60, Fired)], 1));
    assert_eq!(house.state("a").await.waiting_due_at, Some(at(120)));
    house.advance(MINUTE).await;
    assert_eq!(house.story(id).await, [(60, Fired), (180, SkippedOverlap)]);
    house.end(&job_id).await;
    house.advance(2 * SECOND).await;
    assert_eq!(house.story(id).await, [(60, Fired), (120, Fired), (180, SkippedOverlap)]);
    let met = &house.firings(id).await[1];
    assert_eq!((seconds(met.handled_at), house.state("a").await.waiting_due_at), (182, None));
}

#[tokio::test]
async fn older_jobs_are_cancelled_for_a_newer_one() {
    let (house, id, _) = busy(with(Overlap::CancelOlder)).await;
    // The message is not really in a worker's hands, so it is taken out of its queue.
    let report = house.advance(MINUTE).await;
    assert_eq!((number(&report, "fired"), number(&report, "cancelled")), (1, 1));
    assert_eq!(house.story(id).await, [(60, Fired), (120, Fired)]);
    let firings = house.firings(id).await;
    assert!(firings.iter().all(|firing| firing.cancels.is_empty()), "it is done");
    assert!(house.message(firings[0].job_id.as_ref().unwrap()).await.is_none());
    assert!(house.message(firings[1].job_id.as_ref().unwrap()).await.is_some());
}

#[tokio::test]
async fn of_due_times_that_are_met_together_only_the_newest_is_enqueued_where_older_ones_are_cancelled() {
    let house = House::build().await;
    let change =
        ScheduleEntry { overlap: Overlap::CancelOlder, catch_up: CatchUp::All, ..entry("a", "every 1m") };
    let id = house.add(change).await;
    house.advance(3 * MINUTE).await;
    assert_eq!(house.story(id).await, [(60, SkippedOverlap), (120, SkippedOverlap), (180, Fired)]);
    assert_eq!(house.waiting().await, 1);
}

#[tokio::test]
async fn a_job_that_leaves_no_record_is_not_waited_for() {
    let (house, id, job_id) = busy(with(Overlap::Skip)).await;
    house.end(&job_id).await;
    let removed = celeriac_protocol::JobId::parse(&job_id).unwrap();
    house
        .write(async move |tx| celeriac_store::query::jobs::remove_finished(tx, &removed).await.map(drop))
        .await;
    house.advance(MINUTE).await;
    assert_eq!(house.story(id).await, [(60, Fired), (120, Fired)]);
    assert_eq!(house.state("a").await.total_run_count, 2);
}
