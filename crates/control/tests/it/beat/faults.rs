//! Known faults of other schedulers, each as a test named after its report.

use celeriac_protocol::Clock as _;
use celeriac_store::query::schedules::{CatchUp, FiringOutcome, ScheduleEntry};

use super::house::{HOUR, House, MINUTE, SECOND, at, entry, number, pass, scheduler};
use FiringOutcome::{Fired, Missed};

/// Two beats on one schedule enqueued everything twice.
#[tokio::test]
async fn celery_1495_two_schedulers_enqueue_each_due_time_once() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 1m")).await;
    let (_, _, second) = scheduler(house.db.again().await.unwrap(), &house.clock).await;
    for _ in 0..5 {
        house.clock.advance(MINUTE);
        let (a, b) = tokio::join!(house.try_pass(), pass(&second, &house.clock));
        assert_eq!(number(&a.unwrap(), "fired") + number(&b.unwrap(), "fired"), 1);
    }
    assert_eq!(house.story(id).await.len(), 5);
    assert_eq!(house.waiting().await, 5);
}

/// A second beat could not stand by: either both enqueued, or nobody took over.
#[tokio::test]
async fn celery_251_another_scheduler_goes_on_where_one_has_ended() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 1m")).await;
    let (_, _, second) = scheduler(house.db.again().await.unwrap(), &house.clock).await;
    house.advance(MINUTE).await;
    drop(house.beat);
    house.clock.advance(MINUTE);
    assert_eq!(number(&pass(&second, &house.clock).await.unwrap(), "fired"), 1);
    let firings =
        celeriac_store::query::schedules::firings(house.db.reader(), id, None, None, 10).await.unwrap();
    assert_eq!(firings.firings.len(), 2);
}

/// A rare entry never ran: each start of the scheduler counted its interval from anew.
#[tokio::test]
async fn django_celery_beat_634_a_rare_entry_runs_though_schedulers_are_started_more_often() {
    let house = House::build().await;
    let id = house.add(entry("weekly", "every 7d")).await;
    for _ in 0..(7 * 24 * 2) {
        let (_, _, deployed) = scheduler(house.db.database().clone(), &house.clock).await;
        house.clock.advance(30 * MINUTE);
        pass(&deployed, &house.clock).await.unwrap();
    }
    assert_eq!(house.story(id).await, [(7 * 24 * 3_600, Fired)]);
}

/// Only entries of hours near the one of the scheduler's start were read, so the others never ran.
#[tokio::test]
async fn django_celery_beat_894_every_hour_of_the_day_runs_whenever_the_scheduler_was_started() {
    let house = House::build().await;
    let mut ids = Vec::new();
    for hour in 0..24 {
        let zone = ["UTC", "Asia/Kolkata", "America/Los_Angeles"][hour % 3];
        let daily =
            ScheduleEntry { zone: zone.into(), ..entry(&format!("at {hour}"), &format!("30 {hour} * * *")) };
        ids.push(house.add(daily).await);
    }
    for _ in 0..(2 * 24 * 6) {
        house.advance(10 * MINUTE).await;
    }
    for id in ids {
        let firings = house.firings(id).await;
        assert_eq!(firings.len(), 2, "{firings:?}");
        assert!(firings.iter().all(|firing| firing.outcome == Fired));
    }
}

/// A job that came a second late was dropped, and nothing but a line in a log told of it.
#[tokio::test]
async fn apscheduler_182_a_busy_second_drops_nothing_and_what_is_missed_is_told() {
    let house = House::build().await;
    let id = house.add(ScheduleEntry { catch_up: CatchUp::None, ..entry("a", "every 1h") }).await;
    house.advance(HOUR + 20 * SECOND).await;
    assert_eq!(house.story(id).await, [(3_600, Fired)]);
    house.advance(HOUR + 5 * MINUTE).await;
    let firings = house.firings(id).await;
    assert_eq!((firings[1].outcome, firings[1].lateness()), (Missed, 5 * MINUTE + 20 * SECOND));
    assert!(firings[1].reason.is_some());
}

/// Entries of every minute did not run in the hour that came twice.
#[tokio::test]
async fn sidekiq_5049_entries_of_every_minute_run_through_the_hour_that_comes_twice() {
    let house = House::build().await;
    // The night of the switch in Los Angeles: 01:00 to 02:00 comes twice, from 08:00 to 10:00 UTC.
    house.clock.set("2026-11-01T07:30:00Z".parse().unwrap());
    let zone = "America/Los_Angeles".to_owned();
    let id = house.add(ScheduleEntry { zone, ..entry("a", "* * * * *") }).await;
    for _ in 0..180 {
        house.advance(MINUTE).await;
    }
    let firings = house.firings(id).await;
    assert_eq!(firings.len(), 180);
    assert!(firings.windows(2).all(|two| two[1].due_at.since(two[0].due_at) == MINUTE));
}

/// A clock that is set back an hour doubles nothing, and one that is set ahead catches up as it is said.
#[tokio::test]
async fn a_clock_that_is_set_doubles_nothing_and_loses_nothing_unsaid() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 10m")).await;
    house.advance(10 * MINUTE).await;
    house.clock.step(house.clock.now() - 8 * MINUTE);
    for _ in 0..8 {
        house.advance(MINUTE).await;
    }
    assert_eq!(house.story(id).await, [(600, Fired)]);
    house.clock.step(house.clock.now() + HOUR);
    house.pass().await;
    assert_eq!(house.story(id).await, [(600, Fired), (3_600, Missed), (4_200, Fired)]);
    assert_eq!(house.firings(id).await[1].count, 5);
    assert_eq!(house.state("a").await.next_due_at, Some(at(4_800)));
}

/// What a clock has passed over that was months ahead is taken up again once it is right, without anybody's help.
#[tokio::test]
async fn a_clock_that_was_far_ahead_silences_no_schedule() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 10m")).await;
    let right = house.clock.now();
    house.clock.step(right + 24 * 100 * HOUR);
    house.pass().await;
    let wrong = house.firings(id).await.len();
    house.clock.step(right);
    house.pass().await;
    assert!(house.state("a").await.wake_at.is_some_and(|wake| wake <= right + 10 * MINUTE));
    house.advance(10 * MINUTE).await;
    assert_eq!(house.firings(id).await.len(), wrong + 1);
}
