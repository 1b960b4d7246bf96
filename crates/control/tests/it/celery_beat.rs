//! Entries of Celery's schedulers that are put into our tables, once and again.

use celeriac_control::celery_beat::{
    Carrier, Definition, Import, Imported, LeftOut, Package, Rules, Timing, Verdict,
};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbTx};
use celeriac_protocol::schedule::Zone;
use celeriac_protocol::{RawValue, Timestamp};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{self, Origin, ScheduleState, ScheduleSummary};

const HOUR: i64 = 3_600_000_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn definition(name: &str, hours: i64) -> Result<Definition, LeftOut> {
    let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    Ok(Definition {
        name: name.to_owned(),
        task: "app.add".to_owned(),
        args: json("[123456789012345678901234567890, \"ä\"]"),
        kwargs: json("{}"),
        timing: Timing::Interval { micros: hours * HOUR, relative: false, anchor: None },
        queue: None,
        exchange: None,
        routing_key: None,
        priority: Some(3),
        headers: json("{}"),
        expires_at: None,
        expire_after: None,
        one_off: false,
        start_at: None,
        end_at: None,
        enabled: true,
        last_run_at: Some(at("2026-11-22T21:10:00Z")),
        total_run_count: 7,
        counts_from: None,
        description: "what for".to_owned(),
        other_options: Vec::new(),
    })
}

fn import(now: &str, replace: bool) -> Import {
    let rules = Rules { now: at(now), zone: Zone::UTC, carrier: Carrier::Other };
    Import { package: Package::Django, replace, rules }
}

async fn open() -> TestDatabase {
    let database = TestDatabase::open().await.unwrap();
    celeriac_store::MIGRATIONS.up(&database, 0).await.unwrap();
    database
}

fn verdicts(imported: &[Imported]) -> Vec<Verdict> {
    imported.iter().map(|one| one.verdict).collect()
}

async fn stored(database: &Database, name: &str) -> ScheduleSummary {
    schedules::find(database.reader(), name).await.unwrap().expect("it was imported")
}

/// Changes the queue of an entry, as an operator would.
async fn send_elsewhere(database: &Database, name: &'static str) {
    let change = async move |tx: &DbTx| {
        let mut record =
            schedules::lock(tx, name).await?.expect("it was imported").record.expect("it can be read");
        record.entry.queue = Some("slow".to_owned());
        schedules::change(tx, &record).await.map(drop)
    };
    database.write("change", change).await.map_err(|error: StoreError| error).unwrap();
}

#[tokio::test]
async fn an_import_carries_over_what_has_run_and_when_it_runs_next() {
    let database = open().await;
    let left_out = LeftOut { name: "c".to_owned(), task: None, reason: "it has no schedule".to_owned() };
    let entries = vec![definition("a", 1), definition("b", 24), Err(left_out)];
    let import = import("2026-11-22T22:00:00Z", false);
    let rehearsed = import.rehearse(Some(database.reader()), entries.clone()).await.unwrap();
    assert_eq!(verdicts(&rehearsed), [Verdict::Added, Verdict::Added, Verdict::LeftOut]);
    assert!(schedules::find(database.reader(), "a").await.unwrap().is_none(), "a rehearsal writes nothing");
    let imported = import.run(&database, entries).await.unwrap();
    assert_eq!(verdicts(&imported), verdicts(&rehearsed));
    let ScheduleSummary { record, state } = stored(&database, "a").await;
    let record = record.unwrap();
    assert_eq!((record.origin, record.enabled_at), (Origin::Imported, at("2026-11-22T22:00:00Z")));
    assert_eq!(record.entry, imported[0].proposal.as_ref().unwrap().entry);
    assert_eq!(record.entry.args, "[123456789012345678901234567890, \"ä\"]");
    let due = Some(at("2026-11-22T22:10:00Z"));
    let last_run_at = Some(at("2026-11-22T21:10:00Z"));
    let expected = ScheduleState {
        wake_at: due,
        next_due_at: due,
        last_run_at,
        total_run_count: 7,
        ..ScheduleState::default()
    };
    assert_eq!(state, expected);
}

#[tokio::test]
async fn an_import_made_twice_changes_nothing_and_keeps_what_an_operator_has_changed() {
    let database = open().await;
    let first = import("2026-11-22T22:00:00Z", false);
    first.run(&database, vec![definition("a", 1), definition("b", 1), definition("c", 1)]).await.unwrap();
    let before = (stored(&database, "a").await, stored(&database, "c").await);
    send_elsewhere(&database, "b").await;

    let second = import("2026-11-22T23:00:00Z", false);
    let imported = second
        .run(&database, vec![definition("a", 1), definition("b", 1), definition("c", 2)])
        .await
        .unwrap();
    assert_eq!(verdicts(&imported), [Verdict::Unchanged, Verdict::Kept, Verdict::Updated]);
    assert_eq!(imported[1].reason.as_deref(), Some("it was changed here"));
    assert_eq!(stored(&database, "a").await, before.0);
    assert_eq!(stored(&database, "b").await.record.unwrap().entry.queue.as_deref(), Some("slow"));
    let updated = stored(&database, "c").await;
    let (record, was) = (updated.record.unwrap(), before.1.record.unwrap());
    assert_eq!(
        (record.entry.spec.as_str(), &record.uid, record.revision),
        ("every 2h", &was.uid, was.revision + 1)
    );
    assert_eq!(updated.state.next_due_at, Some(at("2026-11-22T23:10:00Z")));

    let replacing = import("2026-11-22T23:30:00Z", true);
    let imported = replacing.run(&database, vec![definition("b", 1)]).await.unwrap();
    assert_eq!(verdicts(&imported), [Verdict::Replaced]);
    assert_eq!(stored(&database, "b").await.record.unwrap().entry.queue, None);
}

#[tokio::test]
async fn an_entry_that_is_imported_with_other_times_counts_from_then_on() {
    let check = async |change: fn(&mut Definition), enabled_at: &str| {
        let database = open().await;
        import("2026-11-22T22:00:00Z", false).run(&database, vec![definition("a", 1)]).await.unwrap();
        let mut changed = definition("a", 1).unwrap();
        change(&mut changed);
        let again = import("2026-11-23T04:00:00Z", false);
        let imported = again.run(&database, vec![Ok(changed)]).await.unwrap();
        assert_eq!(verdicts(&imported), [Verdict::Updated]);
        let record = stored(&database, "a").await.record.unwrap();
        assert_eq!(record.enabled_at, at(enabled_at), "{:?}", record.entry);
    };
    let (before, now) = ("2026-11-22T22:00:00Z", "2026-11-23T04:00:00Z");
    check(|to| to.queue = Some("slow".to_owned()), before).await;
    check(|to| to.end_at = Some(at("2026-12-24T00:00:00Z")), before).await;
    check(|to| to.start_at = Some(at("2026-11-22T12:00:00Z")), now).await;
    let anchored = |to: &mut Definition| {
        let anchor = Some(at("2026-11-22T00:30:00Z"));
        to.timing = Timing::Interval { micros: HOUR, relative: false, anchor };
    };
    check(anchored, now).await;
    check(|to| to.timing = Timing::Interval { micros: 2 * HOUR, relative: false, anchor: None }, now).await;
}
