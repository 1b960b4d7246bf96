//! The HTTP client: one request after another along redirects, each looked at by the guard.

use std::sync::Arc;
use std::time::Duration;

use celeriac_protocol::Clock;
use reqwest::Response;
use reqwest::header::{HeaderMap, LOCATION};
use tokio::time::timeout;
use url::Url;

use super::error::{FetchError, TimeoutPhase};
use super::guard::{GuardPolicy, GuardedResolver, Lookup, SystemLookup};
use super::robots::{ROBOTS_BYTES_MAX, RobotsOutcome};

mod answer;
mod client;
mod config;
mod failure;
mod hops;
mod request;
mod stream;
mod unpack;

pub use answer::{Fetched, FetchedHead, Hop};
pub use config::{FetchConfig, FetchConfigError, PRODUCT_TOKEN};
pub use hops::{HOP_WAIT_MAX, HopGate, PoliteHops};
pub use request::FetchRequest;
pub use stream::FetchStream;

/// How much of an unwanted body is read so that its connection can be used again, in bytes.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;

/// How long reading an unwanted body may take.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(1);

/// Is responsible for every request that leaves this crate. Cheap to clone; clones share connections.
///
/// Redirects are followed by its own loop, so that the guard and the caller's [`HopGate`] see each of
/// them. There are no cookies, no proxy from the environment and no referrer.
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    guard: Arc<GuardPolicy>,
    config: FetchConfig,
    clock: Arc<dyn Clock>,
}

impl Fetcher {
    /// Builds a client that asks the operating system for addresses.
    ///
    /// # Errors
    /// [`FetchConfigError`] for a setting that makes no sense.
    pub fn new(config: FetchConfig, clock: Arc<dyn Clock>) -> Result<Self, FetchConfigError> {
        Self::with_lookup(config, clock, Arc::new(SystemLookup))
    }

