//! A schedule whose queue is in a server beside the database: its jobs are born in the transaction of their due times,
//! and handed on after.

use std::sync::Arc;

use celeriac_broker::{Broker, MemoryBroker};
use celeriac_control::{
    Beat, BeatClock, BeatSettings, Environment, LAST_FIRINGS, Loop as _, LoopCtx, Pruner, PrunerSettings,
    Relay, StoreRecorder,
};
use celeriac_engine::{Client, ClientParts, EventHub, Registry};
use celeriac_store::query::schedules::{CatchUp, FiringOutcome, ScheduleEntry};
use tokio_util::sync::CancellationToken;

use super::house::{HOUR, House, MINUTE, at, entry, number, pass};

#[tokio::test]
async fn a_job_goes_through_the_outbox_with_the_id_of_its_due_time() {
    let house = House::build().await;
    let id = house.add(entry("a", "every 5m")).await;
    let server: Arc<dyn Broker> = Arc::new(MemoryBroker::new(Arc::new(house.clock.clone())));
    let parts = ClientParts {
        broker: Arc::clone(&server),
        recorder: Arc::new(StoreRecorder::new(house.db.database().clone())),
        clock: Arc::new(house.clock.clone()),
        registry: Registry::default(),
        events: EventHub::default(),
        origin: "test".to_owned(),
    };
    let client = Client::with_outbox(parts, Arc::clone(&house.broker));
    let environment = Environment::new(house.db.database().clone(), client.clone()).by_own_clock();
    let settings = BeatSettings { clock: BeatClock::Own, ..BeatSettings::default() };
    let beat = Beat::new(&environment, settings).unwrap();
    house.clock.set(at(300));
    assert_eq!(number(&pass(&beat, &house.clock).await.unwrap(), "fired"), 1);
    let job_id = house.firings(id).await[0].job_id.clone().unwrap();
    let job_id = celeriac_protocol::JobId::parse(&job_id).unwrap();
    assert!(server.admin().find(&job_id).await.unwrap().is_none(), "it waits in the database");
    let ctx = LoopCtx::new(Arc::new(house.clock.clone()), CancellationToken::new());
    let relayed = Relay::new(client).pass(&ctx).await.unwrap();
    assert_eq!(number(&relayed, "handed_on"), 1);
    assert!(server.admin().find(&job_id).await.unwrap().is_some());
}

#[tokio::test]
async fn old_firings_are_pruned_but_for_the_last_of_each_entry() {
    let house = House::build().await;
    let all = |name, spec| ScheduleEntry { catch_up: CatchUp::All, ..entry(name, spec) };
    let often = house.add(all("often", "every 1m")).await;
    let rare = house.add(all("rare", "every 1h")).await;
    house.advance(HOUR + 30 * MINUTE).await;
    house.clock.advance(40 * 24 * HOUR);
    let settings = PrunerSettings { batch: 20, ..PrunerSettings::default() };
    let pruner = Pruner::new(house.db.database().clone(), settings).unwrap();
    let ctx = LoopCtx::new(Arc::new(house.clock.clone()), CancellationToken::new());
    let report = pruner.pass(&ctx).await.unwrap();
    assert_eq!((number(&report, "firings"), report.more), (90 - LAST_FIRINGS, false));
    let left = house.firings(often).await;
    assert_eq!((left.len() as u64, left[0].due_at), (LAST_FIRINGS, at(61 * 60)));
    assert_eq!(house.story(rare).await, [(3_600, FiringOutcome::Fired)]);
}
