//! One write on its way to the writer and back.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::park::Stopwatch;
use crate::direct::DirectTx;
use crate::error::DbError;
use crate::tx::{DbTx, failed_execute};

/// Resolves to a write's result once it is committed, or to why it is not.
pub(crate) type Waiting<T, E> = oneshot::Receiver<Result<T, E>>;

/// A write of any type, as the writer handles it.
pub(crate) trait Call: Send {
    fn label(&self) -> &'static str;

    /// How long it may run.
    fn limit(&self) -> Duration;

    /// How long ago its caller handed it in.
    fn waited(&self) -> Duration;

    /// Returns whether [`run_direct`](Self::run_direct) runs it, too.
    fn is_direct(&self) -> bool {
        false
    }

    /// Runs it and keeps its result; returns whether that is a success.
    fn run<'t>(&'t mut self, tx: &'t DbTx) -> LocalBoxFuture<'t, bool>;

    /// Does what [`run`](Self::run) does, without SQLite's thread.
    fn run_direct(&mut self, _direct: &DirectTx<'_>) -> bool {
        false
    }

    /// Answers with the result that was kept: it is committed, or it is the write's own error.
    fn answer(self: Box<Self>);

    /// Answers that nothing is stored.
    fn fail(self: Box<Self>, error: DbError);
}

/// Makes a call, and what its caller waits for.
pub(crate) fn call<T, E, F>(label: &'static str, limit: Duration, work: F) -> (Box<dyn Call>, Waiting<T, E>)
where
    F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    let (answer, waiting) = oneshot::channel();
    let handed_in = Stopwatch::start();
    (Box::new(Typed { label, limit, handed_in, work: Some(work), result: None, answer }), waiting)
}

/// Makes a call of statements written by hand, and what its caller waits for.
pub(crate) fn direct_call<T, E, F>(
    label: &'static str,
    limit: Duration,
    work: F,
) -> (Box<dyn Call>, Waiting<T, E>)
where
    F: FnOnce(&DirectTx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    let (answer, waiting) = oneshot::channel();
    let handed_in = Stopwatch::start();
    let direct = Direct(Typed { label, limit, handed_in, work: Some(work), result: None, answer });
    (Box::new(direct), waiting)
}

struct Typed<T, E, F> {
    label: &'static str,
    limit: Duration,
    handed_in: Stopwatch,
    work: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Call for Typed<T, E, F>
where
    F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    fn label(&self) -> &'static str {
        self.label
    }

    fn limit(&self) -> Duration {
        self.limit
    }

    fn waited(&self) -> Duration {
        self.handed_in.elapsed()
    }

    fn run<'t>(&'t mut self, tx: &'t DbTx) -> LocalBoxFuture<'t, bool> {
        async move {
            let Some(work) = self.work.take() else { return false };
            let result = work(tx).await;
            self.result.insert(result).is_ok()
        }
        .boxed_local()
    }

    fn answer(self: Box<Self>) {
        self.answer_kept();
    }

    fn fail(self: Box<Self>, error: DbError) {
        self.answer.send(Err(error.into())).ok();
    }
}

impl<T, E, F> Typed<T, E, F> {
    fn answer_kept(self) {
        // A caller that went away has given its answer up, not its write.
        if let Some(result) = self.result {
            self.answer.send(result).ok();
        }
    }
}

/// A write that runs on the writer's thread.
struct Direct<T, E, F>(Typed<T, E, F>);

impl<T, E, F> Call for Direct<T, E, F>
where
    F: FnOnce(&DirectTx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    fn label(&self) -> &'static str {
        self.0.label
    }

    fn limit(&self) -> Duration {
        self.0.limit
    }

    fn waited(&self) -> Duration {
        self.0.handed_in.elapsed()
    }

    fn is_direct(&self) -> bool {
        true
    }

    fn run<'t>(&'t mut self, tx: &'t DbTx) -> LocalBoxFuture<'t, bool> {
        async move {
            let ran = tx.with_direct(|direct| self.run_direct(direct)).await;
            ran.unwrap_or_else(|error| {
                self.0.result = Some(Err(DbError::from(failed_execute(error)).into()));
                false
            })
        }
        .boxed_local()
    }

    fn run_direct(&mut self, direct: &DirectTx<'_>) -> bool {
        let Some(work) = self.0.work.take() else { return false };
        self.0.result.insert(work(direct)).is_ok()
    }

    fn answer(self: Box<Self>) {
        self.0.answer_kept();
    }

    fn fail(self: Box<Self>, error: DbError) {
        self.0.answer.send(Err(error.into())).ok();
    }
}