    /// Builds a client with a name lookup of one's own. What it answers is checked like any answer.
    ///
    /// # Errors
    /// [`FetchConfigError`] for a setting that makes no sense.
    pub fn with_lookup(
        config: FetchConfig,
        clock: Arc<dyn Clock>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, FetchConfigError> {
        config.validate()?;
        let guard = Arc::new(config.guard.clone());
        let client = client::build(&config, GuardedResolver::new(guard.clone(), lookup))?;
        Ok(Self { shared: Arc::new(Shared { client, guard, config, clock }) })
    }

    /// Fetches a whole body into memory. Only an answer of 2xx is a success.
    ///
    /// # Errors
    /// [`FetchError`], which says whether another try may help.
    pub async fn fetch(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        self.fetch_stream(request).await?.collect().await
    }

    /// Fetches the head and hands the body out piece by piece, in bounded memory.
    ///
    /// # Errors
    /// [`FetchError`], which says whether another try may help.
    pub async fn fetch_stream(&self, request: FetchRequest) -> Result<FetchStream, FetchError> {
        let shared = &*self.shared;
        let started_at = shared.clock.now();
        let total = request.total_timeout.unwrap_or(shared.config.total_timeout);
        let mut deadline = Box::pin(tokio::time::sleep(total));
        let (head, response) = tokio::select! {
            biased;
            () = &mut deadline => return Err(timed_out(&request.url, TimeoutPhase::Total, total)),
            answer = Box::pin(shared.follow(&request)) => answer?,
        };
        let limits = stream::Limits {
            body_bytes_max: request.body_bytes_max.unwrap_or(shared.config.body_bytes_max),
            unpack_ratio_max: shared.config.unpack_ratio_max,
            total,
        };
        FetchStream::new(head, response, limits, deadline, shared.clock.clone(), started_at)
    }

    /// Fetches and judges the robots.txt that applies to a URL: the one at the root of its origin.
    pub async fn fetch_robots(&self, url: &Url) -> RobotsOutcome {
        let body = self.fetch_robots_body(url, None).await;
        RobotsOutcome::from_fetch(body.as_deref(), PRODUCT_TOKEN)
    }

    /// Fetches the robots.txt that applies to a URL, as much of it as counts; the gate decides about redirects.
    pub(crate) async fn fetch_robots_body(
        &self,
        url: &Url,
        gate: Option<Arc<dyn HopGate>>,
    ) -> Result<Vec<u8>, FetchError> {
        let mut robots_url = url.clone();
        robots_url.set_path("/robots.txt");
        robots_url.set_query(None);
        let mut request = FetchRequest::new(robots_url).accept("text/plain,*/*;q=0.8");
        request.gate = gate;
        let mut stream = self.fetch_stream(request).await?;
        let mut body = Vec::new();
        while body.len() <= ROBOTS_BYTES_MAX
            && let Some(piece) = stream.next_chunk().await?
        {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

impl Shared {
    /// Follows redirects up to the answer that counts.
    async fn follow(&self, request: &FetchRequest) -> Result<(FetchedHead, Response), FetchError> {
        let mut chain: Vec<Hop> = Vec::new();
        let mut url = self.admit(&request.url)?;
        let mut credentials = request.credentials.clone();
        loop {
            let response = self.ask(&url, request, &credentials).await?;
            let status = response.status().as_u16();
            match status {
                200..=299 => {
                    let head = FetchedHead::read(&request.url, url, chain, &response, self.clock.now());
                    request.check_content(&head)?;
                    return Ok((head, response));
                }
                301 | 302 | 303 | 307 | 308 => {
                    let next = self.admit(&redirect_target(&url, &response)?)?;
                    discard(response).await;
                    let hop = Hop { url: url.clone(), status };
                    chain.push(hop.clone());
                    check_chain(&chain, &next, self.config.redirects_max)?;
                    if let Some(gate) = &request.gate {
                        gate.admit(&hop, &next).await?;
                    }
                    if url.origin() != next.origin() {
                        credentials = HeaderMap::new();
                    }
                    url = next;
                }
                _ => {
                    let retry_after = answer::retry_after(response.headers(), self.clock.now());
                    discard(response).await;
                    return Err(FetchError::for_status(&url, status, retry_after));
                }
            }
        }
    }

    fn admit(&self, url: &Url) -> Result<Url, FetchError> {
        let shown = || answer::shown(url);
        if url.as_str().len() > config::URL_BYTES_MAX {
            return Err(FetchError::UrlTooLong { url: shown(), limit: config::URL_BYTES_MAX });
        }
        self.guard.check_url(url).map_err(|source| FetchError::Refused { url: shown(), source })
    }

    async fn ask(
        &self,
        url: &Url,
        request: &FetchRequest,
        credentials: &HeaderMap,
    ) -> Result<Response, FetchError> {
        let limit = self.config.first_byte_timeout;
        let mut headers = credentials.clone();
        request.add_plain_headers(&mut headers);
        let sent = self.client.get(url.clone()).headers(headers).send();
        let response = timeout(limit, sent)
            .await
            .map_err(|_| timed_out(url, TimeoutPhase::FirstByte, limit))?
            .map_err(|error| failure::of_request(url, error, self.config.connect_timeout))?;
        let header_bytes: usize =
            response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header_bytes > self.config.header_bytes_max {
            return Err(FetchError::HeadersTooLarge { url: url.to_string() });
        }
        Ok(response)
    }
}

fn timed_out(url: &Url, phase: TimeoutPhase, limit: Duration) -> FetchError {
    FetchError::Timeout { url: answer::shown(url), phase, limit }
}

fn redirect_target(url: &Url, response: &Response) -> Result<Url, FetchError> {
    let location = response.headers().get(LOCATION).filter(|value| !value.is_empty());
    let location = location.ok_or_else(|| FetchError::RedirectNowhere {
        url: url.to_string(),
        status: response.status().as_u16(),
    })?;
    // Servers write UTF-8 there although they should not.
    let text = String::from_utf8_lossy(location.as_bytes());
    url.join(&text).map_err(|source| FetchError::BadUrl { text: answer::shortened(&text), source })
}

/// The chain holds what has redirected so far.
fn check_chain(chain: &[Hop], next: &Url, limit: usize) -> Result<(), FetchError> {
    if chain.iter().any(|hop| hop.url == *next) {
        return Err(FetchError::RedirectLoop { url: next.to_string() });
    }
    if chain.len() > limit {
        let url = chain[0].url.to_string();
        return Err(FetchError::TooManyRedirects { url, limit });
    }
    Ok(())
}

/// Reads a small unwanted body to its end: otherwise the connection is lost, and the next request to the
/// host pays for a new one.
async fn discard(mut response: Response) {
    if response.content_length().is_some_and(|length| length <= DRAIN_BYTES_MAX) {
        let drain = async { while let Ok(Some(_)) = response.chunk().await {} };
        // Whether it worked only decides about the connection.
        let _ = timeout(DRAIN_WAIT_MAX, drain).await;
    }
}

#[cfg(test)]
mod tests;
