//! What became of every due time, and how late it was.

use std::collections::BTreeSet;
use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{Firing, FiringOutcome};

use super::check::Found;
use super::entries::{Entry, Made, Window};
use super::plan::{Disturbance, Kind};
use super::{Options, Real, ScaledClock};
use crate::ground::Transport;

/// How soon others must do the work of a scheduler that is gone, and all of them after a server is back.
const FAILOVER: Duration = Duration::from_secs(15);

/// How long after a disturbance its traces are still looked for.
const CALM_AFTER: Duration = Duration::from_secs(2);

/// What became of the due times. All but the first two are faults, and `again` where nothing explains it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Due times that the window has.
    due: u64,
    /// Those with one firing, one job and a message that says the same.
    met: u64,
    /// Those with no firing.
    missing: u64,
    /// Those that stand in a row as missed, though none may be.
    missed: u64,
    /// Firings of another time, or with another outcome.
    foreign: u64,
    /// Firings whose job another firing has.
    doubled: u64,
    /// Firings whose job is not recorded, or without a message, or whose message says something else.
    unrecorded: u64,
    unsent: u64,
    differing: u64,
    /// Jobs and messages that no firing has.
    strange_jobs: u64,
    strange_messages: u64,
    /// Messages of an id that another message has.
    again: u64,
    /// When each was due and when it was met, by the schedule's clock.
    times: Vec<(Timestamp, Timestamp)>,
}

impl Verdict {
    /// Compares what was due with what was found.
    pub(super) fn of(made: &Made, mut found: Found) -> Self {
        let mut verdict = Self::default();
        let mut taken = BTreeSet::new();
        for (entry, firings) in made.entries.iter().zip(std::mem::take(&mut found.firings)) {
            // Schedulers went on behind the window until they were told to stop: what they met there counts, too, and
            // all before it.
            let last = firings.iter().map(|firing| firing.due_at).max();
            let window = Window { end: made.window.end.max(last.unwrap_or_default()), ..made.window };
            let mut due = window.due(entry.every);
            verdict.due += due.len() as u64;
            for firing in firings {
                verdict.look_at(entry, firing, &mut due, &mut found, &mut taken);
            }
            verdict.missing += due.len() as u64;
        }
        verdict.strange_jobs = found.jobs.len() as u64;
        verdict.strange_messages = found.messages.len() as u64;
        verdict
    }

    fn look_at(
        &mut self,
        entry: &Entry,
        firing: Firing,
        due: &mut BTreeSet<Timestamp>,
        found: &mut Found,
        taken: &mut BTreeSet<String>,
    ) {
        if firing.outcome == FiringOutcome::Missed {
            self.missed += firing.count;
            let first = firing.first_due_at.unwrap_or(firing.due_at);
            due.retain(|at| *at < first || *at > firing.due_at);
            return;
        }
        let was_due = due.remove(&firing.due_at) && firing.count == 1;
        let (true, FiringOutcome::Fired, Some(job)) = (was_due, firing.outcome, firing.job_id) else {
            self.foreign += 1;
            return;
        };
        self.times.push((firing.due_at, firing.handled_at));
        if !taken.insert(job.clone()) {
            self.doubled += 1;
            return;
        }
        let is_recorded = found.jobs.remove(&job);
        self.unrecorded += u64::from(!is_recorded);
        let Some(message) = found.messages.remove(&job) else {
            self.unsent += 1;
            return;
        };
        self.again += message.count - 1;
        let agrees =
            message.schedule.as_deref() == Some(&*entry.name) && message.due_at == Some(firing.due_at);
        self.differing += u64::from(!agrees);
        self.met += u64::from(agrees && is_recorded);
    }

    pub(super) fn print(&self, options: &Options, made: &Made) {
        let entries = made.entries.len();
        let (speed, schedulers, seed) = (options.speed, options.schedulers, options.seed);
        println!("entries:                          {entries}, half each second and half each minute");
        println!(
            "schedulers:                       {schedulers}, a clock {speed} times as fast, seed {seed}"
        );
        println!("due times:                        {}", self.due);
        println!("met by one firing and one job:    {}", self.met);
        println!("without a firing:                 {}", self.missing);
        println!("summed up as missed:              {}", self.missed);
        println!("firings of another time or end:   {}", self.foreign);
        println!("firings with another one's job:   {}", self.doubled);
        println!("jobs without record, or message:  {}, {}", self.unrecorded, self.unsent);
        println!("messages that say something else: {}", self.differing);
        println!("jobs, messages of no firing:      {}, {}", self.strange_jobs, self.strange_messages);
        println!("second messages of the same id:   {}", self.again);
    }

    /// Errs where a due time was not met once. Catch-up is *all*, with room for more due times than any outage has, so
    /// that nothing explains one that was missed.
    pub(super) fn judge(&self, transport: Transport, disturbances: &[Disturbance]) -> anyhow::Result<()> {
        let faults = [
            (self.missing, "due times were not met"),
            (self.missed, "due times were given up, though all are to be made up for"),
            (self.foreign, "firings are of no due time, or came to nothing"),
            (self.doubled, "firings share a job"),
            (self.unrecorded, "jobs have no record"),
            (self.unsent, "jobs have no message"),
            (self.differing, "messages say something else than their firings"),
            (self.strange_jobs, "jobs belong to no firing"),
            (self.strange_messages, "messages belong to no firing"),
        ];
        for (count, fault) in faults {
            anyhow::ensure!(count == 0, "{count} {fault}");
        }
        anyhow::ensure!(self.met == self.due, "{} of {} were met", self.met, self.due);
        // RabbitMQ can't look up what it has; the others refuse what they have.
        let unsure: u64 = disturbances.iter().map(|one| one.unsure).sum();
        let excused = if transport == Transport::Amqp { unsure } else { 0 };
        println!("second messages that are excused: {excused}");
        anyhow::ensure!(self.again <= excused, "{} second messages, {excused} were in doubt", self.again);
        Ok(())
    }
}

