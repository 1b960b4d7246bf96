//! Second messages of one run, as a relay makes them that could not know whether the first had come to its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use celeriac_broker::Broker;
use celeriac_engine::testing::TestKit;
use celeriac_engine::{Ctx, Registry, States, TaskError, task};
use celeriac_protocol::{Clock, Envelope, JobStatus, TaskMessage};

#[derive(Default)]
struct Runs(AtomicU32);

#[task(crate = celeriac_engine, name = "once", state(Arc<Runs>))]
async fn once(ctx: Ctx) {
    ctx.state::<Arc<Runs>>().0.fetch_add(1, Ordering::SeqCst);
}

#[task(crate = celeriac_engine, name = "fails_once", state(Arc<Runs>), default_retry_delay = "7s", max_retries = 1)]
async fn fails_once(ctx: Ctx) -> Result<(), TaskError> {
    match ctx.state::<Arc<Runs>>().0.fetch_add(1, Ordering::SeqCst) {
        0 => Err(std::io::Error::other("the first time fails").into()),
        _ => Ok(()),
    }
}

struct Bench {
    kit: TestKit,
    runs: Arc<Runs>,
}

impl Bench {
    fn new() -> Self {
        let runs = Arc::new(Runs::default());
        let states = States::default().with(Arc::clone(&runs));
        let kit =
            TestKit::new(Registry::builder().task::<once>().task::<fails_once>().build().unwrap(), states)
                .unwrap();
        Self { kit, runs }
    }

    /// Asks for a job, and returns its message.
    async fn ask(&self) -> Envelope {
        self.kit.client().enqueue(once()).await.unwrap();
        self.kit.broker().waiting().remove(0)
    }

    /// Hands a message on again.
    async fn again(&self, envelope: &Envelope) {
        let mut message = TaskMessage::decode(envelope).unwrap();
        message.celeriac.again_at = Some(self.kit.clock().now());
        self.kit.broker().publish(vec![message.encode()]).await.unwrap();
    }

    fn runs(&self) -> u32 {
        self.runs.0.load(Ordering::SeqCst)
    }

    fn waiting(&self) -> usize {
        self.kit.broker().waiting().len()
    }
}

#[tokio::test]
async fn second_message_of_a_job_that_has_ended_is_dropped() {
    let bench = Bench::new();
    let message = bench.ask().await;
    bench.kit.drain().await;
    assert_eq!(bench.runs(), 1);
    let told = bench.kit.events().len();
    bench.again(&message).await;
    bench.kit.drain().await;
    assert_eq!((bench.runs(), bench.waiting()), (1, 0));
    assert_eq!(bench.kit.events().len(), told, "the record of the job stays as it is");
    let snapshot = bench.kit.client().snapshot(&message.id).await.unwrap().unwrap();
    assert_eq!(snapshot.status, JobStatus::Completed);
}

#[tokio::test]
async fn message_handed_on_again_runs_a_little_later_where_the_first_never_came() {
    let bench = Bench::new();
    let message = bench.ask().await;
    bench.kit.broker().admin().purge("celery", 9).await.unwrap();
    bench.again(&message).await;
    bench.kit.drain().await;
    assert_eq!((bench.runs(), bench.waiting()), (0, 1));
    bench.kit.advance(Duration::from_secs(5)).await;
    assert_eq!((bench.runs(), bench.waiting()), (1, 0));
}

#[tokio::test]
async fn retry_of_a_message_handed_on_again_is_not_put_off() {
    let bench = Bench::new();
    bench.kit.client().enqueue(fails_once()).await.unwrap();
    let message = bench.kit.broker().waiting().remove(0);
    bench.kit.broker().admin().purge("celery", 9).await.unwrap();
    bench.again(&message).await;
    bench.kit.drain().await;
    bench.kit.advance(Duration::from_secs(5)).await;
    assert_eq!((bench.runs(), bench.waiting()), (1, 1));
    bench.kit.advance(Duration::from_secs(7)).await;
    assert_eq!((bench.runs(), bench.waiting()), (2, 0));
}

#[tokio::test]
async fn unmarked_message_of_the_same_run_runs_without_a_look() {
    let bench = Bench::new();
    let message = bench.ask().await;
    bench.kit.drain().await;
    bench.kit.broker().publish(vec![message]).await.unwrap();
    bench.kit.drain().await;
    assert_eq!(bench.runs(), 2);
}
