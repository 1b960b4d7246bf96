//! A due time is met: its job is enqueued as its entry says, and written down.

use celeriac_db::DbTx;
use celeriac_protocol::{JobId, JobStatus};
use celeriac_store::query::jobs;
use celeriac_store::query::schedules::{
    self, CatchUp, Disabled, DisabledReason, Firing, FiringOutcome, ScheduleEntry,
};

use super::house::{HOUR, House, MINUTE, SECOND, at, entry, number};

#[tokio::test]
async fn a_due_time_enqueues_one_job_and_is_written_down() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 5m")).await;
    assert_eq!(house.state("a").await.next_due_at, Some(at(300)));
    let report = house.advance(4 * MINUTE).await;
    assert_eq!((number(&report, "fired"), report.next_at), (0, Some(at(300))));
    let report = house.advance(MINUTE + 2 * SECOND).await;
    assert_eq!((number(&report, "fired"), number(&report, "late_ms")), (1, 2_000));
    assert_eq!(report.next_at, Some(at(600)));
    let firings = house.firings(id).await;
    assert_eq!((firings.len(), firings[0].outcome, firings[0].due_at), (1, FiringOutcome::Fired, at(300)));
    assert_eq!(firings[0].lateness(), 2 * SECOND);
    let job_id = firings[0].job_id.clone().unwrap();
    let job = jobs::find(house.db.reader(), &JobId::parse(&job_id).unwrap()).await.unwrap().unwrap();
    assert_eq!(job.summary.status, JobStatus::Pending);
    assert!(house.message(&job_id).await.is_some());
    let state = house.state("a").await;
    assert_eq!((state.last_due_at, state.next_due_at), (Some(at(300)), Some(at(600))));
    assert_eq!((state.last_run_at, state.total_run_count), (Some(at(302)), 1));
    assert_eq!(number(&house.pass().await, "fired"), 0);
}

