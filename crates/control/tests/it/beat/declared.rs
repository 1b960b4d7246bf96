//! Entries that the code declares, beside what operators edit.

use celeriac_control::{App, AppError, Difference, Environment, MergeStep, Schedules};
use celeriac_engine::{Registry, task};
use celeriac_store::query::schedules::{CatchUp, DisabledReason, Origin, Overlap, ScheduleEntry};

use super::house::{House, MINUTE, at, entry};

#[task(crate = celeriac_engine, name = "declared.work")]
async fn declared_work() {}

/// Reports on some days.
#[task(
    crate = celeriac_engine,
    name = "declared.report",
    schedule("30 2 * * mon-fri", zone = "Europe/Berlin", kwargs = r#"{"days": 1}"#, overlap = "skip", catch_up = 7),
    schedule("every 1h", name = "hourly", args = "[2]", jitter = "5m", enabled = false),
)]
async fn declared_report(days: u32) -> u32 {
    days
}

#[task(crate = celeriac_engine, name = "declared.odd", schedule = "0 25 * * *")]
async fn declared_odd() {}

#[task(crate = celeriac_engine, name = "declared.unfed", schedule = "@daily")]
async fn declared_unfed(days: u32) -> u32 {
    days
}

async fn house() -> (House, Schedules) {
    let house = House::build().await;
    let schedules =
        Schedules::new(&Environment::new(house.db.database().clone(), house.client.clone()).by_own_clock());
    (house, schedules)
}

/// Merges and says in short what was done.
async fn merge(schedules: &Schedules, declared: Vec<ScheduleEntry>) -> Vec<(String, MergeStep)> {
    let planned = schedules.diff_declared("shop", declared.clone()).await.unwrap();
    let done = schedules.merge_declared("shop", declared).await.unwrap();
    assert_eq!(planned, done, "what is to be done is told before");
    done.into_iter().map(|difference| (difference.name, difference.step)).collect()
}

#[tokio::test]
async fn a_declared_entry_is_added_once_and_fires() {
    let (house, schedules) = house().await;
    let declared = || vec![entry("a", "every 5m")];
    assert_eq!(merge(&schedules, declared()).await, [("a".to_owned(), MergeStep::Add)]);
    assert_eq!(house.record("a").await.origin, Origin::Declared);
    assert!(merge(&schedules, declared()).await.is_empty());
    house.advance(5 * MINUTE).await;
    assert_eq!(house.waiting().await, 1);
}

#[tokio::test]
async fn an_operators_edit_stays_and_what_the_declaration_alone_changed_is_taken_over() {
    let (house, schedules) = house().await;
    merge(&schedules, vec![entry("a", "every 5m")]).await;
    let edited = |entry| ScheduleEntry { spec: "every 7m".into(), priority: Some(3), ..entry };
    schedules.edit("a", edited).await.unwrap();
    assert_eq!(merge(&schedules, vec![entry("a", "every 5m")]).await, [("a".to_owned(), MergeStep::Keep)]);
    let newer = ScheduleEntry { queue: Some("mail".into()), ..entry("a", "every 9m") };
    let told = schedules.merge_declared("shop", vec![newer.clone()]).await.unwrap();
    assert_eq!(told[0].step, MergeStep::Change);
    let mut fields: Vec<_> = told[0].fields.iter().map(|field| (field.field.as_str(), field.why)).collect();
    fields.sort_unstable_by_key(|(field, _)| *field);
    let expected =
        [("priority", Difference::Edited), ("queue", Difference::Declared), ("spec", Difference::Both)];
    assert_eq!(fields, expected);
    let both = told[0].fields.iter().find(|field| field.why == Difference::Both).unwrap();
    assert_eq!((both.declared.as_str(), both.stored.as_str()), ("\"every 9m\"", "\"every 7m\""));
    let merged = house.record("a").await.entry;
    assert_eq!(
        (merged.queue.as_deref(), merged.spec.as_str(), merged.priority),
        (Some("mail"), "every 7m", Some(3))
    );
    // The declaration is known now: the edit is told of as one.
    let told = schedules.diff_declared("shop", vec![newer]).await.unwrap();
    assert!(told[0].fields.iter().all(|field| field.why == Difference::Edited));
    // Who gives the edit up has what is declared.
    let given_up = |entry| ScheduleEntry { spec: "every 9m".into(), priority: None, ..entry };
    schedules.edit("a", given_up).await.unwrap();
    let newest = ScheduleEntry { queue: Some("mail".into()), ..entry("a", "every 11m") };
    schedules.merge_declared("shop", vec![newest]).await.unwrap();
    assert_eq!(house.record("a").await.entry.spec, "every 11m");
}

