//! Claims at hosts of every kind, without a network.

use std::collections::BTreeMap;

use celeriac_control::workflow::WorkflowTable;
use celeriac_db::{Database, DbError};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, PaginatorTrait, QueryTrait, Statement};

use super::*;
use crate::page::entity::PageSource;
use crate::page::found::FoundPage;
use crate::tests::rig::Rig;
use crate::url::CanonicalUrl;
use crate::{CollectSettings, page::found};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn policy(min_delay: Duration, concurrency: u32) -> HostPolicy {
    HostPolicy { concurrency, min_delay, ..HostPolicy::default() }
}

/// A database with waiting pages: `(host, how many)`.
async fn waiting(hosts: &[(&str, usize)]) -> Rig {
    let rig = Rig::new(CollectSettings::default()).await;
    for (host, count) in hosts {
        let pages: Vec<FoundPage> = (0..*count)
            .map(|number| CanonicalUrl::parse(&format!("https://{host}/{number}")).unwrap())
            .map(|url| FoundPage::new(url, PageSource::User))
            .collect();
        for pages in pages.chunks(5_000) {
            let (pages, collector) = (pages.to_vec(), rig.collector.clone());
            let add = async move |tx: &DbTx| {
                found::add(tx, &collector, None, pages).await?;
                Ok::<_, DbError>(())
            };
            rig.database().write("add pages", add).await.unwrap();
        }
    }
    set_due(rig.database()).await;
    rig
}

/// Makes all rows due at the test's own instant, and robots.txt known everywhere.
async fn set_due(database: &Database) {
    let set = async |tx: &DbTx| {
        let due = page::ActiveModel { due_at: Set(NOW.as_micros()), ..Default::default() };
        page::Entity::update_many().set(due).exec(tx).await?;
        let known = host::ActiveModel {
            robots_expires_at: Set(i64::MAX),
            pages_ready_at: Set(Some(NOW.as_micros())),
            ..Default::default()
        };
        host::Entity::update_many().set(known).exec(tx).await?;
        Ok::<_, DbError>(())
    };
    database.write("set due", set).await.unwrap();
}

async fn change(rig: &Rig, origin: &str, change: host::ActiveModel) {
    let origin = origin.to_owned();
    let write = async move |tx: &DbTx| {
        let of = host::Column::Origin.eq(origin);
        host::Entity::update_many().set(change).filter(of).exec(tx).await?;
        Ok::<_, DbError>(())
    };
    rig.database().write("change host", write).await.unwrap();
}

async fn claim_at(rig: &Rig, policy: HostPolicy, max: usize, now: Timestamp) -> Vec<Claimed<page::Model>> {
    let request = ClaimRequest { max, now, lease: Duration::from_secs(60), claim: 1 };
    let work = async move |tx: &DbTx| Ok::<_, DbError>(claim::<page::Entity>(tx, &policy, request).await?);
    rig.database().write("claim", work).await.unwrap()
}

/// Counts claimed rows by host, and turns by how far they lie ahead in milliseconds.
fn summary(claimed: &[Claimed<page::Model>]) -> BTreeMap<String, Vec<u128>> {
    let mut hosts: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for Claimed { row, not_before } in claimed {
        let host = CanonicalUrl::parse(&row.url).unwrap().host().to_owned();
        let wait = not_before.map_or(0, |turn| turn.since(NOW).as_millis());
        hosts.entry(host).or_default().push(wait);
    }
    hosts
}

#[tokio::test]
async fn a_host_with_many_rows_neither_hoards_the_claim_nor_hides_the_others() {
    let rig = waiting(&[("big.example", 500), ("a.example", 3), ("b.example", 1)]).await;
    let claimed = summary(&claim_at(&rig, policy(Duration::ZERO, 100), 12, NOW).await);
    let counts: BTreeMap<&str, usize> =
        claimed.iter().map(|(host, rows)| (host.as_str(), rows.len())).collect();
    assert_eq!(counts["a.example"], 3);
    assert_eq!(counts["b.example"], 1);
    assert!(counts["big.example"] >= 4, "{counts:?}");
}

