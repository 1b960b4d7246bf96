//! A row's requests: robots.txt before all else, each at its turn, and what came of it noted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::{DbError, DbTx};
use celeriac_protocol::Timestamp;
use sea_orm::DbErr;
use url::Url;

use super::book::KnownHost;
use super::ledger::Counts;
use super::robots::{self, Kept, Terms};
use super::signal::Learnt;
use super::turn::{self, Turn};
use crate::collector::Collector;
use crate::error::RowError;
use crate::fetch::{
    FetchError, FetchRequest, FetchStream, Fetched, Hop, HopGate, HostSignal, PRODUCT_TOKEN, RobotsOutcome,
    TimeoutPhase,
};
use crate::url::CanonicalUrl;

/// The longest wait for a turn in the middle of a row's work; where it would be longer, the row goes back.
const TURN_WAIT_MAX: Duration = Duration::from_secs(60);

/// How many turns are taken one after the other when the machine is too busy to be on time for any.
const TURNS_MAX: usize = 10;

/// Is responsible for the requests of one row.
///
/// The first request to the row's own host uses the turn that came with the claim; every further one, to
/// whatever host, takes one of its own.
pub(crate) struct Visits {
    collector: Collector,
    own_host: i64,
    own_turn: Option<Timestamp>,
    learnt: Vec<Learnt>,
}

/// An answer whose body is still to be read, and whom it came from.
pub(crate) struct Answer {
    pub(crate) stream: FetchStream,
    host: Arc<KnownHost>,
}

impl Visits {
    /// Takes the host and the turn of a claimed row.
    pub(crate) fn new(collector: Collector, own_host: i64, own_turn: Timestamp) -> Self {
        Self { collector, own_host, own_turn: Some(own_turn), learnt: Vec::new() }
    }

    /// Makes one request, if robots.txt allows it. Redirects are not followed but for those to another
    /// spelling of the same address; they end in [`FetchError::Redirected`].
    ///
    /// # Errors
    /// [`RowError`]: what it means for the row.
    pub(crate) async fn open(
        &mut self,
        url: &CanonicalUrl,
        request: FetchRequest,
    ) -> Result<Answer, RowError> {
        let host = self.admitted(url).await?;
        self.await_turn(&host).await?;
        let gate = SameAddress { hops: Hops(self.collector.clone()), url: url.clone() };
        let request = request.gate(Arc::new(gate));
        match Box::pin(self.collector.fetcher().fetch_stream(request)).await {
            Ok(stream) => Ok(Answer { stream, host }),
            Err(error) => {
                self.note(&host, Err(&error), 0);
                Err(error.into())
            }
        }
    }

    /// Reads an answer's body into memory.
    ///
    /// # Errors
    /// [`RowError`]: what it means for the row.
    pub(crate) async fn read(&mut self, answer: Answer) -> Result<Fetched, RowError> {
        let Answer { stream, host } = answer;
        match stream.collect().await {
            Ok(fetched) => {
                self.note(&host, Ok(fetched.head.status), fetched.wire_bytes);
                Ok(fetched)
            }
            Err(error) => {
                self.note(&host, Err(&error), 0);
                Err(error.into())
            }
        }
    }

    /// Returns what robots.txt of a host says, as far as it is known without a request.
    pub(crate) async fn known_robots(&self, url: &CanonicalUrl) -> Option<Arc<RobotsOutcome>> {
        let host = self.collector.host(url.origin()).await.ok()?;
        host.robots(self.now()).map(Arc::clone)
    }

    /// Notes how reading an answer's body ended.
    pub(crate) fn close(&mut self, answer: &Answer, result: Result<u16, &FetchError>) {
        let host = Arc::clone(&answer.host);
        self.note(&host, result, answer.stream.wire_bytes());
    }

    /// Returns what is to be written into the row's transaction, whatever became of the row.
    pub(crate) fn finish(self) -> Lessons {
        Lessons(self.learnt)
    }

    /// Finds the host and asks its robots.txt whether the address may be requested.
    async fn admitted(&mut self, url: &CanonicalUrl) -> Result<Arc<KnownHost>, RowError> {
        let host = self.host(url.origin()).await?;
        let (host, rules) = self.robots_of(url, host).await?;
        rules.check(&url.to_url())?;
        Ok(host)
    }