#[tokio::test]
async fn an_entry_that_an_operator_switched_off_stays_off() {
    let (house, schedules) = house().await;
    merge(&schedules, vec![entry("a", "every 5m")]).await;
    schedules.disable("a").await.unwrap();
    merge(&schedules, vec![entry("a", "every 6m")]).await;
    let record = house.record("a").await;
    assert_eq!((record.entry.enabled, record.entry.spec.as_str()), (false, "every 6m"));
}

#[tokio::test]
async fn what_is_declared_no_more_is_switched_off_and_comes_back_with_its_declaration() {
    let (house, schedules) = house().await;
    merge(&schedules, vec![entry("a", "every 5m"), entry("b", "every 5m")]).await;
    let gone = MergeStep::SwitchOff(DisabledReason::Undeclared);
    assert_eq!(merge(&schedules, vec![entry("a", "every 5m")]).await, [("b".to_owned(), gone)]);
    let record = house.record("b").await;
    let disabled = record.disabled.unwrap();
    assert_eq!(disabled.reason, DisabledReason::Undeclared);
    assert_eq!(disabled.detail, "nothing declares it any more");
    assert!(merge(&schedules, vec![entry("a", "every 5m")]).await.is_empty(), "it is told once");
    let both = vec![entry("a", "every 5m"), entry("b", "every 5m")];
    assert_eq!(merge(&schedules, both).await, [("b".to_owned(), MergeStep::Change)]);
    let record = house.record("b").await;
    assert_eq!((record.entry.enabled, record.disabled), (true, None));
}

#[tokio::test]
async fn an_entry_that_has_ended_by_itself_comes_back_when_its_declaration_says_other_times() {
    let (house, schedules) = house().await;
    let ends = |seconds| ScheduleEntry { end_at: Some(at(seconds)), ..entry("ends", "every 5m") };
    let once = |spec| ScheduleEntry { one_off: true, ..entry("once", spec) };
    let first = vec![entry("instant", "at 2026-01-01T00:05:00Z"), ends(400), once("every 5m")];
    merge(&schedules, first.clone()).await;
    house.advance(5 * MINUTE).await;
    let all_off = async || {
        for name in ["instant", "ends", "once"] {
            assert!(!house.record(name).await.entry.enabled, "{name}");
        }
    };
    all_off().await;
    assert!(merge(&schedules, first.clone()).await.is_empty(), "that it has ended is nobody's edit");
    let elsewhere =
        first.into_iter().map(|entry| ScheduleEntry { queue: Some("mail".into()), ..entry }).collect();
    merge(&schedules, elsewhere).await;
    all_off().await;
    let newer = vec![entry("instant", "at 2026-01-01T01:00:00Z"), ends(3_600), once("every 1h")];
    let told = schedules.merge_declared("shop", newer.clone()).await.unwrap();
    assert!(told.iter().all(|told| told.fields.iter().all(|field| field.field != "enabled")), "{told:?}");
    for name in ["instant", "ends", "once"] {
        let record = house.record(name).await;
        assert_eq!((record.entry.enabled, record.disabled), (true, None), "{name}");
        assert!(house.state(name).await.next_due_at.is_some(), "{name}");
    }
    assert!(merge(&schedules, newer).await.is_empty());
}

#[tokio::test]
async fn an_entry_that_has_ended_stays_off_where_its_new_times_are_over_or_it_is_declared_off() {
    let (house, schedules) = house().await;
    let instant = |name| entry(name, "at 2026-01-01T00:05:00Z");
    merge(&schedules, vec![instant("over"), instant("off")]).await;
    house.advance(10 * MINUTE).await;
    let over = entry("over", "at 2026-01-01T00:06:00Z");
    let off = |spec| ScheduleEntry { enabled: false, ..entry("off", spec) };
    let told = merge(&schedules, vec![over.clone(), off("every 5m")]).await;
    assert!(matches!(&told[0].1, MergeStep::Refuse(faults) if faults[0].field == "spec"), "{told:?}");
    assert_eq!(told[1], ("off".to_owned(), MergeStep::Change));
    merge(&schedules, vec![over, off("every 6m")]).await;
    for name in ["over", "off"] {
        assert!(!house.record(name).await.entry.enabled, "{name}");
    }
}

