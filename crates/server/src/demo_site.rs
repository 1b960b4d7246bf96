//! A website on loopback for the demonstration to collect.
//!
//! [`DemoSite::builtin`] is the handbook of an invented kitchen garden: some hundreds of linked pages, a sitemap index
//! with a gzipped part, a feed, and one folder of pages that misbehave on purpose. [`DemoSite::from_dir`] serves any folder
//! of HTML with a sitemap made from it. What leaves the site is in its request log first.

mod address;
mod date;
mod folder;
mod garden;
mod reply;
mod request_log;
mod sitemap;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::serve::ListenerExt;
use celeriac_protocol::Clock;
use folder::Folder;
use garden::Garden;
use reply::Reply;
use request_log::RequestLog;
use tokio::net::TcpListener;

pub use garden::odd;
pub use request_log::{LoggedRequest, read_request_log};

/// How long a reply that is under way may still take once the site is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Says why a site could not be opened or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The folder, or a file below it, could not be read.
    #[error("read folder {}", path.display())]
    Folder {
        /// Where reading stopped.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder holds no HTML.
    #[error("find a page in folder {}: no file ends in .html, .htm or .xhtml", path.display())]
    NoPages {
        /// The folder that was searched.
        path: PathBuf,
    },
    /// The folder holds more files than a site may have.
    #[error("read folder {}: more than {limit} files", path.display())]
    TooManyFiles {
        /// The folder that was searched.
        path: PathBuf,
        /// How many are allowed.
        limit: usize,
    },
    /// The request log could not be opened, read or written.
    #[error("use request log {}", path.display())]
    Log {
        /// The log's file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The listener failed.
    #[error("serve the demonstration site")]
    Serve(#[source] io::Error),
}

/// A site that is not served yet, because it does not know its own address.
#[derive(Debug)]
pub struct DemoSite(Kind);

#[derive(Debug)]
enum Kind {
    Builtin,
    Folder(Folder),
}

/// A site with an address, ready to be served.
#[derive(Debug)]
pub struct OpenSite {
    listener: TcpListener,
    site: Arc<Site>,
}

/// What a request needs.
#[derive(Debug)]
struct Site {
    origin: String,
    content: Content,
    log: RequestLog,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Content {
    Garden(Garden),
    Folder(Folder),
}

impl DemoSite {
    /// Returns the site that ships with the product: the same pages every time.
    pub fn builtin() -> Self {
        Self(Kind::Builtin)
    }

    /// Returns a site of the files under `dir`, as they are found now.
    ///
    /// Blocks while the folder is searched. Names that begin with a dot, links that lead out of the folder, and names
    /// that are not UTF-8 are left out. What a file holds is read at each request, so a changed page is served changed.
    ///
    /// # Errors
    ///
    /// [`SiteError::Folder`] when something cannot be read, [`SiteError::NoPages`] when there is no HTML, and
    /// [`SiteError::TooManyFiles`] past a million files.
    pub fn from_dir(dir: &Path) -> Result<Self, SiteError> {
        Folder::open(dir).map(|folder| Self(Kind::Folder(folder)))
    }

    /// Gives the site its address and its request log, which goes on where an earlier run of the site left it.
    ///
    /// # Errors
    ///
    /// [`SiteError::Log`] when the log cannot be read and appended to, [`SiteError::Serve`] when the listener has no
    /// address.
    pub fn open(
        self,
        listener: TcpListener,
        log: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<OpenSite, SiteError> {
        let address = listener.local_addr().map_err(SiteError::Serve)?;
        let origin = format!("http://{address}");
        let log = RequestLog::open(log)?;
        let content = match self.0 {
            Kind::Builtin => Content::Garden(Garden::grown_at(&origin, log.earlier())),
            Kind::Folder(folder) => Content::Folder(folder),
        };
        Ok(OpenSite { listener, site: Arc::new(Site { origin, content, log, clock }) })
    }
}

impl OpenSite {
    /// Returns the site's origin, such as `http://127.0.0.1:40113`.
    pub fn origin(&self) -> &str {
        &self.site.origin
    }

    /// Returns how many addresses the site's sitemaps list.
    pub fn listed_addresses(&self) -> usize {
        match &self.site.content {
            Content::Garden(garden) => garden.listed_addresses(),
            Content::Folder(folder) => folder.pages(),
        }
    }

    /// Answers requests until `shutdown` resolves, and then lets replies that are under way leave for five seconds.
    ///
    /// # Errors
    ///
    /// [`SiteError::Serve`] when the listener fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), SiteError> {
        let Self { listener, site } = self;
        let clock = Arc::clone(&site.clock);
        let router = Router::new().fallback(answer).with_state(site);
        // Replies are small and wait for nothing behind them.
        let listener = listener.tap_io(|connection| {
            connection.set_nodelay(true).ok();
        });
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            shutdown.await;
            stopping.send(()).ok();
        });
        let out_of_patience = async {
            match stopped.await {
                Ok(()) => clock.sleep(GRACE).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            served = std::future::IntoFuture::into_future(serving) => served.map_err(SiteError::Serve),
            () = out_of_patience => Ok(()),
        }
    }
}

impl Site {
    async fn reply(&self, method: &Method, path: &str, headers: &HeaderMap) -> Reply {
        if method != Method::GET && method != Method::HEAD {
            return Reply::method_not_allowed();
        }
        let reply = match &self.content {
            Content::Garden(garden) => garden.reply(path, method, &*self.clock).await,
            Content::Folder(folder) => folder.reply(&self.origin, path).await,
        };
        reply.unless_unchanged(headers)
    }
}

/// Answers one request; the reply leaves only after its line is in the log.
async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (method, uri) = (request.method(), request.uri());
    let reply = site.reply(method, uri.path(), request.headers()).await;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    match site.log.record(site.clock.now(), method.as_str(), target, reply.status().as_u16()) {
        Ok(()) => reply.into_response(),
        Err(error) => {
            tracing::error!(%error, target, "request log cannot be written, so the reply is withheld");
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the request log cannot be written\n")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests;
