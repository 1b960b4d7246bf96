//! The queue on a PostgreSQL server passes the suite, held by two connections as by two processes; and
//! what only a server can go through.

#[cfg(test)]
mod suite {
    use std::any::Any;
    use std::sync::Arc;

    use celeriac_broker::PostgresBroker;
    use celeriac_broker::conformance::{Fixture, skipped};
    use celeriac_db::Database;
    use celeriac_db::testing::TestDatabase;
    use celeriac_protocol::ManualClock;

    async fn open() -> Fixture {
        let db = TestDatabase::open_postgres().await.unwrap();
        let (one, two) = (db.database().clone(), db.again().await.unwrap());
        fixture(one, two, db).await
    }

    pub(super) async fn fixture(one: Database, two: Database, kept: impl Any + Send + Sync) -> Fixture {
        let clock = ManualClock::default();
        PostgresBroker::MIGRATIONS.up(&one, 0).await.unwrap();
        let broker = PostgresBroker::with_clock(one, Arc::new(clock.clone()));
        let other = PostgresBroker::with_clock(two, Arc::new(clock.clone()));
        broker.listen_now().await.unwrap();
        other.listen_now().await.unwrap();
        Fixture::new(Arc::new(broker), Arc::new(other), clock, kept)
    }

    celeriac_broker::conform!(open);

    #[tokio::test]
    async fn skips_nothing() {
        assert_eq!(skipped(&open().await.broker.capabilities()), [""; 0]);
    }
}

/// The same where no statement is kept prepared, as behind a pooler that knows nothing of them.
#[cfg(test)]
mod unprepared {
    use celeriac_broker::conformance::Fixture;
    use celeriac_db::testing::postgres;
    use celeriac_db::{Database, PostgresOptions};

    async fn open() -> Fixture {
        let options = PostgresOptions { prepared_statements: false, ..postgres::corner().await.unwrap() };
        let one = Database::open_postgres(options.clone()).await.unwrap();
        let two = Database::open_postgres(options).await.unwrap();
        super::suite::fixture(one, two, ()).await
    }

    celeriac_broker::conform!(open);
}

#[cfg(test)]
#[path = "postgres/server.rs"]
mod server;
