//! A server on a database of its own, and a client that speaks HTTP to it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use celeriac_broker::{SqliteBroker, sql};
use celeriac_control::workflow::Workflows;
use celeriac_control::{Driver, Environment, StoreRecorder};
use celeriac_db::{Database, SqliteOptions};
use celeriac_engine::{Client, ClientParts, EventHub, Registry, SystemClock};
use celeriac_protocol::Clock;
use celeriac_server::{Server, ServerOptions, ServerParts, ServerState};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// Is responsible for a running server; what it works on is removed when the test ends.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) state: ServerState,
    stop: CancellationToken,
    running: JoinSet<()>,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Returns a header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the body of an answer that is as good as was expected.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        self.json()
    }

    /// Returns the problem of an answer that was refused with this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!((problem["code"].as_str(), problem["status"].as_u64()), (Some(code), Some(status.into())));
        problem
    }
}

impl House {
    /// Starts a server with these tasks.
    pub(crate) async fn new(registry: Registry) -> Self {
        Self::with(registry, |_| ()).await
    }

    /// Starts a server with other options than the default ones.
    pub(crate) async fn with(registry: Registry, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let mut options =
            ServerOptions { listen: "127.0.0.1:0".parse().unwrap(), ..ServerOptions::default() };
        change(&mut options);
        let (state, folder) = Self::state(registry, options).await;
        let server = Server::bind(state.clone()).await.unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(server.serve(stop.clone().cancelled_owned()));
        Self { address, state, stop, running, _folder: folder }
    }

    /// Makes what a server works with, on a database in a folder of its own.
    pub(crate) async fn state(registry: Registry, options: ServerOptions) -> (ServerState, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(SqliteOptions::at(folder.path().join("jobs.db"))).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        for line in [SqliteBroker::MIGRATIONS, celeriac_store::MIGRATIONS] {
            line.up(&database, clock.now().as_micros()).await.unwrap();
        }
        let client = Client::new(ClientParts {
            broker: sql::broker(database.clone(), Arc::clone(&clock)),
            recorder: Arc::new(StoreRecorder::new(database.clone())),
            clock: Arc::clone(&clock),
            registry,
            events: EventHub::default(),
            origin: "gen1@test".to_owned(),
        });
        let state = ServerState::new(ServerParts {
            name: "house".to_owned(),
            version: Some("1.2.3".to_owned()),
            environment: Environment::new(database, client),
            workflows: Workflows::default(),
            board: Driver::new(clock).board(),
            queues: BTreeSet::from(["celery".to_owned()]),
            results: None,
            options,
        });
        (state, folder)
    }

    /// Sends a request without a body.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Full::default()).unwrap()).await
    }

    /// Sends a request.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    /// Sends a body of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, &[("content-type", "application/json")], &body.to_string()).await
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Answer {
        let host = self.address.to_string();
        request.headers_mut().entry("host").or_insert(host.parse().unwrap());
        let asking = async {
            let stream = TcpStream::connect(self.address).await.unwrap();
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            let answering = async {
                let response = sender.send_request(request).await.unwrap();
                let (head, body) = response.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Answer { status: head.status, headers: head.headers, body }
            };
            let mut answering = pin!(answering);
            tokio::select! {
                biased;
                answer = &mut answering => answer,
                // The server may close behind an answer that is not read yet.
                _ = connection => answering.await,
            }
        };
        tokio::time::timeout(LONGEST, asking).await.expect("an answer comes")
    }

    /// Stops the server and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        tokio::time::timeout(LONGEST, self.running.join_next()).await.expect("it ends").unwrap().unwrap();
        self.state.database().close().await;
    }

    /// Tells the server to stop.
    pub(crate) fn begin_to_stop(&self) {
        self.stop.cancel();
    }
}