#[tokio::test]
async fn turns_lie_further_apart_than_the_pause_and_go_on_with_the_next_claim() {
    let rig = waiting(&[("a.example", 50)]).await;
    let policy = policy(Duration::from_millis(100), 3);
    let first = summary(&claim_at(&rig, policy, 10, NOW).await);
    assert_eq!(first["a.example"], [0, 120, 240], "the pause and twice what a request may be late");
    let again = claim_at(&rig, policy, 10, NOW).await;
    assert!(again.is_empty(), "all slots are taken");
    let host = rig.hosts().await.remove(0);
    assert_eq!(Timestamp::from_micros(host.next_allowed_at), NOW + Duration::from_millis(360));
    assert_eq!(
        host.pages_ready_at.map(Timestamp::from_micros),
        Some(NOW + SLOT_RECHECK),
        "it is looked at again when a slot may be free"
    );
}

#[tokio::test]
async fn hosts_that_must_rest_are_skipped_and_looked_at_when_their_time_has_come() {
    let rig = waiting(&[("parked.example", 5), ("later.example", 5), ("well.example", 1)]).await;
    let (in_a_minute, in_ten) = (NOW + Duration::from_secs(60), NOW + Duration::from_secs(10));
    let parked = host::ActiveModel { parked_until: Set(Some(in_a_minute.as_micros())), ..Default::default() };
    change(&rig, "https://parked.example", parked).await;
    let later = host::ActiveModel { next_allowed_at: Set(in_ten.as_micros()), ..Default::default() };
    change(&rig, "https://later.example", later).await;
    let opened = policy(Duration::ZERO, 10);
    let claimed = summary(&claim_at(&rig, opened, 10, NOW).await);
    assert_eq!(claimed.keys().collect::<Vec<_>>(), ["well.example"]);
    let next = page::Entity::next_due_at(rig.database().reader()).await.unwrap();
    assert_eq!(next, Some(in_ten), "the loop sleeps until the first of them may be asked");
    assert_eq!(summary(&claim_at(&rig, opened, 10, in_ten).await).len(), 1);
}

#[tokio::test]
async fn one_row_reads_robots_txt_before_the_others_are_given_out() {
    let rig = waiting(&[("new.example", 5)]).await;
    let unknown = host::ActiveModel { robots_expires_at: Set(0), ..Default::default() };
    change(&rig, "https://new.example", unknown).await;
    let opened = policy(Duration::ZERO, 10);
    assert_eq!(claim_at(&rig, opened, 10, NOW).await.len(), 1);
    assert_eq!(claim_at(&rig, opened, 10, NOW + SLOT_RECHECK).await.len(), 0, "it is still under way");
    let known = host::ActiveModel { robots_expires_at: Set(i64::MAX), ..Default::default() };
    change(&rig, "https://new.example", known).await;
    assert_eq!(claim_at(&rig, opened, 10, NOW + SLOT_RECHECK * 2).await.len(), 4);
}

#[tokio::test]
async fn rows_of_a_host_that_was_given_up_are_given_out_without_turns() {
    let rig = waiting(&[("gone.example", 100)]).await;
    let gone = host::ActiveModel { given_up_until: Set(Some(i64::MAX)), ..Default::default() };
    change(&rig, "https://gone.example", gone).await;
    let claimed = claim_at(&rig, policy(Duration::from_secs(10), 1), 100, NOW).await;
    assert_eq!(claimed.len(), GIVEN_UP_ROWS);
    assert!(claimed.iter().all(|claimed| claimed.not_before.is_none()));
    assert_eq!(rig.hosts().await[0].next_allowed_at, 0, "no turn is used up");
}

#[tokio::test]
async fn a_host_is_forgotten_by_the_queue_when_its_last_row_is_claimed_and_comes_back_with_a_retry() {
    let rig = waiting(&[("a.example", 1)]).await;
    let id = claim_at(&rig, policy(Duration::ZERO, 10), 10, NOW).await[0].row.id;
    assert_eq!(page::Entity::next_due_at(rig.database().reader()).await.unwrap(), None);
    let due_at = NOW + Duration::from_secs(5);
    let again = async move |tx: &DbTx| {
        let rows = celeriac_control::workflow::RowsWaiting::One { id, due_at };
        Ok::<_, DbError>(page::Entity::update_waiting(tx, rows).await?)
    };
    rig.database().write("wait again", again).await.unwrap();
    assert_eq!(page::Entity::next_due_at(rig.database().reader()).await.unwrap(), Some(due_at));
}

