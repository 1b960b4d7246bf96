//! The master dies, and sentinels say who takes its place.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, RedisBroker, RedisOptions};
use celeriac_peers::{MASTER, Redis, Sentinel};
use celeriac_protocol::ManualClock;

use super::support::{ack, fetch, ids, message};

/// How long the sentinel and the servers may take to agree on another master.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_goes_on_where_the_sentinels_say() {
    let mut master = Redis::start().unwrap();
    let _replica = Redis::start_replica_of(&master).unwrap();
    let sentinel = Sentinel::start(&master).unwrap();
    let options = RedisOptions {
        master_name: Some(MASTER.to_owned()),
        deadline: Duration::from_secs(20),
        ..RedisOptions::at(sentinel.url(2))
    };
    let broker = RedisBroker::open(options, Arc::new(ManualClock::default())).await.unwrap();
    broker.publish(vec![message("before")]).await.unwrap();
    let before = fetch(&broker, 1).await.pop().unwrap();
    wait_until_copied(&master);
    master.kill();
    // The one connection is lost, and the next call waits until there is a master.
    let publish = async { while broker.publish(vec![message("after")]).await.is_err() {} };
    tokio::time::timeout(SOON, publish).await.expect("another master is found");
    assert_eq!(ids(&fetch(&broker, 9).await), ["after"]);
    // What was held of the old master is settled with the new one.
    assert_eq!(broker.settle(&ack(before)).await.unwrap(), [celeriac_broker::Settled::Done]);
}

#[tokio::test]
async fn master_that_no_sentinel_knows_is_named() {
    let master = Redis::start().unwrap();
    let _replica = Redis::start_replica_of(&master).unwrap();
    let sentinel = Sentinel::start(&master).unwrap();
    let options = RedisOptions {
        master_name: Some("nobody".to_owned()),
        deadline: Duration::from_secs(1),
        ..RedisOptions::at(sentinel.url(0))
    };
    let refused = RedisBroker::open(options, Arc::new(ManualClock::default())).await.unwrap_err();
    assert!(celeriac_protocol::error_text(&refused).contains("master_name"), "{refused:?}");
}

/// Waits until the replica has what was written; a master that dies before takes it along.
fn wait_until_copied(master: &Redis) {
    let mut master = redis::Client::open(master.url(0)).unwrap().get_connection().unwrap();
    let copies: u32 = redis::cmd("WAIT").arg(1).arg(10_000).query(&mut master).unwrap();
    assert_eq!(copies, 1);
}
