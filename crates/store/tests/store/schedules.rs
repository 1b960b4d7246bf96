//! Entries of the schedule, where they stand, and what came of their due times.

use std::collections::HashSet;
use std::time::Duration;

use celeriac_db::testing::TestDatabase;
use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{
    self, CatchUp, Disabled, DisabledReason, Firing, FiringOutcome, Origin, Overlap, ScheduleEntry,
    ScheduleFilter, ScheduleRecord, ScheduleState,
};
use tokio::sync::oneshot;

use crate::kit::{self, Story, at, write};

pub(crate) fn record(name: &str) -> ScheduleRecord {
    ScheduleRecord {
        id: 0,
        uid: format!("uid-{name}"),
        entry: ScheduleEntry::new(name, "shop.scrape", "every 5m"),
        enabled_at: at(0),
        origin: Origin::Operator,
        declared: None,
        disabled: None,
        created_at: at(0),
        changed_at: at(0),
        revision: 0,
    }
}

pub(crate) fn waking(seconds: i64) -> ScheduleState {
    ScheduleState { wake_at: Some(at(seconds)), next_due_at: Some(at(seconds)), ..ScheduleState::default() }
}

pub(crate) async fn add(db: &TestDatabase, record: ScheduleRecord, state: ScheduleState) -> i64 {
    let added = write(db, async move |tx| schedules::add(tx, &record, &state).await).await;
    added.expect("the name is free")
}

async fn take(db: &TestDatabase, now: i64) -> Vec<String> {
    let taken = write(db, async move |tx| schedules::take_due(tx, at(now), 10).await).await;
    taken.iter().map(|entry| entry.name().to_owned()).collect()
}

fn fired(seconds: i64) -> Firing {
    Firing {
        job_id: Some(format!("job-{seconds}")),
        open: true,
        ..Firing::new(at(seconds), at(seconds + 2), FiringOutcome::Fired)
    }
}

async fn add_firings(db: &TestDatabase, firings: Vec<(i64, Firing)>) -> HashSet<(i64, Timestamp)> {
    write(db, async move |tx| schedules::add_firings(tx, &firings).await).await
}

#[tokio::test]
async fn an_entry_reads_back_as_it_was_added_and_changed() {
    let db = kit::database().await;
    let mut told = record("whole");
    told.entry = ScheduleEntry {
        args: "[1, 2.50, 12345678901234567890123]".into(),
        kwargs: r#"{"b": 1, "a": null}"#.into(),
        queue: Some("mail".into()),
        priority: Some(9),
        headers: r#"{"tenant": "acme"}"#.into(),
        expires_at: Some(at(99)),
        expire_after: Some(Duration::from_micros(1_500_001)),
        zone: "Europe/Berlin".into(),
        calendar: Some("weekends".into()),
        anchor_at: Some(at(1)),
        start_at: Some(at(2)),
        end_at: Some(at(3)),
        enabled: false,
        one_off: true,
        description: "why".into(),
        owner: "ada".into(),
        overlap: Overlap::CancelOlder,
        max_instances: 3,
        catch_up: CatchUp::All,
        catch_up_limit: 7,
        catch_up_window: Some(Duration::from_secs(60)),
        coalesce: true,
        jitter: Duration::from_secs(5),
        misfire_grace: Some(Duration::from_secs(6)),
        ..told.entry
    };
    (told.origin, told.declared) = (Origin::Declared, Some("{}".into()));
    let state = ScheduleState {
        last_due_at: Some(at(4)),
        waiting_due_at: Some(at(5)),
        last_run_at: Some(at(6)),
        total_run_count: 7,
        last_error: Some("boom".into()),
        ..waking(8)
    };
    told.id = add(&db, told.clone(), state.clone()).await;
    let read = schedules::find(db.reader(), "whole").await.unwrap().unwrap();
    assert_eq!((read.record.unwrap(), read.state), (told.clone(), state));
    let changed = ScheduleRecord {
        entry: ScheduleEntry { queue: None, name: "other".into(), ..told.entry.clone() },
        disabled: Some(Disabled { reason: DisabledReason::Ended, detail: "it has ended".into() }),
        revision: 1,
        ..told
    };
    let change = changed.clone();
    assert!(write(&db, async move |tx| schedules::change(tx, &change).await).await);
    let read = schedules::find(db.reader(), "other").await.unwrap().unwrap();
    assert_eq!(read.record.unwrap(), changed);
    assert!(schedules::find(db.reader(), "whole").await.unwrap().is_none());
    let declared = schedules::declared(db.reader()).await.unwrap();
    assert_eq!(declared, [Ok(changed)]);
}

