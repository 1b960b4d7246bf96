//! Entries that are imported together.

use celeriac_control::{
    EntriesImported, EntryImport, Environment, Existing, ImportStep, MAX_IMPORT, Schedules,
};
use celeriac_store::query::schedules::{Origin, ScheduleEntry};

use super::house::{House, MINUTE, at, entry};

async fn house() -> (House, Schedules) {
    let house = House::build().await;
    let schedules =
        Schedules::new(&Environment::new(house.db.database().clone(), house.client.clone()).by_own_clock());
    (house, schedules)
}

fn with(existing: Existing) -> EntryImport {
    EntryImport { existing, ..EntryImport::default() }
}

fn steps(imported: &EntriesImported) -> Vec<&ImportStep> {
    imported.entries.iter().map(|entry| &entry.step).collect()
}

#[tokio::test]
async fn new_entries_are_due_from_then_on_and_those_that_say_the_same_stay() {
    let (house, schedules) = house().await;
    let spaced = ScheduleEntry { headers: "{ \"n\" : 1 }".to_owned(), ..entry("b", "every 5m") };
    schedules.add(spaced.clone(), Origin::Operator).await.unwrap();
    let entries = vec![entry("a", "every 5m"), ScheduleEntry { headers: "{\"n\":1}".to_owned(), ..spaced }];
    let rehearsed = schedules.rehearse_import(entries.clone(), EntryImport::default()).await.unwrap();
    assert_eq!(steps(&rehearsed), [&ImportStep::Add, &ImportStep::Keep]);
    assert!(schedules.show("a").await.is_err(), "a rehearsal changes nothing");
    assert_eq!(schedules.import(entries, EntryImport::default()).await.unwrap(), rehearsed);
    assert_eq!(schedules.show("a").await.unwrap().schedule.state.next_due_at, Some(at(300)));
    house.advance(5 * MINUTE).await;
    for name in ["a", "b"] {
        assert_eq!(schedules.show(name).await.unwrap().schedule.state.total_run_count, 1);
    }
}

#[tokio::test]
async fn one_that_stands_in_the_way_keeps_all_out() {
    let (house, schedules) = house().await;
    schedules.add(entry("b", "every 5m"), Origin::Operator).await.unwrap();
    let entries = || vec![entry("a", "every 5m"), entry("b", "every 7m")];
    let imported = schedules.import(entries(), EntryImport::default()).await.unwrap();
    assert_eq!(
        (imported.is_refused, steps(&imported)),
        (true, vec![&ImportStep::Add, &ImportStep::Conflict])
    );
    let change = &imported.entries[1].fields[0];
    assert_eq!((&*change.field, &*change.before, &*change.after), ("spec", "\"every 5m\"", "\"every 7m\""));
    assert!(schedules.show("a").await.is_err());

    let wrong = vec![entry("a", "every 5m"), entry("c", "evry 5m")];
    let imported = schedules.import(wrong.clone(), EntryImport::default()).await.unwrap();
    assert!(imported.is_refused && matches!(imported.entries[1].step, ImportStep::Refuse(_)));
    assert!(schedules.show("a").await.is_err());
    let lenient = EntryImport { leaves_out_invalid: true, ..EntryImport::default() };
    assert!(!schedules.import(wrong, lenient).await.unwrap().is_refused);
    schedules.show("a").await.unwrap();
    drop(house);
}

#[tokio::test]
async fn one_of_the_same_name_is_kept_or_changed_as_by_an_edit() {
    let (house, schedules) = house().await;
    schedules.add(entry("b", "every 5m"), Origin::Operator).await.unwrap();
    house.advance(5 * MINUTE).await;
    let entries = || vec![entry("b", "every 7m")];
    let kept = schedules.import(entries(), with(Existing::Keep)).await.unwrap();
    assert_eq!(steps(&kept), [&ImportStep::KeepOther]);
    assert_eq!(schedules.show("b").await.unwrap().schedule.record.unwrap().entry.spec, "every 5m");
    let changed = schedules.import(entries(), with(Existing::Replace)).await.unwrap();
    assert_eq!(steps(&changed), [&ImportStep::Change]);
    let shown = schedules.show("b").await.unwrap();
    let (record, state) = (shown.schedule.record.unwrap(), shown.schedule.state);
    assert_eq!((&*record.entry.spec, record.revision, shown.firings.len()), ("every 7m", 1, 1));
    assert_eq!((state.total_run_count, state.next_due_at), (1, Some(at(420))));
}

#[tokio::test]
async fn more_than_fit_into_one_transaction_are_refused() {
    let (house, schedules) = house().await;
    let entries = (0..=MAX_IMPORT).map(|i| entry(&format!("e{i}"), "every 5m")).collect();
    let refused = schedules.import(entries, EntryImport::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "import 10001 schedules at once: 10000 are allowed");
    drop(house);
}