#[tokio::test]
async fn a_message_carries_what_its_entry_says_and_where_it_comes_from() {
    let house = House::build().await;
    let id = house
        .add(ScheduleEntry {
            task: "python.only".into(),
            args: "[1, 2.50]".into(),
            kwargs: r#"{"a": 1}"#.into(),
            headers: r#"{"tenant": "acme"}"#.into(),
            queue: Some("mail".into()),
            priority: Some(7),
            expire_after: Some(HOUR),
            ..entry("a", "every 5m")
        })
        .await;
    house.advance(5 * MINUTE).await;
    let job_id = house.firings(id).await[0].job_id.clone().unwrap();
    let message = house.message(&job_id).await.unwrap();
    assert_eq!((message.task.as_str(), message.queue.as_str()), ("python.only", "mail"));
    assert_eq!((message.args.positional.get(), message.args.named.get()), ("[1, 2.50]", r#"{"a": 1}"#));
    assert_eq!((message.priority, message.expires), (Some(7), Some(at(300) + HOUR)));
    assert_eq!(message.celeriac.schedule.as_deref(), Some("a"));
    assert_eq!(message.celeriac.due_at, Some(at(300)));
    let mut headers: Vec<_> =
        message.extra.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
    headers.retain(|(name, _)| !name.starts_with("stamp"));
    let expected = [("tenant", "\"acme\""), ("periodic_task_name", "\"a\""), ("celery_beat_task", "true")];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn an_entry_that_can_be_no_message_fails_alone_and_says_why() {
    let house = House::build().await;
    let bad = [
        ("args", ScheduleEntry { args: "[1".into(), ..entry("args", "every 5m") }),
        ("headers", ScheduleEntry { headers: r#"{"id": 1}"#.into(), ..entry("headers", "every 5m") }),
        ("priority", ScheduleEntry { priority: Some(99), ..entry("priority", "every 5m") }),
        ("queue", ScheduleEntry { queue: Some("exchange://nowhere/x".into()), ..entry("queue", "every 5m") }),
    ];
    let mut ids = Vec::new();
    for (name, entry) in bad {
        ids.push((name, house.add(entry).await));
    }
    let good = house.add(entry("good", "every 5m")).await;
    let report = house.advance(5 * MINUTE).await;
    assert_eq!((number(&report, "fired"), number(&report, "failed")), (1, 4));
    assert_eq!(house.story(good).await, [(300, FiringOutcome::Fired)]);
    for (name, id) in ids {
        let firings = house.firings(id).await;
        let reason = firings[0].reason.clone().unwrap();
        assert_eq!((firings[0].outcome, &firings[0].job_id), (FiringOutcome::Failed, &None), "{name}");
        let state = house.state(name).await;
        assert_eq!((state.last_error, state.total_run_count), (Some(reason), 0), "{name}");
        assert_eq!(state.next_due_at, Some(at(600)), "{name}");
    }
    assert_eq!(house.waiting().await, 1);
}

#[tokio::test]
async fn an_entry_whose_schedule_cannot_be_read_fails_alone_and_is_looked_at_again() {
    let house = House::build().await;
    house.add(entry("bad", "evry 5m")).await;
    let good = house.add(entry("good", "every 1s")).await;
    let state = house.state("bad").await;
    assert!(state.last_error.unwrap().contains("did you mean `every`"));
    assert_eq!(state.wake_at, Some(at(10)));
    house.advance(SECOND).await;
    assert_eq!(house.story(good).await, [(1, FiringOutcome::Fired)]);
}

#[tokio::test]
async fn a_due_time_that_one_scheduler_cannot_read_is_met_by_another_that_can() {
    let house = House::build().await;
    let id = house.add(ScheduleEntry { catch_up: CatchUp::None, ..entry("a", "every 5m") }).await;
    let say = async |spec: &'static str| {
        let change = async move |tx: &DbTx| {
            let mut record = schedules::lock(tx, "a").await?.unwrap().record.unwrap();
            record.entry.spec = spec.to_owned();
            schedules::change(tx, &record).await
        };
        house.write(change).await;
    };
    // A word that this scheduler does not know stands for one that an older version does not.
    say("evry 5m").await;
    house.advance(5 * MINUTE).await;
    let state = house.state("a").await;
    assert!(state.last_error.unwrap().contains("did you mean `every`"));
    assert_eq!((state.next_due_at, house.firings(id).await), (Some(at(300)), vec![]));
    say("every 5m").await;
    house.advance(10 * SECOND).await;
    assert_eq!(house.story(id).await, [(300, FiringOutcome::Fired)]);
    let state = house.state("a").await;
    assert_eq!((state.last_error, state.next_due_at), (None, Some(at(600))));
}

#[tokio::test]
async fn an_entry_that_runs_once_is_switched_off_after_its_run() {
    let house = House::build().await;
    let id = house.add(ScheduleEntry { one_off: true, ..entry("a", "every 5m") }).await;
    let clocked = house.add(entry("b", "at 2026-01-01T00:05:00Z")).await;
    house.advance(5 * MINUTE).await;
    for (name, id, reason, detail) in [
        ("a", id, DisabledReason::HasRun, "it was to run once, and has"),
        ("b", clocked, DisabledReason::NeverDue, "its schedule has no further due time"),
    ] {
        assert_eq!(house.story(id).await, [(300, FiringOutcome::Fired)]);
        let record = house.record(name).await;
        let disabled = Disabled { reason, detail: detail.to_owned() };
        assert_eq!((record.entry.enabled, record.disabled), (false, Some(disabled)));
        let state = house.state(name).await;
        assert_eq!((state.wake_at, state.next_due_at, state.total_run_count), (None, None, 1));
    }
    house.advance(HOUR).await;
    assert_eq!(house.waiting().await, 2);
}

#[tokio::test]
async fn an_entry_that_was_to_run_once_and_could_not_is_switched_off_with_what_went_wrong() {
    let house = House::build().await;
    let once =
        |name, args: &str| ScheduleEntry { one_off: true, args: args.into(), ..entry(name, "every 5m") };
    let unsent = ScheduleEntry { priority: Some(99), ..once("unsent", "[]") };
    let ids = [house.add(unsent).await, house.add(once("unreadable", "[1")).await];
    house.advance(5 * MINUTE).await;
    for (name, id) in ["unsent", "unreadable"].into_iter().zip(ids) {
        assert_eq!(house.story(id).await, [(300, FiringOutcome::Failed)], "{name}");
        let (record, state) = (house.record(name).await, house.state(name).await);
        let disabled = Disabled { reason: DisabledReason::Other, detail: state.last_error.unwrap() };
        assert_eq!((record.entry.enabled, record.disabled), (false, Some(disabled)), "{name}");
        assert_eq!((state.wake_at, state.total_run_count), (None, 0), "{name}");
    }
}

#[tokio::test]
async fn an_entry_fires_between_its_start_and_its_end_and_is_switched_off_then() {
    let house = House::build().await;
    let start_at = Some(at(600));
    let ends =
        house.add(ScheduleEntry { start_at, end_at: Some(at(900)), ..entry("ends", "every 5m") }).await;
    let expires = house
        .add(ScheduleEntry { start_at, expires_at: Some(at(1_000)), ..entry("expires", "every 5m") })
        .await;
    for _ in 0..5 {
        house.advance(5 * MINUTE).await;
    }
    use FiringOutcome::Fired;
    assert_eq!(house.story(ends).await, [(600, Fired), (900, Fired)]);
    assert_eq!(house.story(expires).await, [(600, Fired), (900, Fired)]);
    let check = async |name, reason, detail: &str| {
        let disabled = house.record(name).await.disabled.unwrap();
        assert_eq!((disabled.reason, &*disabled.detail), (reason, detail));
    };
    check("ends", DisabledReason::Ended, "it is not due after its end, 2026-01-01T00:15:00+00:00").await;
    check("expires", DisabledReason::Expired, "it has expired, at 2026-01-01T00:16:40+00:00").await;
}

#[tokio::test]
async fn a_job_expires_with_its_entry() {
    let house = House::build().await;
    let entry =
        ScheduleEntry { expires_at: Some(at(310)), expire_after: Some(HOUR), ..entry("a", "every 5m") };
    let id = house.add(entry).await;
    house.advance(5 * MINUTE).await;
    let job_id = house.firings(id).await[0].job_id.clone().unwrap();
    assert_eq!(house.message(&job_id).await.unwrap().expires, Some(at(310)));
}

#[tokio::test]
async fn jitter_puts_each_firing_off_by_a_length_of_its_own_and_misses_none() {
    let house = House::build().await;
    let jitter = ScheduleEntry { jitter: 4 * MINUTE, ..entry("a", "every 5m") };
    let id = house.add(jitter).await;
    for _ in 0..(60 * 60) {
        house.advance(SECOND).await;
    }
    let firings = house.firings(id).await;
    assert!(firings.iter().all(|firing| firing.outcome == FiringOutcome::Fired));
    let late: std::collections::BTreeSet<_> = firings.iter().map(Firing::lateness).collect();
    assert!(firings.len() >= 11 && late.len() > 5, "{late:?}");
    assert!(late.iter().all(|late| *late <= 4 * MINUTE + SECOND));
}

#[tokio::test]
async fn a_pass_meets_thousands_of_due_times_in_several_transactions() {
    let house = House::build().await;
    let all = CatchUp::All;
    let limit = 1_000;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(
            house
                .add(ScheduleEntry { catch_up: all, catch_up_limit: limit, ..entry(name, "every 1s") })
                .await,
        );
    }
    let report = house.advance(900 * SECOND).await;
    assert_eq!((number(&report, "fired"), report.more), (2_700, false));
    for id in ids {
        assert_eq!(house.firings(id).await.len(), 900);
    }
    assert_eq!(house.waiting().await, 2_700);
}
