//! What becomes of rows: from the tables of a database to entries of ours.

use celeriac_db::testing::TestDatabase;
use celeriac_db::{DbError, DbTx};
use celeriac_protocol::{RawValue, Timestamp};
use jiff::tz::TimeZone;
use sea_orm::sea_query::{ColumnDef, DynIden, Query, Table};
use sea_orm::{ConnectionTrait, IdenStatic, Iterable};

use super::tables::entity::{clocked, crontab, interval, solar, task};
use super::*;

const NOW: &str = "2026-11-22T22:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn rules(zone: &str, carrier: Carrier) -> Rules {
    Rules { now: now(), zone: zone.parse().unwrap(), carrier }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn every(micros: i64) -> Timing {
    Timing::Interval { micros, relative: false, anchor: None }
}

/// An entry that says no more than it must.
fn plain(timing: Timing) -> Definition {
    Definition {
        name: "a".to_owned(),
        task: "app.add".to_owned(),
        args: RawValue::from_string("[]".to_owned()).unwrap(),
        kwargs: RawValue::from_string("{}".to_owned()).unwrap(),
        timing,
        queue: None,
        exchange: None,
        routing_key: None,
        priority: None,
        headers: RawValue::from_string("{}".to_owned()).unwrap(),
        expires_at: None,
        expire_after: None,
        one_off: false,
        start_at: None,
        end_at: None,
        enabled: true,
        last_run_at: None,
        total_run_count: 0,
        counts_from: None,
        description: String::new(),
        other_options: Vec::new(),
    }
}

const HOUR: i64 = 3_600_000_000;

/// Says what an entry becomes: its schedule, whether it fires, and what is told of it.
#[track_caller]
fn check(
    definition: &Definition,
    rules: &Rules,
    spec: &str,
    enabled: bool,
    told: &[(&str, &str)],
) -> Proposal {
    let proposal = definition.proposal(rules).unwrap();
    assert_eq!((proposal.entry.spec.as_str(), proposal.entry.enabled), (spec, enabled));
    let changes = &proposal.changes;
    let fits = |(change, (about, words)): (&Change, &(&str, &str))| {
        change.about == *about && change.text.contains(words)
    };
    assert!(changes.len() == told.len() && changes.iter().zip(told).all(fits), "{changes:#?}");
    proposal
}

#[test]
fn an_interval_keeps_its_rhythm_and_makes_up_for_nothing() {
    let rules = rules("UTC", Carrier::Other);
    let ran = at("2026-11-22T21:50:00Z");
    let hourly = Definition { last_run_at: Some(ran), total_run_count: 7, ..plain(every(HOUR)) };
    let proposal = check(&hourly, &rules, "every 1h", true, &[]);
    assert_eq!(proposal.entry.anchor_at, Some(ran));
    assert_eq!((proposal.last_run_at, proposal.total_run_count), (Some(ran), 7));
    assert_eq!(proposal.next_due_at, Some(at("2026-11-22T22:50:00Z")));
    // It was due on the 21st, and Celery would send it as soon as it starts.
    let ran = at("2026-11-14T12:00:00Z");
    let weekly = Definition { last_run_at: Some(ran), ..plain(every(7 * 24 * HOUR)) };
    let told = [(
        "catch_up",
        "due at 2026-11-21T12:00:00+00:00, which is not made up for; it is due next at 2026-11-28",
    )];
    check(&weekly, &rules, "every 7d", true, &told);
    let disabled = Definition { enabled: false, ..weekly };
    assert_eq!(check(&disabled, &rules, "every 7d", false, &[]).next_due_at, None);
}

#[test]
fn an_interval_that_never_ran_begins_with_its_start_or_as_its_own_scheduler_counts() {
    let rules = rules("UTC", Carrier::Other);
    let (start, changed) = (Some(at("2026-12-01T08:00:00Z")), Some(at("2026-11-22T21:59:30Z")));
    let never = Definition { counts_from: changed, ..plain(every(HOUR)) };
    assert_eq!(check(&never, &rules, "every 1h", true, &[]).entry.anchor_at, changed);
    let started = Definition { start_at: start, ..never };
    let proposal = check(&started, &rules, "every 1h", true, &[]);
    assert_eq!((proposal.entry.anchor_at, proposal.next_due_at), (start, start));
    assert_eq!(check(&plain(every(HOUR)), &rules, "every 1h", true, &[]).entry.anchor_at, None);
}