    async fn host(&self, origin: &str) -> Result<Arc<KnownHost>, RowError> {
        let host = self.collector.host(origin).await?;
        match &host.given_up {
            Some((_, reason)) => Err(RowError::GivenUp(reason.clone())),
            None => Ok(host),
        }
    }

    async fn robots_of(
        &mut self,
        url: &CanonicalUrl,
        host: Arc<KnownHost>,
    ) -> Result<(Arc<KnownHost>, Arc<RobotsOutcome>), RowError> {
        if let Some(rules) = host.robots(self.now()).map(Arc::clone) {
            return Ok((host, rules));
        }
        let _reading = self.collector.hosts().lock_robots(host.id).await;
        // Whoever held the lock may have read it.
        self.collector.hosts().forget(url.origin());
        let host = self.host(url.origin()).await?;
        if let Some(rules) = host.robots(self.now()).map(Arc::clone) {
            return Ok((host, rules));
        }
        self.read_robots(url, &host).await?;
        self.collector.hosts().forget(url.origin());
        let host = self.host(url.origin()).await?;
        match host.robots(self.now()).map(Arc::clone) {
            Some(rules) => Ok((host, rules)),
            None => Err(RowError::Postponed {
                until: self.now() + turn::lateness(host.delay),
                reason: format!("robots.txt of {} changed while it was read", url.origin()),
            }),
        }
    }

    /// Fetches robots.txt and keeps what came of it.
    async fn read_robots(&mut self, url: &CanonicalUrl, host: &KnownHost) -> Result<(), RowError> {
        self.await_turn(host).await?;
        let gate = Arc::new(Hops(self.collector.clone()));
        let fetcher = self.collector.fetcher();
        let body = Box::pin(fetcher.fetch_robots_body(&url.to_url(), Some(gate))).await;
        if let Err(error) = &body
            && is_unanswered(error)
        {
            // There is nobody to ask for rules: the row fails as it would have failed without them.
            self.note(host, Err(error), 0);
            return body.map(drop).map_err(RowError::from);
        }
        let outcome = RobotsOutcome::from_fetch(body.as_deref(), PRODUCT_TOKEN);
        let mut learnt = match &body {
            Ok(body) => self.learnt(host, Ok(200), body.len() as u64),
            Err(error) => self.learnt(host, Err(error), 0),
        };
        if let RobotsOutcome::Unreachable { retry_after, .. } = &outcome {
            learnt.signal = HostSignal::Overloaded { retry_after: *retry_after };
        }
        match self.keep_robots(learnt, outcome.clone()).await? {
            Kept::Known => Ok(()),
            Kept::Wait(until) => {
                let reason = why_unreachable(&outcome, url);
                Err(RowError::Postponed { until, reason })
            }
            Kept::GivenUp => {
                self.collector.hosts().forget(url.origin());
                Err(RowError::GivenUp(why_unreachable(&outcome, url)))
            }
        }
    }

    async fn keep_robots(&self, learnt: Learnt, outcome: RobotsOutcome) -> Result<Kept, DbError> {
        let settings = self.collector.settings();
        let terms = Terms { holds_for: settings.robots_ttl, tries_max: settings.robots_tries_max };
        let now = self.now();
        let keep =
            async move |tx: &DbTx| Ok::<_, DbError>(robots::keep(tx, &learnt, &outcome, terms, now).await?);
        self.collector.database().write("keep robots.txt", keep).await
    }

    /// Waits for the turn that came with the claim, which the loop has seen to, or for a new one.
    async fn await_turn(&mut self, host: &KnownHost) -> Result<(), RowError> {
        let own = self.own_turn.take_if(|_| host.id == self.own_host);
        if let Some(turn) = own {
            let is_in_time = self.now() <= turn + turn::lateness(host.delay);
            if host.delay.is_zero() || host.is_exclusive || is_in_time {
                return Ok(());
            }
        }
        Hops(self.collector.clone()).take_turn(host).await
    }

    fn note(&mut self, host: &KnownHost, result: Result<u16, &FetchError>, bytes: u64) {
        let learnt = self.learnt(host, result, bytes);
        let is_plain = learnt.signal == HostSignal::Answered && learnt.error.is_none();
        if is_plain && host.delay.is_zero() && !host.is_troubled {
            self.collector.ledger().add(host.id, learnt.counts);
            return;
        }
        if !is_plain {
            self.collector.hosts().forget(&host.origin);
        }
        self.learnt.push(learnt);
    }

