//! The workflow loop on a table of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use celeriac_control::workflow::{
    ClaimRequest, Columns, ItemCtx, ItemError, ItemStatus, ProcessPending, Processed, ResetFilter, RowState,
    RunReport, Statuses, Workflow, WorkflowSettings, WorkflowTable, Workflows, run_workflow,
};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbError};
use celeriac_engine::testing::TestKit;
use celeriac_engine::{Registry, States};
use celeriac_protocol::{Backoff, Clock, JobId, JobStatus, Timestamp};
use celeriac_store::StoreError;
use celeriac_store::query::workflows::{
    HeldSlot, SlotRequest, free_slot, renew_slot, take_slot, workflow_states,
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, QueryOrder, Schema};

#[expect(unreachable_pub, reason = "the entity macro makes public types beside it")]
pub(crate) mod item {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "items")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub state: String,
        pub due: i64,
        pub held_until: Option<i64>,
        pub holder: Option<i64>,
        pub tries: i32,
        pub problem: Option<String>,
        pub past: String,
        pub changed: i64,
        pub result: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

impl WorkflowTable for item::Entity {
    const STATUSES: Statuses = Statuses { waiting: "new", processing: "busy", done: "ok", error: "bad" };

    fn columns() -> Columns<Self> {
        use item::Column as C;
        Columns {
            id: C::Id,
            status: C::State,
            due_at: C::Due,
            claimed_until: C::HeldUntil,
            claim: C::Holder,
            attempts: C::Tries,
            error: C::Problem,
            history: C::Past,
            updated_at: C::Changed,
        }
    }

    fn state(row: &item::Model) -> RowState {
        let attempts = u32::try_from(row.tries).unwrap();
        RowState { id: row.id, label: row.name.clone(), attempts, history: row.past.clone() }
    }
}