#[test]
fn a_relative_interval_falls_on_whole_times_of_the_apps_wall() {
    let berlin = rules("Europe/Berlin", Carrier::Other);
    let relative = |micros| Definition {
        last_run_at: Some(at("2026-11-20T04:20:29Z")),
        ..plain(Timing::Interval { micros, relative: true, anchor: None })
    };
    let anchor = |micros, spec: &str, expected: &str| {
        let told = [("spec", "as `relative` does")];
        let proposal = check(&relative(micros), &berlin, spec, true, &told[..]);
        assert_eq!(proposal.entry.anchor_at, Some(at(expected)), "{spec}");
    };
    anchor(HOUR / 2, "every 30m", "2026-11-20T04:50:00Z");
    anchor(HOUR, "every 1h", "2026-11-20T05:00:00Z");
    let daily =
        check(&relative(24 * HOUR), &berlin, "crontab \"0 0 * * *\"", true, &[("spec", "each midnight")]);
    assert_eq!(
        (daily.entry.zone.as_str(), daily.next_due_at),
        ("Europe/Berlin", Some(at("2026-11-22T23:00:00Z")))
    );
}

#[test]
fn a_crontab_is_read_as_celery_reads_it() {
    let rules = rules("Europe/Berlin", Carrier::Other);
    let fields = |minute: &str, hour: &str, day_of_month: &str, day_of_week: &str| Fields {
        second: "0".to_owned(),
        minute: minute.to_owned(),
        hour: hour.to_owned(),
        day_of_month: day_of_month.to_owned(),
        month_of_year: "*".to_owned(),
        day_of_week: day_of_week.to_owned(),
    };
    let crontab =
        |fields, zone: Option<&str>| plain(Timing::Crontab { fields, zone: zone.map(str::to_owned) });
    let wrapping = crontab(fields("*/7", "8-10,20", "*", "fri-mon"), Some("America/New_York"));
    let proposal = wrapping.proposal(&rules).unwrap();
    assert_eq!((proposal.entry.zone.as_str(), proposal.changes), ("America/New_York", Vec::new()));
    // It is a Sunday evening in New York: 17:00, so the next is at 20:00.
    assert_eq!(proposal.next_due_at, Some(at("2026-11-23T01:00:00Z")));
    let homeless = crontab(fields("0", "2", "*", "*"), None);
    let proposal = check(&homeless, &rules, "crontab \"0 2 * * *\"", true, &[("zone", "Europe/Berlin")]);
    assert_eq!(proposal.entry.zone, "Europe/Berlin");
    // Both days must match: the next Friday that is a 13th.
    let both = crontab(fields("0", "0", "13", "5"), Some("UTC"));
    assert_eq!(both.proposal(&rules).unwrap().next_due_at, Some(at("2027-08-13T00:00:00Z")));
    for (wrong, reason) in [
        (crontab(fields("60", "*", "*", "*"), None), "minute `60`"),
        (crontab(fields("0", "0", "*", "7"), None), "day of week `7`"),
        (crontab(fields("0", "0", "*", "*"), Some("Mars/Olympus")), "Mars/Olympus"),
    ] {
        let left_out = wrong.proposal(&rules).unwrap_err();
        assert!(left_out.reason.contains(reason), "{left_out:?}");
    }
}

#[test]
fn what_is_over_is_switched_off_and_what_was_missed_is_told() {
    let rules = rules("UTC", Carrier::Other);
    let past = at("2026-01-01T10:00:00Z");
    let clocked = plain(Timing::Clocked { at: past });
    let told = [("enabled", "it was due at 2026-01-01T10:00:00+00:00 and has not run")];
    assert!(check(&clocked, &rules, "at 2026-01-01T10:00 UTC", false, &told).entry.one_off);
    let done = Definition { total_run_count: 1, last_run_at: Some(past), ..clocked };
    check(&done, &rules, "at 2026-01-01T10:00 UTC", false, &[("enabled", "and has run")]);
    let expired = Definition { expires_at: Some(past), ..plain(every(HOUR)) };
    check(&expired, &rules, "every 1h", false, &[("enabled", "it expired at 2026-01-01")]);
    let ended = Definition { end_at: Some(past), ..plain(every(HOUR)) };
    check(&ended, &rules, "every 1h", false, &[("enabled", "its rule ended at 2026-01-01")]);
    let once = Definition { one_off: true, total_run_count: 1, ..plain(every(HOUR)) };
    check(&once, &rules, "every 1h", false, &[("enabled", "to run once")]);
    let ahead = plain(Timing::Clocked { at: at("2027-01-01T10:00:00Z") });
    assert!(check(&ahead, &rules, "at 2027-01-01T10:00 UTC", true, &[]).entry.one_off);
}

