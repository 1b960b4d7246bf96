//! What a running task is handed besides its arguments.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use celeriac_protocol::{JobFacts, JobId, RawValue};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Client, EnqueueError, JobHandle, Signature, States, Task, TaskError};

/// What a running task is handed besides its arguments. Cloning is cheap.
#[derive(Clone)]
pub struct Ctx {
    inner: Arc<Inner>,
}

struct Inner {
    job: Arc<JobFacts>,
    attempt: u32,
    retries: u32,
    worker: Arc<str>,
    states: States,
    client: Client,
    stop: StopSignal,
    progress: Arc<ProgressCell>,
    blocking: Arc<AtomicUsize>,
}

impl Ctx {
    pub(crate) fn new(parts: CtxParts) -> Self {
        let CtxParts { job, attempt, retries, worker, states, client, stop, progress } = parts;
        Self {
            inner: Arc::new(Inner {
                job,
                attempt,
                retries,
                worker,
                states,
                client,
                stop,
                progress,
                blocking: Arc::default(),
            }),
        }
    }

    /// Returns the job's id.
    pub fn id(&self) -> &JobId {
        &self.inner.job.id
    }

    /// Returns what is known of the job from its message.
    pub fn job(&self) -> &JobFacts {
        &self.inner.job
    }

    /// Returns which attempt this is, from 1. Hand-outs that were given back do not count.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// Returns how many retries were used before this attempt, as Celery counts them.
    pub fn retries(&self) -> u32 {
        self.inner.retries
    }

    /// Returns the worker's name.
    pub fn worker(&self) -> &str {
        &self.inner.worker
    }

    /// Returns the state of type `T` that the worker was built with.
    ///
    /// # Panics
    /// If there is none. Declare it (`#[task(state(T))]`), and a worker without it refuses to start.
    #[expect(
        clippy::panic,
        reason = "a task's panic is an ordinary failure, and declared states are checked at start"
    )]
    pub fn state<T: Send + Sync + 'static>(&self) -> &T {
        self.inner.states.get().unwrap_or_else(|| {
            let (task, state) = (&self.inner.job.task, std::any::type_name::<T>());
            panic!("task \"{task}\" asks for state {state}, which this worker was not given")
        })
    }

    /// Tells how far the job is, 0 to 100, and what it is doing.
    ///
    /// Cheap enough for a tight loop: only the latest word is kept, and it is written a few times a second.
    pub fn progress(&self, percent: u8, message: impl Into<String>) {
        self.inner.progress.tell(Progress {
            percent: percent.min(100),
            message: Some(message.into()),
            partial: None,
        });
    }

    /// Tells how far the job is by counts, with the counts as the message (`12 of 40`).
    pub fn progress_of(&self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
        let percent = u8::try_from(percent).unwrap_or(100);
        let message = Some(format!("{done} of {total}"));
        self.inner.progress.tell(Progress { percent, message, partial: None });
    }

    /// Tells how far the job is, and keeps an intermediate result on its record.
    ///
    /// # Errors
    /// The result can't be written as JSON.
    pub fn progress_with<T: Serialize>(
        &self,
        percent: u8,
        message: impl Into<String>,
        partial: &T,
    ) -> Result<(), TaskError> {
        let partial = Some(serde_json::value::to_raw_value(partial)?);
        self.inner.progress.tell(Progress {
            percent: percent.min(100),
            message: Some(message.into()),
            partial,
        });
        Ok(())
    }

    /// Resolves when the task is to stop: cancelled, over its soft limit, or its lease lost.
    ///
    /// A task that returns an error after that ends as cancelled or as over its limit; one that
    /// returns a result in spite of it completes. One that does neither within the worker's grace
    /// is dropped at its next await.
    pub async fn cancelled(&self) {
        self.inner.stop.token.cancelled().await;
    }

    /// Says why the task is to stop, if it is.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.inner.stop.reason()
    }

    /// Says whether the task is to stop; for blocking code that looks now and then.
    pub fn is_cancelled(&self) -> bool {
        self.inner.stop.token.is_cancelled()
    }

    /// Returns a token that is cancelled when the task is to stop, for libraries that take one.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.inner.stop.token.clone()
    }

    /// Returns the client with which this worker enqueues; what it sends has no parent.
    /// [`Ctx::enqueue`] names this job as the parent.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Enqueues a job that this one caused.
    ///
    /// # Errors
    /// See [`EnqueueError`].
    pub async fn enqueue<T: Task>(
        &self,
        signature: Signature<T>,
    ) -> Result<JobHandle<T::Output>, EnqueueError> {
        let root = self.inner.job.root_id.clone().unwrap_or_else(|| self.id().clone());
        self.inner.client.enqueue(signature.caused_by(self.id().clone(), root)).await
    }

    /// Runs CPU-bound or blocking code on a thread of its own and waits for it.
    ///
    /// # Errors
    /// What the code returns. A panic in it becomes the task's panic.
    pub async fn blocking<R, F>(&self, work: F) -> Result<R, TaskError>
    where
        R: Send + 'static,
        F: FnOnce(Self) -> Result<R, TaskError> + Send + 'static,
    {
        let ctx = self.clone();
        let thread = BlockingThread::count(&self.inner.blocking);
        let work = move || {
            let _thread = thread;
            work(ctx)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(join) => match join.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(_) => Err(TaskError::discard("the runtime was shut down while the task ran")),
            },
        }
    }

    /// Says whether a thread started by [`Ctx::blocking`] still runs.
    pub(crate) fn is_blocking(&self) -> bool {
        self.inner.blocking.load(Ordering::Acquire) > 0
    }

    /// Runs async code to its end from a blocking task.
    ///
    /// # Panics
    /// If called from async code, where it would block the runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        tokio::runtime::Handle::current().block_on(future)
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("job", &self.inner.job.id).field("attempt", &self.inner.attempt).finish()
    }
}

