//! One write on its way to the writer and back.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::park::Stopwatch;
use crate::direct::DirectTx;
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

    /// Returns whether [`run_direct`](Self::run_direct) can run it, too.
    fn is_direct(&self) -> bool;

    /// Runs it and keeps its result; returns whether that is a success.
    fn run<'t>(&'t mut self, tx: &'t DbTx) -> LocalBoxFuture<'t, bool>;

    /// Does what [`run`](Self::run) does, without sqlx's thread.
    fn run_direct(&mut self, direct: &DirectTx<'_>) -> bool;

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
    made(label, limit, Ordinary(work))
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
    made(label, limit, Direct(work))
}

fn made<T, E, W>(label: &'static str, limit: Duration, work: W) -> (Box<dyn Call>, Waiting<T, E>)
where
    W: Work<T, E> + 'static,
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    let (answer, waiting) = oneshot::channel();
    let handed_in = Stopwatch::start();
    (Box::new(Typed { label, limit, handed_in, work: Some(work), result: None, answer }), waiting)
}

/// What a caller wants done, by the kinds of statements that it consists of.
trait Work<T, E>: Send + Sized {
    const IS_DIRECT: bool;

    async fn run(self, tx: &DbTx) -> Result<T, E>;

    /// Runs it without sqlx's thread; `None` where it cannot.
    fn run_direct(self, direct: &DirectTx<'_>) -> Option<Result<T, E>>;
}

/// Statements of SeaORM's, perhaps with direct ones between them.
struct Ordinary<F>(F);

impl<T, E, F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send> Work<T, E> for Ordinary<F> {
    const IS_DIRECT: bool = false;

    async fn run(self, tx: &DbTx) -> Result<T, E> {
        (self.0)(tx).await
    }

    fn run_direct(self, _direct: &DirectTx<'_>) -> Option<Result<T, E>> {
        None
    }
}

/// Direct statements and nothing else.
struct Direct<F>(F);

impl<T, E, F> Work<T, E> for Direct<F>
where
    F: FnOnce(&DirectTx<'_>) -> Result<T, E> + Send,
    E: From<DbError>,
{
    const IS_DIRECT: bool = true;

    async fn run(self, tx: &DbTx) -> Result<T, E> {
        tx.direct(self.0).await
    }

    fn run_direct(self, direct: &DirectTx<'_>) -> Option<Result<T, E>> {
        Some((self.0)(direct))
    }
}

struct Typed<T, E, W> {
    label: &'static str,
    limit: Duration,
    handed_in: Stopwatch,
    work: Option<W>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, W> Typed<T, E, W> {
    fn keep(&mut self, result: Option<Result<T, E>>) -> bool {
        self.result = result;
        matches!(self.result, Some(Ok(_)))
    }
}

impl<T, E, W> Call for Typed<T, E, W>
where
    W: Work<T, E>,
    T: Send,
    E: From<DbError> + Send,
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

    fn is_direct(&self) -> bool {
        W::IS_DIRECT
    }

    fn run<'t>(&'t mut self, tx: &'t DbTx) -> LocalBoxFuture<'t, bool> {
        async move {
            let Some(work) = self.work.take() else { return false };
            let result = work.run(tx).await;
            self.keep(Some(result))
        }
        .boxed_local()
    }

    fn run_direct(&mut self, direct: &DirectTx<'_>) -> bool {
        let result = self.work.take().and_then(|work| work.run_direct(direct));
        self.keep(result)
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