#[tokio::test]
async fn other_apps_entries_and_operators_are_left_alone() {
    let (house, schedules) = house().await;
    schedules.merge_declared("other", vec![entry("theirs", "every 5m")]).await.unwrap();
    schedules.add(entry("by hand", "every 5m"), Origin::Operator).await.unwrap();
    let declared = vec![entry("theirs", "every 6m"), entry("by hand", "every 6m")];
    let taken = MergeStep::NameTaken;
    let told = merge(&schedules, declared).await;
    assert_eq!(told, [("theirs".to_owned(), taken.clone()), ("by hand".to_owned(), taken)]);
    assert!(merge(&schedules, vec![]).await.is_empty());
    for name in ["theirs", "by hand"] {
        let entry = house.record(name).await.entry;
        assert_eq!((entry.enabled, entry.spec.as_str()), (true, "every 5m"));
    }
}

#[tokio::test]
async fn an_entry_whose_task_is_gone_is_switched_off() {
    let (house, schedules) = house().await;
    merge(&schedules, vec![entry("a", "every 5m"), ScheduleEntry::new("python", "python.only", "every 5m")])
        .await;
    let (_, without) = super::house::client_without_tasks(&house).await;
    let schedules = Schedules::new(&Environment::new(house.db.database().clone(), without).by_own_clock());
    let declared = vec![entry("a", "every 5m"), ScheduleEntry::new("python", "python.only", "every 5m")];
    let gone = MergeStep::SwitchOff(DisabledReason::TaskGone);
    assert_eq!(merge(&schedules, declared).await, [("a".to_owned(), gone)]);
    assert!(house.record("python").await.entry.enabled, "nobody here ever knew its task");
}

#[tokio::test]
async fn a_declaration_that_can_not_be_is_refused_and_harms_no_other() {
    let (house, schedules) = house().await;
    let told = merge(&schedules, vec![entry("bad", "evry 5m"), entry("good", "every 5m")]).await;
    assert!(matches!(&told[0].1, MergeStep::Refuse(faults) if faults[0].field == "spec"));
    assert_eq!(told[1], ("good".to_owned(), MergeStep::Add));
    let told = merge(&schedules, vec![entry("good", "every 0m")]).await;
    assert!(matches!(told[0].1, MergeStep::Refuse(_)));
    assert_eq!(house.record("good").await.entry.spec, "every 5m");
    assert_eq!(house.state("good").await.next_due_at, Some(at(300)));
}

#[test]
fn an_app_declares_entries_and_makes_them_of_its_tasks() {
    let of_tasks = |registry: &Registry| {
        let tasks = registry.tasks().map(|task| task.name);
        tasks.map(|name| ScheduleEntry::new(format!("every minute: {name}"), name, "every 1m")).collect()
    };
    let app =
        || App::new("shop").task::<declared_work>().schedule(entry("a", "every 5m")).schedules_with(of_tasks);
    let parts = app().build().unwrap();
    let names: Vec<_> = parts.schedules.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a", "every minute: declared.work"]);
    let twice = app().schedule(entry("a", "every 6m")).build();
    assert!(matches!(twice, Err(AppError::DuplicateSchedule { name }) if name == "a"));
}

#[test]
fn a_task_declares_entries_beside_its_code() {
    let parts = App::new("shop").task::<declared_report>().build().unwrap();
    let nightly = ScheduleEntry {
        zone: "Europe/Berlin".into(),
        kwargs: r#"{"days": 1}"#.into(),
        overlap: Overlap::Skip,
        catch_up: CatchUp::All,
        catch_up_limit: 7,
        description: "Reports on some days.".into(),
        ..ScheduleEntry::new("declared.report", "declared.report", "30 2 * * mon-fri")
    };
    let hourly = ScheduleEntry {
        args: "[2]".into(),
        jitter: 5 * MINUTE,
        enabled: false,
        description: "Reports on some days.".into(),
        ..ScheduleEntry::new("hourly", "declared.report", "every 1h")
    };
    assert_eq!(parts.schedules, [nightly, hourly]);
    let twice = App::new("shop").task::<declared_report>().schedule(entry("hourly", "every 5m")).build();
    assert!(matches!(twice, Err(AppError::DuplicateSchedule { name }) if name == "hourly"));
}

#[test]
fn what_a_task_says_and_can_not_be_is_refused_with_the_task_and_its_place() {
    let odd = App::new("shop").task::<declared_odd>().build().err().unwrap().to_string();
    assert!(odd.starts_with("declare schedule \"declared.odd\" of task \"declared.odd\""), "{odd}");
    assert!(odd.contains("declared.rs:") && odd.contains("hour `25` is not within 0-23"), "{odd}");
    let unfed = App::new("shop").task::<declared_unfed>().build().err().unwrap().to_string();
    assert!(unfed.contains("days"), "{unfed}");
}
