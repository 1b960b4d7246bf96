//! What a worker holds right now: leased messages from fetch to settlement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use celeriac_broker::LeaseTag;
use celeriac_protocol::{JobEvent, JobFacts, JobId, Timestamp, What};

use crate::ctx::{Progress, ProgressCell, StopReason, StopSignal};

/// The messages that a worker holds. It never has more entries than slots and unsettled outcomes.
#[derive(Debug, Default)]
pub(crate) struct Held {
    jobs: Mutex<HashMap<LeaseTag, HeldJob>>,
}

#[derive(Debug)]
struct HeldJob {
    id: JobId,
    stop: StopSignal,
    /// Whether there is a lease to renew; not so once it was acknowledged early.
    leased: bool,
    /// When it was told to stop, and whether it has been reported as stuck since.
    told_to_stop: Option<(Timestamp, bool)>,
    run: Option<Run>,
}

/// An attempt that has begun.
#[derive(Debug)]
struct Run {
    job: Arc<JobFacts>,
    delivery: u32,
    attempt: u32,
    started_at: Timestamp,
    start_told: bool,
    progress: Arc<ProgressCell>,
}

/// Something new about a running job.
#[derive(Debug)]
pub(crate) struct News {
    tag: LeaseTag,
    pub(crate) event: JobEvent,
}

/// What is needed to tell of an attempt that has begun.
pub(crate) struct Begun {
    pub(crate) job: Arc<JobFacts>,
    pub(crate) delivery: u32,
    pub(crate) attempt: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) progress: Arc<ProgressCell>,
}

impl Held {
    /// Takes in a message that was just leased.
    pub(crate) fn hold(&self, tag: LeaseTag, id: JobId) -> StopSignal {
        let stop = StopSignal::default();
        self.lock()
            .insert(tag, HeldJob { id, stop: stop.clone(), leased: true, told_to_stop: None, run: None });
        stop
    }

    /// Notes that its attempt has begun.
    pub(crate) fn begin(&self, tag: LeaseTag, begun: Begun) {
        let Begun { job, delivery, attempt, started_at, progress } = begun;
        if let Some(held) = self.lock().get_mut(&tag) {
            held.run = Some(Run { job, delivery, attempt, started_at, start_told: false, progress });
        }
    }

    /// Notes that its attempt has ended, so that nothing is told of it any more but its outcome.
    pub(crate) fn end(&self, tag: LeaseTag) {
        if let Some(held) = self.lock().get_mut(&tag) {
            held.run = None;
        }
    }

    /// Notes that its message was acknowledged before it ran, so that there is no lease to renew.
    pub(crate) fn forget_lease(&self, tag: LeaseTag) {
        if let Some(held) = self.lock().get_mut(&tag) {
            held.leased = false;
        }
    }

    /// Lets go of settled messages.
    pub(crate) fn release(&self, tags: impl IntoIterator<Item = LeaseTag>) {
        let mut jobs = self.lock();
        for tag in tags {
            jobs.remove(&tag);
        }
    }

    /// Returns the leases to renew.
    pub(crate) fn tags(&self) -> Vec<LeaseTag> {
        self.lock().iter().filter(|(_, held)| held.leased).map(|(tag, _)| *tag).collect()
    }

    /// Tells the holder of a lease to stop.
    pub(crate) fn stop(&self, tag: LeaseTag, reason: StopReason, now: Timestamp) {
        if let Some(held) = self.lock().get_mut(&tag)
            && (held.leased || reason != StopReason::LeaseLost)
        {
            held.tell(reason, now);
        }
    }

    /// Tells the holder of a lease that its job was cancelled, and why.
    pub(crate) fn cancel(&self, tag: LeaseTag, why: String, now: Timestamp) {
        if let Some(held) = self.lock().get_mut(&tag) {
            held.cancel(why, now);
        }
    }

