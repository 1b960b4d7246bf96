//! The connections of a server: as many as there may be, each with its time-outs, ended one by one when the server stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use celeriac_protocol::Clock;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::state::ServerState;

/// How long accepting rests where the process has no more files to open.
const REST: Duration = Duration::from_millis(200);

/// The most headers of a request, and the most bytes of its head.
const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Is responsible for the connections of a server.
pub(super) struct Connections {
    router: Router,
    state: ServerState,
    slots: Arc<Semaphore>,
    running: JoinSet<()>,
}

impl Connections {
    /// Begins with none.
    pub(super) fn new(router: Router, state: &ServerState) -> Self {
        let slots = Arc::new(Semaphore::new(state.options().connections_max));
        Self { router, state: state.clone(), slots, running: JoinSet::new() }
    }

    /// Takes connections for ever. Where there are as many as there may be, the next ones wait in the system's queue.
    pub(super) async fn take_from(&mut self, listener: &TcpListener) {
        loop {
            // Only closing a semaphore ends the wait without a slot, and nobody closes it.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            while self.running.try_join_next().is_some() {}
            let (stream, peer) = accept(listener, &**self.state.clock()).await;
            // Answers are written whole, so there is nothing to wait for.
            stream.set_nodelay(true).ok();
            let serving = serve(stream, peer, self.router.clone(), self.state.clone(), slot);
            self.running.spawn(serving);
        }
    }

    /// Waits until all have ended, for as long as the options say; what goes on then is cut off.
    pub(super) async fn drain(mut self) {
        let streams = self.state.streams().clone();
        streams.close();
        let ended = async {
            while self.running.join_next().await.is_some() {}
            streams.wait().await;
        };
        let patience = self.state.options().drain;
        tokio::select! {
            () = ended => {}
            () = self.state.clock().sleep(patience) => {
                tracing::warn!(patience_secs = patience.as_secs(), "answers that took too long were cut off by the stop");
            }
        }
        self.running.shutdown().await;
    }
}

/// Waits for a connection that comes about.
async fn accept(listener: &TcpListener, clock: &dyn Clock) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // It went away before it was taken.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken at present");
                clock.sleep(REST).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of one connection, until either side ends it or the server stops.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    state: ServerState,
    slot: OwnedSemaphorePermit,
) {
    let answer = service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(state.options().header_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), answer).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = state.closing().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended early");
    }
    drop(slot);
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}
