//! The queue in Redis passes the suite, held by two connections as by two processes; and what a
//! server goes through, and what Python peers do to it.

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use celeriac_broker::conformance::{Fixture, skipped};
    use celeriac_broker::{RedisBroker, RedisOptions};
    use celeriac_peers::shared::redis_corner;
    use celeriac_protocol::{DEFAULT_PRIORITY, ManualClock};

    async fn open() -> Fixture {
        let clock = ManualClock::default();
        let url = redis_corner().unwrap();
        // The suite wants what is unset in the middle; that Python's place is the usual one, `peer` tests.
        let unset_priority = DEFAULT_PRIORITY;
        let options = RedisOptions { server_time: false, unset_priority, ..RedisOptions::at(url) };
        let broker = RedisBroker::open(options.clone(), Arc::new(clock.clone())).await.unwrap();
        let other = RedisBroker::open(options, Arc::new(clock.clone())).await.unwrap();
        Fixture::new(Arc::new(broker), Arc::new(other), clock, ())
    }

    celeriac_broker::conform!(open);

    #[tokio::test]
    async fn skips_what_redis_cannot_do_and_nothing_else() {
        assert_eq!(skipped(&open().await.broker.capabilities()), ["transaction", "priorities"]);
    }
}

#[cfg(test)]
#[path = "redis"]
mod own {
    mod peer;
    mod redbeat;
    mod results;
    mod sentinel;
    mod server;
    mod support;
}
