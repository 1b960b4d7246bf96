//! What people do to the schedule, while it runs.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::Notice;
use celeriac_control::{Environment, Schedules, SchedulesError};
use celeriac_store::query::schedules::{CatchUp, FiringOutcome, Origin, Overlap, ScheduleEntry};
use tokio::task::JoinSet;

use super::house::{HOUR, House, MINUTE, SECOND, at, entry, pass, scheduler};
use FiringOutcome::{Backfill, Fired, Manual, Missed};

async fn house() -> (House, Schedules) {
    let house = House::build().await;
    let schedules =
        Schedules::new(&Environment::new(house.db.database().clone(), house.client.clone()).by_own_clock());
    (house, schedules)
}

async fn add(schedules: &Schedules, entry: ScheduleEntry) -> i64 {
    schedules.add(entry, Origin::Operator).await.unwrap().record.unwrap().id
}

#[tokio::test]
async fn an_entry_that_is_added_wakes_the_beat_and_is_due_from_then_on() {
    let (house, schedules) = house().await;
    let mut notices = house.broker.notifier().listen();
    let added = schedules.add(entry("a", "every 5m"), Origin::Operator).await.unwrap();
    assert_eq!((added.state.next_due_at, added.state.wake_at), (Some(at(300)), Some(at(300))));
    loop {
        if notices.recv().await.unwrap() == Notice::Loop("beat".to_owned()) {
            break;
        }
    }
    house.advance(5 * MINUTE).await;
    let shown = schedules.show("a").await.unwrap();
    assert_eq!((shown.firings.len(), shown.schedule.state.total_run_count), (1, 1));
}

