//! Results that are sent to whoever waits, on both transports that have them: what a client of Celery finds in the queue
//! that it has named, and what is heard of such a client's worker.

#[cfg(test)]
mod replies {
    use std::time::Duration;

    use celeriac_broker::{KeptResult, ReplyOptions, ResultStore};
    use celeriac_protocol::{JobId, ReplyTo, Serializer};

    use self::peer::{AmqpPeer, Answer, Peer, RedisPeer};

    mod peer;

    /// How long an answer is waited for before it counts as lost.
    const PATIENCE: Duration = Duration::from_secs(25);

    const HOUR: Duration = Duration::from_hours(1);

    fn id(text: &str) -> JobId {
        JobId::parse(text).unwrap()
    }

    fn said(state: &str) -> Vec<u8> {
        format!(r#"{{"status": "{state}", "result": 5}}"#).into_bytes()
    }

    fn result(job: &str, state: &str, queue: &str) -> KeptResult {
        let reply_to = Some(ReplyTo { queue: queue.to_owned(), correlation: None });
        KeptResult { id: id(job), body: said(state), keep: Some(HOUR), reply_to }
    }

    fn options() -> ReplyOptions {
        ReplyOptions { expires: Some(HOUR), ..ReplyOptions::default() }
    }

    /// Waits until something is heard of a job.
    async fn heard(store: &dyn ResultStore, job: &str) -> Vec<u8> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(body) = store.get(&[id(job)]).await.unwrap().pop().flatten() {
                    return body;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.expect("an answer comes within twenty-five seconds")
    }

    /// Celery's own message: plain JSON, transient, known by the task's id, no headers.
    async fn answers_lie_in_their_order_as_celery_writes_them(peer: impl Peer) {
        peer.declare("client").await;
        let store = peer.open(options(), None).await;
        let quiet = KeptResult { reply_to: None, ..result("b", "SUCCESS", "client") };
        let other = ReplyTo { queue: "client".to_owned(), correlation: Some("its-own".to_owned()) };
        let other = KeptResult { reply_to: Some(other), ..result("c", "FAILURE", "client") };
        let both = [result("a", "STARTED", "client"), result("a", "SUCCESS", "client"), quiet, other];
        store.put(&both).await.unwrap();
        let answer = |correlation: &str, state: &str| Answer {
            body: said(state),
            correlation: correlation.to_owned(),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            delivery_mode: 1,
            priority: 0,
            headers: 0,
        };
        let expected = [answer("a", "STARTED"), answer("a", "SUCCESS"), answer("its-own", "FAILURE")];
        assert_eq!(peer.answers("client").await, expected);
    }

    async fn serializer_and_durability_are_told(peer: impl Peer) {
        peer.declare("client").await;
        let options = ReplyOptions { serializer: Serializer::Msgpack, persistent: true, expires: None };
        peer.open(options, None).await.put(&[result("a", "SUCCESS", "client")]).await.unwrap();
        let answer = peer.answers("client").await.remove(0);
        assert_eq!(
            (answer.content_type.as_str(), answer.content_encoding.as_str(), answer.delivery_mode),
            ("application/x-msgpack", "binary", 2)
        );
    }

    async fn what_cannot_be_sent_keeps_no_other_back(peer: impl Peer) {
        peer.declare("client").await;
        let store = peer.open(options(), None).await;
        let hopeless = peer.hopeless().await;
        let several = [
            result("a", "SUCCESS", &hopeless),
            result("b", "SUCCESS", "gone"),
            result("c", "SUCCESS", "client"),
        ];
        store.put(&several).await.unwrap();
        store.put(&several[..1]).await.unwrap();
        assert_eq!(peer.answers("client").await.len(), 1);
    }

    async fn queue_that_has_gone_is_not_made_for_good(peer: impl Peer) {
        let store = peer.open(options(), None).await;
        store.put(&[result("a", "SUCCESS", "gone")]).await.unwrap();
        assert!(peer.goes_by_itself("gone").await);
    }

    async fn last_word_of_each_job_is_heard(peer: impl Peer) {
        let listener = peer.open(options(), Some("me")).await;
        let sender = peer.open(options(), None).await;
        sender.put(&[result("a", "PROGRESS", "me")]).await.unwrap();
        assert_eq!(heard(&*listener, "a").await, said("PROGRESS"));
        for state in ["SUCCESS", "RETRY"] {
            sender.put(&[result("a", state, "me")]).await.unwrap();
        }
        sender.put(&[result("b", "FAILURE", "me")]).await.unwrap();
        assert_eq!(heard(&*listener, "b").await, said("FAILURE"));
        assert_eq!(heard(&*listener, "a").await, said("SUCCESS"));
        listener.forget(&[id("a")]).await.unwrap();
        let found = listener.get(&[id("a"), id("b"), id("none")]).await.unwrap();
        assert_eq!(found, [None, Some(said("FAILURE")), None]);
        // The sender hears nothing.
        assert_eq!(sender.get(&[id("b")]).await.unwrap(), [None]);
    }

    async fn what_is_no_answer_is_passed_over(peer: impl Peer) {
        let listener = peer.open(options(), Some("me")).await;
        peer.push_junk("me").await;
        peer.open(options(), None).await.put(&[result("a", "SUCCESS", "me")]).await.unwrap();
        assert_eq!(heard(&*listener, "a").await, said("SUCCESS"));
    }

    async fn server_that_comes_back_is_heard_again(mut peer: impl Peer) {
        let listener = peer.open(options(), Some("me")).await;
        let sender = peer.open(options(), None).await;
        sender.put(&[result("a", "SUCCESS", "me")]).await.unwrap();
        heard(&*listener, "a").await;
        peer.restart().await;
        let waited = tokio::time::timeout(PATIENCE, async {
            // What is sent before it listens again is lost on RabbitMQ, as Celery's clients lose it.
            while listener.get(&[id("b")]).await.unwrap() == [None] {
                sender.put(&[result("b", "SUCCESS", "me")]).await.ok();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.expect("both are back within twenty-five seconds");
    }

    macro_rules! cases {
        ($($case:ident)*) => {
            mod redis { use super::*; $(
                #[tokio::test]
                async fn $case() { super::$case(RedisPeer::shared().await).await; }
            )* }
            mod rabbitmq { use super::*; $(
                #[tokio::test]
                async fn $case() { super::$case(AmqpPeer::shared().await).await; }
            )* }
        };
    }

    cases! {
        answers_lie_in_their_order_as_celery_writes_them
        serializer_and_durability_are_told
        what_cannot_be_sent_keeps_no_other_back
        queue_that_has_gone_is_not_made_for_good
        last_word_of_each_job_is_heard
        what_is_no_answer_is_passed_over
    }

    #[tokio::test]
    async fn redis_that_comes_back_is_heard_again() {
        server_that_comes_back_is_heard_again(RedisPeer::alone().await).await;
    }

    #[tokio::test]
    async fn rabbitmq_that_comes_back_is_heard_again() {
        server_that_comes_back_is_heard_again(AmqpPeer::alone().await).await;
    }

    #[tokio::test]
    async fn queue_of_rabbitmq_is_declared_as_celery_does_and_goes_with_its_owner() {
        let peer = AmqpPeer::shared().await;
        let day = ReplyOptions { expires: Some(24 * HOUR), ..ReplyOptions::default() };
        let listener = peer.open(day, Some("me")).await;
        assert_eq!(peer.declare_as_celery("me", true, 86_400_000).await, None);
        assert_eq!(peer.declare_as_celery("me", true, 1_000).await, Some(406));
        assert_eq!(peer.declare_as_celery("me", false, 86_400_000).await, Some(406));
        drop(listener);
        let waited = tokio::time::timeout(PATIENCE, async { while !peer.goes_by_itself("me").await {} });
        waited.await.expect("the queue goes");
    }
}