#[tokio::test]
async fn a_name_belongs_to_one_entry() {
    let db = kit::database().await;
    add(&db, record("a"), waking(0)).await;
    let id = add(&db, record("b"), waking(0)).await;
    let again = write(&db, async |tx| schedules::add(tx, &record("a"), &waking(0)).await).await;
    assert_eq!(again, None);
    let renamed = ScheduleRecord { id, ..record("a") };
    assert!(!write(&db, async move |tx| schedules::change(tx, &renamed).await).await);
}

#[tokio::test]
async fn only_what_is_due_is_taken_longest_due_first() {
    let db = kit::database().await;
    for (name, seconds) in [("later", 20), ("now", 10), ("first", 5)] {
        add(&db, record(name), waking(seconds)).await;
    }
    add(&db, record("never"), ScheduleState::default()).await;
    assert_eq!(schedules::next_wake(db.reader()).await.unwrap(), Some(at(5)));
    assert_eq!(take(&db, 10).await, ["first", "now"]);
    assert!(take(&db, 4).await.is_empty());
    write(&db, async |tx| {
        for name in ["first", "now", "later"] {
            let entry = schedules::lock(tx, name).await?.expect("it is there");
            schedules::save_state(tx, entry.id, &ScheduleState::default()).await?;
        }
        Ok(())
    })
    .await;
    assert_eq!(schedules::next_wake(db.reader()).await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_that_another_scheduler_has_in_its_hands_is_passed_over() {
    let db = kit::database().await;
    add(&db, record("a"), waking(0)).await;
    if db.sqlite_path().is_some() {
        // A file has one writer: the second one waits, and finds what the first has left.
        return;
    }
    let (taken, is_taken) = oneshot::channel();
    let (done, is_done) = oneshot::channel::<()>();
    let first = db.write("first", async move |tx| {
        let entries = schedules::take_due(tx, at(0), 10).await?;
        taken.send(entries.len()).unwrap();
        is_done.await.unwrap();
        Ok::<_, celeriac_store::StoreError>(())
    });
    let second = async {
        assert_eq!(is_taken.await.unwrap(), 1);
        assert!(take(&db, 0).await.is_empty());
        done.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(take(&db, 0).await, ["a"]);
}

#[tokio::test]
async fn a_due_time_is_written_down_once() {
    let db = kit::database().await;
    let id = add(&db, record("a"), waking(0)).await;
    let other = add(&db, record("b"), waking(0)).await;
    let new = add_firings(&db, vec![(id, fired(10)), (id, fired(20)), (other, fired(10))]).await;
    assert_eq!(new, HashSet::from([(id, at(10)), (id, at(20)), (other, at(10))]));
    let again = Firing { job_id: Some("second".into()), ..fired(20) };
    assert_eq!(add_firings(&db, vec![(id, again), (id, fired(30))]).await, HashSet::from([(id, at(30))]));
    let page = schedules::firings(db.reader(), id, None, None, 2).await.unwrap();
    assert_eq!((page.firings, page.next), (vec![fired(30), fired(20)], Some(at(20))));
    let page = schedules::firings(db.reader(), id, None, page.next, 2).await.unwrap();
    assert_eq!((page.firings, page.next), (vec![fired(10)], None));
    assert_eq!(fired(10).lateness(), Duration::from_secs(2));
    let between = schedules::firings_between(db.reader(), id, at(10), at(20), 10).await.unwrap();
    assert_eq!(between, [fired(10), fired(20)]);
    let failed = vec![(id, at(30), "no such queue".to_owned())];
    write(&db, async move |tx| schedules::fail_firings(tx, &failed).await).await;
    let outcome = Some(FiringOutcome::Failed);
    let page = schedules::firings(db.reader(), id, outcome, None, 10).await.unwrap();
    let expected =
        Firing { reason: Some("no such queue".into()), ..Firing::new(at(30), at(32), FiringOutcome::Failed) };
    assert_eq!(page.firings, [expected]);
}

#[tokio::test]
async fn jobs_under_way_are_those_whose_records_have_not_ended() {
    let db = kit::database().await;
    let id = add(&db, record("a"), waking(0)).await;
    let mut running = Story::new("job-10");
    running.enqueued().started("w1");
    let mut ended = Story::new("job-20");
    ended.enqueued().started("w1").succeeded("1");
    kit::record(&db, &running.events).await;
    kit::record(&db, &ended.events).await;
    add_firings(&db, vec![(id, fired(10)), (id, fired(20)), (id, fired(30))]).await;
    let open = write(&db, async move |tx| schedules::open_jobs(tx, &[id]).await).await;
    let open: Vec<_> = open[&id].iter().map(|job| (job.job_id.as_str(), job.ended)).collect();
    assert_eq!(open, [("job-10", false), ("job-20", true), ("job-30", true)]);
    let closed = [(id, at(20)), (id, at(30))];
    write(&db, async move |tx| schedules::close_firings(tx, &closed).await).await;
    let open = write(&db, async move |tx| schedules::open_jobs(tx, &[id]).await).await;
    assert_eq!(open[&id].len(), 1);
}

#[tokio::test]
async fn what_is_to_be_cancelled_is_kept_until_it_is_done() {
    let db = kit::database().await;
    let id = add(&db, record("a"), waking(0)).await;
    let cancels = vec!["job-1".to_owned(), "job-2".to_owned()];
    add_firings(&db, vec![(id, Firing { cancels: cancels.clone(), ..fired(10) }), (id, fired(20))]).await;
    let pending = schedules::pending_cancels(db.reader(), 10).await.unwrap();
    assert_eq!((pending.len(), &pending[0].job_ids), (1, &cancels));
    write(&db, async move |tx| schedules::forget_cancels(tx, &[(id, at(10))]).await).await;
    assert!(schedules::pending_cancels(db.reader(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_show_what_they_are_asked_for_page_by_page() {
    let db = kit::database().await;
    for name in ["nightly report", "Hourly_sync", "weekly"] {
        add(&db, record(name), waking(0)).await;
    }
    let mut off = record("off");
    (off.entry.enabled, off.entry.task, off.entry.owner) = (false, "other".into(), "ada".into());
    let state = ScheduleState { last_error: Some("boom".into()), ..ScheduleState::default() };
    add(&db, off, state).await;
    let names = async |filter: ScheduleFilter| {
        let page = schedules::list(db.reader(), &filter, None, 10).await.unwrap();
        page.schedules.iter().map(|schedule| schedule.name().to_owned()).collect::<Vec<_>>()
    };
    let all = ScheduleFilter::default;
    let text = |text: &str| ScheduleFilter { name_text: Some(text.to_owned()), ..all() };
    assert_eq!(names(text("HOURLY_")).await, ["Hourly_sync"]);
    assert_eq!(names(text("%")).await, [""; 0]);
    assert_eq!(names(ScheduleFilter { enabled: Some(false), ..all() }).await, ["off"]);
    assert_eq!(names(ScheduleFilter { task: Some("other".into()), ..all() }).await, ["off"]);
    assert_eq!(names(ScheduleFilter { owner: Some("ada".into()), ..all() }).await, ["off"]);
    assert_eq!(names(ScheduleFilter { failing: true, ..all() }).await, ["off"]);
    assert_eq!(names(ScheduleFilter { origin: Some(Origin::Imported), ..all() }).await, [""; 0]);
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = schedules::list(db.reader(), &all(), after.as_deref(), 3).await.unwrap();
        seen.extend(page.schedules.iter().map(|schedule| schedule.name().to_owned()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["Hourly_sync", "nightly report", "off", "weekly"]);
}

#[tokio::test]
async fn old_firings_go_but_for_the_last_of_each_entry_and_what_is_under_way() {
    let db = kit::database().await;
    let busy = add(&db, record("busy"), waking(0)).await;
    let rare = add(&db, record("rare"), waking(0)).await;
    let closed = |seconds| Firing { open: false, ..fired(seconds) };
    let mut firings: Vec<_> = (1..=9).map(|second| (busy, closed(second))).collect();
    firings.push((busy, fired(0)));
    firings.push((rare, closed(1)));
    add_firings(&db, firings).await;
    let (mut after, mut removed) = (None, 0);
    loop {
        let step = write(&db, async move |tx| schedules::prune_firings(tx, at(8), after, 3, 2).await).await;
        removed += step.removed;
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    // Dealt with before the eighth second are those due up to the fifth; the oldest is under way still.
    assert_eq!(removed, 5);
    let left = schedules::firings(db.reader(), busy, None, None, 100).await.unwrap();
    let left: Vec<_> = left.firings.iter().map(|firing| firing.due_at).collect();
    assert_eq!(left, [9, 8, 7, 6, 0].map(at));
    assert_eq!(schedules::firings(db.reader(), rare, None, None, 100).await.unwrap().firings.len(), 1);
}

#[tokio::test]
async fn state_and_firings_go_with_their_entry() {
    let db = kit::database().await;
    let id = add(&db, record("a"), waking(0)).await;
    add_firings(&db, vec![(id, fired(10))]).await;
    write(&db, async move |tx| schedules::remove(tx, id).await).await;
    assert!(take(&db, 100).await.is_empty());
    assert!(schedules::firings(db.reader(), id, None, None, 10).await.unwrap().firings.is_empty());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "it does what a newer version would do")]
async fn a_word_of_a_newer_version_makes_its_own_entry_unreadable_alone() {
    use celeriac_db::sea_orm::{ConnectionTrait as _, Statement};
    let db = kit::database().await;
    add(&db, record("a"), waking(0)).await;
    add(&db, record("b"), waking(0)).await;
    write(&db, async |tx| {
        let text = "UPDATE celeriac_schedules SET overlap = 'replace' WHERE name = 'a'";
        let statement = Statement::from_string(tx.get_database_backend(), text);
        tx.execute_raw(statement).await.map_err(celeriac_db::DbError::from)?;
        Ok(())
    })
    .await;
    let taken = write(&db, async |tx| schedules::take_due(tx, at(0), 10).await).await;
    let unreadable = taken.iter().filter_map(|entry| entry.record.as_ref().err()).collect::<Vec<_>>();
    assert_eq!((taken.len(), unreadable.len()), (2, 1));
    let error = unreadable[0].to_string();
    assert_eq!(
        error,
        "read overlap of schedule \"a\": \"replace\" is none of allow, skip, queue_one, cancel_older"
    );
}

#[test]
fn the_json_form_leaves_out_nothing_and_reads_back() {
    let entry = ScheduleEntry {
        args: "[1,\"a\"]".into(),
        expires_at: Some(at(0)),
        jitter: Duration::from_millis(2_500),
        ..ScheduleEntry::new("a", "work", "every 5m")
    };
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(json["args"], serde_json::json!([1, "a"]));
    assert_eq!(json["jitter"], 2.5);
    assert_eq!(json["expires_at"], "2026-01-01T00:00:00+00:00");
    assert_eq!(serde_json::from_value::<ScheduleEntry>(json).unwrap(), entry);
    let short: ScheduleEntry =
        serde_json::from_str(r#"{"name": "b", "task": "work", "spec": "@daily"}"#).unwrap();
    assert_eq!(short, ScheduleEntry::new("b", "work", "@daily"));
    assert!(
        serde_json::from_str::<ScheduleEntry>(r#"{"name": "b", "task": "w", "spec": "", "nme": 1}"#).is_err()
    );
}

#[tokio::test]
async fn a_server_tells_its_time_and_a_file_none() {
    let db = kit::database().await;
    let told = schedules::server_time(db.reader()).await.unwrap();
    assert_eq!(told.is_some(), db.sqlite_path().is_none());
    assert!(told.is_none_or(|told| told > at(0)));
}
