//! Who decides whether a redirect is followed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::Clock;
use url::Url;

use super::answer::Hop;
use crate::fetch::error::FetchError;
use crate::fetch::robots::RobotsOutcome;

/// The longest pause before a redirect that is waited for in place; where the host asks for more, the
/// target has to be collected on its own.
pub const HOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Decides about each redirect before it is followed, and may wait first.
///
/// A redirect is one more request: without this, a site could lead a crawler past its own robots.txt,
/// past another host's, and past the pause between two requests.
#[async_trait]
pub trait HopGate: Send + Sync {
    /// Lets the redirect pass, or ends the fetch with the error.
    async fn admit(&self, from: &Hop, to: &Url) -> Result<(), FetchError>;
}

/// Follows redirects within one host alone, by its robots.txt and with its pause before each.
///
/// A host is a scheme, a name and a port, as for robots.txt: moving from http to https leaves it. What leads
/// elsewhere, or would have to wait longer than [`HOP_WAIT_MAX`], ends in
/// [`FetchError::Redirected`], so that the target can be collected by the rules of its own host.
pub struct PoliteHops {
    robots: Arc<RobotsOutcome>,
    delay: Duration,
    clock: Arc<dyn Clock>,
}

impl PoliteHops {
    /// Takes what the host's robots.txt says and the pause that applies to the host.
    pub fn new(robots: Arc<RobotsOutcome>, delay: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { robots, delay, clock }
    }
}

#[async_trait]
impl HopGate for PoliteHops {
    async fn admit(&self, from: &Hop, to: &Url) -> Result<(), FetchError> {
        if from.url.origin() != to.origin() || self.delay > HOP_WAIT_MAX {
            return Err(from.elsewhere(to));
        }
        self.robots.check(to)?;
        self.clock.sleep(self.delay).await;
        Ok(())
    }
}

impl fmt::Debug for PoliteHops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoliteHops").field("delay", &self.delay).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use celeriac_protocol::ManualClock;

    use super::*;
    use crate::fetch::robots::Robots;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn hop(text: &str) -> Hop {
        Hop { url: url(text), status: 301 }
    }

    fn gate(delay: Duration) -> PoliteHops {
        let robots = Robots::parse(b"User-agent: *\nDisallow: /private", "Celeriac");
        let robots = Arc::new(RobotsOutcome::Rules(robots));
        PoliteHops::new(robots, delay, Arc::new(ManualClock::default()))
    }

    #[tokio::test]
    async fn redirects_stay_on_their_host_and_within_its_rules() {
        let gate = gate(Duration::ZERO);
        let from = hop("http://a.example/x");
        gate.admit(&from, &url("http://a.example/y")).await.unwrap();
        for to in
            ["http://b.example/x", "http://www.a.example/x", "http://a.example:8080/x", "https://a.example/x"]
        {
            let error = gate.admit(&from, &url(to)).await.unwrap_err();
            assert!(matches!(error, FetchError::Redirected { .. }), "{to}: {error}");
        }
        let error = gate.admit(&from, &url("http://a.example/private/x")).await.unwrap_err();
        assert!(matches!(error, FetchError::Disallowed { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_pause_that_is_too_long_sends_the_target_back() {
        let gate = gate(HOP_WAIT_MAX + Duration::from_micros(1));
        let error = gate.admit(&hop("http://a.example/x"), &url("http://a.example/y")).await.unwrap_err();
        assert!(matches!(error, FetchError::Redirected { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_pause_of_the_host_is_kept_before_a_redirect() {
        let clock = ManualClock::default();
        let robots = Arc::new(RobotsOutcome::Unrestricted);
        let gate = PoliteHops::new(robots, Duration::from_secs(3), Arc::new(clock.clone()));
        let mut admitted = tokio::task::JoinSet::new();
        admitted
            .spawn(async move { gate.admit(&hop("http://a.example/x"), &url("http://a.example/y")).await });
        tokio::task::spawn_blocking({
            let clock = clock.clone();
            move || clock.wait_for_sleepers(1)
        })
        .await
        .unwrap();
        assert!(admitted.try_join_next().is_none());
        clock.advance(Duration::from_secs(3));
        admitted.join_next().await.unwrap().unwrap().unwrap();
    }
}
