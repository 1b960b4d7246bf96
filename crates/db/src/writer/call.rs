//! One write on its way to the writer and back.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::park::Stopwatch;
use crate::error::DbError;
use crate::tx::DbTx;

/// Resolves to a write's result once it is committed, or to why it is not.
pub(crate) type Waiting<T, E> = oneshot::Receiver<Result<T, E>>;

/// A write of any type, as the writer handles it.
pub(crate) trait Call: Send {
    fn label(&self) -> &'static str;

    /// How long it may run.
    fn limit(&self) -> Duration;

    /// How long ago its caller handed it in.
    fn waited(&self) -> Duration;

    /// Runs it and keeps its result; returns whether that is a success.
    fn run<'t>(&'t mut self, tx: &'t DbTx) -> LocalBoxFuture<'t, bool>;

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
        // A caller that went away has given its answer up, not its write.
        if let Some(result) = self.result {
            self.answer.send(result).ok();
        }
    }

    fn fail(self: Box<Self>, error: DbError) {
        self.answer.send(Err(error.into())).ok();
    }
}