#[tokio::test]
async fn every_field_that_can_not_be_is_named_and_nothing_is_stored() {
    let (house, schedules) = house().await;
    let check = |change: fn(&mut ScheduleEntry), field: &str, reason: &str| {
        let mut entry = entry("a", "every 5m");
        change(&mut entry);
        let faults = schedules.check(&entry);
        let found = faults.iter().find(|fault| fault.field == field);
        assert!(found.is_some_and(|fault| fault.reason.contains(reason)), "{field}: {faults:?}");
    };
    check(|entry| entry.name = " ".into(), "name", "empty");
    check(|entry| entry.name = "x".repeat(201), "name", "201 characters, 200 are allowed");
    check(|entry| entry.name = "a\nb".into(), "name", "control character");
    check(|entry| entry.task = String::new(), "task", "empty");
    check(|entry| entry.args = "{}".into(), "args", "no JSON array");
    check(|entry| entry.args = "[1]".into(), "args", "work");
    check(|entry| entry.kwargs = "nope".into(), "kwargs", "can't be read as JSON");
    check(|entry| entry.headers = r#"{"eta": 1}"#.into(), "headers", "set by the platform");
    check(|entry| entry.queue = Some(String::new()), "queue", "");
    check(|entry| entry.queue = Some("exchange://a/b".into()), "queue", "no exchanges");
    check(|entry| entry.priority = Some(10), "priority", "above 9");
    check(|entry| entry.spec = "evry 5m".into(), "spec", "did you mean `every`");
    check(|entry| entry.spec = "at 2020-01-01T00:00Z".into(), "spec", "no due time that is yet to come");
    check(|entry| entry.zone = "Europe/Berln".into(), "zone", "did you mean `Europe/Berlin`");
    check(|entry| entry.calendar = Some("sta".into()), "calendar", "did you mean `sat`");
    check(|entry| entry.end_at = Some(at(0)), "end_at", "has passed");
    check(|entry| (entry.start_at, entry.end_at) = (Some(at(9)), Some(at(8))), "end_at", "before start_at");
    check(|entry| entry.expires_at = Some(at(0)), "expires_at", "has passed");
    check(|entry| entry.expire_after = Some(Duration::ZERO), "expire_after", "no job");
    check(|entry| entry.max_instances = 0, "max_instances", "not within 1");
    check(|entry| entry.catch_up_limit = 1_001, "catch_up_limit", "1001 is not within 1 and 1000");
    check(|entry| entry.misfire_grace = Some(Duration::from_millis(10)), "misfire_grace", "below a second");
    check(|entry| entry.jitter = 6 * MINUTE, "jitter", "two due times come as near as 300s");
    let refused = schedules.add(entry("a", "61 * * * *"), Origin::Operator).await.unwrap_err();
    assert_eq!(refused.to_string(), "use schedule \"a\": spec: minute `61` is not within 0-59");
    assert!(schedules.list(&Default::default(), None, 10).await.unwrap().schedules.is_empty());
    assert!(schedules.check(&entry("a", "every 5m")).is_empty());
    drop(house);
}

#[tokio::test]
async fn what_is_not_there_or_is_there_already_is_said() {
    let (_house, schedules) = house().await;
    add(&schedules, entry("a", "every 5m")).await;
    add(&schedules, entry("b", "every 5m")).await;
    let again = schedules.add(entry("a", "every 5m"), Origin::Operator).await;
    assert!(matches!(again, Err(SchedulesError::NameTaken { name }) if name == "a"));
    let renamed = schedules.edit("a", |entry| ScheduleEntry { name: "b".into(), ..entry }).await;
    assert!(matches!(renamed, Err(SchedulesError::NameTaken { name }) if name == "b"));
    for missing in [schedules.enable("c").await.err(), schedules.remove("c").await.err()] {
        assert!(matches!(missing, Some(SchedulesError::NotFound { name }) if name == "c"));
    }
}

#[tokio::test]
async fn an_edit_is_in_force_at_once_and_one_of_its_times_makes_it_due_from_then_on() {
    let (house, schedules) = house().await;
    let id = add(&schedules, entry("a", "every 1h")).await;
    house.clock.advance(90 * MINUTE);
    // Nobody has fired what was due at one o'clock, and a description changes nothing about that.
    let described = |entry| ScheduleEntry { description: "why".into(), ..entry };
    let edited = schedules.edit("a", described).await.unwrap();
    assert_eq!((edited.state.next_due_at, edited.record.unwrap().revision), (Some(at(3_600)), 1));
    house.pass().await;
    assert_eq!(house.story(id).await, [(3_600, Fired)]);
    house.clock.advance(HOUR);
    let often = |entry| ScheduleEntry { spec: "every 7m".into(), ..entry };
    let edited = schedules.edit("a", often).await.unwrap();
    assert_eq!(edited.state.next_due_at, Some(at(154 * 60)), "the hour that was due is nobody's any more");
    house.pass().await;
    assert_eq!(house.story(id).await.len(), 1);
    house.advance(7 * MINUTE).await;
    assert_eq!(house.story(id).await, [(3_600, Fired), (9_240, Fired)]);
}

/// Re-enabling an entry fired at once what had been due while it was off, and then again at its time.
#[tokio::test]
async fn django_celery_beat_537_an_entry_that_is_switched_on_fires_nothing_stale() {
    let (house, schedules) = house().await;
    let id = add(&schedules, ScheduleEntry { catch_up: CatchUp::All, ..entry("a", "0 * * * *") }).await;
    house.advance(HOUR).await;
    let off = schedules.disable("a").await.unwrap();
    assert_eq!((off.state.wake_at, off.state.next_due_at), (None, None));
    house.advance(2 * HOUR + 55 * MINUTE).await;
    schedules.enable("a").await.unwrap();
    house.pass().await;
    assert_eq!(house.story(id).await, [(3_600, Fired)]);
    house.advance(5 * MINUTE).await;
    assert_eq!(house.story(id).await, [(3_600, Fired), (4 * 3_600, Fired)]);
}

#[tokio::test]
async fn an_entry_that_ended_by_itself_can_be_switched_on_again() {
    let (house, schedules) = house().await;
    let id = add(&schedules, ScheduleEntry { one_off: true, ..entry("a", "every 5m") }).await;
    house.advance(5 * MINUTE).await;
    let on = schedules.enable("a").await.unwrap();
    assert_eq!((on.record.unwrap().disabled, on.state.next_due_at), (None, Some(at(600))));
    house.advance(5 * MINUTE).await;
    assert_eq!(house.story(id).await, [(300, Fired), (600, Fired)]);
}

#[tokio::test]
async fn an_entry_of_a_name_that_was_removed_shares_no_job_id_with_it() {
    let (house, schedules) = house().await;
    let fixed = || ScheduleEntry { anchor_at: Some(at(0)), ..entry("a", "every 5m") };
    let first = add(&schedules, fixed()).await;
    house.advance(5 * MINUTE).await;
    let before = house.firings(first).await[0].job_id.clone();
    schedules.remove("a").await.unwrap();
    house.clock.step(at(1));
    let second = add(&schedules, fixed()).await;
    house.advance(299 * SECOND).await;
    let after = house.firings(second).await;
    assert_eq!(after[0].due_at, at(300));
    assert_ne!(after[0].job_id, before);
    assert_eq!(house.waiting().await, 2);
}

#[tokio::test]
async fn a_run_out_of_turn_moves_no_due_time() {
    let (house, schedules) = house().await;
    let id = add(&schedules, ScheduleEntry { overlap: Overlap::Skip, ..entry("a", "every 5m") }).await;
    house.clock.set(at(300));
    let run = schedules.run_now("a").await.unwrap();
    let again = schedules.run_now("a").await.unwrap();
    assert_ne!(run.due_at, again.due_at);
    assert!(house.message(run.job.id().as_str()).await.is_some());
    let state = house.state("a").await;
    assert_eq!((state.next_due_at, state.total_run_count), (Some(at(300)), 2));
    house.pass().await;
    let story: Vec<_> = house.story(id).await.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(story, [FiringOutcome::SkippedOverlap, Manual, Manual], "they count among those under way");
    schedules.disable("a").await.unwrap();
    schedules.run_now("a").await.unwrap();
}

#[tokio::test]
async fn a_backfill_enqueues_what_came_to_nothing_once() {
    let (house, schedules) = house().await;
    let id = add(&schedules, ScheduleEntry { catch_up: CatchUp::None, ..entry("a", "0 * * * *") }).await;
    house.advance(HOUR).await;
    house.advance(4 * HOUR + 30 * MINUTE).await;
    assert_eq!(house.story(id).await, [(3_600, Fired), (5 * 3_600, Missed)]);
    let rehearsed = schedules.rehearse_backfill("a", at(0) - HOUR, at(100_000), 3).await.unwrap();
    assert_eq!(house.waiting().await, 1, "a rehearsal enqueues nothing");
    let first = schedules.backfill("a", at(0) - HOUR, at(100_000), 3).await.unwrap();
    assert_eq!(first, rehearsed);
    assert_eq!(first.enqueued, [at(0) - HOUR, at(0), at(2 * 3_600)]);
    assert_eq!((first.had_jobs, first.next), (1, Some(at(3 * 3_600))));
    let rest = schedules.backfill("a", first.next.unwrap(), at(100_000), 100).await.unwrap();
    assert_eq!((rest.enqueued.len(), rest.next), (3, None));
    let again = schedules.backfill("a", at(0) - HOUR, at(100_000), 100).await.unwrap();
    assert_eq!((again.enqueued.len(), again.had_jobs), (0, 7));
    let outcomes: Vec<_> = house.story(id).await.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Backfill, Backfill, Fired, Backfill, Backfill, Backfill, Backfill]);
    assert_eq!(house.firings(id).await.last().unwrap().count, 4, "what it stood for is still told");
    assert_eq!(house.waiting().await, 7);
    assert_eq!(house.state("a").await.total_run_count, 7);
}

