//! A small site on loopback that notes every request before it answers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use celeriac_engine::SystemClock;
use celeriac_protocol::{Clock, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A site on a free port of 127.0.0.1.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Hit>>>,
    /// Ends the server when it is dropped.
    _running: JoinSet<()>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) at: Timestamp,
}

/// An answer.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
    delay: Duration,
}

impl Reply {
    pub(crate) fn html(body: impl Into<String>) -> Self {
        Self::of("text/html; charset=utf-8", body.into().into_bytes())
    }

    /// A page with a title and links.
    pub(crate) fn page(title: &str, links: &[&str]) -> Self {
        let links: String = links.iter().map(|link| format!("<a href=\"{link}\">{link}</a> ")).collect();
        Self::html(format!("<html lang=en><title>{title}</title><h1>{title}</h1>{links}"))
    }

    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self::of("text/plain", body.into().into_bytes())
    }

    pub(crate) fn xml(body: impl Into<String>) -> Self {
        Self::of("application/xml", body.into().into_bytes())
    }

    pub(crate) fn of(content_type: &str, body: impl Into<Body>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::empty(), delay: Duration::ZERO }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(301).header("location", to)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl Site {
    /// Starts a site that answers each path as `answer` says; what it does not know is not found.
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&str) -> Option<Reply> + Send + Sync + 'static,
    {
        Self::start_async(move |path| std::future::ready(answer(&path))).await
    }

    /// Starts a site whose answers take their time.
    pub(crate) async fn start_async<F, Answer>(answer: F) -> Self
    where
        F: Fn(String) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Option<Reply>> + Send + 'static,
    {
        let log: Arc<Mutex<Vec<Hit>>> = Arc::default();
        let (answer, noted) = (Arc::new(answer), Arc::clone(&log));
        let routes = Router::new().fallback(move |request: Request<Body>| {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
            noted.lock().unwrap().push(Hit { path: path.clone(), at: SystemClock.now() });
            let answer = answer(path);
            async move { respond(answer.await.unwrap_or_else(|| Reply::status(404))).await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, log, _running: running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in the order of their coming.
    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.log.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.hits().iter().filter(|hit| hit.path == path).count()
    }
}

async fn respond(reply: Reply) -> Response<Body> {
    SystemClock.sleep(reply.delay).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(reply.body).unwrap()
}