    /// Tells a job to stop that has no lease which could be asked: its message was acknowledged early.
    pub(crate) fn cancel_unleased(&self, id: &JobId, why: &str, now: Timestamp) {
        for held in self.lock().values_mut().filter(|held| held.id == *id && !held.leased) {
            held.cancel(why.to_owned(), now);
        }
    }

    /// Says whether a job is held here under a lease.
    pub(crate) fn has_lease_on(&self, id: &JobId) -> bool {
        self.lock().values().any(|held| held.id == *id && held.leased)
    }

    /// Tells everything to stop.
    pub(crate) fn stop_all(&self, reason: StopReason, now: Timestamp) {
        for held in self.lock().values_mut() {
            held.tell(reason, now);
        }
    }

    /// Returns what is new about running jobs: that they began, and how far they are.
    ///
    /// Jobs that begin and end between two calls are never told of here: their outcome says it all.
    /// That a job began is new until it is [told](Held::told).
    pub(crate) fn news(&self, now: Timestamp, worker: &Arc<str>, with_progress: bool) -> Vec<News> {
        let mut news = Vec::new();
        for (tag, held) in &*self.lock() {
            let Some(run) = &held.run else { continue };
            let (delivery, attempt) = (run.delivery, run.attempt);
            let mut tell = |at, what| {
                let event = JobEvent { at, job: Arc::clone(&run.job), delivery, attempt, what };
                news.push(News { tag: *tag, event });
            };
            if !run.start_told {
                tell(run.started_at, What::Started { worker: Arc::clone(worker) });
            }
            if with_progress && let Some(told) = run.progress.take() {
                let (percent, message, partial) = (told.percent, told.message, told.partial);
                tell(now, What::Progressed { percent, message, partial });
            }
        }
        news
    }

    /// Notes that these were told.
    pub(crate) fn told(&self, news: &[News]) {
        let mut jobs = self.lock();
        for one in news.iter().filter(|one| matches!(one.event.what, What::Started { .. })) {
            if let Some(run) = jobs.get_mut(&one.tag).and_then(|held| held.run.as_mut()) {
                run.start_told = true;
            }
        }
    }

    /// Takes back what could not be told, unless there is newer by now.
    pub(crate) fn keep(&self, news: Vec<News>) {
        let jobs = self.lock();
        for News { tag, event } in news {
            if let What::Progressed { percent, message, partial } = event.what
                && let Some(run) = jobs.get(&tag).and_then(|held| held.run.as_ref())
            {
                run.progress.keep(Progress { percent, message, partial });
            }
        }
    }

    /// Returns how many jobs are held, and the ids of up to `most` of them, those that run first.
    pub(crate) fn some(&self, most: usize) -> (usize, Vec<JobId>) {
        let jobs = self.lock();
        let (running, others): (Vec<_>, Vec<_>) = jobs.values().partition(|held| held.run.is_some());
        let ids = running.into_iter().chain(others).take(most).map(|held| held.id.clone());
        (jobs.len(), ids.collect())
    }

    /// Returns jobs that were told to stop before `then` and run on, each once.
    pub(crate) fn newly_stuck(&self, then: Timestamp) -> Vec<(JobId, StopReason)> {
        let mut stuck = Vec::new();
        for held in self.lock().values_mut().filter(|held| held.run.is_some()) {
            if let (Some((told_at, reported)), Some(reason)) = (&mut held.told_to_stop, held.stop.reason())
                && *told_at <= then
                && !*reported
            {
                *reported = true;
                stuck.push((held.id.clone(), reason));
            }
        }
        stuck
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseTag, HeldJob>> {
        self.jobs.lock().expect("no holder of the lock on held jobs panics")
    }
}

impl HeldJob {
    fn tell(&mut self, reason: StopReason, now: Timestamp) {
        self.stop.stop(reason);
        self.told_to_stop.get_or_insert((now, false));
    }

    fn cancel(&mut self, why: String, now: Timestamp) {
        self.stop.cancel(why);
        self.told_to_stop.get_or_insert((now, false));
    }
}