#[tokio::test]
async fn next_due_times_are_told_with_what_a_switch_of_the_clocks_does_to_them() {
    let (_house, schedules) = house().await;
    let mut daily = entry("a", "30 2 * * *");
    daily.zone = "Europe/Berlin".into();
    daily.start_at = Some("2026-03-28T12:00:00Z".parse().unwrap());
    let next = schedules.preview(&daily, 2).unwrap();
    assert!(next[0].note.is_some() && next[1].note.is_none());
    add(&schedules, daily).await;
    assert_eq!(schedules.next("a", 2).await.unwrap(), next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn edits_and_passes_that_race_lose_and_double_nothing() {
    const ROUNDS: u64 = 20;
    let (house, schedules) = house().await;
    let id = add(&schedules, entry("a", "every 1s")).await;
    let (_, _, other) = scheduler(house.db.again().await.unwrap(), &house.clock).await;
    let other = Arc::new(other);
    for round in 1..=ROUNDS {
        house.clock.advance(SECOND);
        let mut racing = JoinSet::new();
        let (beat, clock) = (Arc::clone(&other), house.clock.clone());
        racing.spawn(async move { pass(&beat, &clock).await.map(drop).unwrap() });
        let editor = schedules.clone();
        racing.spawn(async move {
            let described = move |entry| ScheduleEntry { description: format!("{round}"), ..entry };
            editor.edit("a", described).await.map(drop).unwrap();
        });
        let runner = schedules.clone();
        racing.spawn(async move { runner.run_now("a").await.map(drop).unwrap() });
        let (racing, report) = tokio::join!(racing.join_all(), house.try_pass());
        assert_eq!(racing.len(), 3);
        report.unwrap();
        house.pass().await;
    }
    let firings = house.firings(id).await;
    let count = |outcome| firings.iter().filter(|firing| firing.outcome == outcome).count() as u64;
    assert_eq!((count(Fired), count(Manual)), (ROUNDS, ROUNDS));
    let state = house.state("a").await;
    assert_eq!((state.total_run_count, house.waiting().await as u64), (2 * ROUNDS, 2 * ROUNDS));
    assert_eq!(house.record("a").await.revision, ROUNDS as i64);
}
