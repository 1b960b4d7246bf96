//! Schedules of Celery's packages that were taken over, fired by our scheduler, and run by Python's worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, RedisBroker, RedisOptions, sql};
use celeriac_control::{
    Beat, BeatClock, BeatSettings, Environment, Loop as _, LoopCtx, Relay, StoreRecorder,
};
use celeriac_db::{Database, SqliteOptions};
use celeriac_engine::{Client, ClientParts, EventHub, Registry, Sending};
use celeriac_protocol::{Clock, Timestamp, WhenReached};
use celeriac_store::query::schedules::{self, ScheduleFilter, ScheduleSummary};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::house::{House, until};
use crate::schedules::{WithEntries, import};

/// By then every entry of the fixtures has been due, and none has expired.
const LATER: &str = "2099-02-01T12:34:56Z";

/// A clock that stands still.
#[derive(Debug)]
struct Standing(Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep_until(&self, _instant: Timestamp) -> WhenReached<'_> {
        Box::pin(std::future::pending())
    }
}

/// Lets the scheduler look once, at a late time: of what it has missed each entry makes up for the last. Then hands on
/// what waits in the outbox. Returns the names of the entries that were enabled before.
async fn fire(house: &House) -> Vec<String> {
    let clock: Arc<dyn Clock> = Arc::new(Standing(LATER.parse().unwrap()));
    let database = Database::open(SqliteOptions::at(house.path("celeriac.db"))).await.unwrap();
    let enabled = ScheduleFilter { enabled: Some(true), ..ScheduleFilter::default() };
    let entries = schedules::list(database.reader(), &enabled, None, 1_000).await.unwrap().schedules;
    let broker: Arc<dyn Broker> =
        Arc::new(RedisBroker::open(RedisOptions::at(house.broker()), Arc::clone(&clock)).await.unwrap());
    let parts = ClientParts {
        broker,
        recorder: Arc::new(StoreRecorder::new(database.clone())),
        clock: Arc::clone(&clock),
        registry: Registry::builder().build().unwrap(),
        events: EventHub::default(),
        origin: "beat".to_owned(),
    };
    let outbox = sql::broker(database.clone(), Arc::clone(&clock));
    let client = Client::with_sending(parts, Some(outbox), Sending::default());
    // Of an entry that is due all the time only the last due time is near enough not to be missed.
    let misfire_grace = Duration::from_secs(1);
    let settings = BeatSettings { clock: BeatClock::Own, misfire_grace, ..BeatSettings::default() };
    let beat = Beat::new(&Environment::new(database.clone(), client.clone()), settings).unwrap();
    let ctx = LoopCtx::new(clock, CancellationToken::new());
    beat.pass(&ctx).await.unwrap();
    beat.pass(&ctx).await.unwrap();
    Relay::new(client).pass(&ctx).await.unwrap();
    let all =
        schedules::list(database.reader(), &ScheduleFilter::default(), None, 1_000).await.unwrap().schedules;
    check_counts(&entries, &all);
    database.close().await;
    entries.iter().map(|entry| entry.name().to_owned()).collect()
}

/// What has fired has one run more than Celery had counted, and nothing else has.
#[track_caller]
fn check_counts(enabled: &[ScheduleSummary], all: &[ScheduleSummary]) {
    let before: BTreeMap<&str, u64> =
        enabled.iter().map(|one| (one.name(), one.state.total_run_count)).collect();
    for one in all {
        let (count, was) = (one.state.total_run_count, before.get(one.name()));
        assert!(was.is_none_or(|was| count == was + 1), "{}: {count} after {was:?}", one.name());
    }
}

/// Imports what a package has stored, fires each entry once, and compares what Python's worker was given.
fn check(house: &House, kind: WithEntries) {
    let from = kind.fill(house);
    import(house, &from, &["--celery-broker", "redis"]);
    let log = house.path("seen");
    let worker = house.python_worker(&["-Q", "celery,slow"], &[("SEEN", &log), ("TASKS", "schedules")]);
    let fired = tokio::runtime::Runtime::new().unwrap().block_on(fire(house));
    assert!(fired.len() > 8, "{fired:?}");
    until(|| house.lines_of("seen").len() >= fired.len());
    let lines = house.lines_of("seen");
    let seen: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut names: Vec<&str> = seen.iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, fired, "each was fired once");
    assert!(seen.iter().all(|one| one["from_beat"] == true && one["queue"] != Value::Null), "{seen:?}");
    let everything = seen.iter().find(|one| one["name"] == "with everything").unwrap();
    assert_eq!(*everything, kind.everything(house), "what was stored reaches the task");
    worker.stop();
}

pub(crate) fn each_kind_of_django_is_fired_once_and_run_by_python(house: &House) {
    check(house, WithEntries::Django);
}

pub(crate) fn each_kind_of_sqlalchemy_is_fired_once_and_run_by_python(house: &House) {
    check(house, WithEntries::SqlAlchemy);
}

pub(crate) fn each_kind_of_redbeat_is_fired_once_and_run_by_python(house: &House) {
    check(house, WithEntries::Redbeat);
}

impl WithEntries {
    /// Makes the entries; returns where they are.
    fn fill(self, house: &House) -> String {
        let place = format!("sqlite:///{}", house.path("theirs.db"));
        let (code, from) = match self {
            Self::Django => (format!("start_django({place:?})\nof_django()"), place),
            Self::SqlAlchemy => (format!("of_sqlalchemy({place:?})"), place),
            Self::Redbeat => ("of_redbeat()".to_owned(), house.broker().to_owned()),
        };
        house.python(&format!("from schedules import *\n{code}"));
        from
    }

    /// Returns what a task sees of the entry that has everything.
    fn everything(self, house: &House) -> Value {
        let uuid = json!(["UUID", "12345678-1234-5678-1234-567812345678"]);
        let (mut args, mut kwargs) = (vec![json!(["int", "1"]), json!(["str", "ä"])], vec![]);
        kwargs.push(json!(["big", "123456789012345678901234567890"]));
        if !matches!(self, Self::Redbeat) {
            args.push(uuid);
            kwargs.push(json!(["none", "None"]));
        }
        // The tables of the first versions have neither headers nor a length of time.
        let is_old = matches!(self, Self::SqlAlchemy) && house.is_celery("5.3");
        json!({
            "name": "with everything",
            "from_beat": true,
            "args": args,
            "kwargs": kwargs,
            "queue": "slow",
            // Nine less six, which is what is written on the wire.
            "priority": 3,
            "tenant": if is_old { Value::Null } else { "acme".into() },
            "expires": if is_old { Value::Null } else { "2099-02-01T12:36:26+00:00".into() },
        })
    }
}