#[tokio::test]
async fn two_workers_never_hold_one_row_nor_share_a_turn() {
    let rig = waiting(&[("a.example", 40), ("b.example", 40)]).await;
    let policy = policy(Duration::from_millis(20), 40);
    let mut turns: BTreeMap<(String, Timestamp), i64> = BTreeMap::new();
    for round in 0..20 {
        let now = NOW + Duration::from_millis(50 * round);
        let (left, right) = tokio::join!(claim_at(&rig, policy, 3, now), claim_at(&rig, policy, 3, now));
        for Claimed { row, .. } in left.into_iter().chain(right) {
            let host = CanonicalUrl::parse(&row.url).unwrap().host().to_owned();
            let turn = Timestamp::from_micros(row.due_at);
            assert_eq!(turns.insert((host, turn), row.id), None, "one turn, one row");
        }
    }
    let ids: std::collections::BTreeSet<i64> = turns.values().copied().collect();
    assert_eq!((turns.len(), ids.len()), (80, 80));
    let all: Vec<&(String, Timestamp)> = turns.keys().collect();
    let gaps = all.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    assert!(gaps.map(|pair| pair[1].1.since(pair[0].1)).all(|gap| gap >= Duration::from_millis(20)));
}

/// Asks the database how it would run a statement.
#[expect(clippy::disallowed_methods, reason = "no builder makes this kind of statement")]
async fn plan(database: &Database, statement: &impl QueryTrait) -> Vec<String> {
    let backend = database.reader().get_database_backend();
    let statement = statement.build(backend);
    let (explain, column) = match backend {
        DbBackend::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        _ => ("EXPLAIN", "QUERY PLAN"),
    };
    let statement = Statement { sql: format!("{explain} {}", statement.sql), ..statement };
    // A reader may not lock rows.
    let rows = database.write("plan", async move |tx| Ok::<_, DbError>(tx.query_all_raw(statement).await?));
    rows.await.unwrap().iter().map(|row| row.try_get("", column).unwrap()).collect()
}

#[tokio::test]
async fn a_claim_reads_indexes_alone_with_fifty_thousand_rows_in_front() {
    let rig = waiting(&[("big.example", 50_000), ("small.example", 1)]).await;
    let request = ClaimRequest { max: 10, now: NOW, lease: Duration::from_secs(60), claim: 1 };
    let hosts = plan(rig.database(), &candidates::<page::Entity>(&request)).await;
    let rows = plan(rig.database(), &first_waiting::<page::Entity>(1, 10)).await;
    for (steps, index) in [(&hosts, "celeriac_hosts_pages_ready"), (&rows, "celeriac_pages_waiting")] {
        assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
    }
    for step in hosts.iter().chain(&rows) {
        assert!(!step.starts_with("SCAN") && !step.contains("TEMP B-TREE"), "{step}");
    }
    // Both hosts are served by the same claim, whatever stands in front.
    let claimed = claim_at(&rig, policy(Duration::ZERO, 100), 10, NOW).await;
    assert_eq!(summary(&claimed).keys().collect::<Vec<_>>(), ["big.example", "small.example"]);
    let left = page::Entity::find().filter(page::Column::Status.eq("pending")).count(rig.database().reader());
    assert_eq!(left.await.unwrap(), 50_001 - claimed.len() as u64);
}

#[tokio::test]
async fn what_a_host_is_asked_for_by_others_counts_against_its_slots() {
    let rig = waiting(&[("a.example", 10)]).await;
    let two = policy(Duration::ZERO, 2);
    assert_eq!(claim_at(&rig, two, 10, NOW).await.len(), 2);
    assert_eq!(claim_at(&rig, two, 10, NOW).await.len(), 0);
    let done = async |tx: &DbTx| {
        let done = page::ActiveModel { status: Set("completed".into()), ..Default::default() };
        page::Entity::update_many().set(done).filter(page::Column::Status.eq("processing")).exec(tx).await?;
        Ok::<_, DbError>(())
    };
    rig.database().write("finish", done).await.unwrap();
    assert_eq!(claim_at(&rig, two, 10, NOW).await.len(), 2);
}
