//! The queue in memory passes the suite.

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use celeriac_broker::conformance::{Fixture, skipped};
    use celeriac_broker::{Broker, MemoryBroker};
    use celeriac_protocol::ManualClock;

    async fn open() -> Fixture {
        let clock = ManualClock::default();
        let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new(Arc::new(clock.clone())));
        Fixture::new(Arc::clone(&broker), broker, clock, ())
    }

    celeriac_broker::conform!(open);

    #[tokio::test]
    async fn skips_what_memory_cannot_do_and_nothing_else() {
        assert_eq!(skipped(&open().await.broker.capabilities()), ["transaction"]);
    }
}
