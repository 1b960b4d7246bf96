//! What is said where the server that answers is not the one that is meant, or does not let us in: what is wrong and what
//! to do about it, at once.

#[cfg(test)]
mod refusals {
    use std::sync::Arc;
    use std::time::Duration;

    use celeriac_broker::{AmqpBroker, AmqpOptions, BrokerError, RedisBroker, RedisOptions, RedisResults};
    use celeriac_peers::Redis;
    use celeriac_peers::shared::{rabbitmq_corner, redis_corner};
    use celeriac_protocol::{ManualClock, error_text};

    /// So long nobody waits for what does not pass by waiting.
    const DEADLINE: Duration = Duration::from_secs(60);

    async fn redis(url: &str) -> BrokerError {
        let options = RedisOptions { deadline: DEADLINE, ..RedisOptions::at(url) };
        let broker = RedisBroker::open(options.clone(), Arc::new(ManualClock::default())).await.unwrap_err();
        // Results connect in another way, and say the same.
        let results = RedisResults::open(&options).await.unwrap_err();
        assert_eq!(error_text(&broker), error_text(&results));
        broker
    }

    async fn rabbitmq(url: &str, deadline: Duration) -> BrokerError {
        let options = AmqpOptions { deadline, ..AmqpOptions::at(url) };
        AmqpBroker::open(options, Arc::new(ManualClock::default())).await.unwrap_err()
    }

    /// Puts something else in the place of what a URL begins with.
    fn instead(url: &str, scheme: &str) -> String {
        format!("{scheme}{}", &url[url.find("://").unwrap()..])
    }

    fn check(error: &BrokerError, what: &str, advice: &str) {
        let text = error_text(error);
        assert!(text.contains(what), "{text}");
        assert!(error.advice().is_some_and(|said| said.contains(advice)), "{:?}", error.advice());
        assert!(!error.is_retryable(), "{text}");
    }

    #[tokio::test]
    async fn redis_is_told_from_what_answers_in_its_place() {
        let (rabbitmq, here) = (rabbitmq_corner().unwrap(), redis_corner().unwrap());
        let port = rabbitmq.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
        check(&redis(&format!("redis://{port}")).await, "is no Redis", "look at host and port");
        check(&redis(&format!("rediss://{port}")).await, "does not speak TLS", "write redis://");
        // Redis waits for the end of a line, so this can't be told from a server that is busy.
        let options = |url: &str| RedisOptions { deadline: Duration::from_secs(3), ..RedisOptions::at(url) };
        let silent = RedisResults::open(&options(&instead(&here, "rediss"))).await.unwrap_err();
        assert!(silent.is_retryable(), "{silent:?}");
    }

    #[tokio::test]
    async fn redis_that_does_not_let_us_in_says_why() {
        let server = Redis::start().unwrap();
        let url = server.url(0);
        let far = format!("{}/99999", url.strip_suffix("/0").unwrap());
        check(&redis(&far).await, "no database of this number", "databases");
        server.configure("requirepass", "right").unwrap();
        check(&redis(&url).await, "wants a password", "into the URL");
        let wrong = url.replace("redis://", "redis://:wrong@");
        check(&redis(&wrong).await, "user or password is wrong", "look at user and password");
    }

    #[tokio::test]
    async fn rabbitmq_is_told_from_what_answers_in_its_place() {
        let (here, redis) = (rabbitmq_corner().unwrap(), redis_corner().unwrap());
        check(&rabbitmq(&instead(&here, "amqps"), DEADLINE).await, "does not speak TLS", "write amqp://");
        // Redis waits for the end of a line, so this can't be told from a server that is busy.
        for scheme in ["amqp", "amqps"] {
            let error = rabbitmq(&instead(&redis, scheme), Duration::from_secs(4)).await;
            assert!(error.is_retryable() && error_text(&error).contains("has spoken AMQP"), "{error:?}");
            assert!(error.advice().unwrap().contains("look at host and port"));
        }
    }

    #[tokio::test]
    async fn rabbitmq_that_does_not_let_us_in_says_why() {
        let here = rabbitmq_corner().unwrap();
        let wrong = here.replace("guest:guest@", "guest:wrong@");
        check(&rabbitmq(&wrong, DEADLINE).await, "the password is wrong", "look at user and password");
        let nowhere = format!("{}/nowhere", here.rsplit_once('/').unwrap().0);
        check(&rabbitmq(&nowhere, DEADLINE).await, "virtual host \"nowhere\"", "add_vhost");
    }
}
