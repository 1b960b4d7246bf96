//! Tells what began and how far it is, between outcomes.

use std::time::Duration;

use celeriac_protocol::{Clock, JobEvent, error_text};

use super::super::Shared;
use super::super::held::News;
use super::patience::RETRY_PAUSE;
use super::recorded;
use crate::RecordError;

/// How often it is told that jobs have begun. What begins and ends in between is told once.
const PERIOD: Duration = Duration::from_millis(50);

/// Progress is told at every so many news.
const NEWS_PER_PROGRESS: u32 = 5;

/// Knows when there is something to tell next.
pub(super) struct Newsroom {
    ticks: u32,
    pause: Duration,
}

impl Newsroom {
    pub(super) fn new() -> Self {
        Self { ticks: 0, pause: PERIOD }
    }

    /// Resolves when news are due: soon, and less often while they can't be recorded.
    pub(super) fn due<'c>(&self, clock: &'c dyn Clock) -> celeriac_protocol::WhenReached<'c> {
        clock.sleep(self.pause)
    }

    /// Tells what began and how far it is. What can't be recorded now is told the next time, unless
    /// the outcome comes first, which says it all again.
    pub(super) async fn tell(&mut self, shared: &Shared) {
        self.ticks = self.ticks.wrapping_add(1);
        let now = shared.clock().now();
        let news = shared.held.news(now, &shared.name, self.ticks.is_multiple_of(NEWS_PER_PROGRESS));
        let all_told = news.is_empty() || tell_all(shared, news).await;
        self.pause = if all_told { PERIOD } else { (self.pause * 2).min(RETRY_PAUSE.1) };
        for (id, reason) in shared.held.newly_stuck(now - shared.options.stop_grace) {
            tracing::error!(worker = %shared.name, job.id = %id, ?reason, "job is stuck: told to stop, it runs on and keeps its slot");
        }
    }
}

/// Tells news, in halves where not all of it can be recorded, so that one job of which nothing can
/// be recorded keeps no other's back. Returns whether nothing is left to be told the next time.
async fn tell_all(shared: &Shared, news: Vec<News>) -> bool {
    let (mut parts, mut all_told) = (vec![news], true);
    while let Some(mut part) = parts.pop() {
        match record(shared, &part).await {
            Ok(()) => {
                shared.held.told(&part);
                let events: Vec<JobEvent> = part.into_iter().map(|news| news.event).collect();
                shared.client.events().tell(&events);
            }
            Err(error) if error.is_retryable() => {
                let error = error_text(&error);
                tracing::warn!(worker = %shared.name, error, "progress could not be recorded, trying again");
                shared.held.keep(part);
                all_told = false;
            }
            Err(_) if part.len() > 1 => {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
            }
            Err(error) => {
                let error = error_text(&error);
                tracing::warn!(worker = %shared.name, error, "progress can't be recorded, its outcome will tell");
                shared.held.told(&part);
            }
        }
    }
    all_told
}

async fn record(shared: &Shared, news: &[News]) -> Result<(), RecordError> {
    let events: Vec<JobEvent> = recorded(&**shared.client.recorder(), news.iter().map(|news| &news.event));
    if events.is_empty() { Ok(()) } else { shared.client.recorder().record(&events).await }
}