    fn learnt(&self, host: &KnownHost, result: Result<u16, &FetchError>, bytes: u64) -> Learnt {
        let (signal, last_status) = match result {
            Ok(status) => (HostSignal::Answered, Some(status)),
            Err(error) => (HostSignal::of_error(error), error.status()),
        };
        let is_answer = matches!(result, Err(FetchError::Redirected { .. }));
        let counts = Counts {
            requests: i64::from(signal != HostSignal::NotAsked),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            last_status,
            last_request_at: self.now(),
        };
        let error = result.err().filter(|_| !is_answer).map(crate::error::told);
        Learnt { host_id: host.id, signal, counts, error, policy: self.collector.settings().hosts }
    }

    fn now(&self) -> Timestamp {
        self.collector.clock().now()
    }
}

/// What a row's requests taught about hosts; it is written in the row's own transaction.
#[must_use = "hosts would not learn of it"]
pub(crate) struct Lessons(Vec<Learnt>);

impl Lessons {
    /// Writes it down.
    pub(crate) async fn write(&self, tx: &DbTx) -> Result<(), DbErr> {
        for learnt in &self.0 {
            learnt.write(tx).await?;
        }
        Ok(())
    }
}

/// Takes a turn for every redirect, at whichever host it leads to.
#[derive(Clone)]
struct Hops(Collector);

impl Hops {
    /// Reserves a turn and waits for it. A host that wants no pause costs no write.
    async fn take_turn(&self, host: &KnownHost) -> Result<(), RowError> {
        let collector = &self.0;
        for _ in 0..TURNS_MAX {
            let now = collector.clock().now();
            if host.delay.is_zero() && host.parked_until.is_none_or(|until| until <= now) {
                return Ok(());
            }
            let (id, policy) = (host.id, collector.settings().hosts);
            let take = async move |tx: &DbTx| {
                Ok::<_, DbError>(turn::take(tx, &policy, id, now, TURN_WAIT_MAX).await?)
            };
            match collector.database().write("take turn", take).await? {
                Turn::TooFar(until) => {
                    return Err(RowError::NoTurn { host: host.origin.clone(), until });
                }
                Turn::At(at) => {
                    collector.clock().sleep_until(at).await;
                    if host.is_exclusive || collector.clock().now() <= at + turn::lateness(host.delay) {
                        return Ok(());
                    }
                }
            }
        }
        let until = collector.clock().now() + host.delay;
        Err(RowError::Postponed { until, reason: "this machine is too busy to keep its turns".to_owned() })
    }

    async fn take_turn_at(&self, from: &Hop, to: &Url) -> Result<(), FetchError> {
        let elsewhere = || from.elsewhere(to);
        let origin = CanonicalUrl::from_url(to).map_err(|_| elsewhere())?;
        let host = self.0.host(origin.origin()).await.map_err(|_| elsewhere())?;
        self.take_turn(&host).await.map_err(|_| elsewhere())
    }
}

#[async_trait]
impl HopGate for Hops {
    async fn admit(&self, from: &Hop, to: &Url) -> Result<(), FetchError> {
        self.take_turn_at(from, to).await
    }
}

/// Follows redirects to other spellings of the same address alone.
struct SameAddress {
    hops: Hops,
    url: CanonicalUrl,
}

#[async_trait]
impl HopGate for SameAddress {
    async fn admit(&self, from: &Hop, to: &Url) -> Result<(), FetchError> {
        let is_same = CanonicalUrl::from_url(to).is_ok_and(|to| to == self.url);
        if is_same {
            return self.hops.take_turn_at(from, to).await;
        }
        Err(from.elsewhere(to))
    }
}

/// Says whether a host did not even answer: that tells nothing of its rules.
fn is_unanswered(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Lookup { .. }
            | FetchError::Connect { .. }
            | FetchError::Certificate { .. }
            | FetchError::Refused { .. }
            | FetchError::BadUrl { .. }
            | FetchError::UrlTooLong { .. }
            | FetchError::Timeout { phase: TimeoutPhase::Connect, .. }
    )
}

fn why_unreachable(outcome: &RobotsOutcome, url: &CanonicalUrl) -> String {
    match outcome.check(&url.to_url()) {
        Err(error) => error.to_string(),
        Ok(()) => format!("robots.txt of {} can't be read", url.origin()),
    }
}