/// How late due times were met, in real time.
pub(super) struct Lateness {
    /// While nothing was disturbed, shortest first.
    calm: Vec<Duration>,
    /// The longest that anything had to wait from each disturbance on, or from when the server was back.
    failovers: Vec<Duration>,
}

impl Lateness {
    pub(super) fn of(verdict: &Verdict, disturbances: &[Disturbance], clock: ScaledClock) -> Self {
        let mut calm = Vec::new();
        let mut failovers = vec![Duration::ZERO; disturbances.len()];
        for (due, met) in &verdict.times {
            let (due, met) = (clock.real(*due), clock.real(*met));
            let is_within = |one: &&Disturbance| met >= one.at && due <= one.over + CALM_AFTER;
            // The last that had begun by then is what it waited for.
            match disturbances.iter().rposition(|one| is_within(&one)) {
                Some(index) => {
                    let waited = met.since(due.max(disturbances[index].back));
                    failovers[index] = failovers[index].max(waited);
                }
                None => calm.push(met.since(due)),
            }
        }
        calm.sort_unstable();
        Self { calm, failovers }
    }

    pub(super) fn print(&self, disturbances: &[Disturbance]) {
        let last = self.calm.len().saturating_sub(1);
        let at = |percent: usize| self.calm.get(last * percent / 100).copied().unwrap_or_default();
        println!(
            "late while nothing is disturbed:  p50 {:.0?}, p99 {:.0?}, longest {:.0?} ({} due times)",
            at(50),
            at(99),
            at(100),
            self.calm.len()
        );
        let begun = disturbances.first().map_or(Real::EPOCH, |one| one.at);
        for (one, waited) in disturbances.iter().zip(&self.failovers) {
            let (after, took) = (one.at.since(begun).as_secs_f64(), one.over.since(one.at).as_secs_f64());
            println!(
                "  {:<18} at {after:5.1} s for {took:4.1} s: the longest wait {waited:.0?}, in doubt {}",
                one.kind, one.unsure
            );
        }
    }

    pub(super) fn judge(&self, disturbances: &[Disturbance]) -> anyhow::Result<()> {
        for (one, waited) in disturbances.iter().zip(&self.failovers) {
            anyhow::ensure!(*waited <= FAILOVER, "{}: due times waited {waited:?} for another", one.kind);
        }
        let kills = disturbances.iter().filter(|one| one.kind == Kind::Kill).count();
        anyhow::ensure!(kills > 0, "no scheduler was killed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::check::Message;
    use super::super::entries::Every;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn job(due: i64) -> String {
        format!("job-{due}")
    }

    /// An entry that was due at the seconds 1 to 3, and everything as it should be.
    fn found() -> Found {
        let firing = |due: i64| Firing {
            job_id: Some(job(due)),
            ..Firing::new(at(due), at(due), FiringOutcome::Fired)
        };
        let message = |due: i64| Message { schedule: Some("a".to_owned()), due_at: Some(at(due)), count: 1 };
        Found {
            firings: vec![(1..=3).map(firing).collect()],
            jobs: (1..=3).map(job).collect::<HashSet<_>>(),
            marked: Vec::new(),
            messages: (1..=3).map(|due| (job(due), message(due))).collect::<HashMap<_, _>>(),
        }
    }

    fn judge(change: impl FnOnce(&mut Found)) -> Result<(), String> {
        let entry = Entry { id: 1, name: "a".to_owned(), every: Every::Second };
        let made = Made { entries: vec![entry], window: Window { start: at(0), end: at(3) } };
        let mut found = found();
        change(&mut found);
        Verdict::of(&made, found).judge(Transport::Redis, &[]).map_err(|error| error.to_string())
    }

    fn check(change: impl FnOnce(&mut Found), fault: &str) {
        assert_eq!(judge(change), Err(fault.to_owned()));
    }

    #[test]
    fn each_way_of_going_wrong_is_found() {
        assert_eq!(judge(|_| {}), Ok(()));
        check(|found| drop(found.firings[0].pop()), "1 due times were not met");
        check(|found| found.firings[0][2].due_at = at(5), "2 due times were not met");
        let half =
            |found: &mut Found| found.firings[0].push(Firing::new(at(3), at(3), FiringOutcome::Failed));
        check(half, "1 firings are of no due time, or came to nothing");
        check(
            |found| found.firings[0][1].outcome = FiringOutcome::Missed,
            "1 due times were given up, though all are to be made up for",
        );
        check(|found| found.firings[0][1].job_id = Some(job(1)), "1 firings share a job");
        check(|found| found.jobs.clear(), "3 jobs have no record");
        check(|found| found.jobs.extend([job(7)]), "1 jobs belong to no firing");
        check(|found| drop(found.messages.remove(&job(2))), "1 jobs have no message");
        let second = |found: &mut Found| found.messages.values_mut().for_each(|message| message.count += 1);
        check(second, "3 second messages, 0 were in doubt");
        let other = |found: &mut Found| found.messages.values_mut().for_each(|message| message.due_at = None);
        check(other, "3 messages say something else than their firings");
    }
}