/// Does to an item what its name says.
pub(crate) struct Act {
    database: Database,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Workflow for Act {
    type Table = item::Entity;
    const NAME: &'static str = "act";
    const JOB: &'static str = "process_pending_acts";
    const DESCRIPTION: &'static str = "does what an item's name says";

    async fn process(&self, row: item::Model, item: ItemCtx) -> Result<Processed, ItemError> {
        self.most.fetch_max(self.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
        match row.name.as_str() {
            "flaky" if item.attempt() < 3 => {
                Err(ItemError::transient(format!("attempt {} failed", item.attempt())))
            }
            "hopeless" => Err(ItemError::permanent("it can't be done")),
            "never" => Err(ItemError::transient("not this time either")),
            "panics" => std::panic::panic_any("out of its depth"),
            "is slow" => {
                item.run().client().clock().sleep(Duration::from_secs(240)).await;
                Ok(result(row.id))
            }
            "stolen" => {
                self.steal(row.id).await;
                Ok(result(row.id))
            }
            "wakes the writer" => {
                // Another write goes through while this row is processed, so no transaction is open.
                let write = self.database.write("elsewhere", async |_| Ok::<_, DbError>(()));
                tokio::time::timeout(Duration::from_secs(5), write).await.unwrap().unwrap();
                Ok(result(row.id))
            }
            _ => Ok(result(row.id)),
        }
    }
}

/// Writes the result beside the status, in the row's own transaction.
fn result(id: i64) -> Processed {
    Processed::with(async move |tx| {
        let found =
            item::ActiveModel { id: Set(id), result: Set(Some("found".into())), ..Default::default() };
        item::Entity::update(found).exec(tx).await?;
        Ok(())
    })
}

impl Act {
    fn new(database: Database) -> Self {
        Self { database, inside: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// Takes the row away, as a sweep and another run would.
    async fn steal(&self, id: i64) {
        self.database
            .write("steal", async move |tx| {
                let stolen = item::ActiveModel { id: Set(id), holder: Set(Some(-1)), ..Default::default() };
                item::Entity::update(stolen).exec(tx).await?;
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
    }
}

pub(crate) struct Bench {
    pub(crate) kit: TestKit,
    pub(crate) test: TestDatabase,
    pub(crate) workflows: Workflows,
}

impl Bench {
    pub(crate) async fn new(settings: WorkflowSettings) -> Self {
        let test = TestDatabase::open().await.unwrap();
        let database = test.database().clone();
        database
            .write("make table", async |tx| {
                let schema = Schema::new(tx.get_database_backend());
                tx.execute(&schema.create_table_from_entity(item::Entity)).await?;
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
        celeriac_store::MIGRATIONS.up(&database, 0).await.unwrap();
        let act = Act::new(database.clone());
        let workflows = Workflows::default().with(act, settings).unwrap();
        let states = States::default().with(database).with(workflows.clone());
        let registry =
            Registry::builder().task::<run_workflow>().task::<ProcessPending<Act>>().build().unwrap();
        let kit = TestKit::new(registry, states).unwrap();
        Self { kit, test, workflows }
    }

    pub(crate) async fn add(&self, names: &[&str]) {
        let now = self.kit.clock().now().as_micros();
        let rows: Vec<item::ActiveModel> = names
            .iter()
            .map(|name| item::ActiveModel {
                name: Set((*name).to_owned()),
                state: Set("new".into()),
                due: Set(now),
                tries: Set(0),
                past: Set("[]".into()),
                changed: Set(now),
                ..Default::default()
            })
            .collect();
        let insert = async move |tx: &celeriac_db::DbTx| {
            item::Entity::insert_many(rows).exec(tx).await?;
            Ok::<_, DbError>(())
        };
        self.test.database().write("add", insert).await.unwrap();
    }

    /// Claims a row for a minute, as a worker that dies then.
    async fn claim_and_die(&self, claim: i64) {
        let now = self.kit.clock().now();
        let request = ClaimRequest { max: 1, now, lease: Duration::from_secs(60), claim };
        let claim = async move |tx: &celeriac_db::DbTx| {
            Ok::<_, DbError>(item::Entity::get_pending_items(tx, request).await?)
        };
        assert_eq!(self.test.database().write("claim and die", claim).await.unwrap().len(), 1);
    }

    pub(crate) async fn run(&self) -> RunReport {
        let job = self.kit.client().enqueue(run_workflow("act".into())).await.unwrap();
        self.kit.drain().await;
        job.wait(Duration::ZERO).await.unwrap()
    }

    pub(crate) fn act(&self) -> Act {
        Act::new(self.test.database().clone())
    }

    /// Takes the table away, as one that can't be looked at.
    pub(crate) async fn drop_table(&self) {
        let drop = async |tx: &celeriac_db::DbTx| {
            tx.execute(sea_orm::sea_query::Table::drop().table(item::Entity)).await?;
            Ok::<_, DbError>(())
        };
        self.test.database().write("drop table", drop).await.unwrap();
    }

    pub(crate) async fn states(&self) -> Vec<String> {
        self.rows().await.into_iter().map(|row| row.state).collect()
    }

    async fn rows(&self) -> Vec<item::Model> {
        let rows = item::Entity::find().order_by_asc(item::Column::Id);
        rows.all(self.test.database().reader()).await.unwrap()
    }
}

fn settings() -> WorkflowSettings {
    WorkflowSettings {
        backoff: Backoff::Fixed { delay: Duration::from_secs(60) },
        ..WorkflowSettings::default()
    }
}

#[tokio::test]
async fn every_row_is_processed_by_itself_and_one_that_fails_holds_up_nobody() {
    let bench = Bench::new(settings()).await;
    bench.add(&["a", "hopeless", "b", "panics", "flaky", "wakes the writer"]).await;
    let report = bench.run().await;
    assert_eq!((report.done, report.retried, report.failed), (3, 2, 1));
    let rows = bench.rows().await;
    let told: Vec<(&str, &str, Option<&str>)> =
        rows.iter().map(|row| (row.name.as_str(), row.state.as_str(), row.problem.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("a", "ok", None),
            ("hopeless", "bad", Some("it can't be done")),
            ("b", "ok", None),
            ("panics", "new", Some("processing panicked: out of its depth")),
            ("flaky", "new", Some("attempt 1 failed")),
            ("wakes the writer", "ok", None),
        ]
    );
    assert_eq!(rows[0].result.as_deref(), Some("found"));
    assert!(rows.iter().all(|row| row.holder.is_none() && row.held_until.is_none()));
}

#[tokio::test]
async fn attempts_are_spaced_and_bounded_and_their_history_is_kept() {
    let bench = Bench::new(settings()).await;
    bench.add(&["flaky", "never"]).await;
    for _ in 0..3 {
        bench.run().await;
        assert_eq!(bench.run().await.batches, 0, "nothing is due before its time");
        bench.kit.clock().advance(Duration::from_secs(60));
    }
    let rows = bench.rows().await;
    assert_eq!((rows[0].state.as_str(), rows[0].tries), ("ok", 3));
    assert_eq!((rows[1].state.as_str(), rows[1].tries), ("bad", 3));
    assert_eq!(rows[1].past.matches("not this time either").count(), 3);
    assert_eq!(rows[0].past.matches("attempt").count(), 4, "{}", rows[0].past);
}

#[tokio::test]
async fn an_outcome_is_recorded_only_by_the_claim_that_is_in_force() {
    let bench = Bench::new(settings()).await;
    bench.add(&["stolen"]).await;
    let report = bench.run().await;
    assert_eq!((report.done, report.fenced), (0, 1));
    let row = bench.rows().await.remove(0);
    assert_eq!((row.state.as_str(), row.holder, row.result), ("busy", Some(-1), None));
}

#[tokio::test]
async fn rows_of_a_worker_that_died_come_back_and_at_last_end_in_error() {
    let bench = Bench::new(WorkflowSettings { max_attempts: 2, ..settings() }).await;
    bench.add(&["a"]).await;
    for attempt in 1..=2 {
        bench.claim_and_die(attempt).await;
        bench.kit.clock().advance(Duration::from_secs(60));
        let workflow = bench.workflows.find("act").unwrap();
        let now = bench.kit.clock().now();
        assert!(
            workflow.is_due(bench.test.database().reader(), now).await.unwrap(),
            "a lapsed claim asks for a run"
        );
        assert_eq!(bench.run().await.taken_back, 1);
        bench.kit.clock().advance(Duration::from_secs(60));
    }
    let row = bench.rows().await.remove(0);
    assert_eq!(
        (row.state.as_str(), row.problem.as_deref()),
        ("bad", Some("the worker that processed it vanished"))
    );
    assert_eq!(row.past.matches("vanished").count(), 2, "{}", row.past);
}

#[tokio::test]
async fn a_run_that_goes_on_takes_back_what_a_dead_worker_holds() {
    let bench = Bench::new(settings()).await;
    bench.add(&["a"]).await;
    bench.claim_and_die(-1).await;
    bench.add(&["is slow"]).await;
    let clock = bench.kit.clock();
    let time_passes = async {
        loop {
            // The slow row and its limit, the renewal of the claims and that of the slot: as long as one of them is
            // about something, it has not come to the end of what it does at this instant.
            while clock.sleepers() < 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            clock.advance(Duration::from_secs(5));
        }
    };
    let report = tokio::select! {
        report = bench.run() => report,
        () = time_passes => unreachable!("time goes on for ever"),
    };
    assert_eq!((report.done, report.taken_back), (2, 1));
}

#[tokio::test]
async fn a_throttled_workflow_takes_one_batch_and_a_continuous_one_goes_on() {
    let names: Vec<&str> = vec!["a"; 25];
    let throttled = Bench::new(WorkflowSettings { continuous: false, ..settings() }).await;
    throttled.add(&names).await;
    let report = throttled.run().await;
    assert_eq!((report.done, report.batches, report.more), (10, 1, true));
    let continuous = Bench::new(settings()).await;
    continuous.add(&names).await;
    let report = continuous.run().await;
    assert_eq!((report.done, report.more), (25, false));
}

#[tokio::test]
async fn a_check_counts_and_a_reset_puts_back() {
    let bench = Bench::new(settings()).await;
    bench.add(&["a", "hopeless", "hopeless"]).await;
    bench.run().await;
    let (database, now) = (bench.test.database(), bench.kit.clock().now());
    let workflow = bench.workflows.find("act").unwrap();
    let check = workflow.check(database.reader(), now).await.unwrap();
    let expected =
        [("new", 0), ("busy", 0), ("ok", 1), ("bad", 2)].map(|(word, rows)| (word.to_owned(), rows));
    assert_eq!((check.counts, check.done_last_hour), (expected.to_vec(), 1));
    assert_eq!(check.last_errors[0].reason, "it can't be done");
    let failed = ResetFilter { statuses: vec![ItemStatus::Error], ..ResetFilter::default() };
    assert_eq!(workflow.reset(database, failed.clone(), now, true).await.unwrap(), 2);
    assert_eq!(workflow.reset(database, ResetFilter::default(), now, true).await.unwrap(), 2);
    let one = ResetFilter { ids: vec![3], ..failed.clone() };
    assert_eq!(workflow.reset(database, one, now, false).await.unwrap(), 1);
    let young = ResetFilter { before: Some(Timestamp::EPOCH), ..failed };
    assert_eq!(workflow.reset(database, young, now, false).await.unwrap(), 0);
    let states: Vec<String> = bench.rows().await.into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["ok", "bad", "new"]);
}

#[tokio::test]
async fn two_runs_at_a_time_never_hold_the_same_row() {
    let bench = Arc::new(Bench::new(WorkflowSettings { batch_size: 3, ..settings() }).await);
    bench.add(&vec!["a"; 60]).await;
    let claim = async |claim: i64| {
        let now = bench.kit.clock().now();
        let request = ClaimRequest { max: 3, now, lease: Duration::from_secs(60), claim };
        let work = async move |tx: &celeriac_db::DbTx| {
            Ok::<_, DbError>(item::Entity::get_pending_items(tx, request).await?)
        };
        bench.test.database().write("claim", work).await.unwrap()
    };
    let mut ids = Vec::new();
    for round in 0..10 {
        let (left, right) = tokio::join!(claim(round), claim(100 + round));
        ids.extend(left.into_iter().chain(right).map(|claimed| claimed.row.id));
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=60).collect::<Vec<i64>>());
}

#[tokio::test]
async fn no_more_runs_go_on_than_there_are_slots_and_the_refused_are_counted() {
    let bench = Bench::new(settings()).await;
    bench.add(&["a"]).await;
    let clock = bench.kit.clock();
    let take = async |fence: i64| -> Option<HeldSlot> {
        let request = SlotRequest {
            workflow: "act",
            max_instances: 1,
            holder: JobId::parse("elsewhere").unwrap(),
            fence,
            now: clock.now(),
            lease: Duration::from_secs(60),
        };
        let work = async move |tx: &celeriac_db::DbTx| take_slot(tx, &request).await;
        bench.test.database().write("take", work).await.unwrap()
    };
    let slot = take(1).await.unwrap();
    let job = bench.kit.client().enqueue(run_workflow("act".into())).await.unwrap();
    bench.kit.drain().await;
    let snapshot = job.status().await.unwrap().unwrap();
    assert_eq!(snapshot.status, JobStatus::Cancelled);
    assert_eq!(snapshot.cancel_reason.as_deref(), Some("refused: all 1 slots of the workflow are taken"));
    let state =
        async || workflow_states(bench.test.database().reader(), clock.now()).await.unwrap().remove(0).1;
    assert_eq!((state().await.runs, state().await.refused, state().await.held_slots), (1, 1, 1));

    // The holder dies: its slot is free when the lease ends, and what it says then counts no more.
    clock.advance(Duration::from_secs(60));
    assert_eq!(bench.run().await.done, 1);
    let now = clock.now();
    let late = async move |tx: &celeriac_db::DbTx| -> Result<bool, StoreError> {
        free_slot(tx, slot, now, true).await?;
        renew_slot(tx, slot, now + Duration::from_secs(60)).await
    };
    assert!(!bench.test.database().write("late", late).await.unwrap());
    assert_eq!(state().await.held_slots, 0);
}