#[test]
fn priorities_and_exchanges_mean_what_their_carrier_says() {
    let check_at = |carrier, priority: i64, expected: u8, told: &[(&str, &str)]| {
        let definition = Definition { priority: Some(priority), ..plain(every(HOUR)) };
        let proposal = check(&definition, &rules("UTC", carrier), "every 1h", true, told);
        assert_eq!(proposal.entry.priority, Some(expected));
    };
    check_at(Carrier::Redis, 3, 6, &[("priority", "3 of Redis, where 0 is the first, is 6 here")]);
    check_at(Carrier::Redis, 200, 0, &[("priority", "200 of Redis")]);
    check_at(Carrier::RabbitMq, 3, 3, &[]);
    check_at(Carrier::Other, 200, 9, &[("priority", "200 is 9 here")]);

    let named = |queue: Option<&str>, exchange: Option<&str>, key: Option<&str>| {
        let [queue, exchange, routing_key] = [queue, exchange, key].map(|name| name.map(str::to_owned));
        Definition { queue, exchange, routing_key, ..plain(every(HOUR)) }
    };
    let goes_to = |definition: &Definition, carrier, enabled, queue: Option<&str>, told: &[(&str, &str)]| {
        let proposal = check(definition, &rules("UTC", carrier), "every 1h", enabled, told);
        assert_eq!(proposal.entry.queue.as_deref(), queue);
    };
    let news = named(None, Some("news"), Some("feed.sport"));
    let address = Some("exchange://news/feed.sport");
    goes_to(&news, Carrier::RabbitMq, true, address, &[("queue", "exchange://news/feed.sport")]);
    goes_to(&news, Carrier::Redis, false, None, &[("queue", "switched off until its queue is named")]);
    let own = named(Some("slow"), Some("slow"), Some("slow"));
    goes_to(&own, Carrier::Redis, true, Some("slow"), &[("queue", "taken for the queue of that name")]);
    goes_to(
        &named(Some("q"), None, Some("k")),
        Carrier::RabbitMq,
        true,
        Some("q"),
        &[("queue", "`k` counts for nothing")],
    );
    goes_to(
        &named(None, Some("e"), None),
        Carrier::RabbitMq,
        true,
        None,
        &[("queue", "`e` counts for nothing")],
    );
}