/// Counts one blocking thread for as long as it runs.
struct BlockingThread(Arc<AtomicUsize>);

impl BlockingThread {
    fn count(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(running))
    }
}

impl Drop for BlockingThread {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a context is made of.
pub(crate) struct CtxParts {
    pub(crate) job: Arc<JobFacts>,
    pub(crate) attempt: u32,
    pub(crate) retries: u32,
    pub(crate) worker: Arc<str>,
    pub(crate) states: States,
    pub(crate) client: Client,
    pub(crate) stop: StopSignal,
    pub(crate) progress: Arc<ProgressCell>,
}

/// Why a running task is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody cancelled the job.
    Cancelled,
    /// It has run longer than its soft limit.
    SoftLimit,
    /// It has run longer than its hard limit. Only a blocking task lives to see it.
    HardLimit,
    /// Its lease ended: the message belongs to somebody else, and no outcome will be accepted.
    LeaseLost,
    /// The worker stops and its patience is over.
    Shutdown,
}

/// Tells one task to stop, once, with the first reason that was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSignal {
    token: CancellationToken,
    reason: Arc<OnceLock<(StopReason, Option<String>)>>,
}

impl StopSignal {
    pub(crate) fn stop(&self, reason: StopReason) {
        self.stop_because(reason, None);
    }

    /// Tells it to stop because somebody cancelled the job, and what they said.
    pub(crate) fn cancel(&self, why: String) {
        self.stop_because(StopReason::Cancelled, Some(why));
    }

    fn stop_because(&self, reason: StopReason, why: Option<String>) {
        // Only the first reason counts.
        let _ = self.reason.set((reason, why));
        self.token.cancel();
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().map(|(reason, _)| *reason)
    }

    /// Returns what was said by who cancelled the job.
    pub(crate) fn why(&self) -> Option<&str> {
        self.reason.get().and_then(|(_, why)| why.as_deref())
    }

    pub(crate) async fn stopped(&self) {
        self.token.cancelled().await;
    }
}

/// The latest word on how far a job is.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) percent: u8,
    pub(crate) message: Option<String>,
    pub(crate) partial: Option<Box<RawValue>>,
}

/// Holds the latest progress of one attempt until it is written; earlier words are overwritten.
#[derive(Debug, Default)]
pub(crate) struct ProgressCell {
    latest: Mutex<Option<Progress>>,
}

impl ProgressCell {
    fn tell(&self, mut progress: Progress) {
        let mut latest = self.latest.lock().expect("no holder of the progress lock panics");
        if let Some(before) = latest.take() {
            progress.percent = progress.percent.max(before.percent);
            progress.partial = progress.partial.or(before.partial);
        }
        *latest = Some(progress);
    }

    /// Takes back what was taken and could not be written, below what was told since.
    pub(crate) fn keep(&self, older: Progress) {
        let newer = self.take();
        let message =
            newer.as_ref().and_then(|newer| newer.message.clone()).or_else(|| older.message.clone());
        self.tell(older);
        if let Some(newer) = newer {
            self.tell(Progress { message, ..newer });
        }
    }

    /// Takes what was told since the last call.
    pub(crate) fn take(&self) -> Option<Progress> {
        self.latest.lock().expect("no holder of the progress lock panics").take()
    }
}
