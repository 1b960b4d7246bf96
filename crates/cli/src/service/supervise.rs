//! Keeps worker, loops and server running until somebody asks them to stop, or one of them ends by itself.

use std::pin::Pin;

use celeriac_control::Driver;
use celeriac_engine::Worker;
use celeriac_server::Server;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A part of what runs ended, and nobody had asked it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keep {part} running: {reason}")]
pub struct RunError {
    /// The worker, the loops, or the server.
    pub part: &'static str,
    /// Why, as far as it is known.
    pub reason: String,
}

/// A part of what runs: what it is called, and what it does until the token is cancelled.
type Part = (&'static str, Pin<Box<dyn Future<Output = ()> + Send>>);

/// What runs: a worker and a server, if there are any, and loops.
///
/// Where this is dropped, it is asked to end at once, and goes on doing so in the background.
#[derive(Debug)]
pub(crate) struct Service {
    stop: CancellationToken,
    hurry: CancellationToken,
    failure: watch::Receiver<Option<RunError>>,
    running: TaskTracker,
}

impl Service {
    /// Begins to run them, on the runtime that this is called on.
    pub(crate) fn start(worker: Option<Worker>, driver: Driver, server: Option<Server>) -> Self {
        let stop = CancellationToken::new();
        let hurry = worker.as_ref().map(Worker::hurry).unwrap_or_default();
        let mut parts: Vec<Part> = vec![("the loops", Box::pin(driver.run(stop.clone())))];
        parts.extend(worker.map(|worker| -> Part { ("the worker", Box::pin(worker.run(stop.clone()))) }));
        let served = |server: Server| -> Part {
            ("the server", Box::pin(server.serve(stop.clone().cancelled_owned())))
        };
        parts.extend(server.map(served));
        Self::of(parts, stop, hurry)
    }

    fn of(parts: Vec<Part>, stop: CancellationToken, hurry: CancellationToken) -> Self {
        let (tell, failure) = watch::channel(None);
        let running = TaskTracker::new();
        running.spawn(run(parts, stop.clone(), tell));
        running.close();
        Self { stop, hurry, failure, running }
    }

    /// Asks it to stop: nothing more is fetched, running jobs get the shutdown patience, passes of loops end.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends a stop early: running jobs are given back at once.
    pub(crate) fn hurry(&self) {
        self.hurry.cancel();
    }

    /// Resolves when everything has ended.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let running = self.running.clone();
        async move { running.wait().await }
    }

    /// Returns what has failed.
    pub(crate) fn failure(&self) -> Option<RunError> {
        self.failure.borrow().clone()
    }

    /// Resolves when a part has failed; the others stop then, too. Where all end as they were asked to, it never does.
    pub(crate) fn failed(&self) -> impl Future<Output = RunError> + Send + use<> {
        let mut failure = self.failure.clone();
        async move {
            let failed = failure.wait_for(Option::is_some).await.ok().and_then(|failed| failed.clone());
            match failed {
                Some(failed) => failed,
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
        self.hurry();
    }
}

async fn run(parts: Vec<Part>, stop: CancellationToken, tell: watch::Sender<Option<RunError>>) {
    let mut running = JoinSet::new();
    let names: Vec<_> = parts.into_iter().map(|(name, work)| (running.spawn(work).id(), name)).collect();
    while let Some(ended) = running.join_next_with_id().await {
        let (id, reason) = match ended {
            // What ends after it was asked to has done as it should.
            Ok(_) if stop.is_cancelled() => continue,
            Ok((id, ())) => (id, "it ended by itself; the log says why".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        let part = names.iter().find(|(known, _)| *known == id).map_or("a part", |(_, part)| part);
        tracing::error!(part, reason, "what was to keep running has ended; the rest is stopped");
        tell.send_if_modified(|told| {
            let is_first = told.is_none();
            told.get_or_insert(RunError { part, reason });
            is_first
        });
        stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a part that does this beside one that goes on until it is asked to stop.
    fn service(work: impl Future<Output = ()> + Send + 'static) -> Service {
        let stop = CancellationToken::new();
        let parts: Vec<Part> =
            vec![("the first", Box::pin(work)), ("the second", Box::pin(stop.clone().cancelled_owned()))];
        Service::of(parts, stop, CancellationToken::new())
    }

    #[tokio::test]
    async fn what_ends_because_it_was_asked_to_has_not_failed() {
        let asked = CancellationToken::new();
        let service = service(asked.clone().cancelled_owned());
        service.stop();
        asked.cancel();
        service.ended().await;
        assert_eq!(service.failure(), None);
    }

    #[tokio::test]
    async fn what_ends_by_itself_is_told_of_and_stops_the_rest() {
        let service = service(async {});
        assert_eq!(service.failed().await.part, "the first");
        service.ended().await;
        assert_eq!(
            service.failure().unwrap().to_string(),
            "keep the first running: it ended by itself; the log says why"
        );
    }

    #[tokio::test]
    async fn a_panic_is_told_of_with_its_text() {
        let service = service(async { panic!("no more") });
        let error = service.failed().await;
        assert!(error.reason.contains("no more"), "{error}");
        service.ended().await;
    }
}
