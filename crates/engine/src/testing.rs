//! The test kit: a queue in memory, a clock moved by hand, and everything due run when asked.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Broker, MemoryBroker};
use celeriac_protocol::{Clock, JobEvent, ManualClock, TaskMessage};

use crate::worker::{Drained, drain};
use crate::{
    Client, ClientParts, EventHub, MemoryRecorder, Recorder, Registry, States, Task, Worker, WorkerError,
    WorkerOptions,
};

/// How many attempts one drain may come to.
const MAX_ATTEMPTS: usize = 100_000;

/// Runs tasks without a server and without waiting.
///
/// ```
/// # use celeriac_engine::{testing::TestKit, Registry, States, task};
/// # use std::time::Duration;
/// #[task(crate = celeriac_engine, name = "greet")]
/// async fn greet(name: String) -> String {
///     format!("Hello {name}")
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let kit = TestKit::new(Registry::builder().task::<greet>().build()?, States::default())?;
/// let job = kit.client().enqueue(greet("Ada".into()).countdown(Duration::from_secs(60))).await?;
/// assert_eq!(kit.drain().await, 0); // Not due yet.
/// kit.clock().advance(Duration::from_secs(60));
/// assert_eq!(kit.drain().await, 1);
/// assert_eq!(job.wait(Duration::ZERO).await?, "Hello Ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct TestKit {
    clock: ManualClock,
    recorder: Arc<MemoryRecorder>,
    broker: Arc<MemoryBroker>,
    client: Client,
    worker: Worker,
}

impl TestKit {
    /// Makes a kit with an empty queue.
    ///
    /// # Errors
    /// A state that a task asks for and that is not there.
    pub fn new(registry: Registry, states: States) -> Result<Self, WorkerError> {
        let clock = ManualClock::default();
        let recorder = Arc::new(MemoryRecorder::default());
        let broker = Arc::new(MemoryBroker::new(Arc::new(clock.clone())));
        let client = Client::new(ClientParts {
            broker: Arc::clone(&broker) as Arc<dyn Broker>,
            recorder: Arc::clone(&recorder) as Arc<dyn Recorder>,
            clock: Arc::new(clock.clone()) as Arc<dyn Clock>,
            registry: registry.clone(),
            events: EventHub::default(),
            origin: "test".to_owned(),
        });
        let options = WorkerOptions { name: "test".to_owned(), ..WorkerOptions::default() };
        let worker = Worker::for_every_queue(client.clone(), registry, states, options)?;
        Ok(Self { clock, recorder, broker, client, worker })
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the clock.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Returns the queue.
    pub fn broker(&self) -> &Arc<MemoryBroker> {
        &self.broker
    }

    /// Returns every event recorded so far.
    pub fn events(&self) -> Vec<JobEvent> {
        self.recorder.events()
    }

    /// Runs everything that is due, and what that enqueues, and returns the number of attempts.
    pub async fn drain(&self) -> usize {
        self.drain_once().await.attempts
    }

    /// Runs everything, moving the clock on to whatever is delayed, and returns the number of attempts.
    pub async fn drain_all(&self) -> usize {
        let mut attempts = 0;
        loop {
            let drained = self.drain_once().await;
            attempts += drained.attempts;
            match drained.next_due_at {
                Some(due) => self.clock.set(due),
                None => return attempts,
            }
        }
    }

    /// Asserts that exactly one message of task `T` waits, and returns it.
    ///
    /// # Panics
    /// If none or several wait; the text names what does.
    #[expect(clippy::panic, reason = "an assertion panics")]
    pub async fn assert_enqueued<T: Task>(&self) -> TaskMessage {
        let waiting = self.broker.waiting();
        let messages = waiting.iter().filter_map(|envelope| TaskMessage::decode(envelope).ok());
        let (mut found, others): (Vec<_>, Vec<_>) = messages.partition(|message| message.task == T::NAME);
        match (found.pop(), found.len()) {
            (Some(message), 0) => message,
            (None, _) => {
                let others: Vec<String> = others.into_iter().map(|message| message.task).collect();
                panic!("no message of task \"{}\" waits; waiting: {others:?}", T::NAME)
            }
            (Some(_), more) => panic!("{} messages of task \"{}\" wait, expected one", more + 1, T::NAME),
        }
    }

    /// Asserts that no message of task `T` waits.
    ///
    /// # Panics
    /// If one does.
    pub fn assert_not_enqueued<T: Task>(&self) {
        let waiting = self.broker.waiting();
        let found =
            waiting.iter().filter(|e| TaskMessage::peek_task(&e.content).as_deref() == Some(T::NAME)).count();
        assert_eq!(found, 0, "{found} messages of task \"{}\" wait, expected none", T::NAME);
    }

    async fn drain_once(&self) -> Drained {
        drain(self.worker.shared(), MAX_ATTEMPTS).await.expect("a queue in memory can't fail")
    }

    /// Moves the clock forward and runs what has fallen due.
    pub async fn advance(&self, period: Duration) -> usize {
        self.clock.advance(period);
        self.drain().await
    }
}