#[test]
fn what_has_no_place_here_is_left_out() {
    let check = |definition: Definition, reason: &str| {
        let left_out = definition.proposal(&rules("UTC", Carrier::Other)).unwrap_err();
        assert!(left_out.reason.contains(reason), "{left_out:?}");
    };
    check(plain(every(250)), "every 250 microseconds");
    check(Definition { task: "celery.backend_cleanup".to_owned(), ..plain(every(HOUR)) }, "results.expires");
    check(Definition { name: "ä".repeat(201), ..plain(every(HOUR)) }, "name: it has 201 characters");
    let headers = RawValue::from_string(r#"{"id": "x"}"#.to_owned()).unwrap();
    check(Definition { headers, ..plain(every(HOUR)) }, "headers: \"id\" is set by the platform");
    check(Definition { description: "x".repeat(20_000), ..plain(every(HOUR)) }, "description: it is longer");
    let moon = Timing::Solar { event: "moonrise".to_owned(), latitude: 0.0, longitude: 0.0 };
    check(plain(moon), "moonrise");
    let off_the_globe = Timing::Solar { event: "sunset".to_owned(), latitude: 91.0, longitude: 0.0 };
    check(plain(off_the_globe), "91");
}

#[test]
fn headers_of_the_scheduler_are_left_to_it() {
    let headers =
        RawValue::from_string(r#"{"n": 12345678901234567890123, "celery_beat_task": true}"#.to_owned());
    let definition = Definition { headers: headers.unwrap(), ..plain(every(HOUR)) };
    let proposal = check(&definition, &rules("UTC", Carrier::Other), "every 1h", true, &[]);
    assert_eq!(proposal.entry.headers, r#"{"n":12345678901234567890123}"#);
}

/// Makes a table with some columns, all of text, and one row; what is not named stays empty.
async fn fill(tx: &DbTx, table: &str, columns: &[&str], values: &[&str]) -> Result<(), DbError> {
    let name = |name: &str| DynIden::from(name.to_owned());
    let mut make = Table::create();
    make.table(name(table)).if_not_exists();
    for column in columns {
        make.col(ColumnDef::new(name(column)).text());
    }
    tx.execute(&make).await?;
    let mut insert = Query::insert();
    insert.into_table(name(table)).columns(columns.iter().take(values.len()).map(|column| name(column)));
    insert.values_panic(values.iter().map(|value| (*value).into()));
    tx.execute(&insert).await?;
    Ok(())
}

#[tokio::test]
async fn tables_of_an_old_version_are_read_without_the_columns_that_came_later() {
    let database = TestDatabase::open().await.unwrap();
    let filled = database.write("fill", async |tx| {
        let columns = ["id", "name", "task", "interval_id", "crontab_id", "args", "enabled", "last_run_at"];
        let row = ["1", "old", "app.add", "5"];
        fill(tx, "celery_periodic_task", &columns, &row).await?;
        fill(tx, "celery_periodic_task", &columns, &["2", "orphan", "app.add", "6"]).await?;
        fill(tx, "celery_interval_schedule", &["id", "every", "period"], &["5", "2", "hours"]).await
    });
    filled.await.unwrap();
    let tables = Tables::read(database.reader(), None, database.schema()).await.unwrap();
    assert_eq!(tables.package, Package::SqlAlchemy);
    let found = tables.definitions(&TimeZone::UTC);
    let old = found[0].as_ref().unwrap();
    assert_eq!(
        (old.name.as_str(), &old.timing, old.enabled, old.one_off),
        ("old", &every(2 * HOUR), true, false)
    );
    assert_eq!((old.args.get(), old.kwargs.get(), old.headers.get()), ("[]", "{}", "{}"));
    let orphan = found[1].as_ref().unwrap_err();
    assert_eq!((orphan.name.as_str(), orphan.reason.as_str()), ("orphan", "its interval (number 6) is gone"));
}

#[tokio::test]
async fn tables_that_are_not_there_or_there_twice_are_told_by_name() {
    let database = TestDatabase::open().await.unwrap();
    let none = Tables::read(database.reader(), None, database.schema()).await.unwrap_err().to_string();
    assert!(none.contains("django-celery-beat") && none.contains("sqlalchemy-celery-beat"), "{none}");
    let filled = database.write("fill", async |tx| {
        fill(tx, "celery_periodictask", &["id", "name"], &["1", "a"]).await?;
        fill(tx, "django_celery_beat_periodictask", &["id", "name"], &["1", "a"]).await
    });
    filled.await.unwrap();
    let several = Tables::read(database.reader(), None, database.schema()).await.unwrap_err();
    assert!(matches!(&several, TablesError::Several { found } if found.len() == 2), "{several}");
    let django = Tables::read(database.reader(), Some(Package::Django), database.schema()).await.unwrap();
    let left_out = django.definitions(&TimeZone::UTC).remove(0).unwrap_err();
    assert_eq!(left_out.reason, "it names no task");
}

#[test]
fn moments_are_read_as_databases_write_them() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    for (text, expected) in [
        ("2026-11-20 04:00:29.147359", "2026-11-20T03:00:29.147359+00:00"),
        ("2026-11-20 04:00:29", "2026-11-20T03:00:29+00:00"),
        ("2026-07-20T04:00:29", "2026-07-20T02:00:29+00:00"),
        ("2026-11-20 04:00:29+00", "2026-11-20T04:00:29+00:00"),
        ("2026-11-20 04:00:29.1+05:30", "2026-11-19T22:30:29.100000+00:00"),
    ] {
        assert_eq!(rows::moment(text, &berlin).unwrap().to_string(), expected, "{text}");
    }
    assert!(rows::moment("infinity", &berlin).is_none() && rows::moment("", &berlin).is_none());
}

#[test]
fn every_column_is_named_as_the_packages_name_it() {
    fn names<C: IdenStatic + Iterable>() -> Vec<&'static str> {
        C::iter().map(|column| column.as_str()).collect()
    }
    assert!(names::<task::Column>().contains(&"total_run_count"));
    assert_eq!(names::<interval::Column>(), ["id", "every", "period"]);
    assert_eq!(names::<solar::Column>(), ["id", "event", "latitude", "longitude"]);
    assert_eq!(names::<clocked::Column>(), ["id", "clocked_time"]);
    assert!(names::<crontab::Column>().contains(&"day_of_week"));
}
