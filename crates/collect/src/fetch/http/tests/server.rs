//! Servers that end with the test, and clients that may reach them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use celeriac_protocol::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::*;
use crate::fetch::guard::LookupAnswer;

/// A server on a free port of 127.0.0.1.
pub(super) struct TestServer {
    pub(super) address: SocketAddr,
    /// Ends the server when it is dropped.
    _running: JoinSet<()>,
}

impl TestServer {
    pub(super) async fn start(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        running.spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { address, _running: running }
    }

    /// Answers every connection with these bytes and closes it.
    pub(super) async fn canned(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let answer = answer.clone();
                talks.spawn(async move {
                    let mut request = [0; 4096];
                    let _ = socket.read(&mut request).await;
                    let _ = socket.write_all(&answer).await;
                    let _ = socket.shutdown().await;
                });
            }
        });
        Self { address, _running: running }
    }

    pub(super) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// Returns a URL of the same server by a name that [`lookup`] knows.
    pub(super) fn url_at(&self, host: &str, path: &str) -> Url {
        Url::parse(&format!("http://{host}:{}{path}", self.address.port())).unwrap()
    }
}

/// Reaches all of 127.0.0.1 and nothing else that is private.
pub(super) fn loopback() -> FetchConfig {
    let guard = GuardPolicy::default().allow_ports(1..=u16::MAX).allow_network("127.0.0.1".parse().unwrap());
    FetchConfig { guard, ..FetchConfig::default() }
}

pub(super) fn fetcher(config: FetchConfig) -> Fetcher {
    Fetcher::new(config, Arc::new(ManualClock::default())).unwrap()
}

pub(super) fn fetcher_with(config: FetchConfig, lookup: impl Lookup) -> Fetcher {
    Fetcher::with_lookup(config, Arc::new(ManualClock::default()), Arc::new(lookup)).unwrap()
}

pub(super) async fn get(url: Url) -> Result<Fetched, FetchError> {
    fetcher(loopback()).fetch(FetchRequest::new(url)).await
}

/// Answers each question about a name with the next of its answers; the last one stays.
pub(super) struct StubLookup(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

pub(super) fn lookup(answers: &[(&str, &[&[&str]])]) -> StubLookup {
    let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
    let names =
        answers.iter().map(|(name, answers)| ((*name).to_owned(), answers.iter().rev().map(parse).collect()));
    StubLookup(Mutex::new(names.collect()))
}

impl Lookup for StubLookup {
    fn addresses(&self, host: &str) -> LookupAnswer {
        let mut names = self.0.lock().unwrap();
        let answer = names
            .get_mut(host)
            .map(|left| if left.len() > 1 { left.pop().unwrap() } else { left[0].clone() });
        Box::pin(async move { answer.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}
