//! Several schedulers on one database: every due time is met once, and one that stops holds nobody up.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use celeriac_control::{Beat, BeatClock, BeatSettings, Environment, StoreRecorder};
use celeriac_db::{Database, DbError, DbTx};
use celeriac_engine::{
    Client, ClientParts, EventHub, JobSnapshot, RecordError, Recorder, Registry, SqlRecorder,
};
use celeriac_protocol::{JobEvent, JobId};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{self, FiringOutcome};
use tokio::task::JoinSet;

use super::house::{House, SECOND, at, entry, number, pass, scheduler};

/// How long a stopped scheduler may hold others up.
const FAILOVER: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_schedulers_race_each_due_time_has_one_firing_and_one_job() {
    const ENTRIES: usize = 40;
    const SECONDS: u64 = 8;
    let house = House::build().await;
    let mut ids = Vec::new();
    for name in 0..ENTRIES {
        ids.push(house.add(entry(&format!("entry-{name}"), "every 1s")).await);
    }
    let mut beats = Vec::new();
    for _ in 0..3 {
        let (_, _, beat) = scheduler(house.db.again().await.unwrap(), &house.clock).await;
        beats.push(Arc::new(beat));
    }
    let mut fired = 0;
    for _ in 0..SECONDS {
        house.clock.advance(SECOND);
        let mut passing = JoinSet::new();
        for beat in &beats {
            let (beat, clock) = (Arc::clone(beat), house.clock.clone());
            passing.spawn(async move { pass(&beat, &clock).await.unwrap() });
        }
        for report in passing.join_all().await {
            fired += number(&report, "fired");
        }
        // Who passed over what another had in its hands looks again within its period.
        fired += number(&house.pass().await, "fired");
    }
    assert_eq!(fired, ENTRIES as u64 * SECONDS);
    let mut jobs = HashSet::new();
    for id in ids {
        let firings = house.firings(id).await;
        let due: Vec<_> = firings.iter().map(|firing| firing.due_at).collect();
        assert_eq!(due, (1..=SECONDS).map(at).collect::<Vec<_>>());
        assert!(firings.iter().all(|firing| firing.outcome == FiringOutcome::Fired));
        jobs.extend(firings.into_iter().filter_map(|firing| firing.job_id));
    }
    assert_eq!((jobs.len(), house.waiting().await), (fired as usize, fired as usize));
}

/// A recorder whose database is gone when the job of a due time is recorded, the last step before the commit.
struct Broken(StoreRecorder);

#[async_trait::async_trait]
impl Recorder for Broken {
    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError> {
        self.0.record(events).await
    }

    async fn generations(&self, ids: &[JobId]) -> Result<std::collections::HashMap<JobId, u32>, RecordError> {
        self.0.generations(ids).await
    }

    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        self.0.snapshot(id).await
    }

    fn sql(&self) -> Option<&dyn SqlRecorder> {
        Some(self)
    }
}

#[async_trait::async_trait]
impl SqlRecorder for Broken {
    fn database(&self) -> &Database {
        self.0.database()
    }

    async fn record_in(&self, tx: &DbTx, events: &[JobEvent]) -> Result<(), RecordError> {
        self.0.record_in(tx, events).await?;
        Err(RecordError::Database(DbError::TransactionLost { label: "test" }))
    }

    async fn generations_in(
        &self,
        tx: &DbTx,
        ids: &[JobId],
    ) -> Result<std::collections::HashMap<JobId, u32>, RecordError> {
        self.0.generations_in(tx, ids).await
    }
}

#[tokio::test]
async fn of_a_scheduler_that_ends_before_its_commit_nothing_is_kept_and_the_next_one_fires() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 5m")).await;
    let parts = ClientParts {
        broker: Arc::clone(&house.broker),
        recorder: Arc::new(Broken(StoreRecorder::new(house.db.database().clone()))),
        clock: Arc::new(house.clock.clone()),
        registry: Registry::default(),
        events: EventHub::default(),
        origin: "test".to_owned(),
    };
    let environment = Environment::new(house.db.database().clone(), Client::new(parts)).by_own_clock();
    let settings = BeatSettings { clock: BeatClock::Own, ..BeatSettings::default() };
    let broken = Beat::new(&environment, settings).unwrap();
    house.clock.set(at(300));
    let before = house.state("a").await;
    assert!(pass(&broken, &house.clock).await.is_err());
    assert_eq!((house.story(id).await, house.waiting().await), (vec![], 0));
    assert_eq!(house.state("a").await, before);
    house.pass().await;
    assert_eq!(house.story(id).await, [(300, FiringOutcome::Fired)]);
    assert_eq!(house.waiting().await, 1);
}

/// A process that is stopped (SIGSTOP, a machine that sleeps) neither answers nor lets go; its server does for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stopped_scheduler_is_cut_off_and_another_one_fires_what_it_held() {
    let house = House::build().await;
    if house.db.sqlite_path().is_some() {
        // A file's writer that is stopped stops all writers; nobody can cut it off.
        return;
    }
    let id = house.add(entry("a", "every 5m")).await;
    house.clock.set(at(300));
    let stopped = house.db.again().await.unwrap();
    let (held, is_held) = tokio::sync::oneshot::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let stop = async move |tx: &DbTx| {
        let taken = schedules::take_due(tx, at(300), 10).await?;
        held.send(taken.len()).ok();
        // The whole thread stands still, its timers too.
        goes_on.recv().ok();
        schedules::save_states(tx, &[(taken[0].id, taken[0].state.clone())]).await
    };
    let mut first = JoinSet::new();
    first.spawn(async move { stopped.write_within::<_, StoreError, _>("stopped", SECOND, stop).await });
    assert_eq!(is_held.await.unwrap(), 1);
    assert_eq!(number(&house.pass().await, "fired"), 0, "it is passed over");
    let others = async {
        while number(&house.pass().await, "fired") == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(FAILOVER, others).await.expect("the server cuts the silent one off");
    go_on.send(()).unwrap();
    assert!(first.join_next().await.unwrap().unwrap().is_err(), "its transaction is gone");
    assert_eq!(house.story(id).await, [(300, FiringOutcome::Fired)]);
    assert_eq!(house.waiting().await, 1);
}
